"""What the truth filter makes of a data file, and what the calendar misses in it: as a backtest would meet it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from connectors.batch import BARS, Batch
from monitor.calendar import TradingCalendar
from monitor.corporate_actions import Action, SuspectedSplit, suspected_splits
from monitor.corporate_actions.screen import believed, unanswered
from monitor.corporate_actions.spikes import Spike
from monitor.data_files import DataFile, Kind
from monitor.data_playback import session_bars
from monitor.history.gaps import Gap, gaps
from monitor.ingest import Cause, TruthFilter, TruthSettings
from monitor.ingest.clean_batch import event_times
from monitor.ingest.rejects import Reject
from monitor.state import MarketState

_AT_ONCE: Final = 50_000
_MOSTLY: Final = 0.9
"""Of an instrument's bars so many have to be in the calendar's hours for its sessions to be looked at."""


@dataclass(frozen=True, slots=True)
class ShortSession:
    """A session of which instruments have fewer bars than it is long; `fewest` and `most` of theirs, of `full`."""

    date: str
    instruments: int
    fewest: int
    most: int
    full: int


@dataclass(slots=True)
class DataCheck:
    """What was found. `refused`: rows by cause; `examples`: a refused row of each; `held`: waiting still, at the end.

    `locked`: quotes whose bid is their ask, which are true. `gaps`: sessions missing between an instrument's first and
    last; `short`: those with bars missing. `splits`: jumps between sessions that look like one.
    `spikes`: closes that the next session takes back, which are not taken in as history.
    """

    rows: int
    instruments: int
    refused: dict[Cause, int]
    examples: dict[Cause, Reject]
    held: int
    locked: int
    gaps: list[Gap] = field(default_factory=list)
    short: list[ShortSession] = field(default_factory=list)
    splits: list[SuspectedSplit] = field(default_factory=list)
    spikes: list[Spike] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """Rows that the state would see."""
        return self.rows - sum(self.refused.values()) - self.held


def check(
    file: DataFile,
    calendar: TradingCalendar,
    actions: Sequence[Action] = (),
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> DataCheck:
    """Put a file's rows through the filter in order of time. `on_progress` is told how many of how many rows are done.

    Raises:
        DataFileError: A date is no session of the calendar.
        ValueError: The file has external series, of which there is nothing to check.
    """
    if file.kind is Kind.SERIES:
        raise ValueError(f"{file.path}: external series have no market to be checked against")
    frame = session_bars([file], calendar) if file.sessions else file.frame
    times = event_times(file.kind, frame)
    if (times[1:] < times[:-1]).any():
        frame = frame[np.argsort(times, kind="stable")]
    truth = TruthFilter(TruthSettings(closes=calendar.closes, recorded=True))
    for symbol, splits in _known(actions, calendar).items():
        truth.tell_splits(symbol, splits)
    for start in range(0, frame.height, _AT_ONCE):
        rows: dict[str, Any] = {file.kind: frame.slice(start, _AT_ONCE)}
        truth.clean(Batch("data", 0, **rows))
        on_progress(min(start + _AT_ONCE, frame.height), frame.height)
    rejects = truth.rejects
    refused = {cause: n for cause in Cause if (n := rejects.total(cause))}
    found = DataCheck(
        rows=frame.height,
        instruments=frame["symbol"].n_unique(),
        refused=refused,
        examples={reject.cause: reject for reject in reversed(rejects.examples())},
        held=truth.held,
        locked=rejects.locked.total(),
    )
    if file.sessions:
        days = file.frame.select("ts", pl.col("symbol").cast(pl.String))
        found.gaps = _holes(days, calendar)
        kept, found.spikes = believed(file.frame, actions)
        found.splits = unanswered(suspected_splits(kept), actions)
    elif file.kind is Kind.BARS:
        bars = _regular(frame.select(BARS.names()), calendar)
        if bars.height:
            found.gaps = _holes(bars.select(pl.col("date").alias("ts"), "symbol").unique(), calendar)
            found.short = _short(bars, calendar, file.bar_ns or 0)
            found.splits = unanswered(suspected_splits(_sessions(bars)), actions)
    return found


def _known(actions: Sequence[Action], calendar: TradingCalendar) -> dict[str, list[tuple[int, float]]]:
    """By symbol, the known splits, as the state would tell the filter."""
    state = MarketState(calendar, sessions=1)
    state.actions.know(actions)
    return state.actions.splits()


def _holes(days: pl.DataFrame, calendar: TradingCalendar) -> list[Gap]:
    """Missing sessions of each instrument. `days`: ``ts`` (Date), ``symbol``."""
    spans = days.group_by("symbol").agg(first=pl.col("ts").min(), last=pl.col("ts").max()).sort("symbol")
    return [
        gap
        for symbol, first, last in spans.iter_rows()
        for gap in gaps(days.filter(pl.col("symbol") == symbol), [symbol], calendar, first, last)
    ]


def _regular(bars: pl.DataFrame, calendar: TradingCalendar) -> pl.DataFrame:
    """The bars of regular hours, with ``session`` and ``date``, of instruments that trade in these hours."""
    ends = event_times("bars", bars)
    sessions = np.minimum(np.searchsorted(calendar.closes, ends), len(calendar) - 1)
    inside = (ends > calendar.opens[sessions]) & (ends <= calendar.closes[sessions])
    dates = pl.Series(calendar.dates[sessions].astype("datetime64[D]")).cast(pl.Date)
    placed = bars.with_columns(pl.col("symbol").cast(pl.String), session=pl.Series(sessions), date=dates)
    placed = placed.with_columns(inside=pl.Series(inside))
    return placed.filter(pl.col("inside"), pl.col("inside").mean().over("symbol") > _MOSTLY)


def _short(bars: pl.DataFrame, calendar: TradingCalendar, bar_ns: int) -> list[ShortSession]:
    """Sessions of which an instrument has fewer bars than fit into it, by date."""
    counts = bars.group_by("session", "date", "symbol").len()
    sessions = counts["session"].to_numpy()
    full = -(-(calendar.closes[sessions] - calendar.opens[sessions]) // bar_ns)
    short = counts.with_columns(full=pl.Series(full)).filter(pl.col("len") < pl.col("full"))
    found = short.group_by("date", "full").agg(
        instruments=pl.len(), fewest=pl.col("len").min(), most=pl.col("len").max()
    )
    columns = found.sort("date").select("date", "instruments", "fewest", "most", "full")
    return [ShortSession(str(date), *rest) for date, *rest in columns.iter_rows()]


def _sessions(bars: pl.DataFrame) -> pl.DataFrame:
    """Session bars of bars: ``ts`` (Date), ``symbol``, ``open``, ``close``."""
    return (
        bars.sort("end")
        .group_by(pl.col("date").alias("ts"), "symbol", maintain_order=True)
        .agg(pl.col("open").first(), pl.col("close").last())
    )
