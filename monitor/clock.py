"""The only module that reads the machine's clocks; everything else is handed a time."""

from __future__ import annotations

import time


def wall_ns() -> int:
    """This machine's idea of the time, UTC nanoseconds. It may step; use it for stamps, not for waiting."""
    return time.time_ns()  # noqa: TID251 - this is the clock


def monotonic() -> float:
    """Seconds that never go back, for deadlines and back-off."""
    return time.monotonic()


def worked() -> float:
    """Seconds that the calling thread has kept a processor busy: what its work costs, however busy the machine is."""
    return time.thread_time()
