"""The value axis: units, round steps, and how a tick is written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_MINUS: Final = "\N{MINUS SIGN}"
_EMPTY: Final = 0.5
_ROUND: Final = 1e-6
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_NANOSECONDS_PER_MINUTE: Final = 60e9
_PERCENT_FROM: Final = 0.1
"""A ratio of this size or more reads better in percent than in thousands of basis points."""
_WHOLE_FROM: Final = 1000.0


class Unit(StrEnum):
    """How values are written. The data are fractions, dollars, nanoseconds, plain numbers."""

    BP = "bp"
    PERCENT = "%"
    PRICE = "px"
    COUNT = "count"
    MINUTES = "min"
    PLAIN = ""


def unit_for(kind: str, values: Floats) -> Unit:
    """The unit for values of an expression's type (:class:`rules.ast.Type`): small ratios in bp, large ones in %."""
    match kind:
        case "ratio":
            known = values[np.isfinite(values)]
            return Unit.PERCENT if len(known) and float(np.abs(known).max()) >= _PERCENT_FROM else Unit.BP
        case "price":
            return Unit.PRICE
        case "count" | "volume":
            return Unit.COUNT
        case "duration":
            return Unit.MINUTES
        case _:
            return Unit.PLAIN


_SCALE: Final = {Unit.BP: 1e4, Unit.PERCENT: 100.0, Unit.MINUTES: 1 / _NANOSECONDS_PER_MINUTE}


def written(value: float, unit: Unit, decimals: int | None = None) -> str:
    """A value with its unit; `decimals` as its neighbours have, otherwise as many as say enough.

    Examples:
        >>> written(0.0412, Unit.BP), written(0.125, Unit.PERCENT), written(1234.5, Unit.PRICE, 1)
        ('412bp', '12.5%', '1,234.5')
    """
    scaled = value * _SCALE.get(unit, 1.0)
    if decimals is None:
        decimals = {Unit.BP: 0, Unit.PERCENT: 1, Unit.COUNT: 0, Unit.MINUTES: 1}.get(unit, 2)
    text = f"{abs(scaled):,.{decimals}f}"
    sign = _MINUS if scaled < 0 and float(text.replace(",", "")) != 0 else ""
    suffix = {Unit.PRICE: "", Unit.COUNT: "", Unit.MINUTES: " min"}.get(unit, unit.value)
    return f"{sign}{text}{suffix}"


def level_text(value: float, unit: Unit) -> str:
    """A threshold as its author wrote it: ``400bp``, ``2.5``, without zeros at the end."""
    scaled = value * _SCALE.get(unit, 1.0)
    for decimals in range(5):
        if abs(round(scaled, decimals) - scaled) <= 1e-9 * max(1.0, abs(scaled)):
            return written(value, unit, decimals)
    return written(value, unit, 4)


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """From `low` to `high`, with ticks at round values of the unit."""

    low: float
    high: float
    ticks: tuple[float, ...]
    unit: Unit
    decimals: int

    def text(self, tick: float) -> str:
        """A tick's label."""
        return written(tick, self.unit, self.decimals)


def value_axis(values: Floats, unit: Unit, *, count: int = 5, zero: bool = False) -> ValueAxis:
    """An axis that holds all known `values`, about `count` ticks; `zero`: it holds zero too.

    Without a known value it goes from -1 to 1.
    """
    scale = _SCALE.get(unit, 1.0)
    known = values[np.isfinite(values)] * scale
    low, high = (float(known.min()), float(known.max())) if len(known) else (-1.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        pad = abs(low) * 0.05 or 1.0
        low, high = low - pad, high + pad
    step = _step((high - low) / max(count, 1))
    if unit is Unit.COUNT:
        step = max(step, 1.0)
    pad = (high - low) * 0.04
    low, high = (low if zero and low == 0 else low - pad), (high if zero and high == 0 else high + pad)
    first, last = math.floor(low / step), math.ceil(high / step)
    # An end whose last step would be more than half empty stops beyond the data, without a tick.
    first += low / step - first > _EMPTY
    last -= last - high / step > _EMPTY
    if last - first < 1:
        first, last = math.floor(low / step), math.ceil(high / step)
    ticks = [i * step for i in range(first, last + 1)]
    decimals = next((d for d in range(12) if abs(step * 10**d - round(step * 10**d)) < _ROUND), 12)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    return ValueAxis(low / scale, high / scale, tuple(t / scale for t in ticks), unit, decimals)


def _step(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough))
    return next(s * size for s in _STEPS if s * size >= rough * (1 - 1e-9))
