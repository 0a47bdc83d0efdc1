"""Ranges of numbers, and how calculating moves them.

Floating-point sums, products and quotients are monotonic, so the ends of a result are what the ends of its operands
give; whether an end itself is reached is not kept by calculating, and the end then counts as reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

_INFINITE: Final = math.inf


@dataclass(frozen=True, slots=True)
class Range:
    """All values that an expression can have where it is known; `holes` are single values that it cannot have."""

    low: float = -_INFINITE
    high: float = _INFINITE
    low_open: bool = False
    high_open: bool = False
    holes: frozenset[float] = frozenset()

    @staticmethod
    def point(value: float) -> Range:
        """One value."""
        return Range(value, value)

    @property
    def single(self) -> float | None:
        """The only value, if there is only one."""
        return self.low if self.low == self.high else None

    @property
    def empty(self) -> bool:
        """Whether no value is left."""
        if self.low == self.high:
            return self.low_open or self.high_open or self.low in self.holes
        return self.low > self.high

    def meets(self, other: Range) -> Range:
        """Values that are in both."""
        low = max((self.low, self.low_open), (other.low, other.low_open))
        high = min((self.high, not self.high_open), (other.high, not other.high_open))
        return Range(low[0], high[0], low[1], not high[1], self.holes | other.holes)

    def negated(self) -> Range:
        """Of ``-e``."""
        return Range(-self.high, -self.low, self.high_open, self.low_open, frozenset(-hole for hole in self.holes))

    def whole(self) -> Range:
        """The whole numbers in it; holes at its ends move them."""
        if math.isinf(self.low) and math.isinf(self.high):
            return self
        low, high = self.low, self.high
        if not math.isinf(low):
            low = math.floor(low) + 1.0 if self.low_open else float(math.ceil(low))
        if not math.isinf(high):
            high = math.ceil(high) - 1.0 if self.high_open else float(math.floor(high))
        for _ in self.holes:
            low += low in self.holes
            high -= high in self.holes
        return Range(low, high, holes=self.holes)


ANYTHING: Final = Range()
NOT_NEGATIVE: Final = Range(0.0)


def satisfying(op: str, level: Range) -> Range:
    """Values x for which ``x op y`` can hold with y in `level`."""
    match op:
        case "<":
            return Range(high=level.high, high_open=True)
        case "<=":
            return Range(high=level.high, high_open=level.high_open)
        case ">":
            return Range(low=level.low, low_open=True)
        case ">=":
            return Range(low=level.low, low_open=level.low_open)
        case "==":
            return level
        case _:
            return ANYTHING if level.single is None else Range(holes=frozenset({level.low}))


def combined(op: str, left: Range, right: Range) -> Range:
    """Of ``left op right`` for ``+ - * /``."""
    match op:
        case "+":
            return _ends(lambda a, b: a + b, left, right)
        case "-":
            return _ends(lambda a, b: a - b, left, right)
        case "*":
            return _ends(lambda a, b: 0.0 if a == 0 or b == 0 else a * b, left, right)
        case _:
            return _quotient(left, right)


def _quotient(left: Range, right: Range) -> Range:
    """Division by 0 is unknown, so 0 as an end of the divisor is approached and never there."""
    if right.low > 0 or right.high < 0:
        return _ends(lambda a, b: a / b, left, right)
    for divisor, dividend in ((right, left), (right.negated(), left.negated())):
        if divisor.low >= 0:
            return Range(0.0 if dividend.low >= 0 else -_INFINITE, 0.0 if dividend.high <= 0 else _INFINITE)
    return ANYTHING


def _ends(operation: Callable[[float, float], float], left: Range, right: Range) -> Range:
    values = [operation(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    if any(map(math.isnan, values)):
        return ANYTHING
    return Range(min(values), max(values))


def hull(ranges: Iterable[Range]) -> Range:
    """The smallest range that holds all."""
    found = list(ranges)
    return Range(min(r.low for r in found), max(r.high for r in found))


def closed(range_: Range) -> Range:
    """With both ends reached and no holes."""
    return replace(range_, low_open=False, high_open=False, holes=frozenset())
