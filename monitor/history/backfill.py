"""Bars of the past from a vendor into the store: only what is missing, so that one that was killed goes on.

What is stored is what is remembered: a run asks for the sessions that the calendar has and the store has not, and
writes what it got every so many rows. A bar that cannot be, or that those beside it contradict, is not stored: it is
counted by cause, and its session is missing still.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from connectors.bar_source import BarSource, Resolution
from connectors.rest import RestError
from monitor.calendar import TradingCalendar
from monitor.corporate_actions.spikes import contradicted, spikes
from monitor.history.gaps import DAYS, Gap, gaps, stored_days, stored_minutes
from monitor.history.overlap import stored_closes
from monitor.history.stored_bars import add_minutes, add_sessions
from monitor.ingest.clean_batch import event_times
from monitor.ingest.past_bars import NOT_ASKED, Refused
from monitor.ingest.rejects import Cause
from monitor.store.base import Store

_ROWS: Final = 200_000
"""Bars kept before they are written: what a kill costs."""
_SYMBOLS: Final = 50
"""Instruments asked for at once."""
_BESIDE: Final = dt.timedelta(days=100)
"""How far around new closes stored ones are looked at: what a close is believed by are those beside it."""


@dataclass(slots=True)
class Filled:
    """What a backfill did: bars written, those left out, and the sessions that are missing still."""

    bars: int = 0
    asked: int = 0
    missing: list[Gap] = field(default_factory=list)
    refused: Refused = field(default_factory=Refused)


def last_session(calendar: TradingCalendar, now: int) -> dt.date:
    """The last session that has closed by `now`, UTC nanoseconds."""
    return calendar.date(calendar.session_at(now) - 1)


async def backfill(
    source: BarSource,
    store: Store,
    calendar: TradingCalendar,
    symbols: Collection[str],
    first: dt.date,
    last: dt.date,
    resolution: Resolution = "1d",
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Filled:
    """Ask for the sessions from `first` to `last` that are missing, and store them.

    Args:
        source: The vendor.
        store: Open, with the lease where somebody else could have it.
        calendar: Whose sessions these are.
        symbols: The instruments.
        first: The first session asked for.
        last: The last, which has closed.
        resolution: Session bars, or minutes.
        on_progress: Told how many instruments are done, of how many.

    Raises:
        RestError: The vendor refuses or is away; what came before is stored.
        StoreError: The store is away.
    """
    look = stored_days if resolution == "1d" else stored_minutes
    before = gaps(await look(store, first, last), symbols, calendar, first, last)
    spans: dict[tuple[dt.date, dt.date], list[str]] = {}
    for symbol in sorted({gap.symbol for gap in before}):
        mine = [gap for gap in before if gap.symbol == symbol]
        spans.setdefault((mine[0].first, mine[-1].last), []).append(symbol)
    result = Filled(asked=sum(map(len, spans.values())))
    write = _write_days if resolution == "1d" else _write_minutes
    waiting: list[pl.DataFrame] = []
    done, unreadable = 0, Counter(source.rejected)
    try:
        for (begin, end), some in spans.items():
            start_ns = _midnight(begin)
            end_ns = _midnight(end + dt.timedelta(days=2))  # a day of the exchange's zone ends after UTC's
            for at in range(0, len(some), _SYMBOLS):
                asked = some[at : at + _SYMBOLS]
                async for frame in source.bars(asked, start_ns, end_ns, resolution):
                    bars = result.refused.possible(_asked_for(result.refused, frame, asked, start_ns, end_ns))
                    waiting.append(
                        sessions_of(bars, calendar, end) if resolution == "1d" else _regular(bars, calendar, end)
                    )
                    if sum(part.height for part in waiting) >= _ROWS:
                        result.bars += await write(store, waiting, result.refused)
                done += len(asked)
                on_progress(done, result.asked)
    except RestError:
        await write(store, waiting, result.refused)  # what came before is good
        raise
    result.bars += await write(store, waiting, result.refused)
    result.refused.counts.update(source.rejected - unreadable)
    result.missing = gaps(await look(store, first, last), symbols, calendar, first, last)
    return result


def _asked_for(refused: Refused, bars: pl.DataFrame, symbols: Collection[str], start: int, end: int) -> pl.DataFrame:
    """The bars that are an answer to the question."""
    starts = bars["ts"].to_physical().to_numpy()
    other = ~bars["symbol"].is_in(list(symbols)).to_numpy() | (starts < start) | (starts >= end)
    return refused.refuse(NOT_ASKED, bars, other)


async def _write_days(store: Store, waiting: list[pl.DataFrame], refused: Refused) -> int:
    """Store session bars, but for closes that those beside them contradict; how many were stored."""
    bars = _taken(waiting, refused)
    if not bars.height:
        return 0
    first, last = bars["ts"].min(), bars["ts"].max()
    assert isinstance(first, dt.date)  # noqa: S101 - a column of dates that has rows
    assert isinstance(last, dt.date)  # noqa: S101
    beside = await stored_closes(store, first - _BESIDE, last + _BESIDE)
    beside = beside.join(bars, on=["symbol", "ts"], how="anti").filter(pl.col("symbol").is_in(bars["symbol"].unique()))
    both = pl.concat([bars.select("ts", "symbol", "close"), beside.select("ts", "symbol", "close")])
    wrong = np.zeros(both.height, dtype=np.bool_)
    wrong[[spike.row for spike in spikes(both)]] = True
    bars = refused.refuse(Cause.SPIKE, bars, wrong[: bars.height])
    if bars.height:
        await add_sessions(store, bars)
    return bars.height


async def _write_minutes(store: Store, waiting: list[pl.DataFrame], refused: Refused) -> int:
    """Store minutes, but for those that the minutes beside them contradict; how many were stored."""
    bars = _taken(waiting, refused)
    if not bars.height:
        return 0
    bars = refused.refuse(Cause.SPIKE, bars, contradicted(bars))
    return await add_minutes(store, bars) if bars.height else 0


def _taken(waiting: list[pl.DataFrame], refused: Refused) -> pl.DataFrame:
    """What waits, in one frame; of bars that came twice the last."""
    if not waiting:
        return pl.DataFrame(schema=DAYS)
    bars = pl.concat(waiting)
    waiting.clear()
    again = ~bars.select(pl.struct("symbol", "ts").is_last_distinct()).to_series().to_numpy()
    return refused.refuse(Cause.DUPLICATE, bars, again)


def sessions_of(bars: pl.DataFrame, calendar: TradingCalendar, last: dt.date) -> pl.DataFrame:
    """A vendor's day bars as session bars: ``ts`` (the session's date), symbol, prices and volume.

    A day runs from midnight to midnight of the exchange's zone, so the session is the one whose close lies in it, and
    is known at that close. Days without a session, and those after `last`, are left out.
    """
    starts, ends = bars["ts"].to_physical().to_numpy(), bars["end"].to_physical().to_numpy()
    sessions = np.searchsorted(calendar.closes, starts, "right")
    inside = sessions < len(calendar)
    sessions = np.where(inside, sessions, 0)
    inside &= calendar.closes[sessions] <= ends
    dates = pl.Series("ts", calendar.dates[sessions].astype("datetime64[D]")).cast(pl.Date)
    named = bars.drop("ts", "end").with_columns(dates).filter(pl.Series(inside))
    return named.filter(pl.col("ts") <= last).select("ts", "symbol", "open", "high", "low", "close", "volume")


def _regular(bars: pl.DataFrame, calendar: TradingCalendar, last: dt.date) -> pl.DataFrame:
    """Minutes of regular hours, up to the close of the session `last`."""
    ends = event_times("bars", bars)
    sessions = np.minimum(np.searchsorted(calendar.closes, ends), len(calendar) - 1)
    inside = (ends > calendar.opens[sessions]) & (ends <= calendar.closes[sessions])
    inside &= ends <= calendar.close_ns(calendar.ordinal_on_or_before(last))
    return bars.filter(pl.Series(inside))


def differences(one: pl.DataFrame, other: pl.DataFrame, more_than: float) -> pl.DataFrame:
    """Closes of two sources that are further apart than `more_than` (a ratio), the furthest first.

    `one` and `other`: ``ts, symbol, close``. Columns: ``ts, symbol, close, other, apart`` (a ratio of the mean).
    """
    both = one.select("ts", "symbol", "close").join(
        other.select("ts", "symbol", other="close"), on=["ts", "symbol"], how="inner"
    )
    apart = (pl.col("close") - pl.col("other")).abs() / ((pl.col("close") + pl.col("other")) / 2)
    return both.with_columns(apart=apart).filter(pl.col("apart") > more_than).sort("apart", descending=True)


async def closes_of(
    source: BarSource, calendar: TradingCalendar, symbols: Collection[str], first: dt.date, last: dt.date
) -> pl.DataFrame:
    """The session bars that a source has, without storing them. Raises RestError."""
    frames = [pl.DataFrame(schema={**DAYS, "close": pl.Float64})]
    end = _midnight(last + dt.timedelta(days=2))
    coming = source.bars(sorted(symbols), _midnight(first), end, "1d")
    frames += [sessions_of(frame, calendar, last).select("ts", "symbol", "close") async for frame in coming]
    return pl.concat(frames)


def _midnight(date: dt.date) -> int:
    """The start of a UTC day, nanoseconds."""
    return (date - dt.date(1970, 1, 1)).days * 86_400 * 10**9
