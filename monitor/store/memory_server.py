"""What a server would hold, in memory."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from monitor.clock import monotonic, wall_ns
from monitor.store.base import Checkpoint, DeadLetter, JournalEntry, JournalId


@dataclass(slots=True)
class Waiting:
    """A notification in the outbox; handed out to `consumer` at `since` (monotonic seconds), both None before."""

    fields: dict[str, bytes]
    deliveries: int = 0
    since: float | None = None
    consumer: str | None = None


@dataclass
class MemoryServer:
    """What a server would hold. Stores may share one, as daemons share a server; `available` False takes it from all.

    `clock` (monotonic seconds) tells how long a notification has been out for delivery; `wall` (UTC ns) dates what a
    server would date itself.
    """

    available: bool = True
    clock: Callable[[], float] = monotonic
    wall: Callable[[], int] = wall_ns
    leader: str = ""
    lease_ends: float = 0.0
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    lines: dict[str, str] = field(default_factory=dict)
    """Who holds a vendor's line, and until when (monotonic seconds)."""
    last: JournalId | None = None
    journal: list[JournalEntry] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    bars: dict[tuple[str, str], bytes] = field(default_factory=dict)
    instances: dict[str, bytes] = field(default_factory=dict)
    transitions: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    quotes: dict[str, dict[str, str]] = field(default_factory=dict)
    outbox: dict[str, Waiting] = field(default_factory=dict)
    last_outbox: tuple[int, int] = (0, 0)
    """The newest id that the outbox ever had."""
    dead: list[DeadLetter] = field(default_factory=list)
    notified: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    step: JournalId | None = None
    ledger: dict[str, bytes] = field(default_factory=dict)
    decisions: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    records: dict[str, dict[str, bytes]] = field(default_factory=dict)
    audit: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, ids: Iterable[str], entries: Iterable[Mapping[str, bytes]]) -> None:
        """Entries for the outbox, in order."""
        for stream_id, fields in zip(ids, entries, strict=True):
            self.outbox[stream_id] = Waiting(dict(fields))
            self.last_outbox = order(JournalId.parse(stream_id))
            self.changed.set()

    def next_id(self, last: str | None) -> str:
        """An id of the machine's clock, later than `last`."""
        ms = self.wall() // 1_000_000
        before = JournalId.parse(last) if last else JournalId(0, 0)
        return f"{ms}-0" if ms > before.ms else f"{before.ms}-{before.sequence + 1}"


def order(position: JournalId) -> tuple[int, int]:
    """What positions are sorted by."""
    return position.ms, position.sequence
