"""Finnhub's stream on a supervised line, and last prices beside it."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from connectors.backlog import Backlog
from connectors.feed import FeedStatus
from connectors.finnhub import FinnhubFeed, LastPrices, headers
from connectors.rest import Rest, RestError
from connectors.supervisor import Supervisor, SupervisorSettings
from monitor import settings
from monitor.positions import Positions
from monitor.seeded import Seeded
from tests.integration.connectors.vendor import until
from tests.servers.finnhub import KEY, finnhub

QUICK = SupervisorSettings(silence=5, sign_in=0.2, backoff=0.01, longest_backoff=0.05, wait=0.05, longest_wait=0.2)
AAPL = {"c": ["1", "24"], "p": 129.58, "s": "AAPL", "t": 1672348887666, "v": 1}


class Awake:
    """A market that is open."""

    def expects_data(self):
        return True

    def of_feed(self):
        return self

    def came(self):
        """Always."""


@asynccontextmanager
async def watching(url, key=KEY, quick=QUICK, symbols=("AAPL",), **options):
    batches = []

    async def sink(batch):
        batches.append(batch)

    feed = FinnhubFeed("f", key=key, url=url, symbols=symbols)
    supervisor = Supervisor(feed, sink, monotonic=time.monotonic, now_ns=time.time_ns, settings=quick, **options)
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor, batches
    finally:
        task.cancel()
        await asyncio.wait([task])


def last_prices(base, key=KEY):
    rest = Rest(base, headers(key), per_minute=6000, monotonic=time.monotonic, now_ns=time.time_ns)
    return rest, LastPrices("f", rest, lambda: 7)


async def test_trades_arrive():
    async with finnhub() as server, watching(server.url) as (supervisor, batches):
        await until(lambda: any("AAPL" in wanted for wanted in server.lines.values()))
        await server.publish(AAPL, AAPL | {"s": "MSFT"})
        await until(lambda: batches)
        assert batches[0].trades["price"].to_list() == [129.58]
        assert supervisor.health.status is FeedStatus.LIVE


async def test_a_vendor_that_confirms_nothing_is_live_and_left_alone_at_night():
    async with finnhub() as server, watching(server.url, expects_data=lambda: False) as (supervisor, _):
        await until(lambda: supervisor.health.frames)
        await asyncio.sleep(3 * QUICK.sign_in)
        assert supervisor.health.status is FeedStatus.LIVE
        assert supervisor.health.connections == 1


async def test_silence_during_the_session_is_a_fault():
    quick = replace(QUICK, silence=0.2)
    async with finnhub() as server, watching(server.url, quick=quick) as (supervisor, _):
        await until(lambda: supervisor.health.silences)


async def test_a_wrong_key_stops_the_feed_and_is_not_shown():
    async with finnhub() as server, watching(server.url, key="hush-hush") as (supervisor, _):
        await until(lambda: supervisor.health.status is FeedStatus.STOPPED)
        assert "401" in supervisor.health.last_error
        assert "hush" not in supervisor.health.last_error
        assert supervisor.health.connections == 0


async def test_what_is_beyond_the_plan_leaves_the_others():
    symbols = ("AAPL", "MSFT", "SPY", "wrong")
    async with finnhub(most=2) as server, watching(server.url, symbols=symbols) as (supervisor, batches):
        await until(lambda: supervisor.health.errors["None"] == 2)
        assert supervisor.health.last_error == "Subscribing to too many symbols"
        await server.publish(AAPL)
        await until(lambda: batches)
        await supervisor.subscribe(["AAPL", "SPY"])
        await until(lambda: {"AAPL", "SPY"} in server.lines.values(), QUICK.silence / 2)
        assert supervisor.health.connections == 1


async def test_last_prices():
    async with finnhub(prices={"AAPL": (261.74, 1_582_641_000)}, limited=1) as server:
        rest, prices = last_prices(server.base)
        async with rest:
            batches = [batch async for batch in prices.of(["NONE", "AAPL"])]
    first, second = batches
    assert first.trades["price"].to_list() == [261.74]
    assert first.trades["size"].to_list() == [0.0]
    assert first.trades["ts"].dt.epoch("s").to_list() == [1_582_641_000]
    assert first.received_at == 7
    assert second.rows == 0


async def test_last_prices_with_a_wrong_key():
    async with finnhub() as server:
        rest, prices = last_prices(server.base, "hush-hush")
        async with rest:
            with pytest.raises(RestError, match="Invalid API key") as raised:
                [batch async for batch in prices.of(["AAPL"])]
    assert raised.value.status == 401
    assert "hush" not in str(raised.value)


async def test_the_monitors_source_asks_for_each_instrument_once():
    async with finnhub(prices={"AAPL": (261.74, 1_582_641_000), "SPY": (690.0, 1_582_641_001)}) as server:
        config = settings.FinnhubFeed(type="finnhub", key=KEY, url=server.url, rest=server.base)
        backlog = Backlog(2**20)
        source = Seeded(config, "f", backlog, Awake(), Positions())
        await source.want(["AAPL"])
        task = asyncio.create_task(source.run())
        try:
            (seed,) = await asyncio.wait_for(backlog.take(10), 10)
            assert seed.trades["price"].to_list() == [261.74]
            await source.want(["AAPL", "SPY"])
            (seed,) = await asyncio.wait_for(backlog.take(10), 10)
            assert seed.trades["symbol"].to_list() == ["SPY"]
            assert len(server.asked) == 2
            await until(lambda: {"AAPL", "SPY"} in server.lines.values())
            assert source.state().details["seed_error"] is None
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_prices_that_are_refused_do_not_cost_the_stream():
    async with finnhub() as server:
        config = settings.FinnhubFeed(
            type="finnhub", key=KEY, symbols=["AAPL"], url=server.url, rest="http://127.0.0.1:9"
        )
        backlog = Backlog(2**20)
        source = Seeded(config, "f", backlog, Awake(), Positions())
        task = asyncio.create_task(source.run())
        try:
            await until(lambda: {"AAPL"} in server.lines.values())
            await server.publish(AAPL)
            (batch,) = await asyncio.wait_for(backlog.take(10), 10)
            assert batch.trades["price"].to_list() == [129.58]
        finally:
            task.cancel()
            await asyncio.wait([task])
