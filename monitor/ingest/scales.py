"""How far each instrument's price usually goes from one print to the next: the measure of what is an outlier.

The scale is the median absolute deviation of relative moves, about 0, since moves have no direction to speak of. Moves
are sampled, the first of each second or so, which makes it no matter how the data were batched, and costs a busy
instrument no more than a quiet one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.ingest.instruments import ByInstrument, Codes
from monitor.ingest.values import Floats, Mask

KEPT: Final = 32
"""Moves remembered of each instrument."""
ENOUGH: Final = 16
"""Moves from which a scale is made."""
SCALES: Final = 50.0
"""Scales that a believable move may have. Moves have heavy tails: of 446,000 from one price to the next, 75 seconds
apart, of a month of 53 instruments, nine were beyond 30 scales (and 2 %) and undone by the next; none beyond 50."""
LEAST: Final = 0.02
"""The relative move that is believed of every instrument, however quiet it was."""
_SLOT_BITS: Final = 30
"""A slot of 2 ** 30 ns, 1.07 s, has one sample."""


class Scales:
    """Recent moves of every instrument, and what follows from them.

    `most`: the factor between prices that is believed where too little is known, and the most that ever is.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._moves = np.zeros((256, KEPT))
        self._count = np.zeros(256, dtype=np.int64)

    def bound(self, code: int) -> float:
        """The factor between two prices of an instrument that one print by itself is believed for; above 1."""
        count = int(self._count[code]) if code < len(self._count) else 0
        if count < ENOUGH:
            return self._most
        scale = float(np.median(self._moves[code, : min(count, KEPT)]))
        return min(self._most, 1 + max(LEAST, SCALES * scale))

    def learn(
        self,
        groups: ByInstrument,
        times: npt.NDArray[np.int64],
        before: npt.NDArray[np.int64],
        prices: Floats,
        prices_before: Floats,
        without: list[int],
    ) -> None:
        """Take in the moves of a batch, all in the order of `groups`; of instruments `without` nothing."""
        rows = np.flatnonzero((times >> _SLOT_BITS) > (before >> _SLOT_BITS))
        if not len(rows):
            return
        codes, moves = groups.codes[rows], np.abs(prices[rows] / prices_before[rows] - 1)
        good: Mask = np.isfinite(moves)
        if without:
            good &= ~np.isin(codes, without)
        if not good.all():
            codes, moves = codes[good], moves[good]
        self._add(codes, moves)

    def add(self, code: int, time: int, before: int, price: float, price_before: float) -> None:
        """Take in one move, if it is a sample."""
        if price_before > 0 and (time >> _SLOT_BITS) > (before >> _SLOT_BITS):
            self._cover(code)
            self._moves[code, self._count[code] % KEPT] = abs(price / price_before - 1)
            self._count[code] += 1

    def _add(self, codes: Codes, moves: Floats) -> None:
        if not len(codes):
            return
        self._cover(int(codes[-1]))
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        lengths = np.diff(np.append(starts, len(codes)))
        rank = np.arange(len(codes)) - np.repeat(starts, lengths)
        self._moves[codes, (self._count[codes] + rank) % KEPT] = moves
        self._count[codes[starts]] += lengths

    def _cover(self, code: int) -> None:
        size = len(self._count)
        if code >= size:
            grown = max(code + 1, 2 * size)
            self._moves = np.pad(self._moves, ((0, grown - size), (0, 0)))
            self._count = np.pad(self._count, (0, grown - size))
