"""How far each instrument usually goes from one session's close to the next: what no close is believed for by itself.

As a session closes nobody knows what the next one will say, so only what hardly any market has done is not believed: a
factor of 5, or 20 times the median move of the instrument's last sessions if that is more, and of 8 at most. Closes of
90 instruments from 1999 to 2022 have no move beyond 2.1; a decimal point in the wrong place is one of 10, pence for
pounds one of 100. Such a close is refused; one beside it in the next session says that the level is another, and is
taken.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from monitor.ingest.instruments import Codes, Known
from monitor.ingest.values import Floats

KEPT: Final = 32
"""Sessions remembered of each instrument."""
ENOUGH: Final = 16
"""Sessions from which a scale is made."""
SCALES: Final = 20.0
"""Median moves that a believable one may have."""
LEAST: Final = math.log(5)
"""The move, in logarithms, that is believed of every instrument."""
MOST: Final = math.log(8)
"""The move that is believed of none, however wild it was."""


class SessionMoves:
    """The last moves of every instrument between closes of sessions, and the close that waits for another beside it."""

    def __init__(self) -> None:
        self._moves = np.zeros((256, KEPT))
        self._known = Known(count=0.0, apart=np.nan)

    def cover(self, codes: Codes) -> None:
        """Make room for these codes."""
        self._known.cover(codes)
        size, needed = len(self._moves), len(self._known["count"])
        if needed > size:
            self._moves = np.pad(self._moves, ((0, needed - size), (0, 0)))

    def waiting(self, codes: Codes) -> Codes:
        """Those of the instruments that have a close nobody believes yet."""
        found: Codes = codes[~np.isnan(self._known["apart"][codes])]
        return found

    def learn(self, codes: Codes, moves: Floats) -> None:
        """Take in moves, sorted by instrument and then by time; those that are not finite say nothing."""
        finite = np.isfinite(moves)
        codes, moves = codes[finite], moves[finite]
        if not len(codes):
            return
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        lengths = np.diff(np.append(starts, len(codes)))
        rank = np.arange(len(codes)) - np.repeat(starts, lengths)
        count = self._known["count"]
        self._moves[codes, (count[codes].astype(np.int64) + rank) % KEPT] = np.abs(moves)
        count[codes[starts]] += lengths

    def refuses(self, code: int, close: float, base: float, *, explained: bool) -> bool:
        """Whether a close is not to be seen; `base`: the last good one at its level, NaN where there is none near.

        `explained`: something is known to have happened in between.
        """
        apart = float(self._known["apart"][code])
        self._known["apart"][code] = np.nan
        if not base > 0:
            return False
        bound, move = self._bound(code), math.log(close / base)
        if abs(move) <= bound:
            self.learn(np.array([code], dtype=np.uint32), np.array([move]))
            return False
        if explained or abs(math.log(close / apart)) <= LEAST:
            return False
        self._known["apart"][code] = close
        return True

    def _bound(self, code: int) -> float:
        count = int(self._known["count"][code])
        if count < ENOUGH:
            return LEAST
        return min(MOST, max(LEAST, SCALES * float(np.median(self._moves[code, : min(count, KEPT)]))))
