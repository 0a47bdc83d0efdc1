"""However the line to somebody's Redis ends, the feed comes back and reads every entry once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from connectors import redis_stream
from tests.contract.connectors.cards import SECRET
from tests.integration.connectors.test_redis_stream import Reader, add
from tests.integration.connectors.vendor import until
from tests.integration.store.servers import raw, running

pytestmark = pytest.mark.timeout(60)


class Relay:
    """A TCP line to a server, whose ends a test decides."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []
        self.client: asyncio.StreamWriter | None = None
        self.refused = 0
        self.hung = False
        self.accepts = True

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            for end in self._ends:
                end.close()
            await asyncio.gather(*self._tasks, *(end.wait_closed() for end in self._ends), return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.append(writer)
        if not self.accepts:
            self.refused += 1
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends.append(back)
        self.client, self.hung = writer, False
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._carry(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if not self.hung:
                    sink.write(data)
        sink.close()

    async def says(self, data: bytes) -> None:
        assert self.client is not None
        self.client.write(data)
        await self.client.drain()

    def close(self) -> None:
        assert self.client is not None
        self.client.close()


async def ends(relay: Relay) -> None:
    relay.close()


async def resets(relay: Relay) -> None:
    assert relay.client is not None
    raw_socket = relay.client.get_extra_info("socket")
    raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    relay.client.transport.abort()


async def ends_in_mid_answer(relay: Relay) -> None:
    await relay.says(b"*1\r\n*2\r\n$5\r\nticks\r\n*1\r\n*2\r\n$3\r\n1-")
    relay.close()


async def half_ends(relay: Relay) -> None:
    assert relay.client is not None
    relay.client.write_eof()


async def hangs(relay: Relay) -> None:
    relay.hung = True


async def is_away(relay: Relay) -> None:
    """Whoever comes is turned away at once, for a while."""
    relay.accepts = False
    relay.close()
    await until(lambda: relay.refused, 10)
    relay.accepts = True


def answers(text: bytes) -> Callable[[Relay], Awaitable[None]]:
    """In the place of what was asked for."""

    async def end(relay: Relay) -> None:
        await relay.says(text)

    return end


KINDS = {
    "ended": ends,
    "reset": resets,
    "ended in mid-answer": ends_in_mid_answer,
    "half ended": half_ends,
    "hung": hangs,
    "away for a while": is_away,
    "nonsense": answers(b"\xff\xfe\xfd\r\n"),
    "loading": answers(b"-LOADING server is loading the dataset in memory\r\n"),
    "too many clients": answers(b"-ERR max number of clients reached\r\n"),
    "master down": answers(b"-MASTERDOWN Link with MASTER is down\r\n"),
    "stream deleted meanwhile": answers(b"-UNBLOCKED the stream key no longer exists\r\n"),
}


@pytest.mark.parametrize("kind", [*KINDS, "killed by the server"])
@pytest.mark.parametrize("server", ["valkey", "redis"])
async def test_comes_back(kind, server, tmp_path, monkeypatch):
    monkeypatch.setattr(redis_stream, "_PATIENCE", 1.5)
    async with running(server, tmp_path, "--requirepass", SECRET) as port:
        relay = Relay(port)
        async with relay.serving() as between, raw(f"redis://:{SECRET}@127.0.0.1:{port}/0") as client:
            await until_there(client)
            await add(client, 1)
            reader = Reader(f"redis://:{SECRET}@127.0.0.1:{between}/0", begin="oldest")
            health = reader.supervisor.health
            task = asyncio.create_task(reader.until(lambda: len(reader.rows) == 3 and health.connections > 1))
            await until(lambda: reader.rows or task.done(), 10)
            if kind == "killed by the server":
                await client.execute_command("CLIENT", "KILL", "TYPE", "normal")
            else:
                await KINDS[kind](relay)
            await add(client, 2, 3)
            await task
    assert [bid for _, bid, _ in reader.rows] == [1.0, 2.0, 3.0]
    assert health.gaps == 0
    assert health.reconnects > 0
    assert health.last_error
    assert SECRET not in health.last_error


async def until_there(client) -> None:
    """The server answers."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Exception):
                await client.ping()
                return
            await asyncio.sleep(0.02)
