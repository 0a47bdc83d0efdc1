"""How many messages a minute a receiver can take; what is more is gathered into the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from monitor.alerting.policy import Limits

MINUTE: Final = 60_000_000_000


def free_at(limits: Limits, sent_at: Sequence[int], at: int) -> int | None:
    """When the receiver can be sent a message that it cannot be sent at `at`; None where it can."""
    recent = _recent(sent_at, at)
    if limits.max_per_minute is None or len(recent) < limits.max_per_minute:
        return None
    return recent[-limits.max_per_minute] + MINUTE


def sent(sent_at: Sequence[int], at: int) -> tuple[int, ...]:
    """The times that count after one more message at `at`."""
    return (*_recent(sent_at, at), at)


def _recent(sent_at: Sequence[int], at: int) -> list[int]:
    """Those of the last minute; one after `at` is of a clock that was wrong."""
    return [time for time in sent_at if at - MINUTE < time <= at]
