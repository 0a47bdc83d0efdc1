"""What the daemon needs of a store; one contract, kept by the Valkey/Redis store and by the memory store of the tests.

Everything that must survive a crash passes through :meth:`Store.commit`: the journal entry and the transitions it led
to become visible together or not at all; who is told of them passes through :meth:`Store.dispatch` in the same way. A
commit is idempotent by its journal id, so it can be repeated after a time-out without writing twice, and it is refused
when another daemon has taken the lease.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

LEASE_MS: Final = 2_000
"""How long a lease lasts that is not renewed: then another daemon may take it."""


class StoreError(Exception):
    """Base of the store's errors.

    StoreError
    ├── StoreUnavailable   try again: nothing is known to be lost
    ├── LeaseLost          stop: another daemon writes now
    │   └── StoreRewound   stop: the server has lost what it had acknowledged
    └── StoreRefused       the server said no in a way that trying again will not change (wrong type, no permission, no
    memory)
    """


class StoreUnavailable(StoreError):
    """The store did not answer in time, or the connection broke. What was sent may or may not have been done."""


class LeaseLost(StoreError):
    """A newer epoch holds the lease: the store refused the write."""


class StoreRewound(LeaseLost):
    """The server no longer has what it had acknowledged (restarted without its data, or from an older copy).

    It counts as a lost lease: nothing may be written before :meth:`Store.acquire`, and what is missing since
    :meth:`Store.last_journal_id` has to be written again.
    """


class StoreRefused(StoreError):
    """The server refused a command for good; the message is its own."""


@dataclass(frozen=True, slots=True, order=True)
class JournalId:
    """A journal position, ordered; the stream id ``{ms}-{sequence}``.

    `ms` never goes back even if the wall clock does.
    """

    ms: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.sequence}"

    @staticmethod
    def parse(text: str) -> JournalId:
        """The position written as ``{ms}-{sequence}``."""
        ms, _, sequence = text.partition("-")
        return JournalId(int(ms), int(sequence or 0))


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One micro-batch.

    `fields` are Arrow IPC by kind (``quotes``, ``trades``, ...) and small meta fields, all bytes.
    """

    id: JournalId
    fields: Mapping[str, bytes]


_QUOTE_BYTES: Final = 800
"""What a quote's fields take as Python's texts."""
POSITIONS: Final = "positions"
"""The records of where readers stand in what they read."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One step of the daemon: an ingested micro-batch and everything it led to.

    `instances`: hash field -> JSON, None removes it. `transitions`: stream entries, in order. `quotes`: last quotes to
    publish, symbol -> hash fields (the pipeline limits them to one a second for each symbol). `positions`: where the
    readers of what was ingested stand now, by name, kept among the records of :data:`POSITIONS`.
    """

    entry: JournalEntry
    instances: Mapping[str, bytes | None] = field(default_factory=dict)
    transitions: Sequence[Mapping[str, bytes]] = ()
    quotes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    positions: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes, near enough to bound a buffer."""
        return (
            sum(len(v) for v in self.entry.fields.values())
            + sum(len(v) for e in self.transitions for v in e.values())
            + sum(len(v) for v in self.positions.values())
            + sum(len(v or b"") for v in self.instances.values())
            + _QUOTE_BYTES * len(self.quotes)
            + 256
        )


@dataclass(frozen=True, slots=True)
class BarChunk:
    """Closed bars, as Arrow IPC of ``ts, symbol, open, high, low, close, volume``.

    `name` sorts by time within its resolution.
    """

    resolution: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The rolling frames after the journal entry `covers`, Arrow IPC by name, and the bars that closed since the last.

    `replaces` names chunks that the new ones stand for, removed in the same step. `revisions`, Arrow IPC, is no part of
    what is written: what is to be changed in stored bars before (:func:`monitor.revised_bars.with_revisions`).
    """

    covers: JournalId
    frames: Mapping[str, bytes]
    bars: Sequence[BarChunk] = ()
    replaces: Sequence[tuple[str, str]] = ()
    revisions: bytes = b""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One step of the dispatcher: who is told what, and why.

    `id` rises from step to step as a journal position does; `previous` is the one that must be there, None where that
    is not known. `ledger`: hash field -> JSON, None removes it. `outbox` and `decisions`: stream entries, in order. The
    ledger's field :data:`STEP` is the store's own: the newest step's id.
    """

    id: JournalId
    previous: JournalId | None = None
    ledger: Mapping[str, bytes | None] = field(default_factory=dict)
    outbox: Sequence[Mapping[str, bytes]] = ()
    decisions: Sequence[Mapping[str, bytes]] = ()

    @property
    def size(self) -> int:
        """Bytes, near enough to bound a buffer."""
        entries = (*self.outbox, *self.decisions)
        return sum(len(v or b"") for v in self.ledger.values()) + sum(len(v) for e in entries for v in e.values()) + 256


STEP: Final = "step"
"""The ledger's field that holds the id of the newest step."""

TRANSITIONS: Final = "transitions"
DECISIONS: Final = "decisions"
SILENCES: Final = "silences"
ACKS: Final = "acks"


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A notification to deliver.

    Its stream id, the number of times it was handed out (1 the first time), its fields.
    """

    id: str
    deliveries: int
    fields: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A notification that was given up.

    `id` is its place among the dead, ``{UTC ms}-{number}``, oldest lowest; `fields` are those of its outbox entry;
    `outcome` is what it was settled with.
    """

    id: str
    fields: Mapping[str, bytes]
    outcome: bytes


class Store(Protocol):
    """See the module. Every method raises :class:`StoreUnavailable` when the server is away, within its time-out."""

    async def open(self) -> None:
        """Connect and check the server's version; create the outbox's consumer group."""

    async def close(self) -> None:
        """Let go of connections. Safe to call twice."""

    async def ping(self) -> None:
        """Return if the store answers."""

    async def acquire(self, owner: str) -> int:
        """Take the lease; the new epoch, higher than any before. Older epochs are refused from now on."""

    async def claim(self, owner: str) -> str:
        """Take the lease if nobody else's lasts; '' if it is ours now, otherwise who holds it (``{epoch}:{owner}``)."""

    async def renew(self) -> None:
        """Make the lease last for another :data:`LEASE_MS`. Raises LeaseLost where another epoch is newer."""

    async def release(self) -> None:
        """Let another take the lease at once. Raises LeaseLost where one has it already."""

    async def salt(self) -> bytes:
        """Random bytes, made once for all that share the store: what a secret is hashed with that is compared here."""

    async def hold_line(self, line: str, owner: str, beat: str, ended: str = "") -> str:
        """Take the right to a vendor's line or keep it, which `beat` shows to others, or let it go ('').

        Returns '' if done, otherwise who has it, a line feed, and its beat. It lasts until it is let go, or taken by
        who gives such an answer as `ended`: that beat was the holder's last, and is no more if it has beaten since.
        """

    async def commit(self, commits: Sequence[Commit]) -> None:
        """Make the commits durable, in order, each atomically. One already made (same journal id) is passed over.

        Raises LeaseLost where another epoch is newer.
        """

    async def last_journal_id(self) -> JournalId | None:
        """The newest position ever used, even if its entry was trimmed."""

    def journal(self, after: JournalId | None) -> AsyncIterator[JournalEntry]:
        """Entries later than `after`, oldest first; None is from the start."""

    async def trim_journal(self, before_ms: int, most_bytes: int | None = None) -> None:
        """Forget entries older than `before_ms`, and the oldest of more than `most_bytes`, that a checkpoint covers.

        How many bytes there are is estimated: it comes near that bound when it is called again and again.
        """

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Frames, position and bars in one step, refused for an old epoch."""

    async def checkpoint_covers(self) -> JournalId | None:
        """The journal entry up to which the last checkpoint goes."""

    async def load_checkpoint(self) -> Checkpoint | None:
        """The last one, without bars."""

    async def save_bars(self, chunks: Sequence[BarChunk]) -> None:
        """Write chunks outside a checkpoint (history import); same names are replaced."""

    async def bar_chunks(self, resolution: str, since: str = "") -> list[str]:
        """Names of the stored chunks of a resolution (``1m``, ``1d``), oldest first, from `since` on."""

    async def load_bars(self, resolution: str, names: Sequence[str]) -> list[BarChunk]:
        """The named chunks; a name that is not stored any more is left out."""

    async def drop_bars(self, resolution: str, names: Sequence[str]) -> None:
        """Remove chunks that have expired."""

    async def instances(self) -> dict[str, bytes]:
        """All alert instances, by hash field."""

    async def transitions(self, limit: int, episode: str | None = None) -> list[tuple[str, dict[str, bytes]]]:
        """The newest transitions, newest first; of one episode only where given."""

    async def transitions_after(self, after: str, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """The oldest transitions later than the stream id `after` (all, where it is empty), oldest first."""

    async def page(self, stream: str, before: str, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """Entries of :data:`TRANSITIONS` or :data:`DECISIONS` older than a stream id ('': the newest), newest first."""

    async def trim_history(self, before_ms: int, most: int = 1_000) -> int:
        """Forget what was stored before a time (UTC ms); how many entries are gone, 0 where nothing is left to do.

        Transitions, decisions, outcomes of notifications, dead letters, the audit log: at most so many of each. Some of
        the newest of what is too old may stay. Raises LeaseLost where another epoch is newer.
        """

    async def dispatch(self, step: Dispatch) -> None:
        """Make a step durable: ledger, outbox and decisions together or not at all. One made before is passed over.

        Raises LeaseLost where another epoch is newer, StoreRewound where the step before this one is not there.
        """

    async def ledger(self) -> dict[str, bytes]:
        """Every field of the ledger."""

    async def decisions(self, limit: int, alert: str | None = None) -> list[tuple[str, dict[str, bytes]]]:
        """The newest decisions, newest first; of one alert rule only where given."""

    async def add_audit(self, entries: Sequence[Mapping[str, bytes]]) -> None:
        """Append to the audit log, whoever holds the lease; the oldest entries make room."""

    async def audit(self, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """The newest entries of the audit log, newest first."""

    async def records(self, name: str) -> dict[str, bytes]:
        """What people have said: every field of the hash :data:`SILENCES` or :data:`ACKS`."""

    async def keep_records(self, name: str, records: Mapping[str, bytes | None]) -> None:
        """Set fields of that hash, and remove those that are None, in one step; refused for an old epoch."""

    async def take_outbox(self, consumer: str, count: int, block_ms: int) -> list[OutboxEntry]:
        """New notifications for this consumer, waiting up to `block_ms` for the first. Uses a connection of its own."""

    async def pending_outbox(self, consumer: str, count: int, idle_ms: int) -> list[OutboxEntry]:
        """Notifications handed out before to anyone and not settled for `idle_ms`, claimed for this consumer."""

    async def settle_outbox(self, entry: OutboxEntry, key: str, outcome: bytes, *, dead: bool) -> None:
        """Acknowledge, and note the outcome under the idempotency key in `notified`, in one step.

        Where `dead`, the entry goes to the `dead` stream. Raises LeaseLost where another epoch is newer.
        """

    async def notified(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Outcomes of those idempotency keys that have one."""

    async def outbox_depth(self) -> tuple[int, int]:
        """Notifications waiting or being retried, and dead ones."""

    async def dead_letters(self, limit: int, before: str = "") -> list[DeadLetter]:
        """Notifications that were given up before an id ('': the newest), newest first."""

    async def requeue(self, ids: Sequence[str]) -> list[str]:
        """Put dead letters back into the outbox, in one step for all, without the outcome noted under their keys.

        Those whose id is no dead letter's (any more) are passed over; the ids of the others are given back. Raises
        LeaseLost where another epoch is newer.
        """
