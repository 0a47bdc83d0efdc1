"""Times as they are written on the command line: ``2026-01-23``, ``2026-01-23 10:07:30 America/New_York``, ``...Z``."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from monitor.cli.faults import Fault

if TYPE_CHECKING:
    from monitor.calendar import TradingCalendar

FOR_EVER: Final = 2**62
"""Later than every time there is, in nanoseconds."""

_SECOND: Final = 1_000_000_000
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SESSIONS: Final = re.compile(r"([1-9]\d{0,3})d")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def read_moment(text: str, calendar: TradingCalendar, option: str) -> int:
    """UTC nanoseconds of a time; of a date, of that session's close.

    Raises:
        Fault: It is none, or the date is no session.
    """
    if not _DATE.fullmatch(text):
        return _time(text, calendar, option)
    date = _date(text, option)
    session = calendar.ordinal_on_or_before(date)
    if session < 0 or calendar.date(session) != date:
        before = f": the one before is {calendar.date(session)}" if session >= 0 else ""
        raise Fault(f"{option} {text}: no session of {calendar.name}{before}")
    return calendar.close_ns(session)


def read_start(text: str | None, calendar: TradingCalendar) -> int:
    """UTC nanoseconds from which something counts; a date begins after the close of the session before it."""
    if text is None:
        return 0
    if not _DATE.fullmatch(text):
        return _time(text, calendar, "--from")
    session = calendar.ordinal_on_or_before(_date(text, "--from") - dt.timedelta(days=1))
    return calendar.close_ns(session) + 1 if session >= 0 else 0


def read_end(text: str | None, calendar: TradingCalendar) -> int:
    """UTC nanoseconds up to which something counts; a date ends with the close of its session (or the last before)."""
    if text is None:
        return FOR_EVER
    if not _DATE.fullmatch(text):
        return _time(text, calendar, "--to")
    session = calendar.ordinal_on_or_before(_date(text, "--to"))
    return calendar.close_ns(session) if session >= 0 else 0


def read_steps(text: str, calendar: TradingCalendar, start: int, end: int) -> Iterator[int]:
    """Moments from `start` to `end`: every so many session closes (``1d``), or so much clock time of regular hours.

    Raises:
        Fault: The step is no duration.
    """
    if start > end:
        return iter(())
    sessions = range(calendar.session_at(start), calendar.session_at(end) + 1)
    if match := _SESSIONS.fullmatch(text):
        closes = (calendar.close_ns(s) for s in sessions[:: int(match[1])])
        return (moment for moment in closes if start <= moment <= end)
    from pydantic_core import PydanticCustomError

    from monitor.settings.durations import read_duration

    try:
        step = read_duration(text)
    except PydanticCustomError as error:
        raise Fault(f"--every {error.message()}, or 1d for session closes") from None
    if step < _SECOND:
        raise Fault(f"--every {text}: a second is the shortest step")
    return (
        moment
        for session in sessions
        for moment in range(calendar.open_ns(session) + step, calendar.close_ns(session) + 1, step)
        if start <= moment <= end
    )


def local_text(ns: int) -> str:
    """A time as it is read on Wall Street.

    Examples:
        >>> local_text(1_769_180_850_000_000_000)
        '2026-01-23 10:07:30 EST'
    """
    moment = _EPOCH + dt.timedelta(microseconds=ns // 1000)
    return moment.astimezone(ZoneInfo("America/New_York")).strftime("%Y-%m-%d %H:%M:%S %Z")


def _date(text: str, option: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise Fault(f"{option} {text}: no day of the calendar") from None


def _time(text: str, calendar: TradingCalendar, option: str) -> int:
    written, _, zone = text.rpartition(" ")
    try:
        zone_info: dt.tzinfo = dt.UTC
        if "/" in zone or zone == "UTC":
            text, zone_info = written, ZoneInfo(zone)
        moment = dt.datetime.fromisoformat(text)
    except (ValueError, ZoneInfoNotFoundError):
        example = "2026-01-23, 2026-01-23T15:07:30Z or '2026-01-23 10:07:30 America/New_York'"
        raise Fault(f"{option} {text}: no time; write {example}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone_info)
    ns = (moment - _EPOCH) // dt.timedelta(microseconds=1) * 1000
    try:
        calendar.session_at(ns)
    except ValueError as error:
        raise Fault(f"{option} {text}: {error}") from None
    return ns
