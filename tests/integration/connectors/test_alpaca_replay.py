"""The connector against an outside player of real prices, with what goes wrong on a line."""

import asyncio
import sys
import time
from contextlib import asynccontextmanager

import polars as pl
import pytest

from connectors.alpaca import AlpacaFeed
from connectors.batch import Batch
from connectors.feed import FeedStatus
from connectors.supervisor import Supervisor, SupervisorSettings
from tests.integration.connectors.vendor import until

pytestmark = pytest.mark.realdata

SYMBOLS = ["SPY", "IWM"]
SETTINGS = SupervisorSettings(silence=1.0, backoff=0.05, longest_backoff=0.2, wait=0.1, longest_wait=0.3)


@pytest.fixture(name="player")
def _player(shared_data, shared_tools):
    """Starts the outside player of 23 January 2026 on a free port, with options; gives its address."""

    @asynccontextmanager
    async def start(*options):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(shared_tools / "alpaca_replay.py"),
            f"--data={shared_data / 'bars_5min.parquet'}",
            f"--symbols={','.join(SYMBOLS)}",
            "--start=2026-01-23",
            "--end=2026-01-24",
            "--port=0",
            *options,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            yield (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        finally:
            process.kill()
            await process.wait()

    return start


class Client:
    """A supervised feed and all it handed on."""

    def __init__(self, url, **options):
        self.batches: list[Batch] = []
        feed = AlpacaFeed(
            "iex",
            url=url,
            symbols=SYMBOLS,
            **{"key": "key", "secret": "secret", "channels": ("trades", "quotes", "bars"), **options},
        )
        self.supervisor = Supervisor(feed, self.keep, monotonic=time.monotonic, now_ns=time.time_ns, settings=SETTINGS)
        self.health = self.supervisor.health

    async def keep(self, batch):
        self.batches.append(batch)

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.supervisor.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    def all(self) -> Batch:
        return Batch.merge(self.batches)


@pytest.fixture(name="day", scope="module")
def _day(shared_data):
    """The bars that are played."""
    bars = pl.read_parquet(shared_data / "bars_5min.parquet").filter(
        pl.col("symbol").is_in(SYMBOLS), pl.col("ts").dt.date() == pl.date(2026, 1, 23)
    )
    return bars.drop_nulls().sort("ts", "symbol")


def closes(frame, column, time_column="ts"):
    return dict(frame.sort(time_column).group_by("symbol").agg(pl.col(column).last()).iter_rows())


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_a_day_arrives_complete(player, day, encoding):
    async with player("--speed=0") as url, Client(url, encoding=encoding).running() as client:
        await until(lambda: client.health.rows >= 9 * day.height, 60)
    got = client.all()
    assert (got.trades.height, got.quotes.height, got.bars.height) == (4 * day.height, 4 * day.height, day.height)
    assert not got.rejected
    bars = got.bars.sort("ts", "symbol")
    assert bars["ts"].to_list() == day["ts"].cast(pl.Datetime("ns", "UTC")).to_list()
    for column in ("open", "high", "low", "close"):
        assert bars[column].to_list() == day[column].to_list()
    assert closes(got.trades, "price") == closes(day, "close")
    offsets = got.trades["ts"].cast(pl.Int64) % (300 * 10**9)
    assert set(offsets) == {0, 75 * 10**9, 150 * 10**9, 300 * 10**9 - 1}, "exact to the nanosecond"


async def test_a_cut_line_costs_nothing_but_what_was_in_it(player, day):
    async with player("--speed=20000", "--fault=drop@300") as url, Client(url).running() as client:
        await until(
            lambda: client.health.connections >= 2 and closes(client.all().trades, "price") == closes(day, "close"), 60
        )
    assert client.health.reconnects >= 1
    assert client.health.rows >= 9 * day.height - 100


async def test_a_stalled_line_is_noticed_and_left(player, day):
    async with player("--speed=20000", "--fault=stall@300") as url, Client(url).running() as client:
        await until(lambda: client.health.silences == 1, 60)
        await until(lambda: closes(client.all().trades, "price") == closes(day, "close"), 60)
    assert client.health.reconnects >= 1


async def test_garbage_is_counted_and_costs_no_good_message(player, day):
    async with player("--speed=0", "--fault=garbage@100") as url, Client(url).running() as client:
        await until(lambda: client.health.rows >= 9 * day.height, 60)
    assert client.all().rows == 9 * day.height
    assert client.health.connections == 1
    assert set(client.health.rejected) == {"malformed", "not a list", "missing field"}
    assert client.health.rejected["malformed"] == 2 * client.health.rejected["not a list"]


async def test_a_line_that_another_holds_is_waited_for(player):
    async with player("--fault=refuse") as url, Client(url).running() as client:
        await until(lambda: client.health.errors["406"] >= 3)
        assert client.health.status in (FeedStatus.BACKING_OFF, FeedStatus.CONNECTING)
        assert "406" in client.health.last_error


async def test_wrong_credentials_stop_the_feed(player):
    async with player("--fault=badkey") as url, Client(url).running() as client:
        await until(lambda: client.health.status is FeedStatus.STOPPED)
        assert client.health.last_error == "402 auth failed"
        assert client.health.connections == 1


async def test_too_many_symbols_stop_the_feed_until_it_wants_fewer(player):
    async with player("--speed=0", "--max-symbols=1") as url, Client(url).running() as client:
        await until(lambda: client.health.status is FeedStatus.STOPPED)
        assert "405" in client.health.last_error
        await client.supervisor.subscribe(["SPY"])
        await until(lambda: client.health.rows > 0)
        assert set(client.all().trades["symbol"]) == {"SPY"}
