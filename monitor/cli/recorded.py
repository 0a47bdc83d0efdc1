"""Data files as a recording: which of them are history, which are played, and what is odd about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitor.cli.faults import Fault

if TYPE_CHECKING:
    import polars as pl

    from connectors.batch import Batch
    from monitor.backtest import Recording, Tempo
    from monitor.calendar import TradingCalendar
    from monitor.data_files import DataFile
    from monitor.ingest.rejects import Rejects

Command = TypeVar("Command", bound=Callable[..., Any])


def data_options(command: Command) -> Command:
    """``--data``, and what says how to read it."""
    for option in (
        click.option("--bar", metavar="LENGTH", help="Length of the bars, such as 5m; otherwise the smallest step."),
        click.option("--label", type=click.Choice(["start", "end"]), default="start", show_default=True,
            help="What a bar's ts is."),
        click.option("--calendar", default="XNYS", show_default=True, help="Exchange whose sessions count."),
        click.option(
            "--data", "data", multiple=True, required=True, type=click.Path(path_type=Path), metavar="FILE...",
            help="Parquet or CSV: bars (ts, symbol, close, ...), quotes or trades.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Recorded:
    """What data files hold.

    `history`: session closes, ``ts`` (Date), ``symbol, open, close``. `played`: by kind (quotes, trades, bars), in
    order of event time; `by_session`: they are session bars, with their ``date``. `first`, `last`: event time of the
    first and last row that is played, UTC nanoseconds.
    """

    history: pl.DataFrame
    played: dict[str, pl.DataFrame]
    tempo: Tempo
    first: int
    last: int
    calendar: TradingCalendar
    by_session: bool

    def recording(self, start: int) -> Recording:
        """The recording, of which what is before `start` need not be evaluated."""
        import polars as pl

        from monitor.backtest import Recording

        history, played = self.history, self.played
        if self.by_session:
            bars = played["bars"]
            earlier = pl.col("end").to_physical() < start
            before = bars.filter(earlier).select(pl.col("date").alias("ts"), "symbol", "open", "close")
            history = pl.concat([history, before])
            played = {"bars": bars.filter(~earlier).drop("date")}
        return Recording(_batches(played), self.tempo, [history] if history.height else [])

    def warn_of_missing(self, instruments: Iterable[str]) -> None:
        """Say on standard error which of the instruments the files do not have."""
        frames = [self.history, *self.played.values()]
        present = {symbol for frame in frames for symbol in frame["symbol"].unique().to_list()}
        if absent := sorted(set(instruments) - present):
            click.echo(f"warning: no data of {', '.join(absent)}: what needs them is unknown", err=True)

    def warn_of_refused(self, rejects: Rejects) -> None:
        """Say on standard error what the truth filter refused."""
        for (_, cause), count in sorted(rejects.counts.items()):
            example = next(r for r in rejects.examples() if r.cause is cause)
            row = ", ".join(f"{name} {value}" for name, value in example.row.items())
            click.echo(f"warning: {count} rows refused: {cause}, such as {row}", err=True)


def read_recorded(
    data: Sequence[Path], history: Sequence[Path], calendar: TradingCalendar, *, label: str, bar: str | None
) -> Recorded:
    """Read data files; session bars are history where there is anything finer.

    Raises:
        Fault: A file cannot be read, or two of them say different things about the same moment.
    """
    import polars as pl

    from monitor.backtest import SESSIONS, intraday

    files = [_read(path, label, bar) for path in data]
    past = [_read(path, label, bar) for path in history]
    if wrong := next((f for f in past if not f.sessions), None):
        raise Fault(f"{wrong.path}: history is session bars, with a date as ts")
    daily, fine = [f for f in files if f.sessions], [f for f in files if not f.sessions]
    _refuse_repeats(daily)
    if not fine:
        bars = _at_closes(daily, calendar)
        earlier = _before_played([_session_bars(f, calendar) for f in past], {"bars": bars}, calendar)
        return _recorded(earlier, {"bars": bars}, SESSIONS, calendar, by_session=True)
    kinds = {str(f.kind) for f in fine}
    frames = [(str(f.kind), f.frame) for f in fine]
    played = {
        kind: pl.concat([frame for of, frame in frames if of == kind]).sort(
            "end" if kind == "bars" else "ts", maintain_order=True
        )
        for kind in sorted(kinds)
    }
    earlier = _before_played([_session_bars(f, calendar) for f in (*past, *daily)], played, calendar)
    longest = max((f.bar_ns or 0 for f in fine), default=0)
    return _recorded(earlier, played, intraday(longest), calendar, by_session=False)


def read_sessions(paths: Sequence[Path], calendar: TradingCalendar) -> pl.DataFrame:
    """Session bars of files: ``ts`` (Date), ``symbol, open, high, low, close, volume``.

    Raises:
        Fault: A file cannot be read or holds something else, or two of them have the same symbol and session.
    """
    import polars as pl

    files = [_read(path, "start", None) for path in paths]
    if wrong := next((f for f in files if not f.sessions), None):
        raise Fault(f"{wrong.path}: only session bars can be imported: ts must be a date")
    _refuse_repeats(files)
    return pl.concat([_session_bars(f, calendar) for f in files])


def _read(path: Path, label: str, bar: str | None) -> DataFile:
    from pydantic_core import PydanticCustomError

    from monitor.data_files import DataFileError, Kind, read
    from monitor.settings.durations import read_duration

    try:
        length = read_duration(bar) if bar else None
        file = read(path, "end" if label == "end" else "start", length)
    except PydanticCustomError as error:
        raise Fault(f"--bar: {error.message()}") from None
    except DataFileError as error:
        raise Fault(str(error), bare=False) from None
    if file.kind is Kind.SERIES:
        raise Fault(f"{path}: external series are not in this version: leave the file out")
    for note in file.notes:
        click.echo(f"note: {note}", err=True)
    return file


def _refuse_repeats(files: Sequence[DataFile]) -> None:
    """Two files that have the same symbol and session may have it at different levels: splits, dividends."""
    import polars as pl

    if len(files) < 2:  # noqa: PLR2004 - a file alone has no repeats, its reader saw to it
        return
    keys = pl.concat([f.frame.select("ts", "symbol", file=pl.lit(str(f.path))) for f in files])
    again = keys.group_by("ts", "symbol", maintain_order=True).agg("file").filter(pl.col("file").list.len() > 1)
    if again.height:
        ts, symbol, names = again.row(0)
        raise Fault(f"{symbol} of {ts} is in {' and in '.join(names)}: leave one of the files out")


def _session_bars(file: DataFile, calendar: TradingCalendar) -> pl.DataFrame:
    """The file's bars, each on a session of the calendar."""
    import numpy as np

    dates = file.frame["ts"].to_numpy().astype("datetime64[D]")
    known = np.isin(dates, calendar.dates)
    if not known.all():
        row = int(np.argmin(known))
        raise Fault(f"{file.path}: row {row + 1}: {dates[row]} is no session of {calendar.name}")
    return file.frame


def _at_closes(files: Sequence[DataFile], calendar: TradingCalendar) -> pl.DataFrame:
    """Session bars as bars from open to close, and their ``date``; in order of time."""
    import numpy as np
    import polars as pl

    from connectors.batch import BARS, TIME

    frame = pl.concat([_session_bars(f, calendar) for f in files]).sort("ts", maintain_order=True)
    at = np.searchsorted(calendar.dates, frame["ts"].to_numpy().astype("datetime64[D]"))
    return frame.with_columns(
        date="ts",
        ts=pl.Series(calendar.opens[at]).cast(TIME),
        end=pl.Series(calendar.closes[at]).cast(TIME),
    ).select(*BARS.names(), "date")


def _before_played(
    history: Sequence[pl.DataFrame], played: Mapping[str, pl.DataFrame], calendar: TradingCalendar
) -> pl.DataFrame:
    """Session closes of each symbol before it is first played: from then on what is played makes the closes."""
    import numpy as np
    import polars as pl

    columns = {"ts": pl.Date, "symbol": pl.String, "open": pl.Float64, "close": pl.Float64}
    closes = pl.concat([pl.DataFrame(schema=columns), *(frame.select(*columns) for frame in history)])
    times = pl.concat(
        [frame.select("symbol", at=pl.col(_event_time(kind)).to_physical()) for kind, frame in played.items()]
    )
    firsts = times.group_by("symbol").agg(pl.col("at").min())
    sessions = np.searchsorted(calendar.closes, firsts["at"].to_numpy())
    firsts = firsts.select("symbol", first=pl.Series(calendar.dates[sessions]))
    closes = closes.join(firsts, on="symbol", how="left", maintain_order="left")
    return closes.filter(pl.col("first").is_null() | (pl.col("ts") < pl.col("first"))).drop("first")


def _event_time(kind: str) -> str:
    return "end" if kind == "bars" else "ts"


def _recorded(
    history: pl.DataFrame, played: dict[str, pl.DataFrame], tempo: Tempo, calendar: TradingCalendar, *, by_session: bool
) -> Recorded:
    ends = [frame[_event_time(kind)].to_physical() for kind, frame in played.items()]
    first, last = min(int(t[0]) for t in ends), max(int(t[-1]) for t in ends)
    return Recorded(history, played, tempo, first, last, calendar, by_session)


def _batches(played: dict[str, pl.DataFrame]) -> Iterator[Batch]:
    """One batch a UTC day, so that memory does not grow with the recording."""
    import polars as pl

    from connectors.batch import SCHEMAS, Batch, empty

    parts = {kind: frame.with_columns(day=pl.col(_event_time(kind)).dt.date()) for kind, frame in played.items()}
    by_day = {
        kind: {day: rows for (day,), rows in frame.partition_by("day", as_dict=True, include_key=False).items()}
        for kind, frame in parts.items()
    }
    for day in sorted({day for days in by_day.values() for day in days}):
        frames = {kind: by_day.get(kind, {}).get(day, empty(SCHEMAS[kind])) for kind in ("quotes", "trades", "bars")}
        yield Batch("recording", 0, frames["quotes"], frames["trades"], frames["bars"])
