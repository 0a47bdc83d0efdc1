"""The monitor's own figures as external series, so that rules can watch the monitor as they watch the market.

They are rows like any others and go through the journal, so a replay sees what the live monitor saw. Published are
those that some rule looks at, once a second of event time, where they changed.

======================== ===========================================================================================
series                   value
======================== ===========================================================================================
monitor.crossed_quotes   crossed quotes refused in the last minute of event time
monitor.refused_rows     rows of any kind refused in that minute, for any cause
monitor.feeds_down       feeds that are not live while they should be
monitor.clock_skew       seconds: the median, over the quotes of the last minute, of receipt minus event time; unknown
                         where there were none
monitor.lag_ms           milliseconds from the newest event until it is evaluated
======================== ===========================================================================================

Where the data are of another time than the machine's clock (a replay, a simulation), skew and lag say nothing and are
not published.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.batch import SERIES, Batch
from monitor.ingest import Cause
from monitor.ingest.clean_batch import NO_SERIES, nanoseconds
from monitor.ingest.rejects import Rejects

CROSSED_QUOTES: Final = "monitor.crossed_quotes"
REFUSED_ROWS: Final = "monitor.refused_rows"
FEEDS_DOWN: Final = "monitor.feeds_down"
CLOCK_SKEW: Final = "monitor.clock_skew"
LAG_MS: Final = "monitor.lag_ms"
NAMES: Final = frozenset({CROSSED_QUOTES, REFUSED_ROWS, FEEDS_DOWN, CLOCK_SKEW, LAG_MS})

_SECOND: Final = 1_000_000_000
_MINUTE: Final = 60 * _SECOND
_A_SECOND: Final = 500
"""Quotes a second that the skew is measured on: the median of a minute's 30,000 takes 0.3 ms."""


class SelfSeries:
    """Figures of one pipeline. `follows_wall`: whether event time and the machine's clock are the same time."""

    def __init__(self, rejects: Rejects, *, follows_wall: bool) -> None:
        self.feeds_down = 0
        """Feeds that are not live while they should be."""
        self._rejects, self._follows_wall = rejects, follows_wall
        self._wanted: frozenset[str] = frozenset()
        self._published: dict[str, float] = {}
        self._second = 0
        self._refused: deque[tuple[int, int, int]] = deque()  # event time, crossed quotes and rows refused by then
        self._skews: deque[tuple[int, npt.NDArray[np.int64]]] = deque()  # receipt, nanoseconds
        self._measured = (0, 0)  # a second of the machine's clock, and how many quotes were measured in it

    def want(self, series: Iterable[str]) -> None:
        """Publish those of these names that are the monitor's own."""
        self._wanted = NAMES.intersection(series)

    def saw(self, batches: Sequence[Batch]) -> None:
        """Measure what has been received."""
        if CLOCK_SKEW not in self._wanted:
            return
        for batch in batches:
            second = batch.received_at // _SECOND
            measured = self._measured[1] if self._measured[0] == second else 0
            if room := min(_A_SECOND - measured, batch.quotes.height):
                spaced = np.linspace(0, batch.quotes.height - 1, room).astype(np.intp)
                times = nanoseconds(batch.quotes["ts"].gather(spaced).drop_nulls())
                self._skews.append((batch.received_at, batch.received_at - times))
                self._measured = second, measured + room

    def publish(self, now: int, wall_ns: int) -> pl.DataFrame:
        """The figures as of event time `now` that are other than they were (:data:`connectors.batch.SERIES`)."""
        if not self._wanted or now // _SECOND == self._second:
            return NO_SERIES
        self._second = now // _SECOND
        figures = self._figures(now, wall_ns)
        changed = {
            name: value for name, value in figures.items() if name in self._wanted and self._is_news(name, value)
        }
        self._published |= changed
        rows = [(now, name, value) for name, value in sorted(changed.items())]
        columns = {"ts": pl.Int64, "series": pl.String, "value": pl.Float64}
        return pl.DataFrame(rows, schema=columns, orient="row").cast(SERIES)

    def _figures(self, now: int, wall_ns: int) -> dict[str, float]:
        crossed, refused = self._rejects.rows["quotes", Cause.CROSSED], sum(self._rejects.rows.values())
        self._refused.append((now, crossed, refused))
        while len(self._refused) > 1 and self._refused[1][0] <= now - _MINUTE:
            self._refused.popleft()
        figures = {
            CROSSED_QUOTES: float(crossed - self._refused[0][1]),
            REFUSED_ROWS: float(refused - self._refused[0][2]),
            FEEDS_DOWN: float(self.feeds_down),
        }
        if self._follows_wall:
            figures[CLOCK_SKEW] = self._skew(wall_ns)
            figures[LAG_MS] = (wall_ns - now) / 1e6
        return figures

    def _skew(self, wall_ns: int) -> float:
        while self._skews and self._skews[0][0] <= wall_ns - _MINUTE:
            self._skews.popleft()
        if not self._skews:
            return math.nan
        return float(np.median(np.concatenate([skews for _, skews in self._skews]))) / _SECOND

    def _is_news(self, name: str, value: float) -> bool:
        before = self._published.get(name, math.nan)
        return value != before and not (math.isnan(value) and math.isnan(before))
