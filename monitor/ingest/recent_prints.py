"""The fingerprints of the trades of the last while, to know one that is sent again."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Fingerprints = npt.NDArray[np.uint64]


# Odd 64-bit constants of murmur3's finaliser, which spread every bit of a word over the whole.
_SPREAD: Final = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
_HALF: Final = np.uint64(32)


def fingerprints(*columns: npt.NDArray[Any]) -> Fingerprints:
    """One number a row; two rows that differ share it once in 2 ** 64 pairs. Floats count by their bits."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        mixed ^= column.view(np.uint64) if column.itemsize == mixed.itemsize else column.astype(np.uint64)
        for constant in _SPREAD:
            mixed ^= mixed >> _HALF
            mixed *= constant
    mixed ^= mixed >> _HALF
    return mixed


class RecentPrints:
    """Fingerprints of trades by the event time they arrived at.

    Those older than `span_ns`, or beyond `limit` rows, are forgotten.
    """

    def __init__(self, span_ns: int, limit: int) -> None:
        self._span = span_ns
        self._limit = limit
        self._keys = np.empty(min(4096, limit), dtype=np.int64)
        self._prints = np.empty(min(4096, limit), dtype=np.uint64)
        self._start = self._end = 0

    def __len__(self) -> int:
        return self._end - self._start

    def add(self, keys: npt.NDArray[np.int64], prints: Fingerprints) -> None:
        """Remember trades; `keys`, the newest event time up to each, do not fall."""
        keys, prints = keys[-self._limit :], prints[-self._limit :]
        if len(self):  # feeds have watermarks of their own; here time only goes on
            keys = np.maximum(keys, self._keys[self._end - 1])
        self._start = max(self._start, self._end + len(keys) - self._limit)
        if self._end + len(keys) > len(self._keys):
            self._make_room(len(keys))
        self._keys[self._end : self._end + len(keys)] = keys
        self._prints[self._end : self._end + len(keys)] = prints
        self._end += len(keys)

    def expire(self) -> None:
        """Forget what is too old by the newest; between batches, or the rows of one would not know of each other."""
        if len(self):
            live = self._keys[self._start : self._end]
            self._start += int(np.searchsorted(live, int(live[-1]) - self._span))

    def repeats(self, prints: Fingerprints, earliest: int) -> npt.NDArray[np.bool_]:
        """Which of these trades, in arrival order, equal one before it or one remembered.

        `earliest` is the lowest event time among them.
        """
        distinct, first, which = np.unique(prints, return_index=True, return_inverse=True)
        again = np.ones(len(prints), dtype=np.bool_)
        again[first] = False
        # A trade is remembered under a time not before its own.
        start = self._start + int(np.searchsorted(self._keys[self._start : self._end], earliest))
        old = self._prints[start : self._end]
        at = np.minimum(np.searchsorted(distinct, old), len(distinct) - 1)
        known = np.zeros(len(distinct), dtype=np.bool_)
        known[at[distinct[at] == old]] = True
        repeated: npt.NDArray[np.bool_] = again | known[which]
        return repeated

    def _make_room(self, rows: int) -> None:
        """Move what is remembered to the front, of longer arrays where it fills more than half."""
        live = slice(self._start, self._end)
        kept = len(self)
        size = len(self._keys)
        size = max(size, 2 * (kept + rows))
        keys, prints = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.uint64)
        keys[:kept], prints[:kept] = self._keys[live], self._prints[live]
        self._keys, self._prints = keys, prints
        self._start, self._end = 0, kept
