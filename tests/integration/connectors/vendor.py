"""A vendor on loopback whose every step a test decides: a websockets server that speaks Alpaca's protocol by script."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

CONNECTED = {"T": "success", "msg": "connected"}
AUTHENTICATED = {"T": "success", "msg": "authenticated"}
SUBSCRIBED = {"T": "subscription", "trades": ["SPY"]}

Message = dict[str, Any]
Script = Callable[["Session"], Awaitable[None]]


def trade(price: float, symbol: str = "SPY"):
    return {"T": "t", "S": symbol, "i": 1, "p": price, "s": 1, "t": "2026-01-23T14:30:00.000000001Z"}


def error(code: int, text: str = "because"):
    return {"T": "error", "code": code, "msg": text}


@dataclass
class Session:
    """One client's connection, seen from the vendor."""

    number: int
    socket: ServerConnection
    requests: list[Message] = field(default_factory=list)

    async def say(self, *messages: Message) -> None:
        await self.socket.send(json.dumps(messages))

    async def hear(self) -> Message:
        self.requests.append(json.loads(await self.socket.recv()))
        return self.requests[-1]

    async def sign_in(self) -> None:
        await self.say(CONNECTED)
        await self.hear()
        await self.say(AUTHENTICATED)
        await self.hear()
        await self.say(SUBSCRIBED)

    async def stay(self) -> None:
        await self.socket.wait_closed()


@dataclass
class Vendor:
    """Serves session number n by script n, the last script for all that follow."""

    scripts: list[Script]
    url: str = ""
    sessions: list[Session] = field(default_factory=list)
    server: Server | None = None

    async def serve(self, socket: ServerConnection) -> None:
        session = Session(len(self.sessions), socket)
        self.sessions.append(session)
        await self.scripts[min(session.number, len(self.scripts) - 1)](session)


@asynccontextmanager
async def vendor(*scripts: Script, **options) -> AsyncIterator[Vendor]:
    it = Vendor(list(scripts))
    async with serve(it.serve, "127.0.0.1", 0, compression=None, **options) as server:
        it.server = server
        it.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2/iex"
        yield it


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a condition, looking every few milliseconds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions of any kind, not only what can be told
            await asyncio.sleep(0.005)
