"""Line charts of what rules and expressions watch, with their thresholds and the times at which they held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from monitor.calendar import Times, TradingCalendar
from monitor.charts.lines import Band, Level, Line, LineChart, Moment
from monitor.charts.times import TimeAxis
from monitor.charts.values import Unit, level_text, unit_for
from monitor.report.episodes import Episode
from monitor.report.watched import Gauge, Limit, Watched
from rules.view import Floats

_WORDS: Final = {
    ">": "above",
    ">=": "at or above",
    "<": "below",
    "<=": "at or below",
    "==": "at",
    "!=": "away from",
}


def of_gauge(watched: Watched, gauge: Gauge, axis: TimeAxis, episodes: Sequence[Episode]) -> LineChart:
    """What an instance watched, its thresholds, and its episodes shaded."""
    values = watched.values(gauge)
    unit = unit_of(gauge, values)
    levels = [
        level_of(watched.level(gauge, limit), limit, verb, unit, clears=verb == "clears")
        for verb, limit in (("fires", gauge.fires), ("clears", gauge.clears))
        if limit is not None
    ]
    last = int(axis.times[-1]) if len(axis.times) else 0
    return LineChart(
        title="",
        subtitle=f"{gauge.name}: {gauge.text}" if gauge.name else gauge.text,
        unit=unit,
        axis=axis,
        lines=[Line(gauge.name or gauge.rule.name, values)],
        levels=levels,
        bands=[Band(e.start, e.end or last) for e in episodes],
        band_text="firing",
    )


def unit_of(gauge: Gauge, values: Floats) -> Unit:
    """The unit of a gauge's values: for ratios the one that the rule is written in, bp where it has both."""
    if gauge.kind == "ratio":
        text = f"{gauge.rule.when.text} {gauge.rule.until.text if gauge.rule.until else ''}"
        if "bp" in text or "%" in text:
            return Unit.PERCENT if "%" in text and "bp" not in text else Unit.BP
    return unit_for(gauge.kind, values)


def of_expression(
    text: str, kind: str, times: Times, values: Floats, calendar: TradingCalendar, *, note: str = ""
) -> LineChart:
    """An expression's value over time: (n,) each. A condition without a comparison is 0 or 1, and shaded."""
    axis = TimeAxis(times, calendar)
    bands, unit = [], unit_for(kind, values)
    if kind == "condition":
        bands, unit = _bands(times, values), Unit.COUNT
    return LineChart(text, unit, axis, [Line(text, values)], bands=bands, band_text="holds", note=note)


def of_condition(
    text: str,
    watched: tuple[str, str, Floats],
    comparison: tuple[Limit, Floats],
    holds: Floats,
    times: Times,
    calendar: TradingCalendar,
    *,
    note: str = "",
) -> LineChart:
    """A condition: the side that is watched (its text, type and values), its level, and the times at which it holds.

    `comparison`: the threshold and its values; `holds`: 1 true, 0 false, NaN unknown; all (n,). The newest time at
    which the condition began to hold is marked.
    """
    name, kind, values = watched
    limit, level = comparison
    axis = TimeAxis(times, calendar)
    unit = unit_for(kind, values)
    begins, _ = _runs(holds)
    return LineChart(
        title=text,
        subtitle=name,
        unit=unit,
        axis=axis,
        lines=[Line(name, values)],
        levels=[level_of(level, limit, "holds", unit, clears=False)],
        bands=_bands(times, holds),
        band_text="holds",
        moments=[Moment(int(times[begins[-1]]), float(values[begins[-1]]), axis.moment_text(int(times[begins[-1]])))]
        if begins
        else [],
        note=note,
    )


def _bands(times: Times, holds: Floats) -> list[Band]:
    return [Band(int(times[a]), int(times[b])) for a, b in zip(*_runs(holds), strict=True)]


def _runs(holds: Floats) -> tuple[list[int], list[int]]:
    """Where a condition begins to hold, and where it is next known not to, or was last known to hold."""
    true = np.r_[False, holds == 1.0, False]
    begins = np.flatnonzero(true[1:] & ~true[:-1])[: len(holds)]
    afters = np.flatnonzero(~true[1:] & true[:-1])
    ends = [int(a) if a < len(holds) and holds[a] == 0.0 else int(a) - 1 for a in afters]
    return begins.tolist(), ends


def level_of(values: Floats, limit: Limit, verb: str, unit: Unit, *, clears: bool) -> Level:
    """A threshold; one that moves is drawn as it moved."""
    word = _WORDS[limit.op]
    if limit.literal is not None:
        return Level(float(limit.literal), f"{verb} {word} {level_text(float(limit.literal), unit)}", clears)
    return Level(values, f"{verb} {word} {limit.text}", clears)
