"""Prices of all instruments along a time axis of minutes or seconds.

A row is the market at the end of one step, ``(end - step, end]``: the last price of every instrument, carried forward
where there was none in the step, and how old it was. The age makes a look into the middle of a step right: a price that
came later than the moment asked for is not used.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.state.columns import Codes, Floats, Ints

Ages = npt.NDArray[np.uint32]

MILLISECOND: Final = 1_000_000
_OLDEST: Final = np.iinfo(np.uint32).max
"""Ages are whole milliseconds, rounded down, and stop at 49 days."""


def ages_at(end: int, times: Ints) -> Ages:
    """Age in milliseconds, at `end`, of what happened at `times`."""
    return np.minimum((end - times) // MILLISECOND, _OLDEST).astype(np.uint32)


def older(ages: Ages, ns: int) -> Ages:
    """The same ages `ns` later."""
    return np.minimum(ages.astype(np.int64) + ns // MILLISECOND, _OLDEST).astype(np.uint32)


class PriceRing:
    """Rows in ascending order of time, oldest dropped as new ones come; rows exist only where the owner appends them.

    `prices` and `ages` have the shape (slots, width); row number ``r`` lives in slot ``r % slots``.
    """

    def __init__(self, step: int, width: int) -> None:
        self.step = step
        self.first = 0
        self.stop = 0
        self._ends = np.zeros(4, dtype=np.int64)
        self.prices = np.full((4, width), np.nan)
        self.ages = np.full((4, width), _OLDEST, dtype=np.uint32)

    def __len__(self) -> int:
        return self.stop - self.first

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, used or not."""
        return self._ends.nbytes + self.prices.nbytes + self.ages.nbytes

    def end(self, row: int) -> int:
        """When a row's step ended."""
        return int(self._ends[row % len(self._ends)])

    def ends(self) -> Ints:
        """When each stored row's step ended, oldest first."""
        return self._ends[self._slots(self.first, self.stop)]

    def row(self, row: int) -> tuple[Floats, Ages]:
        """A stored row's prices and ages, shape (width,): views, not copies."""
        slot = row % len(self._ends)
        return self.prices[slot], self.ages[slot]

    def append(self, end: int, prices: Floats, times: Ints) -> None:
        """Add a row later than all others: the prices at `end` and when they were made."""
        self.reserve(1)
        slot = self.stop % len(self._ends)
        self._ends[slot] = end
        self.prices[slot] = prices
        self.ages[slot] = ages_at(end, times)
        self.stop += 1

    def append_still(self, ends: Ints, prices: Floats, times: Ints) -> None:
        """Add rows for steps in which nothing happened."""
        self.reserve(len(ends))
        slots = self._slots(self.stop, self.stop + len(ends))
        self._ends[slots] = ends
        self.prices[slots] = prices
        self.ages[slots] = np.minimum((ends[:, None] - times) // MILLISECOND, _OLDEST)
        self.stop += len(ends)

    def extend(self, ends: Ints) -> None:
        """Add rows of which nothing is known yet; `fill` completes them."""
        self.reserve(len(ends))
        slots = self._slots(self.stop, self.stop + len(ends))
        self._ends[slots] = ends
        self.prices[slots] = np.nan
        self.ages[slots] = _OLDEST
        self.stop += len(ends)

    def fill(self) -> None:
        """Carry every price forward to the rows that do not know one."""
        for row in range(self.first + 1, self.stop):
            prices, ages = self.row(row)
            before, ages_before = self.row(row - 1)
            unknown = np.isnan(prices)
            np.copyto(prices, before, where=unknown)
            np.copyto(ages, older(ages_before, self.end(row) - self.end(row - 1)), where=unknown)

    def slots_of(self, ends: Ints) -> Codes:
        """Where the rows that ended at `ends` are stored.

        Raises:
            ValueError: there is no such row.
        """
        stored = self.ends()
        rows = np.searchsorted(stored, ends)
        found = stored[np.minimum(rows, len(stored) - 1)] == ends
        if not found.all():
            raise ValueError(f"no row ended at {int(ends[np.argmin(found)])} ns: bars must come in order of time")
        return self._slots(self.first, self.stop)[rows]

    def expire(self, before: int) -> None:
        """Drop rows that ended before `before`, but for the last of them: it holds what was known at that moment."""
        self.first = max(self.first, self.last_at(before))

    def last_at(self, ns: int) -> int:
        """The last row that ended at or before `ns`; ``first - 1`` where there is none."""
        low, high = self.first, self.stop
        while low < high:
            middle = (low + high) // 2
            if self.end(middle) <= ns:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def at(self, ns: int, index: Codes) -> Floats:
        """Last price at or before `ns` of the instruments `index`; NaN before the first row.

        Of a step that `ns` lies within only its last price is known; where that came later, the price before the step
        counts.
        """
        row = self.last_at(ns)
        before = self.row(row)[0][index] if row >= self.first else np.full(len(index), np.nan)
        if row + 1 < self.stop and self.end(row + 1) - self.step < ns:
            prices, ages = self.row(row + 1)
            left = -((ns - self.end(row + 1)) // MILLISECOND)
            before = np.where(ages[index] >= left, prices[index], before)
        return before

    def reserve(self, rows: int) -> None:
        """Make room for so many more rows."""
        needed = len(self) + rows
        if needed > len(self._ends):
            self._rebuild(max(needed, len(self._ends) * 3 // 2), self.prices.shape[1])

    def grow(self, width: int) -> None:
        """Make room for `width` instruments."""
        self._rebuild(len(self._ends), width)

    def _slots(self, start: int, stop: int) -> Codes:
        return np.arange(start, stop) % len(self._ends)

    def _rebuild(self, slots: int, width: int) -> None:
        old = self._slots(self.first, self.stop)
        new = np.arange(self.first, self.stop) % slots
        # Slots of no row are left as they are: memory that is not touched costs nothing.
        ends = np.zeros(slots, dtype=np.int64)
        prices = np.empty((slots, width))
        ages = np.empty((slots, width), dtype=np.uint32)
        ends[new] = self._ends[old]
        known = self.prices.shape[1]
        for before, after in zip(old, new, strict=True):
            prices[after, :known], prices[after, known:] = self.prices[before], np.nan
            ages[after, :known], ages[after, known:] = self.ages[before], _OLDEST
        self._ends, self.prices, self.ages = ends, prices, ages
