"""What values each function of the language can have at all, from its definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from rules.arguments import samples
from rules.ast import Call, Clock, Expr, Quadrant, Sessions, Universe
from rules.ranges import ANYTHING, NOT_NEGATIVE, Range, closed

MAX_STREAK: Final = 260
"""Sessions a streak is followed back."""

BoundsOf = Callable[[Expr], Range]

_PART: Final = Range(0.0, 1.0)
_ROUNDING: Final = 1e-9
"""Room for rounding, relative, where a bound is no exact number."""

_CORRELATION: Final = Range(-1.0, 1.0)

_FIXED: Final[dict[str, Range]] = {
    "price": NOT_NEGATIVE,
    "bid": NOT_NEGATIVE,
    "ask": NOT_NEGATIVE,
    "quoted_spread": Range(-2.0, 2.0),  # crossed quotes are below zero
    "volume": NOT_NEGATIVE,
    "rel_volume": NOT_NEGATIVE,
    "age": NOT_NEGATIVE,
    "ret": Range(-1.0),
    "ratio": NOT_NEGATIVE,
    "percentile": _PART,
    "share": _PART,
    "vol": NOT_NEGATIVE,
    "corr": _CORRELATION,
    "rank_corr": _CORRELATION,
    "drawdown": Range(-1.0, 0.0),
    "streak": Range(0.0, MAX_STREAK),
    "quadrant": Range(float(min(Quadrant)), float(max(Quadrant))),
}
_WITHIN: Final = frozenset({"mean", "min", "max", "median", "ema", "avg", "med", "best", "worst"})
"""Functions whose value lies among those of their expression."""
WHOLE: Final = frozenset({"streak", "count", "rank", "quadrant"})
"""Functions whose value is a whole number, or the number of a category."""


def bounds(call: Call, of: BoundsOf) -> Range:
    """Values that a function can have; `of` gives those of an expression at any time and for any member."""
    if (fixed := _FIXED.get(call.function)) is not None:
        return fixed
    members = next((len(arg.members) for arg in call.args if isinstance(arg, Universe)), 0)
    inner = next((of(arg) for arg in call.args if isinstance(arg, Expr)), ANYTHING)
    width = inner.high - inner.low if inner.low < inner.high else 0.0
    found = ANYTHING
    match call.function:
        case "count":
            found = Range(0.0, float(members))
        case "rank":
            found = Range(1.0, float(max(1, members)))
        case "rs_ratio" | "rs_momentum":
            # (x - mean) / std (ddof 1) of n values that x is one of is (n - 1) / sqrt(n) at most
            count = _samples(call)
            reach = (count - 1) / math.sqrt(count) * (1 + _ROUNDING)
            found = Range(100 - reach, 100 + reach)
        case name if name in _WITHIN:
            found = closed(inner)
        case "std" | "stdev":
            # of two values at the ends; of more it is less
            found = Range(0.0, width * math.sqrt(0.5) * (1 + _ROUNDING))
        case "spread":
            found = Range(0.0, width)
        case "change":
            found = Range(-width, width)
        case "sum":
            count = _samples(call)
            found = Range(min(inner.low, inner.low * count), max(inner.high, inner.high * count))
    return found


def _samples(call: Call) -> int:
    return max((samples(arg) for arg in call.args if isinstance(arg, Sessions | Clock)), default=1)
