"""Coalesce what waits, but never across an evaluation that is due.

Evaluations are due at the end of every cell ``(k * grid, (k + 1) * grid]`` of event time that has data. A row belongs
to the cell of the newest event time seen up to it, in arrival order, so a late row stays in the current cell and time
never goes back. Across the kinds of one batch, whose order is not recorded, rows are taken in the order of event time.
External series are not cut, and make no time pass: they go with the first piece, and the state shows each once its time
has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.clean_batch import NO_SERIES, CleanBatch, event_times

INSTANT_NS: Final = 1_000_000
"""Event times less than this apart are one instant: a bar's last print and the next one's first, say."""

GRID_NS: Final = 1_000_000_000
"""Evaluations at most once a second of event time, where data come faster than they are evaluated."""

_Part = tuple[int, CleanBatch]
"""A label that never falls from one part to the next (parts of one label belong together), and the rows."""


class Cutter:
    """Turns what waits into the batches to journal, apply and evaluate, one after the other.

    With `hold_last` the rows of the newest instant wait until a later instant arrives, or :meth:`flush`: an instant
    that comes in several frames is then evaluated once, whole, however it was framed. For feeds played in event time;
    live, it would cost one instant's delay.
    """

    def __init__(self, grid_ns: int = GRID_NS, *, hold_last: bool = False) -> None:
        self._grid = grid_ns
        self._hold = hold_last
        self._newest: int | None = None
        self._held: CleanBatch | None = None

    @property
    def held(self) -> int:
        """Rows that wait for a later instant."""
        return self._held.rows if self._held else 0

    def resume(self, newest_ns: int) -> None:
        """Go on after an earlier run, whose rows had come up to a moment: what is older belongs to that one's cell."""
        self._newest = newest_ns

    def cut(self, batches: Sequence[CleanBatch]) -> list[CleanBatch]:
        """The pieces of `batches`, in order; a piece is to be evaluated at its `event_time`, which never falls.

        One of external series alone has none (0): it is evaluated at the time there is.
        """
        published = [batch.series for batch in batches if batch.series.height]
        if not published:
            return self._cut(batches)
        pieces = self._cut([replace(batch, series=NO_SERIES) for batch in batches])
        series = pl.concat(published)
        return [replace(pieces[0], series=series), *pieces[1:]] if pieces else [CleanBatch(series=series)]

    def _cut(self, batches: Sequence[CleanBatch]) -> list[CleanBatch]:
        waiting = [b for b in ([self._held] if self._held else []) + list(batches) if b.rows]
        if not waiting:
            return []
        floor = self._newest if self._newest is not None else min(_first(b) for b in waiting)
        newest = max(floor, *(b.event_time for b in waiting))
        parts: list[_Part] = []
        for batch in waiting:
            parts.extend(self._split(batch, floor, newest))
            floor = max(floor, batch.event_time)
        self._newest = newest
        pieces = [
            (label, CleanBatch.merge([part for _, part in group]))
            for label, group in groupby(parts, key=lambda part: part[0])
        ]
        self._held = pieces.pop()[1] if self._hold else None
        return [piece for _, piece in pieces]

    def flush(self) -> list[CleanBatch]:
        """The rows held back, if any: the feed paused or ended."""
        held, self._held = self._held, None
        return [held] if held else []

    def _label(self, time: int, newest: int) -> int:
        """The cell's number, doubled; odd for the newest instant where that is held back."""
        return 2 * ((time - 1) // self._grid) + (self._hold and time > newest - INSTANT_NS)

    def _split(self, batch: CleanBatch, floor: int, newest: int) -> list[_Part]:
        """The parts of a batch that follows rows up to `floor`."""
        latest = max(floor, batch.event_time)
        label = self._label(latest, newest)
        if self._label(max(floor, _first(batch)), newest) == label:
            return [(label, batch if batch.event_time == latest else _at(batch, latest))]
        frames = {kind: frame for kind, frame in batch.frames().items() if frame.height}
        times = {kind: np.maximum(np.maximum.accumulate(event_times(kind, f)), floor) for kind, f in frames.items()}
        labels = {kind: self._labels(t, newest) for kind, t in times.items()}
        parts: list[_Part] = []
        for each in np.unique(np.concatenate(list(labels.values()))).tolist():
            ends = {
                kind: (int(np.searchsorted(n, each)), int(np.searchsorted(n, each, "right")))
                for kind, n in labels.items()
            }
            ends = {kind: (start, end) for kind, (start, end) in ends.items() if end > start}
            rows = {kind: frames[kind].slice(start, end - start) for kind, (start, end) in ends.items()}
            parts.append(
                (each, CleanBatch(**rows, event_time=max(int(times[k][end - 1]) for k, (_, end) in ends.items())))
            )
        return parts

    def _labels(self, times: npt.NDArray[np.int64], newest: int) -> npt.NDArray[np.int64]:
        return 2 * ((times - 1) // self._grid) + ((times > newest - INSTANT_NS) if self._hold else 0)


def cut(batches: Sequence[CleanBatch], grid_ns: int = GRID_NS) -> list[CleanBatch]:
    """The pieces of `batches` on their own, without what came before or comes after."""
    return Cutter(grid_ns).cut(batches)


def _first(batch: CleanBatch) -> int:
    """The lowest running maximum of event time in a batch: that of the first row of a kind."""
    return min(int(event_times(kind, frame.head(1))[0]) for kind, frame in batch.frames().items() if frame.height)


def _at(batch: CleanBatch, event_time: int) -> CleanBatch:
    return replace(batch, event_time=event_time)
