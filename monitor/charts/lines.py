"""The line chart: series over trading time, thresholds, shaded episodes, and the moment at which one was crossed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.charts.decimate import decimated
from monitor.charts.places import Place, spread_out
from monitor.charts.svg import Size, box, document, label, num, rule, shortened, width_of
from monitor.charts.theme import SERIES, Theme
from monitor.charts.times import TimeAxis
from monitor.charts.values import Floats, Unit, ValueAxis, level_text, value_axis, written


@dataclass(frozen=True, slots=True)
class Line:
    """A series: its name, and a value for each moment of the axis, (n,), NaN where unknown."""

    name: str
    values: Floats


@dataclass(frozen=True, slots=True)
class Level:
    """A threshold: one number, or one for each moment (n,). `clears`: below it something ends, rather than begins."""

    value: float | Floats
    text: str
    clears: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A time during which something held, UTC nanoseconds: an episode of an alert."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment worth a mark, on the first line: when it crossed the threshold."""

    at: int
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """What a line chart shows. `band_text` says what the shaded times are; `note` where the data come from."""

    title: str
    unit: Unit
    axis: TimeAxis
    lines: Sequence[Line]
    subtitle: str = ""
    levels: Sequence[Level] = ()
    bands: Sequence[Band] = ()
    band_text: str = ""
    moments: Sequence[Moment] = ()
    note: str = ""


_LEFT: Final = 16.0
_BOTTOM: Final = 58.0
_NARROWEST_BAND: Final = 1.5
"""Pixels: an episode of one close is still seen."""
_LABEL: Final = 12.0


class _Frame:
    """The plot's rectangle, and from data to pixels."""

    def __init__(self, chart: LineChart, size: Size, values: ValueAxis) -> None:
        self.axis, self.values = chart.axis, values
        self.several = len(chart.lines) > 1
        """Several lines have their names on the right, and the scale on the left."""
        scale = max(width_of(values.text(t)) for t in values.ticks)
        ends = [written(last, chart.unit) for line in chart.lines if (last := _last(line.values)) is not None]
        beside = [width_of(t) for t in ([line.name for line in chart.lines] if self.several else ends)]
        self.left = _LEFT + (scale + 10 if self.several else 0)
        self.right = size.width - min(max([*beside, 0 if self.several else scale]) + 22, size.width * 0.3)
        keyed = bool(chart.bands and chart.band_text)
        self.top = (38 if chart.title else 14) + (20 if chart.subtitle or keyed else 0) + 8
        self.bottom = max(size.height - _BOTTOM, self.top + 40)
        self.room = size.width - self.right - 12

    @property
    def width(self) -> float:
        return self.right - self.left

    def x(self, position: float) -> float:
        return self.left + (position - self.axis.low) / (self.axis.high - self.axis.low) * self.width

    def xs(self, positions: Floats) -> Floats:
        return self.left + (positions - self.axis.low) / (self.axis.high - self.axis.low) * self.width

    def y(self, value: float) -> float:
        span = self.values.high - self.values.low
        return self.bottom - (value - self.values.low) / span * (self.bottom - self.top)

    def ys(self, values: Floats) -> Floats:
        return self.bottom - (values - self.values.low) / (self.values.high - self.values.low) * (
            self.bottom - self.top
        )


def line_chart(chart: LineChart, size: Size = Size(), theme: Theme = Theme.LIGHT) -> str:  # noqa: B008 - frozen
    """The chart as SVG text."""
    shown = [line.values for line in chart.lines] + [np.atleast_1d(np.asarray(v.value)) for v in chart.levels]
    everything = np.concatenate(shown) if shown else np.empty(0)
    count = max(3, round((size.height - 110) / 45))
    values = value_axis(everything, chart.unit, count=count, zero=_near_zero(everything))
    frame = _Frame(chart, size, values)
    parts = [
        *_heading(chart, size),
        *_bands(chart, frame),
        *_value_ticks(chart, frame),
        *_time_ticks(frame, chart, size),
    ]
    parts += _levels(chart, frame)
    for i, line in enumerate(chart.lines):
        dense = " rc-thin" if len(line.values) > frame.width else ""
        parts.append(path(frame, line.values, f"rc-line-{SERIES[i % len(SERIES)]}{dense}"))
    parts += _moments(chart, frame)
    parts += _level_texts(chart, frame)
    parts += _ends(chart, frame)
    return document(
        parts, size, theme, chart.title or next((line.name for line in chart.lines), "Chart"), describe(chart)
    )


def describe(chart: LineChart) -> str:
    """The chart in words, for those who do not see it."""
    said = [chart.subtitle] if chart.subtitle else []
    for line in chart.lines:
        known = line.values[np.isfinite(line.values)]
        if len(known):
            said.append(
                f"{line.name}: from {written(float(known[0]), chart.unit)} to {written(float(known[-1]), chart.unit)}, "
                f"lowest {written(float(known.min()), chart.unit)}, highest {written(float(known.max()), chart.unit)}"
            )
        else:
            said.append(f"{line.name}: unknown throughout")
    said += [level.text for level in chart.levels]
    if chart.bands:
        said.append(f"{chart.band_text or 'Shaded'}: {len(chart.bands)} times")
    return ". ".join(said)


def _near_zero(values: Floats) -> bool:
    """Whether zero is in, or so near what is shown that leaving it out would mislead."""
    known = values[np.isfinite(values)]
    if not len(known):
        return False
    low, high = float(known.min()), float(known.max())
    return low <= 0 <= high or min(abs(low), abs(high)) <= 0.5 * (high - low)


def _last(values: Floats) -> float | None:
    known = np.flatnonzero(np.isfinite(values))
    return float(values[known[-1]]) if len(known) else None


def path(frame: _Frame, values: Floats, classes: str) -> str:
    """A series as one path; a lone value between gaps is a dot."""
    axis = frame.axis
    pieces = decimated(axis.positions, values, axis.longest_step, axis.low, axis.high, round(frame.width / 1.25))
    drawn = []
    for x, y in pieces:
        points = zip(frame.xs(x).tolist(), frame.ys(y).tolist(), strict=True)
        joined = " ".join(f"{num(a)},{num(b)}" for a, b in points)
        drawn.append(f"M{joined}" if len(x) > 1 else f"M{joined}h.01")
    return f'<path class="{classes}" d="{"".join(drawn)}"/>' if drawn else ""


def _heading(chart: LineChart, size: Size) -> list[str]:
    parts, y, room = [], 28.0, size.width - 2 * _LEFT
    if chart.title:
        parts.append(label(_LEFT, y, shortened(chart.title, room, 17), "rc-title"))
        y += 20
    key = width_of(chart.band_text) + 50 if chart.bands and chart.band_text else 0.0
    subtitle = shortened(chart.subtitle, room - key)
    if subtitle:
        parts.append(label(_LEFT, y, subtitle, "rc-tick"))
    if key:
        x = _LEFT + (width_of(subtitle) + 22 if subtitle else 0)
        parts.append(box(x, y - 9.5, 18, 11, "rc-fill-band"))
        parts.append(label(x + 24, y, chart.band_text, "rc-tick"))
    return parts


def _value_ticks(chart: LineChart, frame: _Frame) -> list[str]:
    """Grid lines and their labels; zero has a stronger line, and a label makes way for the newest value's."""
    last = None if frame.several or not chart.lines else _last(chart.lines[0].values)
    parts = []
    for tick in frame.values.ticks:
        y = frame.y(tick)
        zero = abs(tick) < 1e-12 * max(abs(frame.values.low), abs(frame.values.high))
        parts.append(rule(frame.left, y, frame.right, y, "rc-axis" if zero else "rc-grid"))
        if frame.several:
            parts.append(label(frame.left - 8, y + 4, frame.values.text(tick), "rc-tick", "end"))
        elif last is None or abs(frame.y(last) - y) > _LABEL:
            parts.append(label(frame.right + 9, y + 4, frame.values.text(tick), "rc-tick"))
    return parts


def _time_ticks(frame: _Frame, chart: LineChart, size: Size) -> list[str]:
    base = frame.bottom
    parts, free, context_free = [rule(frame.left, base, frame.right, base, "rc-axis")], -1e9, -1e9
    for tick in chart.axis.ticks(frame.width):
        x = frame.x(tick.position)
        parts.append(rule(x, base, x, base + 5, "rc-axis"))
        half = width_of(tick.text) / 2
        left = max(x, _LEFT + half)
        if left - half > free + 6:
            parts.append(label(left, base + 18, tick.text, "rc-tick", "middle"))
            free = left + half
        half = width_of(tick.context) / 2
        left = max(x, _LEFT + half)
        if tick.context and left - half > context_free + 6:
            parts.append(label(left, base + 33, tick.context, "rc-tick", "middle"))
            context_free = left + half
    note = ". ".join(text for text in (chart.axis.note, chart.note) if text)
    parts.append(label(_LEFT, size.height - 9, shortened(note, size.width - 2 * _LEFT, 11), "rc-small"))
    return parts


def _bands(chart: LineChart, frame: _Frame) -> list[str]:
    """Shaded times, those that would touch drawn as one."""
    if not chart.bands:
        return []
    starts = frame.xs(chart.axis.position(np.array([b.start for b in chart.bands], np.int64)))
    ends = frame.xs(chart.axis.position(np.array([b.end for b in chart.bands], np.int64)))
    parts: list[tuple[float, float]] = []
    for start, end in sorted(zip(starts.tolist(), ends.tolist(), strict=True)):
        left, right = max(start, frame.left), min(max(end, start + _NARROWEST_BAND), frame.right)
        if right < frame.left or left > frame.right:
            continue
        left = min(left, right - _NARROWEST_BAND)
        if parts and left - parts[-1][1] < 0.5:  # noqa: PLR2004 - half a pixel is no gap
            parts[-1] = (parts[-1][0], max(parts[-1][1], right))
        else:
            parts.append((left, right))
    height = frame.bottom - frame.top
    drawn = "".join(f"M{num(a)},{num(frame.top)}H{num(b)}v{num(height)}H{num(a)}z" for a, b in parts)
    return [f'<path class="rc-fill-band" d="{drawn}"/>'] if drawn else []


def _levels(chart: LineChart, frame: _Frame) -> list[str]:
    parts = []
    for level in chart.levels:
        classes = "rc-clear" if level.clears else "rc-limit"
        if isinstance(level.value, np.ndarray):
            parts.append(path(frame, level.value, classes))
        elif np.isfinite(level.value):
            y = frame.y(level.value)
            parts.append(rule(frame.left, y, frame.right, y, classes))
    return parts


def _level_texts(chart: LineChart, frame: _Frame) -> list[str]:
    """Each threshold's label lies on its line, at the end where the series is further away, and clear of the others."""
    parts = []
    heights = [frame.y(level.value) for level in chart.levels if isinstance(level.value, float)]
    taken = [Place(frame.left, y - 1, frame.right, y + 1) for y in heights]
    for level in chart.levels:
        value = level.value if isinstance(level.value, float) else _last(np.asarray(level.value, np.float64))
        if value is None or not np.isfinite(value):
            continue
        width, y = width_of(level.text), frame.y(value)
        spots = [
            Place(x, y + dy, x + width, y + dy + _LABEL + 2)
            for dy in (-_LABEL - 5, 4)
            for x in _beginnings(frame, width)[2 if isinstance(level.value, np.ndarray) else 0 :]
        ]
        best = min(spots, key=lambda s: (any(s.overlaps(t) for t in taken), _crowding(chart, frame, s)))
        taken.append(best)
        colour = "rc-fill-clear" if level.clears else "rc-fill-limit"
        parts.append(label(best.left, best.bottom - 3, level.text, f"rc-halo {colour}"))
    return parts


def _beginnings(frame: _Frame, width: float) -> tuple[float, ...]:
    """Where a threshold's label may begin; one that moves has its label at its end, where it is now."""
    return frame.left + 4, (frame.left + frame.right - width) / 2, frame.right - width - 6


def _crowding(chart: LineChart, frame: _Frame, place: Place) -> int:
    """How many points of the lines are under a label."""
    x = frame.xs(chart.axis.positions)
    inside: npt.NDArray[np.bool_] = (x >= place.left - 4) & (x <= place.right + 4)
    count = 0
    for line in chart.lines:
        y = frame.ys(line.values[inside])
        count += int(((y > place.top - 4) & (y < place.bottom + 4)).sum())
    return count


def _moments(chart: LineChart, frame: _Frame) -> list[str]:
    parts = []
    for moment in chart.moments:
        x = frame.x(float(chart.axis.position(np.array([moment.at], np.int64))[0]))
        if not (frame.left - 1 <= x <= frame.right + 1) or not np.isfinite(moment.value):
            continue
        y = frame.y(moment.value)
        parts.append(rule(x, frame.top, x, frame.bottom, "rc-moment"))
        parts.append(f'<circle class="rc-dot rc-fill-limit" cx="{num(x)}" cy="{num(y)}" r="4.5"/>')
        if moment.text:
            before = x - frame.left > width_of(moment.text) + 12
            anchor, at = ("end", x - 8) if before else ("start", x + 8)
            parts.append(label(at, frame.top + 11, moment.text, "rc-strong rc-halo", anchor))
    return parts


def _ends(chart: LineChart, frame: _Frame) -> list[str]:
    """The last value of every line beside it; with several lines, their names instead of a legend."""
    wanted = []
    for i, line in enumerate(chart.lines):
        known = np.flatnonzero(np.isfinite(line.values))
        if len(known):
            position, value = float(chart.axis.positions[known[-1]]), float(line.values[known[-1]])
            wanted.append((frame.x(position), frame.y(value), line.name, value, SERIES[i % len(SERIES)]))
    heights = spread_out([y for _, y, *_ in wanted], 15, frame.top, frame.bottom)
    parts = []
    for (x, y, name, value, role), height in zip(wanted, heights, strict=True):
        parts.append(f'<circle class="rc-dot rc-fill-{role}" cx="{num(x)}" cy="{num(y)}" r="3.5"/>')
        several = len(chart.lines) > 1
        text = shortened(name, frame.room) if several else written(value, chart.unit)
        parts.append(label(min(x, frame.right) + 8, height + 4, text, f"rc-strong rc-halo rc-fill-{role}"))
    return parts


__all__ = ["Band", "Level", "Line", "LineChart", "Moment", "describe", "level_text", "line_chart"]
