"""Mute times as Alertmanager's time intervals: weekdays, days of months and times of day in a zone."""

from __future__ import annotations

import calendar as days
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, Final
from zoneinfo import ZoneInfo

from monitor.alerting.mute_times import TimeInterval, Trading
from monitor.alerting.policy import Policy
from monitor.calendar import ALWAYS, TradingCalendar
from monitor.settings.model import Settings

_DAY: Final = 24 * 60
_MINUTE: Final = 60_000_000_000
_WEEK: Final = range(5)
_NEW_YORK: Final = ZoneInfo("America/New_York")

_Minutes = tuple[int, int]
_Days = tuple[int, ...]


def intervals(config: Settings, policy: Policy, used: Iterable[str]) -> list[dict[str, Any]]:
    """The time intervals of the configuration, and of what else routes use, by name."""
    names = list(dict.fromkeys([*config.mute_times, *sorted(used)]))
    return [{"name": name, "time_intervals": _named(policy, name)} for name in names]


def _named(policy: Policy, name: str) -> list[dict[str, Any]]:
    return [shown for each in policy.mute_times.intervals(name) for shown in _shown(each, policy.calendar)]


def _shown(given: TimeInterval, calendar: TradingCalendar) -> Iterator[dict[str, Any]]:
    """One interval as several: dates a month each, and the times of each state of the market."""
    for weekdays, times, zone in _trading(given, calendar):
        for dates in _dates(given.dates) or [{}]:
            shown: dict[str, Any] = dict(dates)
            if times is not None:
                shown["times"] = [{"start_time": _clock(start), "end_time": _clock(end)} for start, end in times]
            if weekdays:
                shown["weekdays"] = [days.day_name[day].lower() for day in weekdays]
            if shown:
                yield shown | {"location": zone.key}


def _trading(given: TimeInterval, calendar: TradingCalendar) -> Iterator[tuple[_Days, list[_Minutes] | None, ZoneInfo]]:
    """Weekdays (none: all), times of day (None: all), and their zone.

    Alertmanager's intervals have one zone, so the market's hours are told in that of the times beside them, as they
    are in an ordinary week: off by an hour while one of the two has summer time and the other has not.
    """
    times = [part for span in given.times for part in _parts(*span)] if given.times else None
    if not given.trading:
        yield tuple(sorted(given.weekdays)), times, given.zone
        return
    zone = given.zone if given.times or given.weekdays or given.dates else _NEW_YORK
    week = _week(given.trading, calendar, zone)
    alike: dict[tuple[_Minutes, ...], list[int]] = {}
    for day in sorted(given.weekdays or range(7)):
        both = _intersection(week[day], times if times is not None else [(0, _DAY)])
        alike.setdefault(tuple(both), []).append(day)
    for hours, weekdays in alike.items():
        if hours:
            yield tuple(weekdays), list(hours), zone


def _week(wanted: frozenset[Trading], calendar: TradingCalendar, zone: ZoneInfo) -> list[list[_Minutes]]:
    """When the market is in one of these states, by weekday in a zone: as in an ordinary week of the calendar."""
    if calendar.name == ALWAYS:
        return [[(0, _DAY)] if Trading.REGULAR in wanted else [] for _ in range(7)]
    monday = _ordinary_week(calendar)
    week: list[list[_Minutes]] = []
    for day in range(7):
        midnight = dt.datetime.combine(monday + dt.timedelta(days=day), dt.time(), zone)
        start = int(midnight.timestamp()) * 1_000_000_000
        states = [Trading.at(calendar, start + minute * _MINUTE + 1) in wanted for minute in range(_DAY)]
        week.append(_runs(states))
    return week


def _ordinary_week(calendar: TradingCalendar) -> dt.date:
    """The Monday of the last week but some that has five sessions of full length, none of them a half day."""
    longest = int((calendar.closes - calendar.opens).max())
    for session in range(len(calendar) - 1, 4, -1):
        found = range(session - 4, session + 1)
        dates = [calendar.date(each) for each in found]
        whole = all(calendar.close_ns(each) - calendar.open_ns(each) == longest for each in found)
        if whole and [date.weekday() for date in dates] == list(_WEEK):
            return dates[0]
    return calendar.date(len(calendar) - 1)


def _runs(states: Sequence[bool]) -> list[_Minutes]:
    """``[start, end)`` of each run of true."""
    edges = [minute for minute in range(len(states) + 1) if _at(states, minute) != _at(states, minute - 1)]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _at(states: Sequence[bool], minute: int) -> bool:
    return 0 <= minute < len(states) and states[minute]


def _parts(start: int, end: int) -> list[_Minutes]:
    """A time of day that may go over midnight, as times that do not."""
    if start < end:
        return [(start, end)]
    return [part for part in ((start, _DAY), (0, end)) if part[0] < part[1]]


def _intersection(ours: Iterable[_Minutes], theirs: Iterable[_Minutes]) -> list[_Minutes]:
    found = ((max(a, c), min(b, d)) for (a, b), (c, d) in product(ours, list(theirs)))
    return sorted((start, end) for start, end in found if start < end)


def _dates(given: Iterable[tuple[dt.date, dt.date]]) -> list[dict[str, Any]]:
    """Ranges of dates, a month each."""
    found: list[dict[str, Any]] = []
    for first, last in given:
        start = first
        while start <= last:
            length = days.monthrange(start.year, start.month)[1]
            end = min(last, start.replace(day=length))
            found.append(
                {
                    "days_of_month": [f"{start.day}:{end.day}"],
                    "months": [str(start.month)],
                    "years": [str(start.year)],
                }
            )
            if end == dt.date.max:
                break
            start = end + dt.timedelta(days=1)
    return found


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
