"""A store in memory, for tests and backtests: the same contract, nothing survives the process."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping, Sequence

from monitor.store.base import (
    LEASE_MS,
    POSITIONS,
    STEP,
    TRANSITIONS,
    BarChunk,
    Checkpoint,
    Commit,
    DeadLetter,
    Dispatch,
    JournalEntry,
    JournalId,
    LeaseLost,
    OutboxEntry,
    StoreRefused,
    StoreRewound,
    StoreUnavailable,
)
from monitor.store.keys import stream_ids
from monitor.store.memory_server import MemoryServer, order

__all__ = ["MemoryServer", "MemoryStore"]


class MemoryStore:
    """The contract of :class:`~monitor.store.base.Store` on a :class:`MemoryServer`, its own unless one is given."""

    def __init__(
        self,
        server: MemoryServer | None = None,
        *,
        transitions_kept: int = 200_000,
        dead_kept: int = 10_000,
        outcomes_kept: int = 200_000,
        decisions_kept: int = 200_000,
    ) -> None:
        self._decisions_kept = decisions_kept
        self.server = server or MemoryServer()
        self._transitions_kept = transitions_kept
        self._dead_kept = dead_kept
        self._outcomes_kept = outcomes_kept
        self._lease = ""
        self._acknowledged: JournalId | None = None

    async def open(self) -> None:
        """Nothing to connect to; the server must be there."""
        self._there()

    async def close(self) -> None:
        """Nothing to let go of."""

    async def ping(self) -> None:
        """Return if the server is there."""
        self._there()

    async def acquire(self, owner: str) -> int:
        """Take the lease from whoever holds it; the new epoch."""
        server = self._there()
        epoch = int(server.leader.partition(":")[0] or 0) + 1
        self._lease = server.leader = f"{epoch}:{owner}"
        server.lease_ends = server.clock() + LEASE_MS / 1000
        self._acknowledged = None
        return epoch

    async def claim(self, owner: str) -> str:
        """Take the lease if nobody else's lasts; otherwise who holds it."""
        server = self._there()
        if server.clock() < server.lease_ends and server.leader.partition(":")[2] != owner:
            return server.leader
        await self.acquire(owner)
        return ""

    async def renew(self) -> None:
        """Make the lease last."""
        self._held().lease_ends = self.server.clock() + LEASE_MS / 1000

    async def release(self) -> None:
        """Let another take the lease."""
        self._held().lease_ends = 0.0

    async def salt(self) -> bytes:
        """Random bytes, made once for all that share the server."""
        return self._there().salt

    async def hold_line(self, line: str, owner: str, beat: str, ended: str = "") -> str:
        """Take, prolong or let go the right to a vendor's line."""
        server = self._there()
        held = server.lines.get(line, "")
        if held not in ("", ended) and held.rpartition("\n")[0] != owner:
            return held
        if beat:
            server.lines[line] = f"{owner}\n{beat}"
        else:
            server.lines.pop(line, None)
        return ""

    # Commits and the journal

    async def commit(self, commits: Sequence[Commit]) -> None:
        """Make the commits, in order."""
        self._need_lease()
        for commit in commits:
            self._held()
            self._commit(commit)
            self._acknowledged = commit.entry.id

    def _commit(self, commit: Commit) -> None:
        server, journal_id = self.server, commit.entry.id
        if server.last is not None and order(journal_id) <= order(server.last):
            return
        if self._acknowledged is not None and (server.last is None or order(server.last) < order(self._acknowledged)):
            raise StoreRewound(
                f"the journal ends at {server.last} and {self._acknowledged} must come before {journal_id}"
            )
        if not commit.entry.fields:
            raise StoreRefused(f"journal entry {journal_id} has no fields")
        transition_ids = stream_ids(journal_id, len(commit.transitions))
        server.last = journal_id
        server.journal.append(JournalEntry(journal_id, dict(commit.entry.fields)))
        for name, data in commit.instances.items():
            if data is None:
                server.instances.pop(name, None)
            else:
                server.instances[name] = data
        server.transitions += zip(transition_ids, map(dict, commit.transitions), strict=True)
        del server.transitions[: -self._transitions_kept]
        if commit.positions:
            server.records.setdefault(POSITIONS, {}).update(commit.positions)
        for symbol, fields in commit.quotes.items():
            if fields:
                server.quotes.setdefault(symbol, {}).update(fields)

    async def last_journal_id(self) -> JournalId | None:
        """The newest position ever used."""
        return self._there().last

    async def journal(self, after: JournalId | None) -> AsyncIterator[JournalEntry]:
        """Entries later than `after`, oldest first; also those that are added meanwhile."""
        position = order(after) if after else (-1, -1)
        while True:
            entries = self._there().journal
            number = bisect_right(entries, position, key=lambda entry: order(entry.id))
            if number == len(entries):
                return
            position = order(entries[number].id)
            yield entries[number]

    async def trim_journal(self, before_ms: int, most_bytes: int | None = None) -> None:
        """Forget entries that are older, or too many, but none that the checkpoint does not cover."""
        server = self._there()
        if server.checkpoint is not None:
            size = 0
            for entry in reversed(server.journal if most_bytes is not None else ()):
                size += sum(map(len, entry.fields.values()))
                if most_bytes is not None and size > most_bytes:
                    before_ms = max(before_ms, entry.id.ms + 1)
                    break
            oldest_kept = min((before_ms, 0), order(server.checkpoint.covers))
            server.journal = [entry for entry in server.journal if order(entry.id) >= oldest_kept]

    # Checkpoint and bars

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Frames, position and bars in one step. One older than the stored one is passed over."""
        server = self._held()
        if server.checkpoint is not None and order(checkpoint.covers) < order(server.checkpoint.covers):
            return
        server.checkpoint = Checkpoint(covers=checkpoint.covers, frames=dict(checkpoint.frames))
        for replaced in checkpoint.replaces:
            server.bars.pop(replaced, None)
        server.bars.update({(chunk.resolution, chunk.name): chunk.data for chunk in checkpoint.bars})

    async def checkpoint_covers(self) -> JournalId | None:
        """Up to where the last checkpoint goes."""
        checkpoint = self._there().checkpoint
        return checkpoint.covers if checkpoint else None

    async def load_checkpoint(self) -> Checkpoint | None:
        """The last checkpoint, without bars."""
        return self._there().checkpoint

    async def save_bars(self, chunks: Sequence[BarChunk]) -> None:
        """Write chunks; those of the same name are replaced."""
        self._there().bars.update({(chunk.resolution, chunk.name): chunk.data for chunk in chunks})

    async def bar_chunks(self, resolution: str, since: str = "") -> list[str]:
        """Names of the stored chunks from `since` on, oldest first."""
        names = (name for stored, name in self._there().bars if stored == resolution)
        return sorted((name for name in names if name.encode() >= since.encode()), key=str.encode)

    async def load_bars(self, resolution: str, names: Sequence[str]) -> list[BarChunk]:
        """The named chunks that are stored."""
        bars = self._there().bars
        return [BarChunk(resolution, name, bars[resolution, name]) for name in names if (resolution, name) in bars]

    async def drop_bars(self, resolution: str, names: Sequence[str]) -> None:
        """Remove chunks."""
        for name in names:
            self._there().bars.pop((resolution, name), None)

    # Alerts

    async def instances(self) -> dict[str, bytes]:
        """All alert instances."""
        return dict(self._there().instances)

    async def transitions(self, limit: int, episode: str | None = None) -> list[tuple[str, dict[str, bytes]]]:
        """The newest transitions, newest first; those whose field ``episode`` is the given one."""
        newest_first = reversed(self._there().transitions)
        return [t for t in newest_first if episode is None or t[1].get("episode") == episode.encode()][:limit]

    async def transitions_after(self, after: str, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """The oldest transitions later than a stream id, oldest first."""
        since = order(JournalId.parse(after)) if after else (-1, -1)
        return [t for t in self._there().transitions if order(JournalId.parse(t[0])) > since][:limit]

    async def page(self, stream: str, before: str, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """Entries of a stream older than an id, newest first."""
        server = self._there()
        entries = server.transitions if stream == TRANSITIONS else server.decisions
        older = [e for e in entries if not before or order(JournalId.parse(e[0])) < order(JournalId.parse(before))]
        return older[::-1][:limit]

    async def trim_history(self, before_ms: int, most: int = 1_000) -> int:
        """Forget what was stored before a time, at most so many entries of each kind; how many are gone."""
        server = self._held()
        gone = 0
        for stream in (server.transitions, server.decisions, server.audit):
            old = sum(JournalId.parse(stream_id).ms < before_ms for stream_id, _ in stream[:most])
            del stream[:old]
            gone += old
        old = sum(JournalId.parse(letter.id).ms < before_ms for letter in server.dead[:most])
        del server.dead[:old]
        past = sorted((at, key) for key, (at, _) in server.notified.items() if at < before_ms)[:most]
        for _, key in past:
            del server.notified[key]
        return gone + old + len(past)

    # Who is told

    async def dispatch(self, step: Dispatch) -> None:
        """Make a step durable, once."""
        server = self._held()
        last = order(server.step) if server.step else (0, 0)
        if last >= order(step.id):
            return
        if step.previous is not None and last < order(step.previous):
            raise StoreRewound(f"the ledger ends at {server.step} and {step.previous} must come before {step.id}")
        server.step = step.id
        server.ledger[STEP] = str(step.id).encode()
        for name, data in step.ledger.items():
            if data is None:
                server.ledger.pop(name, None)
            else:
                server.ledger[name] = data
        server.put(stream_ids(step.id, len(step.outbox)), step.outbox)
        server.decisions += zip(stream_ids(step.id, len(step.decisions)), map(dict, step.decisions), strict=True)
        del server.decisions[: -self._decisions_kept]

    async def ledger(self) -> dict[str, bytes]:
        """Every field of the ledger."""
        return dict(self._there().ledger)

    async def decisions(self, limit: int, alert: str | None = None) -> list[tuple[str, dict[str, bytes]]]:
        """The newest decisions, newest first; those whose field ``alert`` is the given one."""
        newest_first = reversed(self._there().decisions)
        return [d for d in newest_first if alert is None or d[1].get("alert") == alert.encode()][:limit]

    async def add_audit(self, entries: Sequence[Mapping[str, bytes]]) -> None:
        """Append to the audit log."""
        log = self._there().audit
        for entry in entries:
            log.append((self.server.next_id(log[-1][0] if log else None), dict(entry)))
        del log[: -self._decisions_kept]

    async def audit(self, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """The newest entries of the audit log, newest first."""
        return self._there().audit[: -limit - 1 : -1]

    async def records(self, name: str) -> dict[str, bytes]:
        """Every field of a hash of what people have said."""
        return dict(self._there().records.get(name, {}))

    async def keep_records(self, name: str, records: Mapping[str, bytes | None]) -> None:
        """Set fields, and remove those that are None."""
        kept = self._held().records.setdefault(name, {})
        for key, data in records.items():
            if data is None:
                kept.pop(key, None)
            else:
                kept[key] = data

    # The outbox

    async def take_outbox(self, consumer: str, count: int, block_ms: int) -> list[OutboxEntry]:
        """New notifications, waiting up to `block_ms` for the first."""
        try:
            async with asyncio.timeout(block_ms / 1000):
                while not any(waiting.since is None for waiting in self._there().outbox.values()):
                    self.server.changed.clear()
                    await self.server.changed.wait()
        except TimeoutError:
            pass
        new = [stream_id for stream_id, waiting in self._there().outbox.items() if waiting.since is None]
        return [self._hand_out(stream_id, consumer) for stream_id in new[:count]]

    async def pending_outbox(self, consumer: str, count: int, idle_ms: int) -> list[OutboxEntry]:
        """Notifications handed out and not settled for `idle_ms`."""
        server = self._there()
        latest = server.clock() - idle_ms / 1000
        idle = [i for i, waiting in server.outbox.items() if waiting.since is not None and waiting.since <= latest]
        return [self._hand_out(stream_id, consumer) for stream_id in idle[:count]]

    def _hand_out(self, stream_id: str, consumer: str) -> OutboxEntry:
        waiting = self.server.outbox[stream_id]
        waiting.deliveries += 1
        waiting.since, waiting.consumer = self.server.clock(), consumer
        return OutboxEntry(stream_id, waiting.deliveries, dict(waiting.fields))

    async def settle_outbox(self, entry: OutboxEntry, key: str, outcome: bytes, *, dead: bool) -> None:
        """Take the notification out of the outbox, note its outcome, keep it among the dead where it was given up."""
        server = self._held()
        removed = server.outbox.pop(entry.id, None)
        server.notified[key] = (JournalId.parse(entry.id).ms, outcome)
        if len(server.notified) > self._outcomes_kept:
            del server.notified[min(server.notified, key=lambda known: (server.notified[known][0], known.encode()))]
        if dead and removed is not None:
            last = server.dead[-1].id if server.dead else None
            server.dead.append(DeadLetter(server.next_id(last), dict(entry.fields), outcome))
            del server.dead[: -self._dead_kept]

    async def notified(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Outcomes of those keys that have one."""
        outcomes = self._there().notified
        return {key: outcomes[key][1] for key in keys if key in outcomes}

    async def outbox_depth(self) -> tuple[int, int]:
        """Notifications waiting, and dead ones."""
        server = self._there()
        return len(server.outbox), len(server.dead)

    async def dead_letters(self, limit: int, before: str = "") -> list[DeadLetter]:
        """Notifications that were given up, newest first."""
        dead = self._there().dead
        older = [d for d in dead if not before or order(JournalId.parse(d.id)) < order(JournalId.parse(before))]
        return older[::-1][:limit]

    async def requeue(self, ids: Sequence[str]) -> list[str]:
        """Put dead letters back into the outbox; the ids of those that were there."""
        server = self._held()
        dead = {letter.id: letter for letter in server.dead}
        back = [dead[i] for i in dict.fromkeys(ids) if i in dead and dead[i].fields]
        for letter in back:
            ms, number = server.last_outbox
            server.put([f"{ms}-{number + 1}"], [letter.fields])
            server.notified.pop(letter.fields.get("key", b"").decode(errors="replace"), None)
            server.dead.remove(letter)
        return [letter.id for letter in back]

    def _there(self) -> MemoryServer:
        if not self.server.available:
            raise StoreUnavailable("the memory store is switched off")
        return self.server

    def _need_lease(self) -> None:
        if not self._lease:
            raise LeaseLost("this process has not taken the lease: acquire() comes before the first write")

    def _held(self) -> MemoryServer:
        server = self._there()
        self._need_lease()
        if not server.leader:
            raise StoreRewound(f"the lease is gone, not {self._lease}")
        if server.leader != self._lease:
            raise LeaseLost(f"the lease is {server.leader}, not {self._lease}")
        return server
