"""Named points at which a test has the process killed, to prove that a crash there loses nothing.

``ROTATION_FAULT=settle.due`` kills the process where it comes to that point, ``settle.due@3`` where it comes to it for
the third time. Without the variable, which is read once, a point is a call of a function that does nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "ROTATION_FAULT"
POINTS: Final = (
    "start.loaded",  # what the last process left is known, nothing is done about it yet
    "commit.taken",  # decided, not written
    "commit.written",  # written, the dispatcher has not heard of it
    "commit.told",  # the dispatcher has heard of it, the feed's receipts are not given
    "checkpoint.taken",
    "checkpoint.written",
    "dispatch.decided",  # who is told is decided, not written
    "dispatch.written",  # in the outbox, nobody has read it
    "outbox.read",  # handed out by the store, in no lane yet
    "delivery.due",  # nothing sent
    "delivery.answered",  # the service has answered
    "settle.due",  # the outcome is known, not written
    "settle.written",
)
"""In the order in which an alert comes by them."""


def _nothing(_point: str) -> None:
    """No fault is wanted."""


def _killing(wanted: str) -> Callable[[str], None]:
    """What ends the process at a point. Raises ValueError for one that there is not, or a count that is none."""
    name, _, count = wanted.partition("@")
    left = int(count or 1)
    if name not in POINTS or left < 1:
        raise ValueError(f"{VARIABLE}={wanted}: must be one of {', '.join(POINTS)}, with @2 for the second time there")

    def fault(point: str) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    return fault


fault: Final = _killing(os.environ[VARIABLE]) if VARIABLE in os.environ else _nothing
"""Called where the process comes to a point."""
