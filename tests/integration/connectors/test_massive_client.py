"""The vendor's own client reads the test server as it reads the vendor, and our feed reads the same frames."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from massive import RESTClient, WebSocketClient
from massive.exceptions import AuthError
from massive.websocket.models import EquityAgg, EquityQuote, EquityTrade, LimitUpLimitDown

from connectors.batch import Batch
from connectors.feed import FeedStatus
from connectors.massive import MassiveFeed
from connectors.supervisor import Supervisor, SupervisorSettings
from tests.integration.connectors.vendor import until
from tests.servers.massive import KEY, massive_aggregates, massive_stream

QUICK = SupervisorSettings(silence=5, sign_in=5, backoff=0.01, longest_backoff=0.05, wait=0.05, longest_wait=0.2)
T = 1_769_178_600_500
QUOTE = {
    "ev": "Q",
    "sym": "SPY",
    "bx": 4,
    "bp": 690.1,
    "bs": 100,
    "ax": 7,
    "ap": 690.2,
    "as": 200,
    "t": T,
    "q": 5,
    "z": 2,
}
TRADE = {"ev": "T", "sym": "SPY", "x": 4, "i": "12345", "z": 2, "p": 690.15, "s": 10, "c": [0, 12], "t": T + 1, "q": 8}
BAR = {"ev": "AM", "sym": "SPY", "v": 100, "o": 690, "c": 691, "h": 692, "l": 689, "s": T - 500, "e": T + 59_500}
BAND = {"ev": "LULD", "T": "SPY", "h": 725.0, "l": 655.0, "i": [16], "z": 2, "t": T * 1_000_000, "q": 9}


class Client:
    """The vendor's client at work."""

    def __init__(self, url, key=KEY):
        host = url.removeprefix("ws://").removesuffix("/stocks")
        subscriptions = ["Q.SPY", "T.SPY", "AM.SPY", "LULD.SPY"]
        self.client = WebSocketClient(
            key, feed=host, market="stocks", secure=False, subscriptions=subscriptions, max_reconnects=0
        )
        self.messages = []

    async def take(self, messages):
        self.messages += messages


@asynccontextmanager
async def watching(url, key=KEY, **options):
    """Our feed on a supervised line."""
    batches: list[Batch] = []

    async def sink(batch):
        batches.append(batch)

    feed = MassiveFeed(
        "m", key=key, url=url, symbols=["SPY"], channels=("quotes", "trades", "bars", "bands"), **options
    )
    supervisor = Supervisor(feed, sink, monotonic=time.monotonic, now_ns=time.time_ns, settings=QUICK)
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor, batches
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_the_vendors_client_and_ours_read_the_same():
    async with massive_stream() as stream:
        vendors = Client(stream.url)
        task = asyncio.create_task(vendors.client.connect(vendors.take))
        await until(lambda: any(len(wanted) == 4 for wanted in stream.lines.values()))
        await stream.publish(QUOTE, TRADE, BAR, BAND)
        await until(lambda: len(vendors.messages) == 4)
        await vendors.client.close()
        task.cancel()
        await asyncio.wait([task])
        quote, trade, bar, band = vendors.messages
        assert [type(m) for m in vendors.messages] == [EquityQuote, EquityTrade, EquityAgg, LimitUpLimitDown]
        await until(lambda: not stream.lines)
        async with watching(stream.url) as (_, batches):
            await until(lambda: any(len(wanted) == 4 for wanted in stream.lines.values()))
            await stream.publish(QUOTE, TRADE, BAR, BAND)
            await until(lambda: batches)
    ours = Batch.merge(batches)
    assert ours.quotes["bid"].to_list() == [quote.bid_price]
    assert ours.quotes["ask_size"].to_list() == [quote.ask_size]
    assert ours.trades["price"].to_list() == [trade.price]
    assert ours.trades["id"].to_list() == [trade.sequence_number]
    assert ours.trades["ts"].dt.epoch("ms").to_list() == [trade.timestamp]
    assert ours.bars["close"].to_list() == [bar.close]
    assert ours.bars["end"].dt.epoch("ms").to_list() == [bar.end_timestamp]
    assert ours.bands["upper"].to_list() == [band.high_price]


async def test_a_wrong_key_is_refused_and_not_tried_again():
    async with massive_stream() as stream:
        client = Client(stream.url, "wrong")
        with pytest.raises(AuthError, match="authentication failed"):
            await client.client.connect(client.take)
        async with watching(stream.url, key="wrong") as (supervisor, _):
            await until(lambda: supervisor.health.status is FeedStatus.STOPPED)
            assert supervisor.health.last_error == "auth_failed authentication failed"
            assert supervisor.health.connections == 1


async def test_the_one_connection_a_key_has_is_waited_for():
    async with massive_stream() as stream, watching(stream.url) as (first, _):
        await until(lambda: first.health.status is FeedStatus.LIVE)
        async with watching(stream.url) as (second, _):
            await until(lambda: second.health.errors["max_connections"] >= 2)
            assert second.health.status is not FeedStatus.STOPPED
        assert first.health.connections == 1, "the first was not evicted"


async def test_one_channel_refused_leaves_the_others():
    async with massive_stream({"LULD": "invalid parameter"}) as stream, watching(stream.url) as (supervisor, batches):
        await until(lambda: supervisor.health.errors["error"])
        await stream.publish(QUOTE)
        await until(lambda: batches)
        assert supervisor.health.status is FeedStatus.LIVE
        assert supervisor.health.last_error == "error invalid parameter"


async def test_a_channel_beyond_the_plan_stops_the_feed():
    async with massive_stream({"Q": "not authorized"}) as stream, watching(stream.url) as (supervisor, _):
        await until(lambda: supervisor.health.status is FeedStatus.STOPPED)
        assert "not authorized" in supervisor.health.last_error


async def test_another_wanted_set_is_asked_for_on_the_live_line():
    async with massive_stream() as stream, watching(stream.url) as (supervisor, batches):
        await until(lambda: supervisor.health.status is FeedStatus.LIVE)
        await supervisor.subscribe(["IWM"])
        await until(lambda: {"T.IWM"} <= set().union(*stream.lines.values()))
        await until(lambda: not any("SPY" in p for wanted in stream.lines.values() for p in wanted))
        await stream.publish(QUOTE, TRADE | {"sym": "IWM"})
        await until(lambda: batches)
        assert batches[0].trades["symbol"].to_list() == ["IWM"]
        assert batches[0].quotes.height == 0


async def test_the_vendors_rest_client_reads_every_page():
    bars = [{"t": T + 60_000 * k, "o": 1, "h": 2, "l": 1, "c": 1 + k / 10, "v": k, "vw": 1.5, "n": 3} for k in range(8)]
    async with massive_aggregates({"SPY": bars}) as server:
        client = RESTClient(KEY, base=server.base, retries=0)
        read = await asyncio.to_thread(lambda: list(client.list_aggs("SPY", 1, "minute", T, T + 10**9, adjusted=False)))
    assert [bar.close for bar in read] == [bar["c"] for bar in bars]
    assert len(server.asked) == 3
