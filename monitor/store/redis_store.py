"""The store on a Valkey or Redis server, 6.2 or newer: what the contract asks as commands, replies as its types."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Final

from monitor.store.base import POSITIONS, BarChunk, Checkpoint, Commit, Dispatch, JournalEntry, JournalId
from monitor.store.connection import Call, Script
from monitor.store.keys import Keys, stream_ids
from monitor.store.redis_history import PAGE_ENTRIES, RedisHistory
from monitor.store.redis_lease import Kept
from monitor.store.redis_outbox import RedisOutbox
from monitor.store.replies import flat, pairs
from monitor.store.resp import Argument

COMMIT_GROUP_BYTES: Final = 4_000_000
"""Commits sent in one go: enough to hide the line's latency, little enough to be done within the time-out."""
PAGE_BYTES: Final = 4_000_000
"""What one page of the journal should come to, near enough."""
_SAMPLED: Final = 50
"""Blocks of a stream that are looked at to estimate its size."""
LARGEST_CHECKPOINT: Final = 500_000_000
"""Bytes that loading a checkpoint allows time for."""

_CHECKPOINT: Final = Script.fenced("checkpoint")
_COMMIT: Final = Script.fenced("commit")
_DISPATCH: Final = Script.fenced("dispatch")
_RECORDS: Final = Script.fenced("records")


class RedisStore(RedisHistory, RedisOutbox):
    """The contract of :class:`~monitor.store.base.Store` at a ``redis://``, ``rediss://`` or ``unix://`` URL.

    `timeout` (seconds) bounds every call. `transitions_kept`, `decisions_kept`, `dead_kept` and `outcomes_kept` bound
    what else grows for ever; streams keep up to one block of entries more. A notification stays in the outbox until it
    is settled.
    """

    def __init__(
        self,
        url: str,
        *,
        keys: Keys | None = None,
        timeout: float = 5.0,
        transitions_kept: int = 200_000,
        dead_kept: int = 10_000,
        outcomes_kept: int = 200_000,
        decisions_kept: int = 200_000,
    ) -> None:
        kept = Kept(transitions_kept, decisions_kept, dead_kept, outcomes_kept)
        super().__init__(url, keys, timeout, kept)

    # Commits and the journal

    async def commit(self, commits: Sequence[Commit]) -> None:
        """Make the commits durable, in order.

        Each names the one before it, so that one that fails is not overtaken, and a server that has lost what it had
        acknowledged is found out (:class:`~monitor.store.base.StoreRewound`).
        """
        self._need_lease()
        for group in _groups(commits):
            calls, previous = [], self._acknowledged
            for commit in group:
                calls.append(self._commit_call(commit, previous))
                previous = commit.entry.id
            await self._server.call_each(_COMMIT, calls)
            self._acknowledged = previous

    def _commit_call(self, commit: Commit, previous: JournalId | None) -> Call:
        """The arguments of commit.lua."""
        keys = self._keys
        quotes = {symbol: fields for symbol, fields in commit.quotes.items() if fields}
        kept = {name: data for name, data in commit.instances.items() if data is not None}
        gone = [name for name, data in commit.instances.items() if data is None]
        arguments: list[Argument] = [self._lease, str(previous or ""), str(commit.entry.id), self._kept.transitions]
        entry_fields, kept_fields = flat(commit.entry.fields), flat(kept)
        arguments += [len(entry_fields), *entry_fields, len(kept_fields), *kept_fields, len(gone), *gone]
        standing = flat(commit.positions)
        arguments += [len(standing), *standing]
        transitions = commit.transitions
        arguments.append(len(transitions))
        for stream_id, fields in zip(stream_ids(commit.entry.id, len(transitions)), transitions, strict=True):
            arguments += [stream_id, 2 * len(fields), *flat(fields)]
        for quote in quotes.values():
            arguments += [2 * len(quote), *flat(quote)]
        return Call(
            [
                keys.leader,
                keys.journal,
                keys.instances,
                keys.transitions,
                keys.records(POSITIONS),
                *map(keys.quote, quotes),
            ],
            arguments,
        )

    async def last_journal_id(self) -> JournalId | None:
        """The newest position ever used."""
        if not await self._server.command("EXISTS", self._keys.journal):
            return None
        about = await self._server.command("XINFO", "STREAM", self._keys.journal)
        return JournalId.parse(pairs(about)["last-generated-id"].decode())

    async def journal(self, after: JournalId | None) -> AsyncIterator[JournalEntry]:
        """Entries later than `after`, oldest first, fetched a page at a time."""
        start, count = (f"({after}" if after else "-"), 16
        while True:
            page = await self._server.command("XRANGE", self._keys.journal, start, "+", "COUNT", count)
            for stream_id, fields in page:
                yield JournalEntry(JournalId.parse(stream_id.decode()), pairs(fields))
            if len(page) < count:
                return
            start = f"({page[-1][0].decode()}"
            size = sum(len(data) for _, fields in page for data in fields)
            count = max(1, min(PAGE_ENTRIES, count * PAGE_BYTES // max(size, 1)))

    async def trim_journal(self, before_ms: int, most_bytes: int | None = None) -> None:
        """Forget entries that are older, or too many, but none that the checkpoint does not cover."""
        covers = await self._server.command("HGET", self._keys.checkpoint, "covers")
        if covers is None:
            return
        if most_bytes is not None:
            before_ms = max(before_ms, await self._oldest_within(most_bytes))
        oldest_kept = min(JournalId(before_ms, 0), JournalId.parse(covers.decode()), key=lambda i: (i.ms, i.sequence))
        await self._server.command("XTRIM", self._keys.journal, "MINID", "=", str(oldest_kept))

    async def _oldest_within(self, most_bytes: int) -> int:
        """Since when the journal has about so many bytes, ms; taken to come evenly, over the time it spans."""
        used = await self._server.command("MEMORY", "USAGE", self._keys.journal, "SAMPLES", _SAMPLED) or 0
        if used <= most_bytes:
            return 0
        ends = await self._server.pipeline(
            [[name, self._keys.journal, *span, "COUNT", 1] for name, span in (("XRANGE", "-+"), ("XREVRANGE", "+-"))]
        )
        first, last = (JournalId.parse(page[0][0].decode()).ms for page in ends)
        return first + math.ceil((last - first) * (1 - most_bytes / used))

    # Checkpoint and bars

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Frames, position and bars in one step. One older than the stored one is passed over."""
        self._need_lease()
        keys = self._keys
        names = [keys.leader, keys.checkpoint]
        frames = flat({f"frame:{name}": data for name, data in checkpoint.frames.items()})
        arguments: list[Argument] = [self._lease, str(checkpoint.covers), len(frames), *frames, len(checkpoint.bars)]
        written = {(chunk.resolution, chunk.name) for chunk in checkpoint.bars}
        for chunk in checkpoint.bars:
            names += [keys.bar_names(chunk.resolution), keys.bars(chunk.resolution, chunk.name)]
            arguments += [chunk.name, chunk.data]
        for resolution, name in checkpoint.replaces:
            if (resolution, name) not in written:
                names += [keys.bar_names(resolution), keys.bars(resolution, name)]
                arguments.append(name)
        await self._server.call(_CHECKPOINT, Call(names, arguments))

    async def checkpoint_covers(self) -> JournalId | None:
        """Up to where the last checkpoint goes."""
        covers = await self._server.command("HGET", self._keys.checkpoint, "covers")
        return JournalId.parse(covers.decode()) if covers else None

    async def load_checkpoint(self) -> Checkpoint | None:
        """The last checkpoint, without bars."""
        stored = pairs(await self._server.command("HGETALL", self._keys.checkpoint, size=LARGEST_CHECKPOINT))
        if not stored:
            return None
        frames = {name.removeprefix("frame:"): data for name, data in stored.items() if name.startswith("frame:")}
        return Checkpoint(covers=JournalId.parse(stored["covers"].decode()), frames=frames)

    async def save_bars(self, chunks: Sequence[BarChunk]) -> None:
        """Write chunks; those of the same name are replaced."""
        for chunk in chunks:
            await self._server.pipeline(
                [
                    ["MULTI"],
                    ["SET", self._keys.bars(chunk.resolution, chunk.name), chunk.data],
                    ["ZADD", self._keys.bar_names(chunk.resolution), 0, chunk.name],
                    ["EXEC"],
                ]
            )

    async def bar_chunks(self, resolution: str, since: str = "") -> list[str]:
        """Names of the stored chunks from `since` on, oldest first."""
        names = await self._server.command(
            "ZRANGEBYLEX", self._keys.bar_names(resolution), f"[{since}" if since else "-", "+"
        )
        return [name.decode() for name in names]

    async def load_bars(self, resolution: str, names: Sequence[str]) -> list[BarChunk]:
        """The named chunks that are stored."""
        chunks = []
        for name in names:
            data = await self._server.command("GET", self._keys.bars(resolution, name))
            if data is not None:
                chunks.append(BarChunk(resolution, name, data))
        return chunks

    async def drop_bars(self, resolution: str, names: Sequence[str]) -> None:
        """Remove chunks."""
        if names:
            await self._server.pipeline(
                [
                    ["MULTI"],
                    ["DEL", *(self._keys.bars(resolution, name) for name in names)],
                    ["ZREM", self._keys.bar_names(resolution), *names],
                    ["EXEC"],
                ]
            )

    # Alerts

    async def instances(self) -> dict[str, bytes]:
        """All alert instances."""
        return pairs(await self._server.command("HGETALL", self._keys.instances))

    # Who is told

    async def dispatch(self, step: Dispatch) -> None:
        """Make a step durable, once."""
        self._need_lease()
        keys = self._keys
        kept = flat({name: data for name, data in step.ledger.items() if data is not None})
        gone = [name for name, data in step.ledger.items() if data is None]
        arguments: list[Argument] = [self._lease, str(step.previous or ""), str(step.id), self._kept.decisions]
        arguments += [len(kept), *kept, len(gone), *gone]
        for entries in (step.outbox, step.decisions):
            arguments.append(len(entries))
            for stream_id, fields in zip(stream_ids(step.id, len(entries)), entries, strict=True):
                arguments += [stream_id, 2 * len(fields), *flat(fields)]
        await self._server.call(_DISPATCH, Call([keys.leader, keys.ledger, keys.outbox, keys.decisions], arguments))

    async def ledger(self) -> dict[str, bytes]:
        """Every field of the ledger."""
        return pairs(await self._server.command("HGETALL", self._keys.ledger, size=LARGEST_CHECKPOINT))

    async def records(self, name: str) -> dict[str, bytes]:
        """Every field of a hash of what people have said."""
        return pairs(await self._server.command("HGETALL", self._keys.records(name)))

    async def keep_records(self, name: str, records: Mapping[str, bytes | None]) -> None:
        """Set fields, and remove those that are None."""
        self._need_lease()
        kept = flat({field: data for field, data in records.items() if data is not None})
        gone = [field for field, data in records.items() if data is None]
        call = Call([self._keys.leader, self._keys.records(name)], [self._lease, len(kept), *kept, *gone])
        await self._server.call(_RECORDS, call)


def _groups(commits: Iterable[Commit]) -> Iterator[list[Commit]]:
    """The commits in runs of about :data:`COMMIT_GROUP_BYTES`."""
    group: list[Commit] = []
    size = 0
    for commit in commits:
        group.append(commit)
        size += commit.size
        if size >= COMMIT_GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
