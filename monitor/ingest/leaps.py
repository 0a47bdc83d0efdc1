"""Rows stamped far ahead in data that have a time of their own: believed only if others follow them there.

Where event time rules there is no clock to say that a row is from the future, and one that is believed makes all that
follows late. A row beyond the horizon (the close of the next session) of its feed's newest event, or of other feeds'
where it has none, has to be confirmed: by a row behind it that is there too. Until then the last such row is held; a
row behind it that is not there refuses it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.instruments import LONG_AGO

Times = npt.NDArray[np.int64]

_DAYS: Final = 5 * 86_400 * 10**9
"""The horizon without a calendar: longer than weekends with holidays."""


class Held(NamedTuple):
    """A row that waits to be confirmed: its kind, the row, and its event time."""

    kind: str
    row: pl.DataFrame
    time: int


class Leaps:
    """`closes`: of sessions, UTC ns, ascending; may be empty. `lateness_ns`: how far behind a row may come."""

    def __init__(self, closes: Times, lateness_ns: int) -> None:
        self._closes = closes if len(closes) else np.array([LONG_AGO])
        self._lateness_ns = lateness_ns
        self.held: dict[str, Held] = {}
        """By feed, the one row that waits."""

    def horizon(self, newest: int) -> int:
        """The latest time that needs no confirmation after `newest`."""
        return int(self._horizons(np.array([newest]))[0])

    def split(self, times: Times, floor: int) -> tuple[npt.NDArray[np.bool_], bool]:
        """Which rows are not believed, and whether the last row is among them only because nothing follows it yet.

        `times`: of one feed's rows in arrival order; `floor`: the newest event time before them.
        """
        refused, confirmed = np.zeros((2, len(times)), dtype=np.bool_)
        while True:
            newest = np.maximum.accumulate(np.append(floor, np.where(refused, floor, times)[:-1]))
            leaps = np.flatnonzero((times > self._horizons(newest)) & ~(refused | confirmed))
            if not len(leaps):
                return refused, False
            first = int(leaps[0])
            if first == len(times) - 1:
                refused[first] = True
                return refused, True
            agreed = self.agree(int(times[first]), int(times[first + 1]))
            confirmed[first], refused[first] = agreed, not agreed

    def agree(self, leap: int, follower: int) -> bool:
        """Whether a row that follows one that leapt is there too."""
        return leap - self._lateness_ns <= follower <= self.horizon(leap)

    def _horizons(self, newest: Times) -> Times:
        following = np.searchsorted(self._closes, newest) + 1
        inside = np.minimum(following, len(self._closes) - 1)
        return np.where(following < len(self._closes), self._closes[inside], newest + _DAYS)
