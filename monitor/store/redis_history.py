"""The past on a Valkey or Redis server: transitions, decisions and the audit log, read by the page and bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from monitor.store.connection import Call, Script
from monitor.store.redis_lease import RedisLease
from monitor.store.replies import flat, pairs
from monitor.store.resp import Argument

PAGE_ENTRIES: Final = 1_000
AUDIT_KEPT: Final = 20_000
MOST_TRIMMED: Final = 1_000
"""Entries of one kind that are forgotten in one step; Lua's stack takes 8,000."""

_TRIM: Final = Script.fenced("trim_history")


class RedisHistory(RedisLease):
    """What happened, newest first."""

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
            entries = [(stream_id.decode(), pairs(fields)) for stream_id, fields in page]
            found += [(i, f) for i, f in entries if value is None or f.get(name) == value.encode()]
            if len(page) < PAGE_ENTRIES:
                break
            end = f"({entries[-1][0]}"
        return found[:limit]

    async def transitions_after(self, after: str, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """The oldest transitions later than a stream id, oldest first."""
        start = f"({after}" if after else "-"
        page = await self._server.command("XRANGE", self._keys.transitions, start, "+", "COUNT", limit)
        return [(stream_id.decode(), pairs(fields)) for stream_id, fields in page]

    async def page(self, stream: str, before: str, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """Entries of a stream older than an id, newest first."""
        end = f"({before}" if before else "+"
        page = await self._server.command("XREVRANGE", self._keys.records(stream), end, "-", "COUNT", limit)
        return [(stream_id.decode(), pairs(fields)) for stream_id, fields in page]

    async def trim_history(self, before_ms: int, most: int = MOST_TRIMMED) -> int:
        """Forget what was stored before a time, at most so many entries of each kind; how many are gone."""
        self._need_lease()
        keys = self._keys
        names = [keys.leader, keys.notified, keys.notified_order]
        names += [keys.transitions, keys.decisions, keys.audit, keys.dead]
        arguments: list[Argument] = [self._lease, max(0, before_ms), min(most, MOST_TRIMMED)]
        gone: int = await self._server.call(_TRIM, Call(names, arguments))
        return gone

    async def decisions(self, limit: int, alert: str | None = None) -> list[tuple[str, dict[str, bytes]]]:
        """The newest decisions, newest first; those whose field ``alert`` is the given one."""
        return await self._newest(self._keys.decisions, limit, "alert", alert)

    async def add_audit(self, entries: Sequence[Mapping[str, bytes]]) -> None:
        """Append to the audit log."""
        add: list[Argument] = ["XADD", self._keys.audit, "MAXLEN", "~", AUDIT_KEPT, "*"]
        await self._server.pipeline([[*add, *flat(entry)] for entry in entries])

    async def audit(self, limit: int) -> list[tuple[str, dict[str, bytes]]]:
        """The newest entries of the audit log, newest first."""
        return await self._newest(self._keys.audit, limit, "", None)
