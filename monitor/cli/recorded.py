"""Data files as a recording: which of them are history, which are played, and what is odd about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitor.cli.faults import Fault

if TYPE_CHECKING:
    import polars as pl

    from monitor.backtest import Playback, Recording, Tempo
    from monitor.calendar import TradingCalendar
    from monitor.corporate_actions import Action
    from monitor.data_files import DataFile

Command = TypeVar("Command", bound=Callable[..., Any])


def data_options(command: Command) -> Command:
    """``--data``, what says how to read it, and what companies did to it."""
    for option in (
        click.option("--bar", metavar="LENGTH", help="Length of the bars, such as 5m; otherwise the smallest step."),
        click.option("--label", type=click.Choice(["start", "end"]), default="start", show_default=True,
            help="What a bar's ts is."),
        click.option("--calendar", default="XNYS", show_default=True, help="Exchange whose sessions count."),
        click.option("--dividends", type=click.Choice(["ignore", "adjust"]), default="ignore", show_default=True,
            help="Whether dividends of --actions adjust the past as splits do."),
        click.option(
            "--actions", "actions", multiple=True, type=click.Path(path_type=Path), metavar="FILE...",
            help="Corporate actions (ts, symbol, kind, ratio, amount, new) of prices as traded."),
        click.option(
            "--data", "data", multiple=True, required=True, type=click.Path(path_type=Path), metavar="FILE...",
            help="Parquet or CSV: bars (ts, symbol, close, ...), quotes, trades or series (ts, series, value).",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Recorded:
    """What data files hold.

    `played`: the files that are played, and `tempo` theirs; session bars are where there is nothing finer. `closes`:
    the session closes of the others, ``ts`` Date, ``symbol, open, close, volume``. `series`: external series, as they
    were published; where there is nothing else, that is what happens.
    """

    played: Sequence[DataFile]
    tempo: Tempo
    closes: pl.DataFrame
    calendar: TradingCalendar
    series: pl.DataFrame
    actions: Sequence[Action] = ()

    def recording(self, instruments: Sequence[str], first: int, last: int, series: Sequence[str] = ()) -> Recording:
        """The recording of some instruments up to `last`; what is before `first` need not be evaluated.

        `series` are those that are needed, to warn of one that is not there; every one is in the recording.

        Raises:
            Fault: A date is no session, or there is none of the instruments.
        """
        import polars as pl

        from monitor.backtest import Recording
        from monitor.data_playback import batches, session_bars

        wanted = pl.col("symbol").is_in(sorted(instruments)) if instruments else pl.lit(True)
        files = [replace(f, frame=frame) for f in self.played if (frame := f.frame.filter(wanted)).height]
        self._warn_of_missing(instruments, files, series)
        history, start, closes = self.closes.filter(wanted), None, None
        if files and all(f.sessions for f in files):
            start = first
            session = self.calendar.date(self.calendar.session_at(first)) if first else None
            earlier = [f.frame.filter(pl.col("ts") < session).select(history.columns) for f in files if session]
            history = pl.concat([history, *earlier])
            closes = session_bars(files, self.calendar, start, last)
        self._warn_of_splits([history, *(f.frame for f in files if f.sessions)])
        played = (batch for _, batch in batches(files, self.calendar, start, last))
        moments = () if self.played else tuple(self.series["ts"].unique().sort().to_physical().to_list())
        return Recording(played, self.tempo.stale_after_ns, history, self.series, moments, closes, self.actions)

    def _warn_of_splits(self, sessions: Iterable[pl.DataFrame]) -> None:
        """Say which jumps of session closes look like splits that nobody named."""
        from monitor.corporate_actions import suspected_splits
        from monitor.corporate_actions.screen import unanswered

        found = {split for frame in sessions for split in unanswered(suspected_splits(frame), self.actions)}
        for split in sorted(found):
            click.echo(f"warning: {split.text}: {split.advice('a file for --actions')}", err=True)

    def span(self) -> tuple[int, int]:
        """Event time of the first and last row that is played, UTC nanoseconds."""
        times = [_times(f, self.calendar) for f in self.played] or [self.series["ts"].to_physical()]
        return min(int(t.to_numpy().min()) for t in times), max(int(t.to_numpy().max()) for t in times)

    def _warn_of_missing(self, instruments: Iterable[str], played: Sequence[DataFile], series: Iterable[str]) -> None:
        present = {s for frame in (self.closes, *(f.frame for f in played)) for s in frame["symbol"].unique().to_list()}
        absent = sorted(set(instruments) - present)
        absent += [f"the series {s}" for s in sorted(set(series) - set(self.series["series"].unique().to_list()))]
        if absent:
            click.echo(f"warning: no data of {', '.join(absent)}: what needs them is unknown", err=True)


def warn_of_refused(playback: Playback) -> None:
    """Say on standard error what the truth filter refused, and which corporate actions cannot be."""
    for reason in playback.impossible_actions:
        click.echo(f"warning: {reason}", err=True)
    rejects = playback.rejects
    for (_, cause), count in sorted(rejects.counts.items()):
        example = next(r for r in rejects.examples() if r.cause is cause)
        row = ", ".join(f"{name} {value}" for name, value in example.row.items())
        click.echo(f"warning: {count} rows refused: {cause}, such as {row}", err=True)


def read_recorded(
    data: Sequence[Path],
    history: Sequence[Path],
    calendar: TradingCalendar,
    *,
    label: str,
    bar: str | None,
    actions: Sequence[Path] = (),
    dividends: str = "ignore",
) -> Recorded:
    """Read data files; session bars are history where there is anything finer.

    Raises:
        Fault: A file cannot be read, or two of them say different things about the same moment.
    """
    from monitor.backtest import SESSIONS, intraday

    files, series = _without_series([_read(path, label, bar) for path in data], calendar)
    past, earlier = _without_series([_read(path, label, bar) for path in history], calendar)
    if wrong := next((f for f in past if not f.sessions), None):
        raise Fault(f"{wrong.path}: history is session bars, with a date as ts")
    daily, fine = [f for f in files if f.sessions], [f for f in files if not f.sessions]
    _refuse_repeats(daily)
    for file in daily:
        _session_bars(file, calendar)
    played = fine or daily
    closes = _closes([*past, *daily] if fine else past, calendar)
    tempo = intraday(max(f.bar_ns or 0 for f in fine)) if fine else SESSIONS
    known = read_actions_of(actions, adjust=dividends == "adjust")
    return Recorded(played, tempo, closes, calendar, _merged([*earlier, *series]), known)


def read_actions_of(paths: Sequence[Path], *, adjust: bool) -> list[Action]:
    """The corporate actions of files, without dividends where these do not `adjust`."""
    from monitor.corporate_actions import ActionError, Kind, read_actions

    try:
        every = sorted({action for path in paths for action in read_actions(path)})
    except ActionError as error:
        raise Fault(str(error)) from None
    return [action for action in every if adjust or action.kind is not Kind.DIVIDEND]


def read_history(paths: Sequence[Path], calendar: TradingCalendar) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Session bars of files, ``ts`` (Date), ``symbol, open, high, low, close, volume``; and external series of others.

    Raises:
        Fault: A file cannot be read or holds something else, or two of them have the same symbol and session.
    """
    import polars as pl

    from monitor.state import SESSION_BARS

    files, series = _without_series([_read(path, "start", None) for path in paths], calendar)
    if wrong := next((f for f in files if not f.sessions), None):
        raise Fault(f"{wrong.path}: only session bars and external series can be imported: ts must be a date")
    _refuse_repeats(files)
    nothing = pl.DataFrame(schema={**SESSION_BARS, "symbol": pl.String})
    return pl.concat([nothing, *(_session_bars(f, calendar) for f in files)]), _merged(series)


def read_market(paths: Sequence[Path], *, label: str = "start", bar: str | None = None) -> list[DataFile]:
    """The files of market data among some. Raises Fault where one cannot be read."""
    return [file for path in paths if (file := _read(path, label, bar)).kind != "series"]


def _without_series(files: Sequence[DataFile], calendar: TradingCalendar) -> tuple[list[DataFile], list[pl.DataFrame]]:
    """The files of market data, and what the others say of external series."""
    from monitor.data_files import DataFileError, Kind, published

    try:
        series = [published(f, calendar) for f in files if f.kind is Kind.SERIES]
    except DataFileError as error:
        raise Fault(str(error), bare=False) from None
    return [f for f in files if f.kind is not Kind.SERIES], series


def _merged(series: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One frame; of two files that say something of one series and moment the later is believed."""
    import polars as pl

    from connectors.batch import SERIES

    both = pl.concat([pl.DataFrame(schema=SERIES), *series])
    return both.unique(["ts", "series"], keep="last", maintain_order=True).sort("ts", maintain_order=True)


def _read(path: Path, label: str, bar: str | None) -> DataFile:
    from monitor.data_files import DataFileError, read

    try:
        file = read(path, "end" if label == "end" else "start", _length(bar) if bar else None)
    except DataFileError as error:
        raise Fault(str(error), bare=False) from None
    for note in file.notes:
        click.echo(f"note: {note}", err=True)
    return file


def _length(bar: str) -> int:
    # Imported here: the settings bring every feed's, which takes a tenth of a second.
    from pydantic_core import PydanticCustomError

    from monitor.settings.durations import read_duration

    try:
        return read_duration(bar)
    except PydanticCustomError as error:
        raise Fault(f"--bar: {error.message()}") from None


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


def _closes(files: Sequence[DataFile], calendar: TradingCalendar) -> pl.DataFrame:
    """Session closes of files, ``ts, symbol, open, close, volume``."""
    import polars as pl

    from monitor.ingest.past_bars import Refused

    columns = {"ts": pl.Date, "symbol": pl.String, "open": pl.Float64, "close": pl.Float64, "volume": pl.Float64}
    closes = [pl.DataFrame(schema=columns)]
    for file in files:
        refused = Refused()
        closes.append(refused.possible(_session_bars(file, calendar)).select(*columns))
        for line in refused.lines:
            click.echo(f"warning: {file.path}: {line}", err=True)
    return pl.concat(closes)


def _times(file: DataFile, calendar: TradingCalendar) -> pl.Series:
    """When each row became known, UTC nanoseconds."""
    import numpy as np
    import polars as pl

    if file.sessions:
        dates = _session_bars(file, calendar)["ts"].to_numpy().astype("datetime64[D]")
        return pl.Series(calendar.closes[np.searchsorted(calendar.dates, dates)])
    return file.frame["end" if file.kind == "bars" else "ts"].to_physical()
