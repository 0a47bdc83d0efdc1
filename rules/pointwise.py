"""Operations slot by slot: arithmetic, comparisons, Kleene's logic. Unknown (NaN) is not false."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from rules.ast import Quadrant
from rules.view import Floats


def _compared(holds: npt.NDArray[np.bool_], a: Floats, b: Floats) -> Floats:
    return np.where(np.isnan(a) | np.isnan(b), np.nan, holds)


def _quadrant(ratio: Floats, momentum: Floats) -> Floats:
    """Where relative strength and its momentum, both about 100, stand on the rotation map."""
    leads = np.where(momentum >= 100.0, float(Quadrant.LEADING), float(Quadrant.WEAKENING))  # noqa: PLR2004 - the map's centre
    trails = np.where(momentum >= 100.0, float(Quadrant.IMPROVING), float(Quadrant.LAGGING))  # noqa: PLR2004
    return _compared_place(np.where(ratio >= 100.0, leads, trails), ratio, momentum)  # noqa: PLR2004


def _compared_place(place: Floats, a: Floats, b: Floats) -> Floats:
    return np.where(np.isnan(a) | np.isnan(b), np.nan, place)


POINTWISE: Final[dict[str, Callable[..., Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": lambda a, b: np.divide(a, b, out=np.full_like(a, np.nan), where=b != 0),
    "neg": np.negative,
    "<": lambda a, b: _compared(np.less(a, b), a, b),
    "<=": lambda a, b: _compared(np.less_equal(a, b), a, b),
    ">": lambda a, b: _compared(np.greater(a, b), a, b),
    ">=": lambda a, b: _compared(np.greater_equal(a, b), a, b),
    "==": lambda a, b: _compared(np.equal(a, b), a, b),
    "!=": lambda a, b: _compared(np.not_equal(a, b), a, b),
    "and": lambda a, b: np.where((a == 0) | (b == 0), 0.0, a * b),
    "or": lambda a, b: np.where((a == 1) | (b == 1), 1.0, a + b),
    "not": lambda a: 1.0 - a,
    "quadrant": _quadrant,
}
