"""The report of a backtest: one HTML file with its figures and pictures in it, and no address of anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup

from monitor.calendar import TradingCalendar
from monitor.charts.lines import line_chart
from monitor.charts.svg import Size
from monitor.charts.theme import Theme, page_css
from monitor.charts.times import TimeAxis
from monitor.charts.values import Unit, written
from monitor.notify.values import local, span
from monitor.report.episodes import AHEAD, KNOWN, LATER, Episode, RuleRecord
from monitor.report.pictures import of_gauge, unit_of
from monitor.report.watched import Gauge, Watched

_SIZE: Final = Size(900, 300)
_MOST_PICTURES: Final = 24
"""Members of one rule that get a picture; the rest are in its table."""
_MOST_ROWS: Final = 1000
"""Episodes of one rule that are listed: its newest."""
_NOTHING: Final = "\N{EN DASH}"
_DECIMALS: Final = {Unit.BP: 1, Unit.PERCENT: 2}
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Heading:
    """What was run. `data` and `rules`: names of files; `command`: as it can be typed again."""

    rules: Sequence[str]
    data: Sequence[str]
    command: str
    first: int
    last: int
    version: str


@dataclass(frozen=True, slots=True)
class _Section:
    """One rule of the page."""

    name: str
    severity: str
    when: str
    until: str
    facts: str
    pictures: tuple[Markup, ...]
    left_out: int
    rows: tuple[tuple[str, ...], ...]
    has_member: bool
    unlisted: int


def page(heading: Heading, records: Sequence[RuleRecord], watched: Watched, calendar: TradingCalendar) -> str:
    """The whole file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    axis = TimeAxis(watched.times, calendar)
    return environment.get_template("backtest.html.jinja").render(
        heading=heading,
        first=when(heading.first, axis),
        last=when(heading.last, axis),
        calendar=calendar.name,
        style=Markup(page_css() + (_HERE / "backtest.css").read_text("utf-8")),  # noqa: S704 - both are ours
        summary=[summary_row(r, calendar) for r in records],
        sections=[_section(r, watched, axis, calendar) for r in records],
        ahead=AHEAD,
        known=round(KNOWN * 100),
        later=LATER,
        every=watched.every,
    )


def lasted(ns: int, calendar: TradingCalendar) -> str:
    """Trading time in its own days: 6 h 30 min of New York are one session."""
    return span(ns) if ns < calendar.session_ns else f"{ns / calendar.session_ns:.1f} sessions"


def sessions(count: float | None) -> str:
    """A number of sessions, such as a lead."""
    return _NOTHING if count is None else f"{count:g}"


def summary_row(record: RuleRecord, calendar: TradingCalendar) -> tuple[str, ...]:
    """Rule, fired, firing now, trading time, longest, flaps, a week, median lead, any day's: as people read them."""
    counts = record.counts
    return (
        counts.alert,
        str(counts.fired),
        str(counts.open),
        lasted(counts.total_ns, calendar),
        lasted(counts.longest_ns, calendar),
        str(counts.flaps),
        f"{counts.weekly:.2f}",
        sessions(record.lead),
        sessions(record.any_day),
    )


def when(ns: int, axis: TimeAxis) -> str:
    """A moment: the date where the recording is of session closes, otherwise with New York's time."""
    if not ns:
        return _NOTHING
    return axis.date_text(ns) if axis.by_session else local(ns, pattern="%Y-%m-%d %H:%M %Z")


def _section(record: RuleRecord, watched: Watched, axis: TimeAxis, calendar: TradingCalendar) -> _Section:
    name = record.counts.alert
    gauges = [g for (alert, _), g in watched.gauges.items() if alert == name]
    rule = gauges[0].rule
    of_member: dict[str, list[Episode]] = {}
    for episode in record.episodes:
        of_member.setdefault(episode.member, []).append(episode)
    drawn = [g for g in gauges if g.name in of_member or not g.name]
    drawn.sort(key=lambda g: -len(of_member.get(g.name, ())))
    listed = record.episodes[-_MOST_ROWS:]
    kinds = {g.name: g for g in gauges}
    units = {name: unit_of(g, watched.values(g)) for name, g in kinds.items()}
    facts = f"{len(record.episodes)} episodes" if len(record.episodes) != 1 else "1 episode"
    return _Section(
        name=name,
        severity=str(rule.severity),
        when=rule.when.text,
        until=rule.until.text if rule.until else "",
        facts=facts if record.episodes else "never fired",
        pictures=tuple(
            Markup(line_chart(of_gauge(watched, g, axis, of_member.get(g.name, ())), _SIZE, Theme.PAGE))  # noqa: S704 - the renderer escapes
            for g in drawn[:_MOST_PICTURES]
        ),
        left_out=max(0, len(drawn) - _MOST_PICTURES),
        rows=tuple(_row(e, kinds[e.member], units[e.member], axis, calendar) for e in reversed(listed)),
        has_member=bool(rule.each),
        unlisted=len(record.episodes) - len(listed),
    )


def _row(episode: Episode, gauge: Gauge, unit: Unit, axis: TimeAxis, calendar: TradingCalendar) -> tuple[str, ...]:
    def value(number: float | None) -> str:
        if number is None or gauge.kind in ("condition", "category"):
            return _NOTHING
        return written(number, unit, _DECIMALS.get(unit))

    member = (episode.member,) if gauge.rule.each else ()
    return (
        when(episode.start, axis),
        *member,
        when(episode.end, axis) if episode.end else "still firing",
        lasted(episode.lasted_ns, calendar),
        str(episode.flaps),
        value(episode.value),
        value(episode.peak),
        *(value(v) for v in episode.later),
        sessions(episode.lead),
    )
