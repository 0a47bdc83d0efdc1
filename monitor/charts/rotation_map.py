"""The rotation map: who leads, who fades, who returns, and where each came from.

Relative strength goes to the right, its momentum up, both about 100. A member turns clockwise through the quadrants of
:func:`quadrant <rules.functions>`: leading, weakening, lagging, improving.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from monitor.charts.places import Place
from monitor.charts.svg import Size, box, document, label, num, rule, shortened, width_of
from monitor.charts.theme import Theme
from monitor.charts.values import Floats, Unit, ValueAxis, value_axis

CENTRE: Final = 100.0


@dataclass(frozen=True, slots=True)
class Trail:
    """A member's last samples, oldest first: ``rs_ratio`` and ``rs_momentum``, (n,), NaN where unknown."""

    name: str
    ratio: Floats
    momentum: Floats


@dataclass(frozen=True, slots=True)
class RotationMap:
    """What a map shows. `subtitle`: against what, over which window, as of when.

    `focus`: the member it is about; the others then stand back. Empty: all are the same.
    """

    title: str
    trails: Sequence[Trail]
    subtitle: str = ""
    note: str = ""
    focus: str = ""


_LEFT, _RIGHT, _BOTTOM = 66.0, 20.0, 62.0
_DOT: Final = 5.0
_HEIGHT: Final = 14.0
_FAINT: Final = 0.5
_CORNERS: Final = (
    ("improving", 0, 0, "start"),
    ("leading", 1, 0, "end"),
    ("lagging", 0, 1, "start"),
    ("weakening", 1, 1, "end"),
)


def quadrant(ratio: float, momentum: float) -> str:
    """The quadrant's name, as the rule language has it."""
    if ratio >= CENTRE:
        return "leading" if momentum >= CENTRE else "weakening"
    return "improving" if momentum >= CENTRE else "lagging"


class _Frame:
    def __init__(self, size: Size, ratio: ValueAxis, momentum: ValueAxis, top: float) -> None:
        self.ratio, self.momentum = ratio, momentum
        self.place = Place(_LEFT, top, size.width - _RIGHT, size.height - _BOTTOM)

    def x(self, ratio: float) -> float:
        share = (ratio - self.ratio.low) / (self.ratio.high - self.ratio.low)
        return self.place.left + share * (self.place.right - self.place.left)

    def y(self, momentum: float) -> float:
        share = (momentum - self.momentum.low) / (self.momentum.high - self.momentum.low)
        return self.place.bottom - share * (self.place.bottom - self.place.top)


def rotation_map(chart: RotationMap, size: Size = Size(720, 640), theme: Theme = Theme.LIGHT) -> str:  # noqa: B008 - frozen
    """The map as SVG text; a member whose last sample is unknown is named below it."""
    known = [t for t in chart.trails if len(t.ratio) and math.isfinite(t.ratio[-1]) and math.isfinite(t.momentum[-1])]
    top = 28.0 + (10 if chart.title else 0) + (20 if chart.subtitle else 0)
    frame = _Frame(size, _axis([t.ratio for t in known]), _axis([t.momentum for t in known]), top)
    parts = [*_heading(chart, size), *_ground(frame)]
    tails: list[tuple[float, float]] = []
    for trail in known:
        drawn, points = _tail(frame, trail, _weight(chart, trail))
        parts += drawn
        tails += points
    heads = [(frame.x(float(t.ratio[-1])), frame.y(float(t.momentum[-1]))) for t in known]
    for trail, (x, y) in zip(known, heads, strict=True):
        role = quadrant(float(trail.ratio[-1]), float(trail.momentum[-1]))
        radius = num(_DOT * 1.4 if trail.name == chart.focus else _DOT)
        faint = _opacity(_weight(chart, trail))
        parts.append(f'<circle class="rc-dot rc-fill-{role}" cx="{num(x)}" cy="{num(y)}" r="{radius}"{faint}/>')
    parts += _names(frame, known, heads, tails, [_weight(chart, trail) for trail in known])
    unknown = [t.name for t in chart.trails if t not in known]
    missing = f"Unknown: {', '.join(unknown)}" if unknown else ""
    note = ". ".join(text for text in (missing, chart.note) if text)
    parts.append(label(16, size.height - 9, shortened(note, size.width - 32, 11), "rc-small"))
    return document(parts, size, theme, chart.title or "Rotation map", describe(chart))


def describe(chart: RotationMap) -> str:
    """The map in words."""
    said = [chart.subtitle] if chart.subtitle else []
    for name in ("leading", "weakening", "lagging", "improving"):
        members = [
            t.name
            for t in chart.trails
            if len(t.ratio)
            and math.isfinite(t.ratio[-1])
            and math.isfinite(t.momentum[-1])
            and quadrant(float(t.ratio[-1]), float(t.momentum[-1])) == name
        ]
        said.append(f"{name.capitalize()}: {', '.join(members) or 'none'}")
    return ". ".join(said)


def _axis(values: list[Floats]) -> ValueAxis:
    """About 100, as far to either side as the samples go."""
    known = np.concatenate([np.asarray([CENTRE]), *values])
    known = known[np.isfinite(known)]
    reach = max(float(np.abs(known - CENTRE).max()), 0.5) * 1.08
    return value_axis(np.array([CENTRE - reach, CENTRE + reach]), Unit.PLAIN, count=6)


def _heading(chart: RotationMap, size: Size) -> list[str]:
    parts, y = [], 28.0
    if chart.title:
        parts.append(label(16, y, shortened(chart.title, size.width - 32, 17), "rc-title"))
        y += 20
    if chart.subtitle:
        parts.append(label(16, y, shortened(chart.subtitle, size.width - 32), "rc-tick"))
    return parts


def _ground(frame: _Frame) -> list[str]:
    p, x, y = frame.place, frame.x(CENTRE), frame.y(CENTRE)
    parts = [
        box(p.left, p.top, x - p.left, y - p.top, "rc-tint-improving"),
        box(x, p.top, p.right - x, y - p.top, "rc-tint-leading"),
        box(p.left, y, x - p.left, p.bottom - y, "rc-tint-lagging"),
        box(x, y, p.right - x, p.bottom - y, "rc-tint-weakening"),
    ]
    for tick in frame.ratio.ticks:
        at = frame.x(tick)
        parts.append(rule(at, p.top, at, p.bottom, "rc-axis" if tick == CENTRE else "rc-grid"))
        parts.append(label(at, p.bottom + 17, frame.ratio.text(tick), "rc-tick", "middle"))
    for tick in frame.momentum.ticks:
        at = frame.y(tick)
        parts.append(rule(p.left, at, p.right, at, "rc-axis" if tick == CENTRE else "rc-grid"))
        parts.append(label(p.left - 8, at + 4, frame.momentum.text(tick), "rc-tick", "end"))
    for name, right, low, anchor in _CORNERS:
        corner = (p.right - 10 if right else p.left + 10, p.bottom - 10 if low else p.top + 19)
        parts.append(label(*corner, name.capitalize(), f"rc-strong rc-fill-{name}", anchor))
    parts.append(label((p.left + p.right) / 2, p.bottom + 34, "Relative strength", "rc-small", "middle"))
    parts.append(
        f'<text class="rc-small" text-anchor="middle" transform="translate(16,{num((p.top + p.bottom) / 2)}) '
        'rotate(-90)">Momentum</text>'
    )
    return parts


def _opacity(weight: float) -> str:
    return "" if weight == 1.0 else f' fill-opacity="{weight:g}"'


def _tail(frame: _Frame, trail: Trail, weight: float) -> tuple[list[str], list[tuple[float, float]]]:
    """The way to the newest sample: faint where it is old, with a dot at each sample."""
    role = quadrant(float(trail.ratio[-1]), float(trail.momentum[-1]))
    points = [
        (frame.x(a), frame.y(b)) if math.isfinite(a) and math.isfinite(b) else None
        for a, b in zip(trail.ratio.tolist(), trail.momentum.tolist(), strict=True)
    ]
    parts = []
    for i, (start, end) in enumerate(pairwise(points)):
        if start is None or end is None:
            continue
        age = (i + 1) / (len(points) - 1)
        opacity = f"{weight * (0.2 + 0.7 * age):.2f}"
        (x, y), (to_x, to_y) = (map(num, start), map(num, end))
        parts.append(
            f'<path class="rc-line-{role}" stroke-opacity="{opacity}" d="M{x},{y}L{to_x},{to_y}"/>'
            f'<circle class="rc-fill-{role}" fill-opacity="{opacity}" cx="{x}" cy="{y}" r="1.8"/>'
        )
    return parts, [p for p in points if p is not None]


def _weight(chart: RotationMap, trail: Trail) -> float:
    """Opacity of a member: faint where another one is what the map is about."""
    return _FAINT if chart.focus and trail.name != chart.focus else 1.0


def _names(
    frame: _Frame,
    trails: Sequence[Trail],
    heads: Sequence[tuple[float, float]],
    tails: Sequence[tuple[float, float]],
    weights: Sequence[float],
) -> list[str]:
    """Every name near its dot: where it covers no other name, then no dot, then as little of the tails as may be."""
    dots = [Place(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in heads]
    names: list[Place] = []
    parts = []
    for trail, (x, y), weight in zip(trails, heads, weights, strict=True):
        name = shortened(trail.name, 110)
        width = width_of(name)
        best = min(
            _spots(x, y, width),
            key=lambda s: (
                not s.within(frame.place),
                sum(s.shared(n) for n in names),
                sum(s.shared(d) for d in dots),
                sum(s.left <= a <= s.right and s.top <= b <= s.bottom for a, b in tails),
                math.hypot((s.left + s.right) / 2 - x, (s.top + s.bottom) / 2 - y),
            ),
        )
        names.append(best)
        role = quadrant(float(trail.ratio[-1]), float(trail.momentum[-1]))
        middle = ((best.left + best.right) / 2, (best.top + best.bottom) / 2)
        if math.hypot(middle[0] - x, middle[1] - y) > width / 2 + 2.2 * _HEIGHT:
            parts.append(rule(x, y, min(max(x, best.left), best.right), min(max(y, best.top), best.bottom), "rc-axis"))
        written = label(middle[0], best.bottom - 3, name, f"rc-strong rc-halo rc-fill-{role}", "middle")
        parts.append(written.replace("<text", f"<text{_opacity(weight)}", 1))
    return parts


def _spots(x: float, y: float, width: float) -> list[Place]:
    """Places for a name around a dot, on rings that grow."""
    spots = []
    for ring in (0.0, 10.0, 22.0, 38.0, 58.0):
        for turn in range(16):
            angle = math.tau * turn / 16
            cx = x + math.cos(angle) * (_DOT + 3 + width / 2 + ring)
            cy = y - math.sin(angle) * (_DOT + 3 + _HEIGHT / 2 + ring)
            spots.append(Place(cx - width / 2, cy - _HEIGHT / 2, cx + width / 2, cy + _HEIGHT / 2))
    return spots
