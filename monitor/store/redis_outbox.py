"""Notifications on a Valkey or Redis server: those to deliver, what became of each, and those that were given up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from monitor.store.base import DeadLetter, JournalId, OutboxEntry
from monitor.store.connection import Call, Script
from monitor.store.keys import GROUP
from monitor.store.redis_lease import RedisLease
from monitor.store.replies import flat, pairs
from monitor.store.resp import Argument

_REQUEUE: Final = Script.fenced("requeue")
_SETTLE: Final = Script.fenced("settle")


class RedisOutbox(RedisLease):
    """The stream ``outbox``, read by the consumer group of the daemons, and ``dead``."""

    async def take_outbox(self, consumer: str, count: int, block_ms: int) -> list[OutboxEntry]:
        """New notifications for this consumer, waiting for the first on a connection of its own."""
        command: list[Argument] = ["XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count]
        if block_ms > 0:
            command += ["BLOCK", block_ms]
        command += ["STREAMS", self._keys.outbox, ">"]
        streams = await self._server.wait(*command, block_ms=block_ms)
        entries = streams[0][1] if streams else []
        return [OutboxEntry(stream_id.decode(), 1, pairs(fields)) for stream_id, fields in entries]

    async def pending_outbox(self, consumer: str, count: int, idle_ms: int) -> list[OutboxEntry]:
        """Notifications handed out and not settled for `idle_ms`, claimed for this consumer."""
        outbox = self._keys.outbox
        waiting = await self._server.command("XPENDING", outbox, GROUP, "IDLE", idle_ms, "-", "+", count)
        if not waiting:
            return []
        deliveries = {stream_id: times for stream_id, _, _, times in waiting}
        claimed = await self._server.command("XCLAIM", outbox, GROUP, consumer, idle_ms, *deliveries)
        return [
            OutboxEntry(entry[0].decode(), deliveries[entry[0]] + 1, pairs(entry[1]))
            for entry in claimed
            if entry is not None and entry[1] is not None
        ]

    async def settle_outbox(self, entry: OutboxEntry, key: str, outcome: bytes, *, dead: bool) -> None:
        """Take the notification out of the outbox, note its outcome, keep it among the dead where it was given up."""
        keys = self._keys
        age = JournalId.parse(entry.id).ms
        letter = flat({**entry.fields, "outcome": outcome}) if dead else []
        self._need_lease()
        kept = [self._kept.outcomes, self._kept.dead]
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

    async def dead_letters(self, limit: int, before: str = "") -> list[DeadLetter]:
        """Notifications that were given up, newest first."""
        end = f"({before}" if before else "+"
        page = await self._server.command("XREVRANGE", self._keys.dead, end, "-", "COUNT", limit)
        return [_letter(stream_id.decode(), pairs(fields)) for stream_id, fields in page]

    async def requeue(self, ids: Sequence[str]) -> list[str]:
        """Put dead letters back into the outbox; the ids of those that were there."""
        self._need_lease()
        keys = self._keys
        names = [keys.leader, keys.outbox, keys.notified, keys.notified_order, keys.dead]
        back = await self._server.call(_REQUEUE, Call(names, [self._lease, *ids]))
        return [stream_id.decode() for stream_id in back]


def _letter(stream_id: str, fields: dict[str, bytes]) -> DeadLetter:
    outcome = fields.pop("outcome", b"")
    return DeadLetter(stream_id, fields, outcome)
