"""The lease on a Valkey or Redis server, and the connection that everything else of the store uses."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from monitor.store.base import LEASE_MS, JournalId, LeaseLost
from monitor.store.connection import Call, Script, Server
from monitor.store.keys import GROUP, Keys
from monitor.store.server_check import check_server, server_info

CONNECTIONS: Final = 8
IDLE_CONSUMER_MS: Final = 3_600_000
"""After this long, a consumer that holds nothing belongs to a daemon that has ended."""

_SALT_BYTES: Final = 32

_ACQUIRE: Final = Script.load("acquire")
_HOLD_LINE: Final = Script.load("hold_line")
_OUTBOX_GROUP: Final = Script.load("outbox_group")
_RENEW: Final = Script.fenced("renew")


@dataclass(frozen=True, slots=True)
class Kept:
    """How many of what would grow for ever are kept; streams keep up to one block of entries more."""

    transitions: int
    decisions: int
    dead: int
    outcomes: int


class RedisLease:
    """A connection to the server, and the lease without which nothing is written."""

    def __init__(self, url: str, keys: Keys | None, timeout: float, kept: Kept) -> None:
        self._keys = keys or Keys()
        self._server = Server(url, timeout=timeout, connections=CONNECTIONS)
        self._kept = kept
        self._lease = ""
        self._acknowledged: JournalId | None = None

    async def open(self) -> None:
        """Connect, refuse a server that cannot keep the contract, make the outbox's consumer group."""
        check_server(server_info(await self._server.command("INFO")), self._server.where)
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

    async def salt(self) -> bytes:
        """Random bytes, made once for all that share the store."""
        replies = await self._server.pipeline(
            [["SET", self._keys.salt, secrets.token_bytes(_SALT_BYTES), "NX"], ["GET", self._keys.salt]]
        )
        return bytes(replies[1])

    async def hold_line(self, line: str, owner: str, beat: str, ended: str = "") -> str:
        """Take, prolong or let go the right to a vendor's line."""
        holder = await self._server.call(_HOLD_LINE, Call([self._keys.line(line)], [owner, beat, ended]))
        return str(holder.decode())

    async def _prolong(self, ms: int) -> None:
        self._need_lease()
        await self._server.call(_RENEW, Call([self._keys.leader, self._keys.leader_alive], [self._lease, ms]))

    async def _make_group(self) -> None:
        await self._server.call(_OUTBOX_GROUP, Call([self._keys.outbox], [GROUP, IDLE_CONSUMER_MS]))

    def _need_lease(self) -> None:
        if not self._lease:
            raise LeaseLost("this process has not taken the lease: acquire() comes before the first write")
