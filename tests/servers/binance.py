"""An exchange on loopback that speaks Binance's combined streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response


class Exchange:
    """Whoever asked for something on a line gets every message from then on."""

    def __init__(self) -> None:
        self.lines: list[list[ServerConnection]] = []
        self.ended: list[list[ServerConnection]] = []
        self.requests: list[dict[str, Any]] = []
        self.number = 0
        self.refuses = 0
        """Handshakes to refuse, after the first line."""
        self.url = ""

    def admit(self, connection: ServerConnection, _request: Request) -> Response | None:
        """Refuse a handshake as long as a test wants it."""
        if not (self.refuses and self.lines):
            return None
        self.refuses -= 1
        return connection.respond(503, "full")

    async def serve(self, socket: ServerConnection) -> None:
        """One line."""
        line: list[ServerConnection] = []
        self.lines.append(line)
        try:
            async for text in socket:
                request = json.loads(text)
                self.requests.append(request)
                await socket.send(json.dumps({"result": None, "id": request["id"]}))
                line.append(socket)
        except ConnectionClosed:  # cut instead of closed: over all the same
            return
        finally:
            self.ended.append(line)

    async def trades(self) -> None:
        """A trade every millisecond, to all lines."""
        while True:
            await self.trade("BTCUSDT", "1", 1_769_178_600_000 + self.number)
            await asyncio.sleep(0.001)

    async def trade(self, symbol: str, price: str, ms: int) -> None:
        """One trade, at so many milliseconds since 1970."""
        self.number += 1
        await self.say({"e": "trade", "E": ms, "s": symbol, "t": self.number, "p": price, "q": "1", "T": ms})

    async def say(self, data: dict[str, Any]) -> None:
        """To all lines."""
        for line in self.lines:
            for socket in line[:1]:
                if line not in self.ended:
                    with contextlib.suppress(ConnectionClosed):  # the line ends at this very moment
                        await socket.send(json.dumps({"stream": "x", "data": data}))


@asynccontextmanager
async def exchange_running() -> AsyncIterator[Exchange]:
    """An exchange for one test."""
    exchange = Exchange()
    async with serve(exchange.serve, "127.0.0.1", 0, compression=None, process_request=exchange.admit) as server:
        exchange.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"
        yield exchange
