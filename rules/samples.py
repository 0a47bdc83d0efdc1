"""The samples that window functions look back at, kept in columns and advanced once a sample."""

from __future__ import annotations

import numpy as np

from rules.steps import Slots
from rules.view import Floats


class Samples:
    """The last samples of some slots, oldest first; unknown and missing ones are NaN.

    `taken` is how many samples were taken since the start of the history, kept or not.
    """

    def __init__(self, kept: int, columns: int) -> None:
        self._kept = kept
        self._columns = np.full((columns, 2 * kept + 1), np.nan)
        self._end = kept
        self.taken = 0

    def clear(self) -> None:
        """Forget every sample."""
        self._columns[:, : self._kept] = np.nan
        self._end = self._kept
        self.taken = 0

    def append(self, rows: Floats) -> None:
        """Add the newest samples: ``(columns, samples)``, oldest first."""
        self.taken += rows.shape[1]
        rows = rows[:, max(0, rows.shape[1] - self._kept) :]
        if self._end + rows.shape[1] > self._columns.shape[1]:
            # Amortised: the kept half moves to the front once every `kept` samples.
            self._columns[:, : self._kept] = self._columns[:, self._end - self._kept : self._end].copy()
            self._end = self._kept
        self._columns[:, self._end : self._end + rows.shape[1]] = rows
        self._end += rows.shape[1]

    def last(self, columns: Slots, count: int) -> Floats:
        """The last `count` samples of some columns, ``(columns, count)``; NaN where there were none."""
        return self._columns[columns, self._end - count : self._end]
