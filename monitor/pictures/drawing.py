"""From what an alert watched to its picture: an SVG, and the same in words for those who do not see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.calendar import TradingCalendar
from monitor.charts.lines import Band, Level, Line, LineChart, Moment, line_chart
from monitor.charts.lines import describe as line_words
from monitor.charts.rotation_map import RotationMap, rotation_map
from monitor.charts.rotation_map import describe as map_words
from monitor.charts.stretched import StretchedAxis
from monitor.charts.svg import Size, stacked
from monitor.charts.theme import Theme
from monitor.charts.times import TimeAxis
from monitor.charts.values import Unit
from monitor.notify.message import AlertNotice, Kind
from monitor.notify.templates import clipped
from monitor.pictures.past import Past
from monitor.pictures.subject import MINUTE, Subject
from monitor.report.pictures import level_of, unit_of
from monitor.report.watched import Limit
from rules.view import Floats

_LINE: Final = Size(900, 420)
_MAP: Final = Size(900, 560)
_SCALE: Final = {1: 0.75, 2: 0.6}
"""With the renderer's two pixels for one, by the number of parts: 1,350 or 1,080 pixels wide. Time goes with pixels: at
1,800 a line and a map took 470 ms on two busy cores, at 1,080 half of that, and text is as sharp in a chat."""
_ENOUGH: Final = 8
"""Known minutes that tell a story by themselves."""
_APART: Final = 1.5 * MINUTE
"""Crossing and firing this close together are one moment in the picture."""
_WORDS: Final = 900
"""Characters of a description: what services take as alternative text."""


class NothingKnown(Exception):
    """There is nothing to show of the alert: its past is not stored."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture before it is one: SVG text, and what it says in words."""

    svg: str
    words: str


def drawing(told: AlertNotice, about: Subject, seen: Past, calendar: TradingCalendar, theme: Theme) -> Drawing:
    """The picture of what is told.

    Raises:
        NothingKnown: No value of it is known but the present one.
    """
    parts, words = [], [told.summary]
    line = _shown(seen, about)
    axis = StretchedAxis(line.times, calendar) if line.closes.any() else TimeAxis(line.times, calendar)
    # A condition is drawn as such where there is nothing else to be seen.
    as_line = int(np.isfinite(line.values).sum()) > 1 and not (about.gauge.kind == "condition" and seen.trails)
    if as_line:
        chart = _line(told, about, line, axis)
        parts.append((line_chart(chart, _LINE, theme), _LINE))
        words.append(line_words(chart))
    if about.rotation is not None and any(np.isfinite(t.ratio[-1] + t.momentum[-1]) for t in seen.trails):
        shown = _map(told, about, seen, axis, title="" if as_line else told.summary)
        parts.append((rotation_map(shown, _MAP, theme), _MAP))
        words.append(map_words(shown))
    if not parts:
        raise NothingKnown(f"too little of the past of {told.alert} is stored to be drawn")
    svg = stacked([svg for svg, _ in parts], [size for _, size in parts], _SCALE[len(parts)])
    return Drawing(svg, clipped(". ".join(words), _WORDS))


def _shown(seen: Past, about: Subject) -> Past:
    """The samples of the line: those of closes are left out where they are there for the map alone."""
    minutes = ~seen.closes
    if not about.span.trail or np.isfinite(seen.values[minutes]).sum() < _ENOUGH:
        return seen
    known = np.flatnonzero(minutes & np.isfinite(seen.values))
    here = np.flatnonzero(minutes)
    here = here[here >= known[0]]
    fires, clears = (None if level is None else level[here] for level in (seen.fires, seen.clears))
    return Past(seen.times[here], seen.values[here], fires, clears, seen.closes[here], seen.trails)


def _line(told: AlertNotice, about: Subject, seen: Past, axis: TimeAxis) -> LineChart:
    gauge = about.gauge
    unit = Unit.COUNT if gauge.kind == "condition" else unit_of(gauge, seen.values)
    levels: list[Level] = []
    for limit, values, verb in ((gauge.fires, seen.fires, "fires"), (gauge.clears, seen.clears, "clears")):
        if limit is not None and values is not None:
            levels.append(level_of(values, limit, verb, unit, clears=verb == "clears"))
    moments, bands, band_text = _marks(told, about, seen, axis)
    return LineChart(
        title=told.summary,
        subtitle=f"{gauge.name}: {gauge.text}" if gauge.name else gauge.text,
        unit=unit,
        axis=axis,
        lines=[Line(gauge.name or told.alert, seen.values)],
        levels=levels,
        bands=bands,
        band_text=band_text,
        moments=moments,
        note=f"{_heading(told)}, {told.severity}",
    )


def _marks(told: AlertNotice, about: Subject, seen: Past, axis: TimeAxis) -> tuple[list[Moment], list[Band], str]:
    """The moment of the crossing, and the time since: of one that fires up to its firing, else while it fired."""
    last = int(seen.times[-1])
    if told.kind is Kind.RESOLVED:
        known = np.isfinite(seen.values)
        value = float(np.interp(told.started_at, seen.times[known], seen.values[known]))
        fired = [Moment(told.started_at, value, f"fired {axis.moment_text(told.started_at)}")]
        ended = [Moment(last, float(seen.values[-1]), "")]
        return [*fired, *ended], [Band(told.started_at, last)], "firing"
    crossed = _crossing(seen.values, seen.fires, about.gauge.fires)
    if crossed is None or last - int(seen.times[crossed]) < _APART:
        return [Moment(last, float(seen.values[-1]), f"fired {axis.moment_text(last)}")], [], ""
    at = int(seen.times[crossed])
    if seen.closes[crossed]:
        return [Moment(at, float(seen.values[crossed]), f"crossed by the close of {axis.date_text(at)}")], [], ""
    text = f"crossed {axis.moment_text(at)}, fired {axis.time_text(last)}"
    return [Moment(at, float(seen.values[crossed]), text)], [Band(at, last)], "beyond the threshold"


def _crossing(values: Floats, level: Floats | None, limit: Limit | None) -> int | None:
    """The first sample of the newest run that is beyond the threshold; None where none is, or all are."""
    if level is None or limit is None:
        return None
    with np.errstate(invalid="ignore"):
        beyond = {
            ">": values > level,
            ">=": values >= level,
            "<": values < level,
            "<=": values <= level,
            "==": values == level,
            "!=": values != level,
        }[limit.op]
    inside = np.flatnonzero(~beyond & np.isfinite(values) & np.isfinite(level))
    first = int(inside[-1]) + 1 if len(inside) else len(values)
    return first if first < len(values) else None


def _map(told: AlertNotice, about: Subject, seen: Past, axis: TimeAxis, *, title: str) -> RotationMap:
    rotation = about.rotation
    assert rotation is not None, "asked for without one"  # noqa: S101 - a promise of this module
    samples = max((len(t.ratio) for t in seen.trails), default=0)
    return RotationMap(
        title=title,
        trails=seen.trails,
        subtitle=f"{rotation.universe} against {rotation.against} over {rotation.window} sessions",
        note=f"{axis.note}: {axis.moment_text(int(seen.times[-1]))}. Trails: the last {samples} sessions",
        focus=told.member if told.member in rotation.members else "",
    )


def _heading(told: AlertNotice) -> str:
    return f"{told.alert}[{told.member}]" if told.member else told.alert
