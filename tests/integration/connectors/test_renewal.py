"""A line that its vendor will end is replaced by a new one first: nothing is lost, nothing comes twice."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

from connectors.batch import Batch
from connectors.binance import BinanceFeed
from connectors.feed import Address, FeedStatus
from connectors.supervisor import Supervisor, SupervisorSettings
from tests.integration.connectors.vendor import until
from tests.servers.binance import exchange_running

QUICK = SupervisorSettings(
    silence=10, sign_in=5, backoff=0.01, longest_backoff=0.05, wait=0.05, longest_wait=0.2, overlap=0.1
)


class ShortLived(BinanceFeed):
    """Of a vendor that ends lines early."""

    lifetime: float | None = 0.3

    def address(self) -> Address:
        return replace(super().address(), lifetime=self.lifetime, pace=0.0)


@asynccontextmanager
async def watching(**options):
    async with exchange_running() as exchange:
        feed = ShortLived("b", url=exchange.url, symbols=["BTC/USDT"])
        vars(feed).update(options)
        batches: list[Batch] = []

        async def sink(batch):
            batches.append(batch)

        statuses = []
        supervisor = Supervisor(
            feed,
            sink,
            monotonic=time.monotonic,
            now_ns=time.time_ns,
            settings=QUICK,
            on_status=lambda health: statuses.append(health.status),
        )
        tasks = [asyncio.create_task(supervisor.run()), asyncio.create_task(exchange.trades())]
        try:
            yield exchange, supervisor, batches, statuses
            assert not any(task.done() for task in tasks), tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def ids(batches):
    return [number for batch in batches for number in batch.trades["id"]]


async def test_a_line_is_replaced_before_its_end_and_no_trade_is_lost_or_doubled():
    async with watching() as (exchange, supervisor, batches, statuses):
        await until(lambda: supervisor.health.renewals >= 3 and len(exchange.ended) >= 3)
    numbers = ids(batches)
    assert sorted(numbers) == list(range(numbers[0], numbers[0] + len(numbers)))
    assert supervisor.health.reconnects == 0
    assert supervisor.health.unused["duplicate trade"] > 0, "two lines at the same time"
    assert statuses == [FeedStatus.CONNECTING, FeedStatus.LIVE]
    assert all(request["params"] == ["btcusdt@bookTicker", "btcusdt@trade"] for request in exchange.requests)


async def test_the_vendors_warning_replaces_a_line_at_once():
    async with watching(lifetime=None) as (exchange, supervisor, batches, _):
        await until(lambda: ids(batches))
        assert supervisor.health.renewals == 0
        await exchange.say({"e": "serverShutdown", "E": 1770123456789})
        await until(lambda: exchange.ended)
        assert supervisor.health.renewals == 1
        assert len(exchange.lines) == 2
        subscribed = len(exchange.requests)
        await supervisor.subscribe(["BTC/USDT", "ETH/USDT"])
        await until(lambda: len(exchange.requests) > subscribed)
        assert exchange.requests[-1]["params"] == ["ethusdt@bookTicker", "ethusdt@trade"]


async def test_a_successor_that_cannot_be_had_costs_nothing():
    async with watching() as (exchange, supervisor, batches, statuses):
        exchange.refuses = 2
        supervisor._settings = replace(QUICK, sign_in=0.2)
        await until(lambda: supervisor.health.renewals >= 1)
    numbers = ids(batches)
    assert sorted(numbers) == list(range(numbers[0], numbers[0] + len(numbers)))
    assert exchange.refuses == 0
    assert supervisor.health.reconnects == 0
    assert FeedStatus.BACKING_OFF not in statuses


async def test_an_end_in_the_middle_closes_both_lines():
    async with watching() as (exchange, supervisor, _, _):
        await until(lambda: supervisor.health.renewals >= 1)
    await until(lambda: len(exchange.ended) == len([line for line in exchange.lines if line]))
