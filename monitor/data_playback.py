"""Data files in order of event time: as batches, one after the other, or as the bars of sessions in one frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.batch import BARS, TIME, Batch
from monitor.calendar import TradingCalendar
from monitor.data_files import DataFile, DataFileError, Kind, published
from monitor.ingest.clean_batch import NO_BARS, NO_QUOTES, NO_SERIES, NO_TRADES, event_times
from monitor.ingest.cut import GRID_NS


def batches(
    files: Sequence[DataFile],
    calendar: TradingCalendar,
    start_ns: int | None = None,
    end_ns: int | None = None,
    grid_ns: int = GRID_NS,
) -> Iterator[tuple[int, Batch]]:
    """What the files say, merged in order of time: event time (UTC nanoseconds) and all that became known by it.

    One batch for each end of bars and close of sessions, and for quotes and trades one for each cell ``(k * grid,
    (k + 1) * grid]`` that has any, at the last of them. Only event times from `start_ns` to `end_ns`, both included,
    are played. Series are played when their values became known.

    Raises:
        DataFileError: a date is no session of the calendar.
    """
    reels = [_Reel.of(file, calendar).between(start_ns, end_ns) for file in files]
    return _play(reels, _due(reels, grid_ns))


def session_bars(
    files: Sequence[DataFile], calendar: TradingCalendar, start_ns: int | None = None, end_ns: int | None = None
) -> pl.DataFrame:
    """The bars of files of sessions, merged in order of time: in one frame what :func:`batches` hands on one by one.

    Raises:
        DataFileError: a date is no session of the calendar.
    """
    reels = [_Reel.of(file, calendar).between(start_ns, end_ns) for file in files]
    frame = pl.concat([NO_BARS, *(reel.frame for reel in reels)])
    return frame if len(reels) == 1 else frame.sort("end", maintain_order=True)


@dataclass(frozen=True, slots=True)
class _Reel:
    """A file's rows in order of event time: `times`, ascending, is that of each row."""

    kind: Kind
    frame: pl.DataFrame
    times: npt.NDArray[np.int64]

    @staticmethod
    def of(file: DataFile, calendar: TradingCalendar) -> _Reel:
        if file.kind is Kind.SERIES:
            frame = published(file, calendar)
        else:
            frame = _sessions_as_bars(file, calendar) if file.sessions else file.frame
        times = event_times(file.kind, frame)
        if len(times) > 1 and (times[1:] < times[:-1]).any():
            order = np.argsort(times, kind="stable")
            frame, times = frame[order], times[order]
        return _Reel(file.kind, frame, times)

    def between(self, start_ns: int | None, end_ns: int | None) -> _Reel:
        first = 0 if start_ns is None else int(np.searchsorted(self.times, start_ns))
        last = len(self.times) if end_ns is None else int(np.searchsorted(self.times, end_ns, "right"))
        return _Reel(self.kind, self.frame[first:last], self.times[first:last])


def _sessions_as_bars(file: DataFile, calendar: TradingCalendar) -> pl.DataFrame:
    """Session rows as bars from the open to the close of their session."""
    days = file.frame["ts"].unique(maintain_order=True)
    hours = []
    for day in days:
        session = calendar.ordinal_on_or_before(day)
        if session < 0 or calendar.date(session) != day:
            row = int((file.frame["ts"] == day).arg_max() or 0) + 1
            raise DataFileError(f"{file.path}: row {row}: ts {day} is no session of {calendar.name}")
        hours.append((calendar.open_ns(session), calendar.close_ns(session)))
    spans = pl.DataFrame(hours, schema={"start": pl.Int64, "end": pl.Int64}, orient="row").cast(TIME)
    timed = file.frame.join(spans.with_columns(ts=days), on="ts", how="left", maintain_order="left")
    return timed.with_columns(ts="start").select(BARS.names())


def _due(reels: Sequence[_Reel], grid_ns: int) -> npt.NDArray[np.int64]:
    """The event times at which something is handed on, ascending."""
    due = [np.unique(reel.times) for reel in reels if reel.kind is Kind.BARS]
    ticks = [reel.times for reel in reels if reel.kind is not Kind.BARS]
    if ticks:
        # Of each file the last of each cell, then of all of them.
        lasts = np.unique(np.concatenate([_last_of_cells(times, grid_ns) for times in ticks]))
        due.append(_last_of_cells(lasts, grid_ns))
    return np.unique(np.concatenate(due)) if due else np.empty(0, dtype=np.int64)


def _last_of_cells(times: npt.NDArray[np.int64], grid_ns: int) -> npt.NDArray[np.int64]:
    cells = (times - 1) // grid_ns
    last = np.ones(len(cells), dtype=np.bool_)
    np.not_equal(cells[1:], cells[:-1], out=last[:-1])
    return times[last]


_WITHOUT: Final = (
    (Kind.QUOTES, NO_QUOTES),
    (Kind.TRADES, NO_TRADES),
    (Kind.BARS, NO_BARS),
    (Kind.SERIES, NO_SERIES),
)


def _play(reels: Sequence[_Reel], due: npt.NDArray[np.int64]) -> Iterator[tuple[int, Batch]]:
    ends = [np.searchsorted(reel.times, due, "right") for reel in reels]
    taken = [0] * len(reels)
    for at, time in enumerate(due):
        frames: dict[Kind, list[pl.DataFrame]] = {}
        for number, reel in enumerate(reels):
            first, taken[number] = taken[number], int(ends[number][at])
            if taken[number] > first:
                frames.setdefault(reel.kind, []).append(reel.frame[first : taken[number]])
        event_time = int(time)
        rows = {kind: parts[0] if len(parts) == 1 else pl.concat(parts) for kind, parts in frames.items()}
        quotes, trades, bars, series = (rows.get(kind, none) for kind, none in _WITHOUT)
        yield event_time, Batch("data", event_time, quotes, trades, bars, series=series)
