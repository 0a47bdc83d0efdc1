"""The program with a feed that needs no key: crypto round the clock."""

from __future__ import annotations

import json
import time

from tests.e2e.feeds_monitor import monitor
from tests.e2e.world import until
from tests.servers.binance import exchange_running


async def test_a_coin_round_the_clock(tmp_path):
    async with (
        exchange_running() as exchange,
        monitor(tmp_path, {"coins": {"type": "binance", "url": exchange.url}}) as it,
    ):
        await it.start()
        await until(lambda: bool(exchange.requests), "a subscription")
        assert "ethusdt@trade" in exchange.requests[0]["params"]
        now = time.time_ns() // 1_000_000
        await exchange.trade("BTCUSDT", "1000", now)
        await exchange.trade("ETHUSDT", "1100", now + 1)
        for price in range(1200, 2300, 100):
            await exchange.trade("ETHUSDT", str(price), now + price)
        told = await it.answers("/api/v1/transitions?limit=10", lambda answer: "firing" in json.dumps(answer))
        assert "ether-leads" in json.dumps(told)
