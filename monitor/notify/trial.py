"""A test message: shows that a receiver is reached, and nothing else."""

from __future__ import annotations

from monitor.notify import values
from monitor.notify.message import Kind, Notification

ALERT = "notify-test"


def trial(receiver: str, by: str, at: int) -> Notification:
    """The message that somebody sends to a receiver at a time (UTC ns). Each is a message of its own."""
    return Notification(
        episode=f"{ALERT}@{at}",
        kind=Kind.NOTE,
        sequence=1,
        receiver=receiver,
        alert=ALERT,
        member="",
        severity="info",
        at=at,
        started_at=at,
        reason="test",
        value=None,
        value_type="",
        summary=f"Test message to {receiver}, sent by {by} at {values.utc(at)}: nothing has happened",
    )
