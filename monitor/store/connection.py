"""Talking to one Valkey or Redis server: a bounded pool, time-outs, scripts, and no reply ever left half-read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, TypeAlias, TypeVar

from redis.asyncio.connection import AbstractConnection, BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from monitor.store.address import connection_options, redacted
from monitor.store.faults import store_error
from monitor.store.resp import Argument, packed

Reply: TypeAlias = Any
T = TypeVar("T")

HEALTH_CHECK_AFTER: Final = 30
"""Seconds of silence after which a connection is tried with a PING before it is used."""


SLOWEST_LINE: Final = 10_000_000
"""Bytes a second that large data must at least move at."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script that the server runs as one step."""

    text: str
    sha: str

    @staticmethod
    def load(*names: str) -> Script:
        """The script ``lua/{name}.lua``, or several that are one."""
        lua = files("monitor.store") / "lua"
        text = "\n".join((lua / f"{name}.lua").read_text(encoding="utf-8") for name in names)
        return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    @staticmethod
    def fenced(name: str) -> Script:
        """The script of a write that whoever has lost the lease is refused: it begins with ``lua/fenced.lua``."""
        return Script.load("fenced", name)


@dataclass(frozen=True, slots=True)
class Call:
    """What a script is called with."""

    keys: Sequence[str]
    arguments: Sequence[Argument]


class Server:
    """One server. Replies are as the protocol has them: bytes, int, None, lists.

    A command goes on to its end when its caller is cancelled, so that its connection stays usable. When it has not
    ended within `timeout` (seconds; more for large data), its connection is closed, so that no reply is left half-read.
    Nothing is repeated here: who sends a command knows whether that is safe.

    Raises:
        StoreUnavailable: no answer in time, or no connection.
        StoreRefused: the server's answer was a lasting no.
        LeaseLost: a script found another lease.
    """

    def __init__(self, url: str, *, timeout: float, connections: int) -> None:
        self.where = redacted(url)
        self._timeout = timeout
        self._pool = BlockingConnectionPool(
            max_connections=connections,
            timeout=timeout,
            **connection_options(url),
            socket_timeout=None,  # calls are timed as a whole, below
            socket_connect_timeout=timeout,
            health_check_interval=HEALTH_CHECK_AFTER,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            client_name="rotation-monitor",
        )
        self._waiting_connection: AbstractConnection | None = None
        self._waiting = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()

    async def command(self, *command: Argument, size: int = 0) -> Reply:
        """The reply to one command, of about `size` bytes."""
        return (await self.pipeline([command], size=size))[0]

    async def pipeline(self, commands: Sequence[Sequence[Argument]], *, size: int = 0) -> list[Reply]:
        """The replies to commands sent together; the first error reply is raised after all of them have run."""
        replies = await self._to_its_end(self._exchange(commands), size)
        for reply in replies:
            if isinstance(reply, Exception):
                raise store_error(reply, self.where) from reply
        return replies

    async def call(self, script: Script, call: Call) -> Reply:
        """The script's reply."""
        return (await self.call_each(script, [call]))[0]

    async def call_each(self, script: Script, calls: Sequence[Call]) -> list[Reply]:
        """The script's replies to calls sent together, run in order. After a fault, any number of them may have run."""
        known = [["EVALSHA", script.sha, len(call.keys), *call.keys, *call.arguments] for call in calls]

        async def run() -> list[Reply]:
            replies = await self._exchange(known)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                # A server that was restarted has forgotten the script: then none of the calls has run.
                replies = (await self._exchange([["SCRIPT", "LOAD", script.text], *known]))[1:]
            return replies

        size = sum(len(argument) for call in calls for argument in call.arguments if isinstance(argument, bytes))
        replies = await self._to_its_end(run(), size)
        for reply in replies:
            if isinstance(reply, Exception):
                raise store_error(reply, self.where) from reply
        return replies

    async def wait(self, *command: Argument, block_ms: int) -> Reply:
        """The reply to a command that blocks for up to `block_ms`, on a connection kept for that; one caller at a time.

        Cancelling it closes the connection, so the server stops waiting as well.
        """
        async with self._waiting:
            return await self._wait(command, block_ms)

    async def _wait(self, command: Sequence[Argument], block_ms: int) -> Reply:
        connection = self._waiting_connection
        if connection is None:
            connection = self._waiting_connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(block_ms / 1000 + self._timeout):
                await connection.connect()
                await connection.send_command(*command)
                return await connection.read_response(timeout=float("inf"))
        except ResponseError as fault:
            raise store_error(fault, self.where) from fault
        except (RedisError, OSError) as fault:
            await connection.disconnect(nowait=True)
            raise store_error(fault, self.where) from fault
        except asyncio.CancelledError:
            await connection.disconnect(nowait=True)
            raise

    async def close(self) -> None:
        """Let what is under way end, then close the connections."""
        if self._running:
            await asyncio.wait(self._running)
        if self._waiting_connection is not None:
            await self._waiting_connection.disconnect(nowait=True)
        await self._pool.disconnect()

    async def _exchange(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        """The replies to commands sent together, error replies among them as exceptions."""
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.send_packed_command(packed(commands))
            replies: list[Reply] = []
            for _ in commands:
                try:
                    replies.append(await connection.read_response())
                except ResponseError as refusal:
                    replies.append(refusal)
            return replies
        finally:
            await self._pool.release(connection)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        """Look at how the task ended: nobody else does when its caller has given up."""
        self._running.discard(task)
        if not task.cancelled():
            task.exception()

    async def _to_its_end(self, work: Coroutine[Any, Any, T], size: int) -> T:
        """The result of work that moves about `size` bytes; it goes on when the caller is cancelled."""

        async def bounded() -> T:
            async with asyncio.timeout(self._timeout + size / SLOWEST_LINE):
                return await work

        task = asyncio.create_task(bounded())
        self._running.add(task)
        task.add_done_callback(self._finished)
        try:
            return await asyncio.shield(task)
        except (RedisError, OSError) as fault:
            raise store_error(fault, self.where) from fault
