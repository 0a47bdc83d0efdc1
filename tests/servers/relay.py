"""A TCP line to a real server whose ends a test decides, and the ends that lines of any protocol have."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

End = Callable[["Relay"], Awaitable[None]]


class Relay:
    """A TCP line to a server, whose ends a test decides."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []
        self.client: asyncio.StreamWriter | None = None
        self.turned_away = asyncio.Event()
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
            self.turned_away.set()
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


async def half_ends(relay: Relay) -> None:
    assert relay.client is not None
    relay.client.write_eof()


async def hangs(relay: Relay) -> None:
    relay.hung = True


async def is_away(relay: Relay) -> None:
    """Whoever comes is turned away at once, for a while."""
    relay.accepts = False
    relay.close()
    async with asyncio.timeout(10):
        await relay.turned_away.wait()
    relay.accepts = True


def answers(text: bytes) -> End:
    """In the place of what was asked for."""

    async def end(relay: Relay) -> None:
        await relay.says(text)

    return end


ENDS: Final[dict[str, End]] = {
    "ended": ends,
    "reset": resets,
    "half ended": half_ends,
    "hung": hangs,
    "away for a while": is_away,
}
"""By name, those of any protocol."""
