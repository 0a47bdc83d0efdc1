"""One client of the exchange, and what waits to be sent to it: bounded, so that a slow one costs the others nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from connectors.simulator.messages import Selection, encode

MSGPACK: Final = "application/msgpack"
_PARTING_SECONDS: Final = 1.0
"""How long a client that is put out may take to read why."""


class Subscriber:
    """A client that is connected: its encoding, its selection, and its outgoing frames.

    Args:
        connection: the websocket, open.
        backlog: bytes that may wait; a frame beyond that is refused.
    """

    def __init__(self, connection: ServerConnection, backlog: int) -> None:
        self.connection = connection
        request = connection.request
        self.packed = request is not None and MSGPACK in request.headers.get_all("Content-Type")
        self.selection = Selection()
        self._backlog = backlog
        self._waiting: deque[str | bytes] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()

    def offer(self, frame: str | bytes) -> bool:
        """Queue a frame of data; False if it does not fit, and is not queued."""
        if self._bytes and self._bytes + len(frame) > self._backlog:
            return False
        self._queue(frame)
        return True

    def tell(self, message: dict[str, object]) -> None:
        """Queue a control message, in order with the data; it always fits."""
        self._queue(encode([message], packed=self.packed))

    async def drained(self) -> None:
        """Wait until nothing is queued."""
        await self._drained.wait()

    async def pump(self) -> None:
        """Send what is queued until the connection ends."""
        try:
            while True:
                await self._filled.wait()
                while self._waiting:
                    frame = self._waiting.popleft()
                    await self.connection.send(frame)
                    self._bytes -= len(frame)
                self._filled.clear()
                self._drained.set()
        except ConnectionClosed:
            pass  # the reader of the connection sees the same, and takes the client off the list
        finally:
            self._drained.set()

    async def put_out(self, message: dict[str, object]) -> None:
        """Forget what is queued, say why, and close; a client that does not read is not waited for."""
        self._waiting.clear()
        try:
            async with asyncio.timeout(_PARTING_SECONDS):
                await self.connection.send(encode([message], packed=self.packed))
                await self.connection.close()
        except ConnectionClosed:
            pass  # it has left by itself
        except TimeoutError:
            self.connection.transport.abort()

    def _queue(self, frame: str | bytes) -> None:
        self._waiting.append(frame)
        self._bytes += len(frame)
        self._filled.set()
        self._drained.clear()
