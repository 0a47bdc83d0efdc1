"""Sessions for the tests of the simulator: New York weekdays around the scenario's start, without its holidays."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from connectors.simulator.scenario import SECOND, Session

_NEW_YORK = ZoneInfo("America/New_York")
_CLOSED = {dt.date(2025, 12, 25), dt.date(2026, 1, 1), dt.date(2026, 1, 19), dt.date(2026, 2, 16)}


def session(date: dt.date) -> Session:
    def at(hour: int, minute: int = 0) -> int:
        return int(dt.datetime.combine(date, dt.time(hour, minute), _NEW_YORK).timestamp()) * SECOND

    return Session(date, at(9, 30), at(13) if date == dt.date(2025, 12, 24) else at(16))


def sessions(first: dt.date = dt.date(2024, 9, 3), last: dt.date = dt.date(2026, 3, 31)) -> list[Session]:
    days = (first + dt.timedelta(days=n) for n in range((last - first).days + 1))
    return [session(day) for day in days if day.weekday() < 5 and day not in _CLOSED]


SESSIONS = sessions()
