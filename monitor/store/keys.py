"""Names of the store's keys, and ids of what one commit appends.

Others read these keys, so the names are a promise. The number in braces is the partition; the braces are literal: they
are the hash tag that would keep a partition on one node of a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from monitor.store.base import JournalId

GROUP: Final = "notifiers"
"""The outbox's consumer group."""

ENTRIES_PER_COMMIT: Final = 1_000_000
"""How many transitions, or notifications, one commit may carry: what is left of a stream id for their number."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one monitor.

    >>> Keys().journal
    'rotation:journal:{0}'
    >>> Keys().bars("1m", "2026-01-23T15:07")
    'rotation:bars:1m:{0}:2026-01-23T15:07'
    """

    prefix: str = "rotation:"
    partition: int = 0

    @property
    def leader(self) -> str:
        """String ``{epoch}:{owner}``: the lease."""
        return f"{self.prefix}leader"

    @property
    def leader_alive(self) -> str:
        """String, as `leader`: gone when the lease was not renewed."""
        return f"{self.prefix}leader:alive"

    @property
    def salt(self) -> str:
        """String: random bytes that secrets are hashed with."""
        return f"{self.prefix}salt"

    def line(self, name: str) -> str:
        """String: who holds a vendor's line; gone when that was not prolonged."""
        return f"{self.prefix}line:{name}"

    @property
    def journal(self) -> str:
        """Stream: one entry a micro-batch."""
        return f"{self.prefix}journal:{{{self.partition}}}"

    @property
    def checkpoint(self) -> str:
        """Hash: ``frame:{name}`` (Arrow IPC), ``covers`` (a journal id), ``lease`` (who wrote it)."""
        return f"{self.prefix}checkpoint:{{{self.partition}}}"

    @property
    def instances(self) -> str:
        """Hash: alert instances as JSON."""
        return f"{self.prefix}instances"

    @property
    def transitions(self) -> str:
        """Stream: every transition with its evidence."""
        return f"{self.prefix}transitions"

    @property
    def outbox(self) -> str:
        """Stream: notifications to deliver."""
        return f"{self.prefix}outbox"

    @property
    def dead(self) -> str:
        """Stream: notifications that were given up, with their ``outcome``."""
        return f"{self.prefix}dead"

    @property
    def ledger(self) -> str:
        """Hash: what the dispatcher knows: open alerts, who was told what, when groups were told, ``cursor``."""
        return f"{self.prefix}ledger"

    @property
    def decisions(self) -> str:
        """Stream: why somebody was, or was not, told."""
        return f"{self.prefix}decisions"

    @property
    def audit(self) -> str:
        """Stream: what people and programs changed, or tried to."""
        return f"{self.prefix}audit"

    def records(self, name: str) -> str:
        """Hash: ``silences`` or ``acks``."""
        return f"{self.prefix}{name}"

    @property
    def notified(self) -> str:
        """Hash: idempotency key -> outcome."""
        return f"{self.prefix}notified"

    @property
    def notified_order(self) -> str:
        """Sorted set: the idempotency keys of ``notified`` by age, so that the oldest can be forgotten."""
        return f"{self.prefix}notified:order"

    def quote(self, symbol: str) -> str:
        """Hash: the last quote of a symbol."""
        return f"{self.prefix}quote:{symbol}"

    def bars(self, resolution: str, name: str) -> str:
        """String: one chunk of closed bars, Arrow IPC."""
        return f"{self.bar_names(resolution)}:{name}"

    def bar_names(self, resolution: str) -> str:
        """Sorted set: the names of a resolution's chunks, all with score 0, so in order of name."""
        return f"{self.prefix}bars:{resolution}:{{{self.partition}}}"


def stream_ids(journal: JournalId, count: int) -> list[str]:
    """Ids for the transitions (or notifications) of one commit: the same at each repetition, rising with the journal's.

    Raises ValueError where one commit has too many.

    >>> stream_ids(JournalId(1769180850000, 2), 2)
    ['1769180850000-2000001', '1769180850000-2000002']
    """
    if count >= ENTRIES_PER_COMMIT:
        raise ValueError(f"commit {journal} has {count} entries for one stream; {ENTRIES_PER_COMMIT - 1} are possible")
    first = journal.sequence * ENTRIES_PER_COMMIT + 1
    return [f"{journal.ms}-{first + number}" for number in range(count)]
