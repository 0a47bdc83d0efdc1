"""The program with two feeds of the same instruments: the better one decides while it is fresh, then the other one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.feeds_monitor import Monitor, monitor
from tests.e2e.world import until
from tests.servers.binance import Exchange, exchange_running

STEP = 4_000
"""Milliseconds of event time between two trades: a feed is fresh for ten seconds."""


class Pair:
    """Two feeds; what one is sent has arrived before the other is sent something, as in time that really passes."""

    def __init__(self, it: Monitor, exchanges: dict[str, Exchange]) -> None:
        self.it, self.exchanges = it, exchanges
        self.sent = dict.fromkeys(exchanges, 0)

    async def trade(self, name: str, symbol: str, price: str, ms: int) -> None:
        await self.exchanges[name].trade(symbol, price, ms)
        self.sent[name] += 1
        await self.feed(name, lambda feed: feed["rows"].get("trades", 0) == self.sent[name])

    async def both(self, ms: int, first: str, second: str) -> None:
        await self.trade("first", "ETHUSDT", first, ms)
        await self.trade("second", "ETHUSDT", second, ms)

    async def feed(self, name: str, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """What the page says of a feed, once it is as wanted."""
        told: dict[str, Any] = await self.it.answers(f"/api/v1/feeds/{name}", condition)
        return told


@pytest.mark.timeout(180)
async def test_the_second_feed_is_counted_compared_and_used_once_the_first_is_silent(tmp_path):
    async with exchange_running() as first, exchange_running() as second:
        exchanges = {"first": first, "second": second}
        feeds = {name: {"type": "binance", "url": exchange.url} for name, exchange in exchanges.items()}
        async with monitor(tmp_path, feeds) as it:
            await it.start()
            await until(lambda: bool(first.requests and second.requests), "a subscription on both")
            pair, began = Pair(it, exchanges), time.time_ns() // 1_000_000 - 120_000
            await pair.trade("first", "BTCUSDT", "1000", began)

            # The same from both, then the second says for long what would fire; it is not used, and that is said.
            for ms in range(0, 20_000, STEP):
                await pair.both(began + ms, "1900", "1900")
            for ms in range(20_000, 72_000, STEP):
                await pair.both(began + ms, "1900", "2100")
            other = await pair.feed("second", lambda feed: feed["shadowed"] == pair.sent["second"])
            assert (await pair.feed("first", bool))["shadowed"] == 0
            assert any("ETH/USDT" in text and "second" in text for text in other["disagreements"])
            assert "ether-leads" not in json.dumps(await it.ask("/api/v1/transitions?limit=10"))

            # The first is silent: the instrument changes over, and what the second says decides.
            for ms in range(90_000, 100_000, 1_000):
                await pair.trade("second", "ETHUSDT", "2100", began + ms)
            fired = await it.answers("/api/v1/transitions?limit=10", lambda answer: "firing" in json.dumps(answer))
            assert "ether-leads" in json.dumps(fired)
            assert (await pair.feed("second", bool))["switches"] == other["switches"] + 1

            # It is back, and used again at once.
            before = (await pair.feed("first", bool))["switches"]
            await pair.trade("first", "ETHUSDT", "2100", began + 100_000)
            await pair.feed("first", lambda feed: feed["switches"] == before + 1)
