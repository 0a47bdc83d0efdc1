"""NVDA's split of ten for one of 10 June 2024 and a dividend, through the real program with the shipped rules.

Three monitors see the same market: one as adjusted prices, one as traded with the actions in a file, and one as traded
with nothing said. The first two must say the same of everything; the third must ask, and say nothing of NVDA.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
import yaml

import rules
from monitor.calendar import TradingCalendar
from monitor.cli.output import time_text
from rules.engine import Engine
from rules.load import load_rules
from tests.e2e.world import Program

LIBRARY = sorted((Path(rules.__file__).parent / "library").glob("*.yaml"))
SPLIT_DAY, DIVIDEND_DAY, DIVIDEND = dt.date(2024, 6, 10), dt.date(2024, 6, 11), 1.75
FIRST, PLAYED, LAST = dt.date(2023, 12, 1), dt.date(2024, 6, 7), dt.date(2024, 6, 12)
BARS = 13
HALF_HOUR = 30 * 60 * 10**9
MEGACAPS = ("AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META", "TSLA")


class Market:
    """Prices as traded of every instrument of the shipped rules; the megacaps fall behind before the split."""

    def __init__(self) -> None:
        self.calendar = calendar = TradingCalendar("XNYS")
        ruleset = load_rules(LIBRARY).ruleset
        assert ruleset is not None
        engine = Engine(ruleset, calendar, max_gap_ns=HALF_HOUR, session_ns=calendar.session_ns)
        self.symbols = sorted(engine.requirements.instruments)
        first, last = calendar.ordinal_on_or_before(FIRST), calendar.ordinal_on_or_before(LAST)
        days = [calendar.date(n) for n in range(first, last + 1)]
        rng = np.random.default_rng(610)
        rows = []
        for symbol in self.symbols:
            level = 1208.88 if symbol == "NVDA" else 534.0 if symbol == "SPY" else float(rng.uniform(40, 400))
            drift = -0.004 if symbol in MEGACAPS else 0.004 if symbol == "IWM" else 0.0
            late = np.array([drift if day >= dt.date(2024, 5, 10) else 0.0 for day in days])
            moves = rng.normal(0, 0.002, (len(days), BARS)) + late[:, None] / BARS
            for day, prices in zip(days, level * np.exp(np.cumsum(moves).reshape(moves.shape)), strict=True):
                split = symbol == "NVDA" and day >= SPLIT_DAY
                # What is paid out goes from the price.
                traded = prices / (10 if split else 1) - (DIVIDEND if symbol == "SPY" and day >= DIVIDEND_DAY else 0)
                open_ns = calendar.open_ns(calendar.ordinal_on_or_before(day))
                rows += [(day, open_ns + n * HALF_HOUR, symbol, float(p)) for n, p in enumerate(traded)]
        schema = {"day": pl.Date, "ts": pl.Int64, "symbol": pl.String, "close": pl.Float64}
        self.traded = pl.DataFrame(rows, schema=schema, orient="row")

    @property
    def adjusted(self) -> pl.DataFrame:
        """The same as a vendor adjusts it: NVDA before the split by ten, SPY before the ex-date by what was paid."""
        before = self.traded.filter((pl.col("symbol") == "SPY") & (pl.col("day") < DIVIDEND_DAY))
        paid = 1 - DIVIDEND / float(before["close"][-1])
        nvda = (pl.col("symbol") == "NVDA") & (pl.col("day") < SPLIT_DAY)
        spy = (pl.col("symbol") == "SPY") & (pl.col("day") < DIVIDEND_DAY)
        factor = pl.when(nvda).then(0.1).when(spy).then(paid).otherwise(1.0)
        return self.traded.with_columns(pl.col("close") * factor)

    def write(self, folder: Path, prices: pl.DataFrame) -> None:
        """The closes before what is played, and half hours of that."""
        past = prices.filter(pl.col("day") < PLAYED).group_by("day", "symbol", maintain_order=True).last()
        past.select(pl.col("day").alias("ts"), "symbol", "close").write_parquet(folder / "daily.parquet")
        bars = prices.filter(pl.col("day") >= PLAYED).sort("ts", "symbol")
        times = pl.from_epoch("ts", time_unit="ns").dt.replace_time_zone("UTC")
        bars.select(times, "symbol", "close").write_parquet(folder / "bars.parquet")


def set_up(folder: Path, market: Market, prices: pl.DataFrame, *, actions: bool) -> None:
    """A monitor's folder: its data and its configuration."""
    folder.mkdir()
    market.write(folder, prices)
    (folder / "actions.csv").write_text(
        f"ts,symbol,kind,ratio,amount\n{SPLIT_DAY},NVDA,split,10:1,\n{DIVIDEND_DAY},SPY,dividend,,{DIVIDEND}\n"
    )
    config = {
        "store": {"data_dir": "data"},
        "clock": "event",
        "stale_after": "1h",
        "rules": [str(path) for path in LIBRARY],
        "history": [{"type": "file", "data": "daily.parquet"}],
        "feeds": {"tape": {"type": "replay", "data": "bars.parquet", "speed": 0}},
        "web": {"listen": "127.0.0.1:0"},
        "log": {"format": "json"},
    }
    if actions:
        config |= {"corporate_actions": [{"type": "file", "data": "actions.csv"}], "dividends": "adjust"}
    (folder / "rotation.yaml").write_text(yaml.safe_dump(config))


async def seen(
    folder: Path, market: Market, prices: pl.DataFrame, *, actions: bool, problems: int = 0
) -> dict[str, Any]:
    """What a monitor has said once it has seen everything, and has so many problems: transitions, returns, problems."""
    set_up(folder, market, prices, actions=actions)
    program = str(Path(sys.executable).with_name("rotation"))
    running = await Program.start(program, "run", "--config", "rotation.yaml", cwd=folder, env=dict(os.environ))
    try:
        await running.says('"started"')
        page = next(json.loads(line) for line in running.lines if '"started"' in line)["page"]
        async with httpx.AsyncClient(base_url=page, timeout=30) as client:
            end = market.calendar.close_ns(market.calendar.ordinal_on_or_before(LAST))
            await _until(client, lambda status: (status["at"] or "")[:19] >= time_text(end)[:19])
            windows = ("1d", "3d", "5d", "14d", "20d", "mtd", "ytd")
            expressions = [f"ret({symbol}, {window})" for symbol in ("NVDA", "SPY", "AAPL") for window in windows]
            values = {e: (await _ask(client, "/api/v1/eval", expr=e))["value"] for e in expressions}
            found = await _ask(client, "/api/v1/transitions", limit=1000)
            await _until(client, lambda status: len(status["health"]) >= problems)
            status = await _ask(client, "/api/v1/status")
    except BaseException:
        running.process.kill()
        raise
    await running.end(signal.SIGTERM)
    said = [(t["at"], t["alert"], t["member"], t["to"]) for t in found]
    return {"said": sorted(said), "values": values, "health": status["health"]}


async def _until(client: httpx.AsyncClient, condition: Callable[[dict[str, Any]], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + 90
    while not condition(status := await _ask(client, "/api/v1/status")):
        assert asyncio.get_running_loop().time() < deadline, status
        await asyncio.sleep(0.05)


async def _ask(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    return (await client.get(path, params=query)).raise_for_status().json()


async def test_a_split_and_a_dividend_are_told_by_nobody_and_move_no_return(tmp_path):
    market = Market()
    async with asyncio.TaskGroup() as three:
        adjusted = three.create_task(seen(tmp_path / "adjusted", market, market.adjusted, actions=False))
        traded = three.create_task(seen(tmp_path / "traded", market, market.traded, actions=True))
        unsaid = three.create_task(seen(tmp_path / "unsaid", market, market.traded, actions=False, problems=1))
    one, other, asked = adjusted.result(), traded.result(), unsaid.result()
    night = f"{SPLIT_DAY}T"
    fired = {alert for at, alert, _, to in one["said"] if to == "firing" and at < night}
    over = {alert for at, alert, _, to in one["said"] if to == "resolved"}
    assert "most-megacaps-trail-small-caps" in fired - over  # NVDA is one of them: open across the split, and kept
    assert other["said"] == one["said"]
    for expression, value in one["values"].items():
        assert other["values"][expression] == pytest.approx(value, abs=1e-4), expression
    assert other["health"] == one["health"] == []
    assert asked["values"]["ret(NVDA, 1d)"] is None
    assert asked["values"]["ret(AAPL, 14d)"] == one["values"]["ret(AAPL, 14d)"]
    assert [(p["name"], p["labels"]) for p in asked["health"]] == [("split-suspected", {"symbol": "NVDA"})]
    assert f"rotation history split NVDA 10:1 --on {SPLIT_DAY}" in asked["health"][0]["reason"]
    assert not [said for said in asked["said"] if said[2] == "NVDA" and said[0] >= night and said[3] == "firing"]
