"""However a line ends, every feed comes back: signed in afresh, subscribed in full, with data."""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve

from connectors.batch import Batch
from connectors.feed import Address, FeedStatus
from connectors.supervisor import Supervisor, SupervisorSettings
from connectors.websocket import WebSocketOptions, open_websocket
from tests.contract.connectors.cards import CARDS, SECRET, Card
from tests.integration.connectors.vendor import until

QUICK = SupervisorSettings(silence=5, sign_in=5, backoff=0.01, longest_backoff=0.02, wait=0.02, longest_wait=0.05)
OPTIONS = WebSocketOptions(open_timeout=5, ping_interval=0.2, ping_timeout=0.2, longest_message=100_000)


def closes(code: int):
    async def end(line: ServerConnection) -> None:
        await line.close(code, "for the test")

    return end


async def resets(line: ServerConnection) -> None:
    """A RST instead of an end."""
    raw = line.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.transport.abort()


async def ends_without_goodbye(line: ServerConnection) -> None:
    line.transport.close()


async def ends_in_mid_message(line: ServerConnection) -> None:
    line.transport.write(b'\x81\x7e\x10\x00[{"T":')
    line.transport.close()


async def talks_nonsense(line: ServerConnection) -> None:
    line.transport.write(b"\xff\xff\xff\xff\xff")
    await line.wait_closed()


async def sends_broken_text(line: ServerConnection) -> None:
    line.transport.write(b"\x81\x02\xc3\x28")  # not UTF-8: a message that cannot be read, counted
    line.transport.close()


async def sends_too_much(line: ServerConnection) -> None:
    await line.send("x" * 200_000)
    await line.wait_closed()


async def hangs(line: ServerConnection) -> None:
    """Nothing is read any more, so no ping is answered."""
    line.transport.pause_reading()
    await line.wait_closed()


KINDS: dict[str, Callable[[ServerConnection], Awaitable[None]]] = {
    "closed in order": closes(1000),
    "going away": closes(1001),
    "refused by policy": closes(1008),
    "internal error": closes(1011),
    "restarted": closes(1012),
    "reset": resets,
    "ended without goodbye": ends_without_goodbye,
    "ended in mid-message": ends_in_mid_message,
    "nonsense": talks_nonsense,
    "text that is none": sends_broken_text,
    "a message beyond all bounds": sends_too_much,
    "hung": hangs,
}


class Exchange:
    """Says a card's session on every line; ends the first one in the way of the test."""

    def __init__(self, card: Card, end: Callable[[ServerConnection], Awaitable[None]]) -> None:
        self.card, self.end = card, end
        self.heard: list[list[str | bytes]] = []

    async def serve(self, line: ServerConnection) -> None:
        mine: list[str | bytes] = []
        self.heard.append(mine)
        first = len(self.heard) == 1
        for frame in self.card.session:
            await line.send(frame)
            await asyncio.sleep(0)
        if first:
            async with asyncio.timeout(5):
                mine.append(await line.recv())
            await self.end(line)
        else:
            while True:
                mine.append(await line.recv())


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("kind", KINDS)
async def test_comes_back(name, kind):
    card = CARDS[name]
    exchange = Exchange(card, KINDS[kind])
    rows: list[int] = []

    async def sink(batch: Batch) -> None:
        rows.append(batch.rows)

    async with serve(exchange.serve, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=0.2) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"
        supervisor = Supervisor(
            card.make(),
            sink,
            monotonic=time.monotonic,
            now_ns=time.time_ns,
            settings=QUICK,
            connect=lambda _: open_websocket(Address(url), OPTIONS),
        )
        task = asyncio.create_task(supervisor.run())
        try:
            # What a repeated number says again is no news, so the second line may bring fewer rows, but it is heard.
            await until(lambda: len(exchange.heard) == 2 and exchange.heard[1], 10)
            await until(lambda: supervisor.health.status is FeedStatus.LIVE, 10)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.wait([task])
    assert sum(rows) >= card.rows
    assert exchange.heard[1][0] == exchange.heard[0][0], "sign-in, or the subscription, from the beginning"
    assert supervisor.health.connections == 2
    assert supervisor.health.last_error
    assert SECRET not in supervisor.health.last_error


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize(
    ("status", "then"),
    [
        (HTTPStatus.UNAUTHORIZED, FeedStatus.STOPPED),
        (HTTPStatus.TOO_MANY_REQUESTS, FeedStatus.LIVE),
        (HTTPStatus.SERVICE_UNAVAILABLE, FeedStatus.LIVE),
    ],
)
async def test_a_refused_handshake(name, status, then):
    card = CARDS[name]
    exchange = Exchange(card, closes(1000))
    exchange.heard.append([])  # so that the line that is opened stays
    refused = 0

    def refuse(line, request):
        nonlocal refused
        refused += 1
        return line.respond(status, "no\n") if refused == 1 else None

    async def sink(batch: Batch) -> None:
        assert batch.rows

    async with serve(exchange.serve, "127.0.0.1", 0, process_request=refuse, close_timeout=0.2) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"
        supervisor = Supervisor(
            card.make(),
            sink,
            monotonic=time.monotonic,
            now_ns=time.time_ns,
            settings=QUICK,
            connect=lambda _: open_websocket(Address(url, secrets={"token": SECRET}), OPTIONS),
        )
        task = asyncio.create_task(supervisor.run())
        try:
            await until(lambda: supervisor.health.status is then, 10)
        finally:
            task.cancel()
            await asyncio.wait([task])
    assert str(int(status)) in supervisor.health.last_error
    assert SECRET not in supervisor.health.last_error
    assert refused == (1 if then is FeedStatus.STOPPED else 2)
