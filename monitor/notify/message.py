"""A notification as it waits in the outbox: everything a receiver is told, fixed at the moment of the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

SHOWN: Final = 20
"""Alerts of a message that are shown in full."""


class Kind(StrEnum):
    """What happened to the episode."""

    FIRING = "firing"
    RESOLVED = "resolved"
    NOTE = "note"
    """Nothing: somebody has acknowledged it, or the monitor says that it is there."""


@dataclass(frozen=True, slots=True)
class AlertNotice:
    """One alert of a message. `at`: event time, UTC ns.

    `sequence` counts what a receiver is told of the episode, from 1. In a long message, those that are not
    shown in full have no summary, annotations or evidence.
    """

    episode: str
    kind: Kind
    sequence: int
    alert: str
    member: str
    severity: str
    at: int
    started_at: int
    reason: str
    value: float | None
    value_type: str
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    ack_url: str = ""
    """The link that takes it on: put in as it is sent, never stored."""

    def key(self, receiver: str) -> str:
        """The idempotency key of this alert's telling."""
        return f"{self.episode}:{self.kind}:{self.sequence}:{receiver}"


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one receiver, of one alert or of a group.

    Of one alert, the fields are that alert's, and `alerts` is empty. Of a group, `alerts` are its news, those that fire
    first; `episode` names the message, `kind` is firing where one of them fires, `severity` the highest, and `summary`
    counts them. `group_key` and `group_labels` say what the alerts have in common; empty where they are not grouped.
    """

    episode: str
    kind: Kind
    sequence: int
    receiver: str
    alert: str
    member: str
    severity: str
    at: int
    started_at: int
    reason: str
    value: float | None
    value_type: str
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    ack_url: str = ""

    group_key: str = ""
    group_labels: Mapping[str, str] = field(default_factory=dict)
    alerts: tuple[AlertNotice, ...] = ()

    @property
    def notices(self) -> tuple[AlertNotice, ...]:
        """What it tells, an alert each; at least one."""
        if self.alerts:
            return self.alerts
        return (AlertNotice(**{name: getattr(self, name) for name in AlertNotice.__dataclass_fields__}),)

    @property
    def line(self) -> str:
        """Messages of one line are delivered one after the other: those of an episode, or of a group."""
        return self.group_key or self.episode

    @property
    def key(self) -> str:
        """The idempotency key: a message that arrives twice carries the same one."""
        return f"{self.episode}:{self.kind}:{self.sequence}:{self.receiver}"

    def encode(self) -> dict[str, bytes]:
        """The outbox entry's fields."""
        return {
            "key": self.key.encode(),
            "episode": self.episode.encode(),
            "kind": self.kind.encode(),
            "receiver": self.receiver.encode(),
            "notification": msgspec.json.encode(asdict(self)),
        }

    @staticmethod
    def decode(fields: Mapping[str, bytes]) -> Notification:
        """The notification of an outbox entry.

        Raises msgspec.DecodeError or msgspec.ValidationError if it is not one.
        """
        return msgspec.json.decode(fields["notification"], type=Notification)
