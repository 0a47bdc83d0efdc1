"""Feeds that are told what is kept, a broker's at quality 1 and a stream's, through kill -9 of the monitor.

Each message is a trade whose size is its number: what the journal has of it says what was lost and what counted twice.

KEPT_MESSAGES=100000 python -m pytest -m soak tests/e2e/test_kept_feeds.py -s
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from redis.asyncio import Redis

from monitor import journal
from monitor.fault_points import VARIABLE
from monitor.store.embedded import EmbeddedValkey
from monitor.store.redis_store import RedisStore
from tests.e2e.feeds_monitor import Monitor, monitor
from tests.e2e.world import until
from tests.servers.mosquitto import PASSWORD, PROGRAM, USER, broker

pytestmark = pytest.mark.services

MESSAGES = int(os.environ.get("KEPT_MESSAGES", "100000"))
LONGEST = 0.5
"""Seconds after the first data of a process in which it is killed."""
FAULTS = ("commit.taken@2", "commit.written@3", "commit.told@2", "checkpoint.taken@2", "checkpoint.written@2")

Send = Callable[[Iterable[int]], Awaitable[None]]


def trade(number: int) -> dict[str, Any]:
    return {"ts": time.time_ns(), "price": 1000, "size": number + 1}


@asynccontextmanager
async def mqtt(folder: Path) -> AsyncIterator[tuple[dict[str, Any], Send]]:
    """Trades with an id, by which those that a broker sends again are known."""
    if PROGRAM is None:
        pytest.skip("mosquitto is not installed")
    async with broker(folder, password=True) as server:
        login = {"username": USER, "password": PASSWORD}
        out = paho.Client(paho.CallbackAPIVersion.VERSION2)
        out.username_pw_set(USER, PASSWORD)
        out.max_inflight_messages_set(1000)
        out.connect("127.0.0.1", server.port)
        out.loop_start()

        async def send(numbers: Iterable[int]) -> None:
            message = None
            for number in numbers:
                data = json.dumps({**trade(number), "id": number})
                message = out.publish("md/v1/lab/0/BTC%2FUSDT/t", data, qos=1)
                if number % 200 == 0:
                    await asyncio.sleep(0.005)
            await until(lambda: message is None or message.is_published(), "the broker has them")

        yield {"type": "mqtt", "url": server.url, "topics": ["md/v1/#"], "qos": 1, **login}, send
        out.disconnect()
        out.loop_stop()


@asynccontextmanager
async def stream(folder: Path) -> AsyncIterator[tuple[dict[str, Any], Send]]:
    """Trades without an id: it is the place in the stream alone that says which were read."""
    async with EmbeddedValkey(folder / "theirs") as server, Redis.from_url(server.url, protocol=2) as client:

        async def send(numbers: Iterable[int]) -> None:
            for number in numbers:
                fields: dict[Any, Any] = {"sym": "BTC/USDT", **trade(number)}
                await client.xadd("ticks", fields)

        feed = {"type": "redis", "url": server.url, "stream": "ticks", "kind": "trades", "symbol": "{sym}"}
        yield {**feed, "unit": "ns", "begin": "oldest"}, send


SOURCES = {"mqtt": mqtt, "stream": stream}


@asynccontextmanager
async def rig(kind: str, folder: Path, own_store: bool) -> AsyncIterator[tuple[Monitor, Send]]:
    """A monitor on a feed, with a store of its own, which dies with it, or with one that lives on."""
    async with EmbeddedValkey(folder / "server") as server, SOURCES[kind](folder) as (feed, send):
        store = "embedded" if own_store else server.url
        async with monitor(folder, {"desk": feed}, store, checkpoint_every="200ms") as it:
            yield it, send


async def journalled(it: Monitor) -> Counter[int]:
    """How often the journal has each message."""
    found: Counter[int] = Counter()
    store = RedisStore(it.store)
    await store.open()
    try:
        async for entry in store.journal(None):
            found.update(int(size) - 1 for size in journal.decode(entry.fields)[0].trades["size"])
    finally:
        await store.close()
    return found


async def whole(it: Monitor, messages: int) -> Counter[int]:
    """The journal, once it has every message."""
    deadline = time.monotonic() + 60
    while len(found := await journalled(it)) < messages:
        assert time.monotonic() < deadline, (sorted({*range(messages)} - found.keys())[:20], it.program.lines[-5:])
        await asyncio.sleep(0.2)
    return found


async def live(it: Monitor) -> None:
    await it.answers("/api/v1/status", lambda answer: answer["feeds"][0]["status"] == "live")


async def through_kills(it: Monitor, send: Send, messages: int, kills: int, seed: int) -> Counter[int]:
    """Send all while the monitor is killed at moments of chance; what the journal has of them."""
    chance = random.Random(seed)
    await it.start()
    await live(it)
    part = messages // (kills + 1)
    for kill in range(kills):
        sending = asyncio.create_task(send(range(kill * part, (kill + 1) * part)))
        await it.answers("/api/v1/status", lambda answer: answer["feeds"][0]["rows"].get("trades"))
        await asyncio.sleep(chance.uniform(0, LONGEST))
        assert await it.program.end(signal.SIGKILL) == -signal.SIGKILL
        before = asyncio.create_task(it.start())
        await sending
        await before
    await send(range(kills * part, messages))
    return await whole(it, messages)


@pytest.mark.parametrize("own_store", [True, False], ids=["own store", "store that lives on"])
@pytest.mark.parametrize("kind", SOURCES)
async def test_kill_minus_nine_loses_nothing_and_nothing_counts_twice(kind, own_store, tmp_path):
    async with rig(kind, tmp_path, own_store) as (it, send):
        assert await through_kills(it, send, 3_000, kills=2, seed=1) == Counter(range(3_000))


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_kill_at_each_point_of_the_way_loses_nothing_and_nothing_counts_twice(kind, tmp_path):
    async with rig(kind, tmp_path, own_store=False) as (it, send):
        await it.start()
        await live(it)  # a broker keeps messages from the first subscription on
        assert await it.program.end(signal.SIGKILL) == -signal.SIGKILL
        sent = 0
        for fault in FAULTS:
            program = await it.launch(**{VARIABLE: fault})
            deadline = time.monotonic() + 60
            while program.process.returncode is None:
                assert time.monotonic() < deadline, fault
                if program.said('"started"'):
                    await send(range(sent, sent + 50))
                    sent += 50
                await asyncio.sleep(0.02)
            assert program.process.returncode == -signal.SIGKILL, (fault, program.lines[-5:])
        await it.start()
        await send(range(sent, sent + 50))
        assert await whole(it, sent + 50) == Counter(range(sent + 50))


@pytest.mark.soak
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("own_store", [True, False], ids=["own store", "store that lives on"])
@pytest.mark.parametrize("kind", SOURCES)
async def test_many_messages_through_many_kills(kind, own_store, tmp_path):
    began, kills = time.monotonic(), 12
    async with rig(kind, tmp_path, own_store) as (it, send):
        found = await through_kills(it, send, MESSAGES, kills, seed=MESSAGES)
        again = (await it.ask("/api/v1/feeds"))[0]["filtered"]
        told = f"{len(found):,} of {MESSAGES:,} messages, {found.total() - len(found)} twice, {kills} kills"
        print(f"{kind}: {told}, filtered by the last process {again}, {time.monotonic() - began:.0f} s")  # noqa: T201
        assert found == Counter(range(MESSAGES))
