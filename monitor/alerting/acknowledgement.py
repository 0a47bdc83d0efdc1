"""Acknowledgements: somebody has taken an episode on, and is not told of it again until it is over, or worse."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from monitor.alerting.alert import Alert, rank
from monitor.alerting.decision import Decision, Reason, Stage, passes, stops


class Ack(msgspec.Struct, frozen=True):
    """Who took an episode on, when (UTC ns by the machine's clock), and what was said. Stored in the hash `acks`."""

    by: str
    at: int
    comment: str = ""

    def encode(self) -> bytes:
        """As it is stored."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(data: bytes) -> Ack:
        """The acknowledgement of a stored JSON. Raises msgspec.ValidationError if it is none."""
        return msgspec.json.decode(data, type=Ack)


def decide(alert: Alert, acks: Mapping[str, Ack], told_severity: str | None) -> Decision:
    """Whether a receiver may be told of an alert that somebody may have taken on; None: it was not told before."""
    ack = acks.get(alert.episode)
    if ack is None:
        return passes(Stage.ACKNOWLEDGEMENT, Reason.NOT_ACKNOWLEDGED)
    if told_severity is not None and rank(alert.severity) > rank(told_severity):
        return passes(Stage.ACKNOWLEDGEMENT, Reason.WORSE_THAN_ACKNOWLEDGED, f"by {ack.by}")
    return stops(Stage.ACKNOWLEDGEMENT, Reason.ACKNOWLEDGED, f"by {ack.by}")
