"""Two supervisors with one key at a vendor who refuses a second line, over a real store: no war."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from contextlib import asynccontextmanager

import pytest
from websockets.exceptions import ConnectionClosed

from connectors.alpaca import AlpacaFeed
from connectors.feed import FeedStatus
from connectors.supervisor import Supervisor, SupervisorSettings
from connectors.websocket import open_websocket
from monitor.key_lease import KeyLease, KeyLeases
from monitor.store.embedded import EmbeddedValkey
from monitor.store.redis_store import RedisStore
from tests.integration.connectors.vendor import CONNECTED, error, trade, until, vendor

KEY = "PKTESTKEY0123456789"
QUICK = SupervisorSettings(silence=5, sign_in=5, backoff=0.01, longest_backoff=0.05, wait=0.02, longest_wait=0.05)


@pytest.fixture
async def server(tmp_path):
    server = EmbeddedValkey(tmp_path / "store")
    await server.start()
    yield server
    await server.stop()


class Jealous:
    """Gives each key one line: whoever comes while there is one is refused, and counted."""

    def __init__(self):
        self.lines = []
        self.refused = self.prices = 0

    async def serve(self, session):
        if any(not line.socket.close_code for line in self.lines):
            self.refused += 1
            await session.say(CONNECTED)
            await session.hear()
            await session.say(error(406, "connection limit exceeded"))
            return
        self.lines.append(session)
        await session.sign_in()
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.prices += 1
                await session.say(trade(self.prices))
                await asyncio.sleep(0.01)


class Daemon:
    """What a daemon has of all this: a supervisor, and the lease of its key."""

    def __init__(self, url, store, name, lasts, leased=True):
        self.store, self.leases = store, KeyLeases(name, lasts)
        self.lease = KeyLease(self.leases, "iex")
        self.got = 0
        self.supervisor = Supervisor(
            AlpacaFeed("iex", key=KEY, secret="s", url=url, symbols=["SPY"]),
            self.sink,
            monotonic=time.monotonic,
            now_ns=time.time_ns,
            settings=QUICK,
            connect=self.lease.before(open_websocket) if leased else open_websocket,
        )

    async def sink(self, batch):
        self.got += batch.rows

    async def run(self):
        await self.leases.open(self.store)
        async with self.lease.kept():
            await self.supervisor.run()


@asynccontextmanager
async def running(url, server, name, lasts=0.5, leased=True):
    store = RedisStore(server.url)
    await store.open()
    daemon = Daemon(url, store, name, lasts, leased)
    daemon.task = asyncio.create_task(daemon.run())
    try:
        yield daemon
    finally:
        daemon.task.cancel()
        await asyncio.wait([daemon.task])
        await store.close()


async def test_who_comes_second_waits_says_for_whom_and_takes_over_at_an_orderly_end(server):
    jealous = Jealous()
    async with vendor(jealous.serve) as it, running(it.url, server, "a:x") as first:
        await until(lambda: first.got > 3)
        async with running(it.url, server, "b:x") as second:
            await until(lambda: second.lease.holder)
            assert second.lease.holder == "a:x iex"
            seen = first.got
            await until(lambda: first.got > seen + 100)  # twice as long as the lease lasts
            assert (second.got, jealous.refused, len(it.sessions)) == (0, 0, 1)
            assert first.supervisor.health.reconnects == 0
            first.task.cancel()
            await until(lambda: second.got > 3)
            assert (jealous.refused, second.lease.holder, len(it.sessions)) == (0, "", 2)


async def test_without_a_lease_the_vendor_refuses_again_and_again(server):
    jealous = Jealous()
    async with vendor(jealous.serve) as it, running(it.url, server, "a:x", leased=False) as first:
        await until(lambda: first.got > 3)
        async with running(it.url, server, "b:x", leased=False) as second:
            await until(lambda: jealous.refused > 2)
            assert second.supervisor.health.errors["406"] > 1


async def test_what_is_not_prolonged_is_taken_over_and_the_line_of_who_slept_ends(server):
    jealous = Jealous()
    async with vendor(jealous.serve) as it, running(it.url, server, "a:x", lasts=0.3) as first:
        await until(lambda: first.got > 3)
        awake = asyncio.Event()
        prolong = first.leases.hold

        async def once_awake(*asked):
            await awake.wait()
            return await prolong(*asked)

        first.leases.hold = once_awake
        async with running(it.url, server, "b:x", lasts=0.3) as second:
            await until(lambda: second.lease._held is not None)
            awake.set()
            await until(lambda: second.got > 3)
            await until(lambda: first.lease.holder == "b:x iex")
            assert first.supervisor.health.status is FeedStatus.CONNECTING
            assert "taken over by b:x iex" in first.supervisor.health.last_error


@pytest.mark.parametrize("loses", [False, True], ids=["as it was", "with nothing"])
async def test_a_store_that_comes_back_leaves_the_key_with_whom_it_was(server, tmp_path, loses):
    jealous = Jealous()
    async with vendor(jealous.serve) as it, running(it.url, server, "a:x") as first:
        await until(lambda: first.got > 3)
        async with running(it.url, server, "b:x") as second:
            for _ in range(3):
                await until(lambda: second.lease.holder == "a:x iex")
                await server.stop()
                if loses:
                    shutil.rmtree(tmp_path / "store")
                await until(lambda: "away" in second.lease.holder)
                seen = first.got
                await until(lambda: first.got > seen + 100)  # noqa: B023 - twice as long as the lease lasts
                await server.start()
            await until(lambda: second.lease.holder == "a:x iex")
            assert (second.got, jealous.refused, len(it.sessions)) == (0, 0, 1)
            first.task.cancel()
            await until(lambda: second.got > 3)


async def test_a_name_that_another_has_as_well_is_not_the_same(server):
    """Two containers of one machine may both be its process 1."""
    jealous = Jealous()
    async with vendor(jealous.serve) as it, running(it.url, server, "a:1") as first:
        await until(lambda: first.got > 3)
        async with running(it.url, server, "a:1") as second:
            await until(lambda: second.lease.holder == "a:1 iex")
            seen = first.got
            await until(lambda: first.got > seen + 100)
            assert (second.got, jealous.refused) == (0, 0)


async def test_who_stood_still_asks_before_it_hands_on_what_came_meanwhile(server):
    jealous = Jealous()
    async with vendor(jealous.serve) as it, running(it.url, server, "a:x", lasts=600) as first:
        await until(lambda: first.got > 3)
        address, other = first.supervisor._feed.address(), KeyLeases("b:x")
        await other.open(first.store)
        held = await other.hold(address, "iex")
        assert held.startswith("a:x iex")
        assert await other.hold(address, "iex", held) == ""
        seen = first.got
        first.lease._until = 0.0  # as if it had stood still for so long; its next sign of life is minutes away
        await until(lambda: first.lease.holder == "b:x iex")
        assert first.got == seen
        assert "taken over by b:x iex" in first.supervisor.health.last_error


async def test_the_store_has_no_key(server):
    async with vendor(Jealous().serve) as it, running(it.url, server, "a:x") as first:
        await until(lambda: first.got)
        names = await first.store._server.command("KEYS", "*")
        values = await first.store._server.pipeline([["GET", name] for name in names if b":line:" in name])
        assert [value.splitlines()[0] for value in values] == [b"a:x iex"]
        assert not any(KEY.encode() in text for text in [*names, *values])
