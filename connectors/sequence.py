"""Numbers a vendor gives its messages, by instrument: what is new, what comes again, what is missing."""

from __future__ import annotations

from typing import Final

RESTART: Final = 1_000_000
"""A number so far behind the newest is no repetition: the vendor counts anew."""
_REMEMBERED: Final = 16
"""Gaps an instrument that can still be filled; of more, the oldest are given up."""


class Consecutive:
    """Numbers without holes, such as trade ids: what is skipped is missing, until it comes after all.

    Two lines overlap when one replaces the other, and the older may lag: what it still brings is no repetition.
    """

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._holes: dict[str, list[tuple[int, int]]] = {}
        self.missing: dict[str, int] = {}
        """By instrument, how many numbers were skipped since :meth:`taken` was called last."""

    def fresh(self, symbol: str, number: int) -> bool:
        """Whether this one was not seen before."""
        newest = self._newest.get(symbol)
        if newest is None or number == newest + 1:
            self._newest[symbol] = number
            return True
        if number > newest:
            self._newest[symbol] = number
            self.missing[symbol] = self.missing.get(symbol, 0) + number - newest - 1
            holes = self._holes.setdefault(symbol, [])
            holes.append((newest + 1, number - 1))
            del holes[:-_REMEMBERED]
            return True
        if newest - number > RESTART:
            self._newest[symbol] = number
            self._holes.pop(symbol, None)
            return True
        return self._fills(symbol, number)

    def taken(self) -> dict[str, int]:
        """What is missing since the last call, by instrument."""
        missing, self.missing = self.missing, {}
        return {symbol: count for symbol, count in missing.items() if count > 0}

    def _fills(self, symbol: str, number: int) -> bool:
        holes = self._holes.get(symbol, [])
        for at, (first, last) in enumerate(holes):
            if first <= number <= last:
                holes[at : at + 1] = [(a, b) for a, b in ((first, number - 1), (number + 1, last)) if a <= b]
                if symbol in self.missing:
                    self.missing[symbol] -= 1
                return True
        return False
