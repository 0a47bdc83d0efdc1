"""The program with a feed that needs no key: crypto round the clock, coins and a basket of them."""

from __future__ import annotations

import json
import time

import pytest

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


BASKET = """\
version: 1
baskets:
  majors: {weights: {'BTC/USDT': 0.6, 'ETH/USDT': 0.4}}
groups:
  - name: coins
    rules:
      - alert: majors-jump
        when: ret(majors, 1m) > 4%
"""


async def test_a_basket_of_coins_round_the_clock(tmp_path):
    async with (
        exchange_running() as exchange,
        monitor(tmp_path, {"coins": {"type": "binance", "url": exchange.url}}) as it,
    ):
        (tmp_path / "rules.yaml").write_text(BASKET, encoding="utf-8")
        await it.start()
        await until(lambda: bool(exchange.requests), "a subscription")
        assert {"btcusdt@trade", "ethusdt@trade"} <= set(exchange.requests[0]["params"])
        now = time.time_ns() // 1_000_000
        for ago in range(240_000, 60_000, -5_000):  # minutes at one price
            await exchange.trade("BTCUSDT", "1000", now - ago)
            await exchange.trade("ETHUSDT", "100", now - ago)
        for step in range(10):  # up by 5.4 % and 2.7 % in less than the window
            await exchange.trade("BTCUSDT", str(1000 + 6 * step), now - 40_000 + step * 1_000)
            await exchange.trade("ETHUSDT", str(100 + 0.3 * step), now - 40_000 + step * 1_000 + 1)
        told = await it.answers("/api/v1/transitions?limit=10", lambda answer: "firing" in json.dumps(answer))
        (fired,) = told
        btc, eth = (fired["evidence"]["prices"][symbol]["price"] for symbol in ("BTC/USDT", "ETH/USDT"))
        assert fired["alert"] == "majors-jump"
        assert fired["value"] == pytest.approx(0.6 * (btc / 1000 - 1) + 0.4 * (eth / 100 - 1))
