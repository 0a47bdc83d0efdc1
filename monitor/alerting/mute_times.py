"""Mute times: when a route does not want to be told, on the trading calendar and by the clock of a place.

Three names are always there, and at every moment exactly one of them holds: ``regular`` is regular trading hours,
``extended`` the pre-market and after-hours trading around them, ``closed`` the rest: nights, weekends, holidays, and
what an early close leaves of a day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from monitor.alerting.decision import Decision, Reason, Stage, passes, stops
from monitor.calendar import MINUTE, TradingCalendar
from rules.ruleset import Hours

_SECOND: Final = 1_000_000_000


class Trading(StrEnum):
    """What the market does."""

    REGULAR = "regular"
    EXTENDED = "extended"
    CLOSED = "closed"

    @staticmethod
    def at(calendar: TradingCalendar, ns: int) -> Trading:
        """What it does at a time, UTC ns."""
        if calendar.is_open(ns, Hours.REGULAR):
            return Trading.REGULAR
        return Trading.EXTENDED if calendar.is_open(ns, Hours.EXTENDED) else Trading.CLOSED


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """Times at which everything given here holds; what is not given always does.

    `times`: ``[start, end)`` in minutes of the day in `zone`; where the end is not after the start, over midnight.
    `weekdays`: 0 is Monday. `dates`: first and last day, both included. `trading`: what the market does.
    """

    zone: ZoneInfo
    trading: frozenset[Trading] = frozenset()
    times: tuple[tuple[int, int], ...] = ()
    weekdays: frozenset[int] = frozenset()
    dates: tuple[tuple[dt.date, dt.date], ...] = ()

    def contains(self, ns: int, calendar: TradingCalendar) -> bool:
        """Whether a time, UTC ns, is in it."""
        local = dt.datetime.fromtimestamp(ns // _SECOND, self.zone)
        minute, day = 60 * local.hour + local.minute, local.date()
        return (
            (not self.weekdays or local.weekday() in self.weekdays)
            and (not self.dates or any(first <= day <= last for first, last in self.dates))
            and (not self.times or any(_within(minute, start, end) for start, end in self.times))
            and (not self.trading or Trading.at(calendar, ns) in self.trading)
        )


class MuteTimes:
    """The mute times of the configuration by name, beside the three of the market."""

    def __init__(self, calendar: TradingCalendar, named: Mapping[str, Sequence[TimeInterval]]) -> None:
        self._calendar = calendar
        utc = ZoneInfo("UTC")
        self._named: dict[str, tuple[TimeInterval, ...]] = {
            str(state): (TimeInterval(utc, frozenset({state})),) for state in Trading
        }
        self._named |= {name: tuple(intervals) for name, intervals in named.items()}

    def intervals(self, name: str) -> tuple[TimeInterval, ...]:
        """What a name stands for."""
        return self._named[name]

    def holding(self, names: Sequence[str], at: int) -> list[str]:
        """Those of the names that hold at a time."""
        return [name for name in names if any(i.contains(at, self._calendar) for i in self._named[name])]

    def decide(self, names: Sequence[str], at: int) -> Decision:
        """Whether a route with these mute times may be told. All begin and end with a minute."""
        holding = self.holding(names, at)
        if not holding:
            return passes(Stage.MUTE_TIMES, Reason.NOT_MUTED)
        return stops(Stage.MUTE_TIMES, Reason.MUTED, ", ".join(holding), until=(at // MINUTE + 1) * MINUTE)


def _within(minute: int, start: int, end: int) -> bool:
    return start <= minute < end if start < end else minute >= start or minute < end
