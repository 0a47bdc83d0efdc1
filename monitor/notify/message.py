"""A notification as it waits in the outbox: everything a receiver is told, fixed at the moment of the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import msgspec


class Kind(StrEnum):
    """What happened to the episode."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one receiver. `at`: event time, UTC ns. `sequence` counts the messages of the episode, from 1."""

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
