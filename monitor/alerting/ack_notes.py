"""Short messages that say who has taken on what a receiver was told of, or has given it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from monitor.alerting.acknowledgement import Ack
from monitor.alerting.alert import Alert
from monitor.alerting.ledger import Ledger, Told
from monitor.alerting.policy import Policy
from monitor.notify.compose import message
from monitor.notify.message import Kind, Notification

_LONGEST: Final = 300
"""Characters of what is said."""


def due(
    ledger: Ledger, acks: Mapping[str, Ack], policy: Policy, at: int
) -> Iterator[tuple[str, str, Told, Notification]]:
    """What is to be said now: episode, receiver, what the ledger is to note, the message.

    Receivers with a digest are not told: they hear of an alert when it is no longer urgent.
    """
    for episode, receivers in ledger.told.items():
        alert = ledger.alerts.get(episode)
        if alert is None or not alert.open:
            continue
        ack = acks.get(episode)
        for receiver, last in receivers.items():
            limits = policy.limits_of(receiver)
            changed = last.kind is Kind.FIRING and last.acknowledged != (ack.at if ack else 0)
            if changed and limits.tell_acks and limits.digest is None:
                told = replace(last, sequence=last.sequence + 1, acknowledged=ack.at if ack else 0)
                yield episode, receiver, told, _note(alert, ack, receiver, told.sequence, at)


def _note(alert: Alert, ack: Ack | None, receiver: str, sequence: int, at: int) -> Notification:
    """The message; `ack` None: nobody has it any more."""
    words = f"acknowledged by {ack.by}" if ack else "not acknowledged any more"
    text = f"{words}: {ack.comment}" if ack and ack.comment else words
    notice = replace(
        alert.notice(Kind.NOTE, sequence),
        at=at,
        reason="acknowledged" if ack else "acknowledgement withdrawn",
        summary=" ".join(text.split())[:_LONGEST],
        annotations={},
        evidence={},
    )
    return message(receiver, [notice])
