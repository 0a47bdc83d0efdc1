"""The program with feeds that need no key: crypto round the clock, and a broker whose messages must not be lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as paho
import pytest
import yaml

from monitor import journal
from monitor.store.factory import open_store
from tests.e2e.world import Program, until
from tests.servers.binance import exchange_running
from tests.servers.mosquitto import PASSWORD, USER, broker, needs_mosquitto

RULES = """\
version: 1
groups:
  - name: coins
    rules:
      - alert: ether-leads
        when: price('ETH/USDT') > 2 * price('BTC/USDT')
"""


class Monitor:
    """`rotation run` in a folder of its own."""

    def __init__(self, folder, feeds: dict[str, Any]) -> None:
        self.folder = folder
        (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
        config = {
            "store": {"data_dir": str(folder / "data")},
            "calendar": "always",
            "lateness": "10m",
            "rules": ["rules.yaml"],
            "feeds": feeds,
            "web": {"listen": "127.0.0.1:0"},
            "log": {"format": "json"},
        }
        (folder / "rotation.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.program: Program | None = None
        self.api = ""

    async def start(self) -> None:
        command = [
            str(Path(sys.executable).with_name("rotation")),
            "run",
            "--config",
            str(self.folder / "rotation.yaml"),
        ]
        self.program = await Program.start(*command, env=dict(os.environ))
        await self.program.says('"started"')
        self.api = next(json.loads(line) for line in self.program.lines if '"started"' in line)["page"]

    async def ask(self, path: str) -> Any:
        async with httpx.AsyncClient(base_url=self.api) as client:
            return (await client.get(path)).raise_for_status().json()

    async def answers(self, path: str, condition, patience: float = 60.0) -> Any:
        deadline = asyncio.get_running_loop().time() + patience
        while not condition(answer := await self.ask(path)):
            assert asyncio.get_running_loop().time() < deadline, answer
            await asyncio.sleep(0.05)
        return answer


@asynccontextmanager
async def monitor(folder, feeds):
    it = Monitor(folder, feeds)
    try:
        yield it
    finally:
        if it.program is not None:
            await it.program.end(signal.SIGKILL)


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


def trade(number: int) -> str:
    return json.dumps({"ts": time.time_ns(), "price": 1000, "size": 1, "id": number})


@needs_mosquitto
@pytest.mark.services
async def test_kill_minus_nine_of_the_daemon_loses_no_message_of_quality_one(tmp_path):
    async with broker(tmp_path, password=True) as server:
        desk = {
            "type": "mqtt",
            "url": server.url,
            "topics": ["md/v1/#"],
            "qos": 1,
            "username": USER,
            "password": PASSWORD,
        }
        out = paho.Client(paho.CallbackAPIVersion.VERSION2)
        out.username_pw_set(USER, PASSWORD)
        out.max_inflight_messages_set(1000)
        async with monitor(tmp_path, {"desk": desk}) as it:
            await it.start()
            await it.answers("/api/v1/status", lambda answer: answer["feeds"][0]["status"] == "live")
            out.connect("127.0.0.1", server.port)
            out.loop_start()
            for part in range(3):
                for number in range(part * 1000, part * 1000 + 1000):
                    out.publish("md/v1/lab/0/BTC%2FUSDT/t", trade(number), qos=1)
                    if number % 1000 == 500:
                        await it.answers("/api/v1/status", lambda answer: answer["feeds"][0]["rows"].get("trades"))
                await it.program.end(signal.SIGKILL)
                await it.start()
            out.publish("md/v1/lab/0/ETH%2FUSDT/t", trade(9999), qos=1)
            journalled: set[int] = set()
            deadline = time.monotonic() + 60
            while journalled != {*range(3000), 9999}:
                assert time.monotonic() < deadline, ({*range(3000), 9999} - journalled, it.program.lines[-5:])
                assert await it.program.end() == 0
                async with open_store("embedded", tmp_path / "data") as store:
                    async for entry in store.journal(None):
                        journalled |= set(journal.decode(entry.fields)[0].trades["id"].to_list())
                await it.start()
            out.loop_stop()
