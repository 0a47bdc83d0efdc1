"""A verdict: all that was decided of one alert for one receiver at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from monitor.alerting.decision import Decision


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that was decided of one alert for one receiver at a time (UTC ns by the daemon's clock)."""

    at: int
    episode: str
    alert: str
    member: str
    receiver: str
    decisions: tuple[Decision, ...]

    @property
    def last(self) -> Decision:
        """The decision that counts."""
        return self.decisions[-1]

    def encode(self) -> dict[str, bytes]:
        """As an entry of the stream `decisions`: the fields people filter by, and all of it as JSON."""
        return {
            "alert": self.alert.encode(),
            "episode": self.episode.encode(),
            "receiver": self.receiver.encode(),
            "verdict": msgspec.json.encode(self),
        }

    @staticmethod
    def decode(fields: Mapping[str, bytes]) -> Verdict:
        """The verdict of a stream entry. Raises msgspec.ValidationError if it is none."""
        return msgspec.json.decode(fields["verdict"], type=Verdict)
