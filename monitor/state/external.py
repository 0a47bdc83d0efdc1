"""External series: what was known of each at a moment, which is the value last published by then.

Two kinds of rows: *history*, from files and the store, known from its publication; and *live* ones, that came with the
data, known from their publication or their arrival, whichever was later: so what was once said of a moment stays true.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import polars as pl

from connectors.batch import SERIES
from monitor.calendar import MINUTE
from monitor.state.columns import Floats, Ints
from monitor.state.rows import times

_HISTORY: Final = 0
_LIVE: Final = 1
_Row = tuple[int, int, float]
"""When it is known from (UTC nanoseconds), whether it is live, the value. Of rows of one moment the last counts."""


class _Track:
    """One series, rows in ascending order."""

    def __init__(self) -> None:
        self.rows: list[_Row] = []
        self.times: list[int] = []
        self.crowded = False

    def at(self, ns: int) -> float:
        place = bisect_right(self.times, ns)
        return self.rows[place - 1][2] if place else np.nan

    def replace(self, rows: Iterable[_Row]) -> None:
        self.rows = sorted(rows, key=lambda row: row[:2])
        self.times = [row[0] for row in self.rows]

    def add(self, time: int, value: float) -> None:
        """A live row."""
        place = bisect_right(self.times, time)
        self.rows.insert(place, (time, _LIVE, value))
        self.times.insert(place, time)
        self.crowded = True

    def keep_last(self, cells: Ints) -> None:
        """Of the first ``len(cells)`` rows, only the last of each run of equal cells."""
        count = len(cells)
        last = np.ones(count, dtype=np.bool_)
        np.not_equal(cells[1:], cells[:-1], out=last[:-1])
        if not last.all():
            kept = np.flatnonzero(last).tolist()
            self.rows[:count] = [self.rows[place] for place in kept]
            self.times[:count] = [self.times[place] for place in kept]

    def drop_first(self, count: int) -> None:
        """Without the first rows: what follows stays in its order, so years of history need no sorting a session."""
        del self.rows[:count]
        del self.times[:count]


class ExternalSeries:
    """The series that are kept, by name; of others nothing is."""

    def __init__(self) -> None:
        self._tracks: dict[str, _Track] = {}

    def keep(self, names: Iterable[str]) -> None:
        """Keep these from now on; what is kept already stays."""
        for name in names:
            self._tracks.setdefault(name, _Track())

    def at(self, names: Sequence[str], ns: int) -> Floats:
        """The value of each series last published at or before `ns`; NaN where there is none."""
        tracks = self._tracks
        return np.array([tracks[name].at(ns) if name in tracks else np.nan for name in names])

    def without_value(self) -> list[str]:
        """The kept series of which nothing is known, in order of name."""
        return sorted(name for name, track in self._tracks.items() if not track.rows)

    def include(self, frame: pl.DataFrame) -> None:
        """Take in history (:data:`connectors.batch.SERIES`), in place of rows of the same series and time.

        Raises:
            ValueError: a row has no time.
        """
        for name, rows in self._by_series(frame):
            track = self._tracks[name]
            old = {row[0]: row for row in track.rows if row[1] == _HISTORY}
            new = {time: (time, _HISTORY, value) for time, value in rows}
            live = [row for row in track.rows if row[1] == _LIVE]
            track.replace([*(old | new).values(), *live])

    def take(self, frame: pl.DataFrame, now: int) -> None:
        """Take in what came with the data, when it was `now`; a value that is null is unknown from then on."""
        for name, rows in self._by_series(frame):
            track = self._tracks[name]
            for time, value in rows:
                track.add(max(time, now), value)

    def tidy(self, minute_end: int) -> None:
        """Of rows up to the end of a minute, keep the last of each minute: views of the past are of whole minutes."""
        for track in self._tracks.values():
            if track.crowded:
                past = track.times[: bisect_right(track.times, minute_end)]
                track.keep_last(-(-np.array(past, dtype=np.int64) // MINUTE))
                track.crowded = len(past) < len(track.times)

    def expire(self, closes: Ints, oldest_close: int, oldest_minute: int) -> None:
        """Of rows up to `oldest_minute` keep the last of each session, and of those up to `oldest_close` the last."""
        for track in self._tracks.values():
            track.drop_first(max(0, bisect_right(track.times, oldest_close) - 1))
            past = np.array(track.times[: bisect_right(track.times, oldest_minute)], dtype=np.int64)
            if len(past) > 1:
                track.keep_last(np.searchsorted(closes, past))

    def live_rows(self) -> pl.DataFrame:
        """What came with the data, for the checkpoint."""
        rows = [(time, name, value) for name, t in self._tracks.items() for time, live, value in t.rows if live]
        columns = {"ts": pl.Int64, "series": pl.String, "value": pl.Float64}
        return pl.DataFrame(rows, schema=columns, orient="row").cast(SERIES)

    def _by_series(self, frame: pl.DataFrame) -> list[tuple[str, list[tuple[int, float]]]]:
        """Rows of the kept series, in the order of the frame."""
        if frame["ts"].null_count():
            raise ValueError(f"external series: row {int(frame['ts'].is_null().arg_max() or 0) + 1} has no time")
        found: dict[str, list[tuple[int, float]]] = {}
        rows = zip(frame["series"].to_list(), times(frame["ts"]).tolist(), frame["value"].to_list(), strict=True)
        for name, time, value in rows:
            if name in self._tracks:
                found.setdefault(name, []).append((time, np.nan if value is None else value))
        return list(found.items())
