"""Acknowledgements: somebody has taken an episode on, and is not told of it again until it is over, or worse."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from monitor.alerting.alert import Alert, rank
from monitor.alerting.decision import Decision, Reason, Stage, passes, stops

RETENTION: Final = 90 * 24 * 3_600 * 1_000_000_000
"""How long it can be looked up who took on an episode that is over."""
_MAX_NAME: Final = 200
_MAX_COMMENT: Final = 4_000


class AckError(ValueError):
    """An acknowledgement cannot be as it is; the message says why."""


class UnknownEpisode(LookupError):
    """No alert that fires has this episode."""


class Ack(msgspec.Struct, frozen=True):
    """Who took an episode on, when (UTC ns by the machine's clock), and what was said. Stored in the hash `acks`."""

    by: str
    at: int
    comment: str = ""

    @staticmethod
    def by_person(by: str, at: int, comment: str = "") -> Ack:
        """What somebody said. Raises AckError where there is no name, or too much text."""
        by, comment = " ".join(by.split()), comment.strip()
        if not by:
            raise AckError("an acknowledgement needs a name: say who takes it on")
        for what, text, most in (("name", by, _MAX_NAME), ("comment", comment, _MAX_COMMENT)):
            if len(text) > most:
                raise AckError(f"a {what} of {len(text)} characters; {most} are the most")
        return Ack(by, at, comment)

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


def forgotten(acks: Mapping[str, Ack], alerts: Collection[str], wall: int) -> list[str]:
    """Episodes that are over (not among `alerts`), and of which nobody asks any more who had taken them on."""
    return [episode for episode, ack in acks.items() if episode not in alerts and wall >= ack.at + RETENTION]
