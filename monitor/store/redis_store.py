"""The store on a Valkey or Redis server, 6.2 or newer: what the contract asks as commands, replies as its types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from monitor.store.base import (
    LEASE_MS,
    BarChunk,
    Checkpoint,
    Commit,
    Dispatch,
    JournalEntry,
    JournalId,
    LeaseLost,
    OutboxEntry,
    StoreRefused,
)
from monitor.store.connection import Call, Script, Server
from monitor.store.keys import GROUP, Keys, stream_ids
from monitor.store.resp import Argument

OLDEST_VERSION: Final = (6, 2)
CONNECTIONS: Final = 8
COMMIT_GROUP_BYTES: Final = 4_000_000
"""Commits sent in one go: enough to hide the line's latency, little enough to be done within the time-out."""
PAGE_BYTES: Final = 4_000_000
"""What one page of the journal should come to, near enough."""
PAGE_ENTRIES: Final = 1_000
LARGEST_CHECKPOINT: Final = 500_000_000
"""Bytes that loading a checkpoint allows time for."""
IDLE_CONSUMER_MS: Final = 3_600_000
"""After this long, a consumer that holds nothing belongs to a daemon that has ended."""
AUDIT_KEPT: Final = 20_000

_ACQUIRE: Final = Script.load("acquire")
_CHECKPOINT: Final = Script.load("checkpoint")
_COMMIT: Final = Script.load("commit")
_DISPATCH: Final = Script.load("dispatch")
_RECORDS: Final = Script.load("records")
_OUTBOX_GROUP: Final = Script.load("outbox_group")
_RENEW: Final = Script.load("renew")
_SETTLE: Final = Script.load("settle")


class RedisStore:
    """The contract of :class:`~monitor.store.base.Store` at a ``redis://``, ``rediss://`` or ``unix://`` URL.

    `timeout` (seconds) bounds every call. `transitions_kept`, `dead_kept` and `outcomes_kept` bound what else grows
    for ever; streams keep up to one block of entries more. A notification stays in the outbox until it is settled.
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
        self._decisions_kept = decisions_kept
        self._keys = keys or Keys()
        self._server = Server(url, timeout=timeout, connections=CONNECTIONS)
        self._transitions_kept = transitions_kept
        self._dead_kept = dead_kept
        self._outcomes_kept = outcomes_kept
        self._lease = ""
        self._acknowledged: JournalId | None = None

    async def open(self) -> None:
        """Connect, refuse a server that cannot keep the contract, make the outbox's consumer group."""
        _check_server(_info(await self._server.command("INFO")), self._server.where)
        await self._make_group()

    async def close(self) -> None:
        """Let commands under way end and close the connections."""
        await self._server.close()

    async def ping(self) -> None:
        """Return if the server answers."""
        await self._server.command("PING")

    async def acquire(self, owner: str) -> int:
        """Take the lease from whoever holds it; the new epoch. A server that was emptied gets its group again."""
        epoch, _ = await self._acquire(owner, "force")
        return epoch

    async def claim(self, owner: str) -> str:
        """Take the lease if nobody else's lasts; otherwise who holds it."""
        return (await self._acquire(owner, ""))[1]

    async def _acquire(self, owner: str, how: str) -> tuple[int, str]:
        await self._make_group()
        keys = [self._keys.leader, self._keys.leader_alive]
        epoch, holder = await self._server.call(_ACQUIRE, Call(keys, [owner, LEASE_MS, how]))
        if epoch:
            self._lease, self._acknowledged = f"{epoch}:{owner}", None
        return epoch, holder.decode()

    async def renew(self) -> None:
        """Make the lease last."""
        await self._prolong(LEASE_MS)

    async def release(self) -> None:
        """Let another take the lease."""
        await self._prolong(0)

    async def _prolong(self, ms: int) -> None:
        self._need_lease()
        await self._server.call(_RENEW, Call([self._keys.leader, self._keys.leader_alive], [self._lease, ms]))

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
        arguments: list[Argument] = [self._lease, str(previous or ""), str(commit.entry.id), self._transitions_kept]
        entry_fields, kept_fields = _flat(commit.entry.fields), _flat(kept)
        arguments += [len(entry_fields), *entry_fields, len(kept_fields), *kept_fields, len(gone), *gone]
        for entries in (commit.transitions, commit.outbox):
            arguments.append(len(entries))
            for stream_id, fields in zip(stream_ids(commit.entry.id, len(entries)), entries, strict=True):
                arguments += [stream_id, 2 * len(fields), *_flat(fields)]
        for quote in quotes.values():
            arguments += [2 * len(quote), *_flat(quote)]
        return Call(
            [keys.leader, keys.journal, keys.instances, keys.transitions, keys.outbox, *map(keys.quote, quotes)],
            arguments,
        )

    async def last_journal_id(self) -> JournalId | None:
        """The newest position ever used."""
        if not await self._server.command("EXISTS", self._keys.journal):
            return None
        about = await self._server.command("XINFO", "STREAM", self._keys.journal)
        return JournalId.parse(_pairs(about)["last-generated-id"].decode())

    async def journal(self, after: JournalId | None) -> AsyncIterator[JournalEntry]:
        """Entries later than `after`, oldest first, fetched a page at a time."""
        start, count = (f"({after}" if after else "-"), 16
        while True:
            page = await self._server.command("XRANGE", self._keys.journal, start, "+", "COUNT", count)
            for stream_id, fields in page:
                yield JournalEntry(JournalId.parse(stream_id.decode()), _pairs(fields))
            if len(page) < count:
                return
            start = f"({page[-1][0].decode()}"
            size = sum(len(data) for _, fields in page for data in fields)
            count = max(1, min(PAGE_ENTRIES, count * PAGE_BYTES // max(size, 1)))

    async def trim_journal(self, before_ms: int) -> None:
        """Forget entries older than `before_ms`, but none that the checkpoint does not cover."""
        covers = await self._server.command("HGET", self._keys.checkpoint, "covers")
        if covers is None:
            return
        oldest_kept = min(JournalId(before_ms, 0), JournalId.parse(covers.decode()), key=lambda i: (i.ms, i.sequence))
        await self._server.command("XTRIM", self._keys.journal, "MINID", "=", str(oldest_kept))

    # Checkpoint and bars

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Frames, position and bars in one step. One older than the stored one is passed over."""
        self._need_lease()
        keys = self._keys
        names = [keys.leader, keys.checkpoint]
        frames = _flat({f"frame:{name}": data for name, data in checkpoint.frames.items()})
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
        stored = _pairs(await self._server.command("HGETALL", self._keys.checkpoint, size=LARGEST_CHECKPOINT))
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
        return _pairs(await self._server.command("HGETALL", self._keys.instances))

    async def transitions(self, limit: int, episode: str | None = None) -> list[tuple[str, dict[str, bytes]]]:
        """The newest transitions, newest first; those whose field ``episode`` is the given one."""
        return await self._newest(self._keys.transitions, limit, "episode", episode)

    async def _newest(
        self, stream: str, limit: int, name: str, value: str | None
    ) -> list[tuple[str, dict[str, bytes]]]:
        """The newest entries of a stream, newest first; those whose field `name` has the value, where one is given."""
        found: list[tuple[str, dict[str, bytes]]] = []
        end = "+"
        while len(found) < limit:
            page = await self._server.command("XREVRANGE", stream, end, "-", "COUNT", PAGE_ENTRIES)
            entries = [(stream_id.decode(), _pairs(fields)) for stream_id, fields in page]
            found += [(i, f) for i, f in entries if value is None or f.get(name) == value.encode()]
            if len(page) < PAGE_ENTRIES:
                break
            end = f"({entries[-1][0]}"
        return found[:limit]

    async def transitions_after(self, after: str, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """The oldest transitions later than a stream id, oldest first."""
        start = f"({after}" if after else "-"
        page = await self._server.command("XRANGE", self._keys.transitions, start, "+", "COUNT", limit)
        return [(stream_id.decode(), _pairs(fields)) for stream_id, fields in page]

    async def page(self, stream: str, before: str, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """Entries of a stream older than an id, newest first."""
        end = f"({before}" if before else "+"
        page = await self._server.command("XREVRANGE", self._keys.records(stream), end, "-", "COUNT", limit)
        return [(stream_id.decode(), _pairs(fields)) for stream_id, fields in page]

    async def trim_history(self, before_ms: int) -> None:
        """Forget transitions and decisions of before a time."""
        for stream in (self._keys.transitions, self._keys.decisions):
            await self._server.command("XTRIM", stream, "MINID", "~", before_ms)

    # Who is told

    async def dispatch(self, step: Dispatch) -> None:
        """Make a step durable, once."""
        self._need_lease()
        keys = self._keys
        kept = _flat({name: data for name, data in step.ledger.items() if data is not None})
        gone = [name for name, data in step.ledger.items() if data is None]
        arguments: list[Argument] = [self._lease, str(step.previous or ""), str(step.id), self._decisions_kept]
        arguments += [len(kept), *kept, len(gone), *gone]
        for entries in (step.outbox, step.decisions):
            arguments.append(len(entries))
            for stream_id, fields in zip(stream_ids(step.id, len(entries)), entries, strict=True):
                arguments += [stream_id, 2 * len(fields), *_flat(fields)]
        await self._server.call(_DISPATCH, Call([keys.leader, keys.ledger, keys.outbox, keys.decisions], arguments))

    async def ledger(self) -> dict[str, bytes]:
        """Every field of the ledger."""
        return _pairs(await self._server.command("HGETALL", self._keys.ledger, size=LARGEST_CHECKPOINT))

    async def decisions(self, limit: int, alert: str | None = None) -> list[tuple[str, dict[str, bytes]]]:
        """The newest decisions, newest first; those whose field ``alert`` is the given one."""
        return await self._newest(self._keys.decisions, limit, "alert", alert)

    async def add_audit(self, entries: Sequence[Mapping[str, bytes]]) -> None:
        """Append to the audit log."""
        add: list[Argument] = ["XADD", self._keys.audit, "MAXLEN", "~", AUDIT_KEPT, "*"]
        await self._server.pipeline([[*add, *_flat(entry)] for entry in entries])

    async def audit(self, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """The newest entries of the audit log, newest first."""
        return await self._newest(self._keys.audit, limit, "", None)

    async def records(self, name: str) -> dict[str, bytes]:
        """Every field of a hash of what people have said."""
        return _pairs(await self._server.command("HGETALL", self._keys.records(name)))

    async def keep_records(self, name: str, records: Mapping[str, bytes | None]) -> None:
        """Set fields, and remove those that are None."""
        self._need_lease()
        kept = _flat({field: data for field, data in records.items() if data is not None})
        gone = [field for field, data in records.items() if data is None]
        call = Call([self._keys.leader, self._keys.records(name)], [self._lease, len(kept), *kept, *gone])
        await self._server.call(_RECORDS, call)

    # The outbox

    async def take_outbox(self, consumer: str, count: int, block_ms: int) -> list[OutboxEntry]:
        """New notifications for this consumer, waiting for the first on a connection of its own."""
        command: list[Argument] = ["XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count]
        if block_ms > 0:
            command += ["BLOCK", block_ms]
        command += ["STREAMS", self._keys.outbox, ">"]
        streams = await self._server.wait(*command, block_ms=block_ms)
        entries = streams[0][1] if streams else []
        return [OutboxEntry(stream_id.decode(), 1, _pairs(fields)) for stream_id, fields in entries]

    async def pending_outbox(self, consumer: str, count: int, idle_ms: int) -> list[OutboxEntry]:
        """Notifications handed out and not settled for `idle_ms`, claimed for this consumer."""
        outbox = self._keys.outbox
        waiting = await self._server.command("XPENDING", outbox, GROUP, "IDLE", idle_ms, "-", "+", count)
        if not waiting:
            return []
        deliveries = {stream_id: times for stream_id, _, _, times in waiting}
        claimed = await self._server.command("XCLAIM", outbox, GROUP, consumer, idle_ms, *deliveries)
        return [
            OutboxEntry(entry[0].decode(), deliveries[entry[0]] + 1, _pairs(entry[1]))
            for entry in claimed
            if entry is not None and entry[1] is not None
        ]

    async def settle_outbox(self, entry: OutboxEntry, key: str, outcome: bytes, *, dead: bool) -> None:
        """Take the notification out of the outbox, note its outcome, keep it among the dead where it was given up."""
        keys = self._keys
        age = JournalId.parse(entry.id).ms
        letter = _flat({**entry.fields, "outcome": outcome}) if dead else []
        self._need_lease()
        kept = [self._outcomes_kept, self._dead_kept]
        arguments = [self._lease, GROUP, entry.id, age, key, outcome, *kept, *letter]
        names = [keys.leader, keys.outbox, keys.notified, keys.notified_order, keys.dead]
        await self._server.call(_SETTLE, Call(names, arguments))

    async def notified(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Outcomes of those keys that have one."""
        if not keys:
            return {}
        outcomes = await self._server.command("HMGET", self._keys.notified, *keys)
        return {key: outcome for key, outcome in zip(keys, outcomes, strict=True) if outcome is not None}

    async def outbox_depth(self) -> tuple[int, int]:
        """Notifications waiting, and dead ones."""
        waiting, dead = await self._server.pipeline([["XLEN", self._keys.outbox], ["XLEN", self._keys.dead]])
        return waiting, dead

    async def _make_group(self) -> None:
        await self._server.call(_OUTBOX_GROUP, Call([self._keys.outbox], [GROUP, IDLE_CONSUMER_MS]))

    def _need_lease(self) -> None:
        if not self._lease:
            raise LeaseLost("this process has not taken the lease: acquire() comes before the first write")


def _flat(fields: Mapping[str, Argument]) -> list[Argument]:
    """Names and values in turn."""
    return [part for field in fields.items() for part in field]


def _pairs(reply: Sequence[Any]) -> dict[str, Any]:
    """The fields of a hash or an entry."""
    return {reply[i].decode(): reply[i + 1] for i in range(0, len(reply), 2)}


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


def _info(reply: bytes) -> dict[str, str]:
    """The lines ``name:value`` of INFO."""
    lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
    return {name: value for name, _, value in lines if value}


def _check_server(info: Mapping[str, str], where: str) -> None:
    """Refuse a server that is too old, or that would lose entries or split a step over nodes."""
    version = info.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
        raise StoreRefused(f"{where}: version {version} is too old: Redis 6.2 or newer, or Valkey, is needed")
    if info.get("cluster_enabled") == "1":
        raise StoreRefused(f"{where}: a cluster cannot write the keys of one step together: use a single server")
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory", "0") != "0" and policy.startswith("allkeys"):
        raise StoreRefused(
            f"{where}: `maxmemory-policy {policy}` lets the server forget the journal: set it to noeviction"
        )
