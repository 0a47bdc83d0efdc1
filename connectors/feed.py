"""The seam between a vendor's protocol and the transport that carries it.

A feed turns bytes into a :class:`~connectors.batch.Batch` and says what to send; it does no input or output and knows
no clock, so the same parser serves the live socket, a replayed capture and the tests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol
from urllib.parse import urlencode

from connectors.batch import Batch, Notice

Frame = str | bytes


@dataclass(frozen=True, slots=True)
class Address:
    """Where a feed is reached: a URL, the headers the vendor wants, and what the vendor allows on a line."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    lifetime: float | None = None
    """Seconds after which a line is replaced, the new one first: less than the vendor gives it. None: no end."""
    pace: float = 0.0
    """Seconds between two messages to the vendor, at least."""
    consents: bool = True
    """Whether the vendor says that the sign-in or a subscription is good; where not, an open line is."""
    one_connection_per_key: str = field(default="", repr=False)
    """The key, where the vendor gives it one line at a time and refuses, or ends, others. Empty: any number."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Parameters of the URL that are in no text, such as a key."""

    def target(self) -> str:
        """The URL with its secret parameters: what is connected to, and shown nowhere."""
        if not self.secrets:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode(self.secrets)}"


class Remedy(Enum):
    """What to do about an error a vendor reported; decided in one function a feed."""

    IGNORE = "ignore"
    """Count and log it; the connection is good."""
    RECONNECT = "reconnect"
    """As a dropped line: reconnect with back-off."""
    WAIT = "wait"
    """A limit that frees itself (another session holds the line): try again after a long pause."""
    STOP = "stop"
    """Trying again cannot help (credentials, subscription plan, symbol limit): stop until the configuration changes."""


class FeedStatus(StrEnum):
    """Where a feed's connection stands, as the page, the metrics and ``doctor`` show it."""

    CONNECTING = "connecting"
    LIVE = "live"
    SILENT = "silent"
    BACKING_OFF = "backing off"
    STOPPED = "stopped"


class Feed(Protocol):
    """One connection's protocol, without I/O.

    One object serves one connection after the other: `greeting` starts afresh.
    """

    name: str

    def address(self) -> Address:
        """Where to connect."""

    def greeting(self) -> Sequence[Frame]:
        """Start of a new connection: forget the old one's progress; what to send at once, if anything."""

    def reply(self, notice: Notice) -> Sequence[Frame]:
        """What to send in answer to a control message (credentials, then the subscription)."""

    def subscribe(self, symbols: Collection[str]) -> Sequence[Frame]:
        """Make `symbols` the wanted set; what to send now for the difference (nothing before sign-in)."""

    def parse(self, frames: Sequence[Frame], received_at: int) -> Batch:
        """The frames' content in columns. Never raises: what cannot be read is counted by cause in the batch."""

    def remedy(self, notice: Notice) -> Remedy:
        """What to do about an error notice."""
