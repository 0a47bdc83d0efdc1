"""Rows a second of each instrument on each feed, by the machine's clock, over about the last minute."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.ingest.arrivals import Arrivals

_WINDOW: Final = 60.0
_LEAST: Final = 1.0
_SECOND: Final = 1e9


class Rates:
    """Looks at what has been counted, now and then; used from the filter's thread."""

    def __init__(self) -> None:
        self._at: int | None = None
        self._rows: dict[str, npt.NDArray[np.int64]] = {}
        self._rates: dict[str, npt.NDArray[np.float64]] = {}

    def look(self, arrivals: Arrivals, wall_ns: int) -> None:
        """Take the counts as of now; within a second of the last time it does nothing."""
        passed = _WINDOW if self._at is None else (wall_ns - self._at) / _SECOND
        if passed < _LEAST:
            return
        first, self._at = self._at is None, wall_ns
        weight = 1.0 - math.exp(-passed / _WINDOW)
        for feed, arrived in arrivals.feeds.items():
            rows = arrived.rows.copy()
            if first:  # nobody knows since when these rows came
                self._rows[feed] = rows
            before, rates = self._rows.get(feed, rows[:0]), self.of(feed, len(rows))
            new = (rows - np.pad(before, (0, len(rows) - len(before)))) / passed
            self._rows[feed], self._rates[feed] = rows, rates + weight * (new - rates)

    def of(self, feed: str, size: int) -> npt.NDArray[np.float64]:
        """Rows a second by code, of the first `size` instruments."""
        rates = self._rates.get(feed, np.empty(0))[:size]
        return np.pad(rates, (0, size - len(rates)))

    def total(self, feed: str) -> float:
        """Rows a second of a feed."""
        return float(self._rates.get(feed, np.empty(0)).sum())
