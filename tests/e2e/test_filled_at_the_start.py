"""The program fills in what its history lacks, from a vendor on loopback, while it runs, and rules then know it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import yaml

from tests.e2e.world import Program
from tests.servers.alpaca_bars import KEY, SECRET, alpaca_bars

DAYS = ("2026-01-20", "2026-01-21", "2026-01-22", "2026-01-23")
BARS = "ts,symbol,close\n2026-01-26T14:30:00Z,IWM,260\n2026-01-26T14:35:00Z,IWM,260\n2026-01-26T14:40:00Z,IWM,260\n"


def days(close):
    return [{"t": f"{d}T05:00:00Z", "o": close, "h": close, "l": close, "c": close, "v": 10} for d in DAYS]


@asynccontextmanager
async def monitor(folder, base, secret):
    """The program with the vendor at `base`; gives its lines and a client of its API."""
    history = {"type": "alpaca", "from": "2026-01-20", "url": base, "per_minute": 60_000}
    config = {
        "store": {"data_dir": "data"},
        "clock": "event",
        "rules": ["rules.yaml"],
        "feeds": {"tape": {"type": "replay", "data": "bars.csv", "speed": 0}},
        "history": [history | {"key": KEY, "secret": secret}],
        "web": {"listen": "127.0.0.1:0"},
        "log": {"format": "json"},
    }
    (folder / "rotation.yaml").write_text(yaml.safe_dump(config))
    (folder / "rules.yaml").write_text("groups: [{name: g, rules: [{alert: a, when: 'ret(IWM, 1d) > 100%'}]}]")
    (folder / "bars.csv").write_text(BARS)
    program = str(Path(sys.executable).with_name("rotation"))
    running = await Program.start(program, "run", "--config", "rotation.yaml", cwd=folder, env=dict(os.environ))
    try:
        await running.says('"started"')
        page = next(json.loads(line) for line in running.lines if '"started"' in line)["page"]
        async with httpx.AsyncClient(base_url=page, timeout=30) as client:
            yield running, client
    finally:
        await running.end(signal.SIGKILL)


async def test_what_history_lacks_is_filled_in_by_the_running_monitor(tmp_path):
    async with (
        alpaca_bars({"IWM": days(250)}) as vendor,
        monitor(tmp_path, vendor.base, SECRET) as (running, client),
    ):
        deadline = asyncio.get_running_loop().time() + 60
        while (value := (await _value(client))) is None:
            assert asyncio.get_running_loop().time() < deadline, running.lines[-5:]
            await asyncio.sleep(0.05)
        assert abs(value - (260 / 250 - 1)) < 1e-12
        stored = (await client.get("/api/v1/bars", params={"symbol": "IWM", "resolution": "1d"})).json()
        assert [bar["close"] for bar in stored][:4] == [250.0] * 4


async def test_a_vendor_that_refuses_is_a_problem_and_no_reason_not_to_be_ready(tmp_path):
    async with alpaca_bars({}) as vendor, monitor(tmp_path, vendor.base, "hush-hush") as (running, client):
        await running.says("history-incomplete")
        (problem,) = [
            each for each in (await client.get("/api/v1/status")).json()["health"] if "history" in each["name"]
        ]
        assert "401" in problem["reason"]
        assert (await client.get("/-/ready")).text == "ready\n"
        assert not any("hush-hush" in line for line in running.lines)


async def _value(client: httpx.AsyncClient) -> float | None:
    answer = (await client.get("/api/v1/eval", params={"expr": "ret(IWM, 1d)"})).raise_for_status().json()
    found: float | None = answer["value"]
    return found
