"""The ranking: horizontal bars in order, of sectors or single names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.charts.svg import Size, box, document, label, num, rule, shortened, width_of
from monitor.charts.theme import Theme
from monitor.charts.values import Unit, written


@dataclass(frozen=True, slots=True)
class Bar:
    """A name and its value, NaN where unknown; `was`: its place in the ranking before, counted from 1."""

    name: str
    value: float
    was: int | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a ranking shows: bars in any order, drawn from the highest to the lowest, the unknown last."""

    title: str
    unit: Unit
    bars: Sequence[Bar]
    subtitle: str = ""
    note: str = ""


_ROW: Final = 26.0
_THICK: Final = 17.0
_SIDE: Final = 16.0


def ranking(chart: Ranking, width: int = 640, theme: Theme = Theme.LIGHT) -> str:
    """The ranking as SVG text, as high as its bars need."""
    bars = sorted(chart.bars, key=lambda b: (math.isnan(b.value), -b.value if math.isfinite(b.value) else 0.0))
    top = 28.0 + (12 if chart.title else 0) + (20 if chart.subtitle else 0)
    size = Size(width, round(top + _ROW * len(bars) + (34 if chart.note else 16)))
    name_room = min(max((width_of(b.name) for b in bars), default=0.0), width * 0.35)
    moved = any(b.was for b in bars)
    left = _SIDE + (32 if moved else 0) + name_room + 14
    texts = [written(b.value, chart.unit) if math.isfinite(b.value) else "unknown" for b in bars]
    text_room = max((width_of(t) for t in texts), default=0.0) + 10
    known = np.array([b.value for b in bars if math.isfinite(b.value)] or [0.0])
    low, high = min(0.0, float(known.min())), max(0.0, float(known.max()))
    right = width - _SIDE - (text_room if high > 0 or low == 0 else 0)
    first = left + (text_room if low < 0 else 0)
    scale = (right - first) / ((high - low) or 1.0)
    zero = first - low * scale
    parts = _heading(chart, size)
    for row, (bar, text) in enumerate(zip(bars, texts, strict=True)):
        y = top + row * _ROW
        parts += _row(bar, row + 1, text, (zero, scale), y, left, name_room)
    if bars:
        parts.append(rule(zero, top - 2, zero, top + _ROW * len(bars) - 4, "rc-axis"))
    if chart.note:
        parts.append(label(_SIDE, size.height - 9, shortened(chart.note, width - 2 * _SIDE, 11), "rc-small"))
    return document(parts, size, theme, chart.title or "Ranking", describe(bars, texts, chart.subtitle))


def describe(bars: Sequence[Bar], texts: Sequence[str], subtitle: str) -> str:
    """The ranking in words."""
    listed = ", ".join(f"{bar.name} {text}" for bar, text in zip(bars, texts, strict=True))
    return ". ".join(part for part in (subtitle, listed) if part)


def _heading(chart: Ranking, size: Size) -> list[str]:
    parts, y = [], 28.0
    if chart.title:
        parts.append(label(_SIDE, y, shortened(chart.title, size.width - 2 * _SIDE, 17), "rc-title"))
        y += 20
    if chart.subtitle:
        parts.append(label(_SIDE, y, shortened(chart.subtitle, size.width - 2 * _SIDE), "rc-tick"))
    return parts


def _row(
    bar: Bar, place: int, text: str, axis: tuple[float, float], y: float, left: float, name_room: float
) -> list[str]:
    zero, scale = axis
    base = y + _THICK - 4
    parts = [label(left - 14 - name_room, base, shortened(bar.name, name_room + 1))]
    if bar.was is not None and math.isfinite(bar.value):
        parts.append(_moved(bar.was - place, base))
    if not math.isfinite(bar.value):
        parts.append(label(zero + 8, base, text, "rc-tick"))
        return parts
    length = bar.value * scale
    role = "up" if bar.value >= 0 else "down"
    parts.append(box(min(zero, zero + length), y, max(abs(length), 0.5), _THICK, f"rc-fill-{role}"))
    anchor = "start" if bar.value >= 0 else "end"
    parts.append(label(zero + length + (7 if bar.value >= 0 else -7), base, text, "rc-strong", anchor))
    return parts


def _moved(places: int, base: float) -> str:
    """How many places it rose or fell."""
    if places == 0:
        return label(_SIDE, base, "=", "rc-small")
    rose = places > 0
    role = "up" if rose else "down"
    tip, foot = (base - 9, base - 1) if rose else (base - 1, base - 9)
    arrow = f"M{num(_SIDE)},{num(foot)}h8L{num(_SIDE + 4)},{num(tip)}z"
    return f'<path class="rc-fill-{role}" d="{arrow}"/>' + label(_SIDE + 11, base, str(abs(places)), "rc-tick")
