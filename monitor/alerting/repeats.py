"""The repeat schedule: after which time a receiver is told again of an alert that still fires."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from monitor.calendar import TradingCalendar
from rules.fields import duration_ns

NEXT_OPEN: Final = "next_open"


def parse(words: Sequence[str]) -> tuple[int | None, ...]:
    """The intervals of a schedule such as ``["15m", "1h", "next_open"]``: ns, or None for the next regular open."""
    return tuple(None if word == NEXT_OPEN else duration_ns(word)[0] for word in words)


def next_due(schedule: Sequence[str], repeats: int, since: int, calendar: TradingCalendar) -> int | None:
    """When the repeat after `repeats` others is due, `since` being when the last message was; None where none follows.

    The n-th repeat comes after the n-th interval, and the last interval goes on for ever.
    """
    if not schedule:
        return None
    interval = parse(schedule)[min(repeats, len(schedule) - 1)]
    return calendar.open_after(since) if interval is None else since + interval
