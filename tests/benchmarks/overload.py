"""The whole monitor under ten times the load it can take: memory, latency and what is complete, as figures and a plot.

OVERLOAD_SECONDS=180 OVERLOAD_PLOT=overload.svg python -m pytest -m soak tests/e2e/test_overload.py -s
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import polars as pl
import psutil

from monitor.calendar import TradingCalendar
from monitor.charts.lines import Line, LineChart, line_chart
from monitor.charts.svg import Size, stacked
from monitor.charts.times import TimeAxis
from monitor.charts.values import Unit
from monitor.store.base import JournalId
from monitor.store.redis_store import RedisStore
from tests.benchmarks.processes import PATIENCE, Died, Program, configure, exchange, monitor, program, store

INSTRUMENTS: Final = 2_000
RULES: Final = 100
KINDS: Final = ("trades", "statuses", "corrections")
_EVERY: Final = 0.5
"""Seconds between two samples."""
_SETTLED: Final = 20.0
"""Seconds after the last trade within which the last quotes are in the journal, and counted."""
_LAG = re.compile(r"^rotation_feed_lag_seconds\{.*\} (\S+)$", re.MULTILINE)
_BACKLOG = re.compile(r"^rotation_backlog_bytes (\S+)$", re.MULTILINE)
_CONFLATED = re.compile(r"^rotation_conflated_quotes_total\{.*\} (\S+)$", re.MULTILINE)
_MB: Final = 2**20


@dataclass
class Samples:
    """By sample: UTC ns, RSS of the daemon (MB), age of the newest row in the state (s), what waits (MB)."""

    times: list[int] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)


@dataclass
class Overloaded:
    """A run: what the vendor says it did, the samples of the overload, what is in the journal, what the page says."""

    offered: dict[str, Any]
    samples: Samples
    journal: Counter[str]
    page: dict[str, Any]
    conflated: int

    @property
    def seconds(self) -> float:
        """Of the overload."""
        return float(self.offered["ended"] - self.offered["began"]) / 1e9

    def told(self) -> dict[str, float]:
        """The figures."""
        offered, lag, rss = self.offered, np.array(self.samples.lag), np.array(self.samples.rss)
        half = len(rss) // 2
        return {
            "capacity, quotes/s": offered["capacity"],
            "offered, quotes/s": 10 * offered["capacity"],
            "taken by the line, quotes": offered["quotes"],
            "given up by the vendor, quotes": offered["given_up"],
            "conflated, quotes": self.conflated,
            "journalled, quotes": self.journal["quotes"],
            **{f"{kind}, sent": offered[kind] for kind in KINDS},
            **{f"{kind}, journalled": self.journal[kind] for kind in KINDS},
            "age of the newest row, median s": float(np.median(lag)),
            "age of the newest row, worst s": float(lag.max()),
            "receive to state, median s": self.page["receive_to_state"]["p50_seconds"],
            "receive to state, p99 s": self.page["receive_to_state"]["p99_seconds"],
            "waiting, worst MB": max(self.samples.waiting),
            "RSS, first half worst MB": float(rss[:half].max()),
            "RSS, second half worst MB": float(rss[half:].max()),
        }


async def overload(folder: Path, seconds: float, *, calibrating: float, backlog_mb: int | None) -> Overloaded:
    """Run the program against the flood.

    `backlog_mb`: bytes that may wait in the program, which with 1 are conflated from the first moment; None: its own.
    """
    options = ("--seconds", str(seconds), "--calibrating", str(calibrating))
    async with program(folder, "tests.benchmarks.flood", *options) as sender:
        url = (await sender.line("ws://")).strip()
        config = configure(folder, url, "msgpack", instruments=INSTRUMENTS, count=RULES)
        async with monitor(folder, config, backlog_mb=backlog_mb) as running, store(folder) as opened:
            sending = asyncio.create_task(sender.line("{", patience=calibrating + seconds + PATIENCE))
            journal: Counter[str] = Counter()
            counting = asyncio.create_task(_count(opened, journal))
            samples = Samples()
            async with httpx.AsyncClient(base_url=_page(folder), timeout=PATIENCE) as client:
                while not sending.done():
                    await _sample(client, running, samples)
                    await asyncio.sleep(_EVERY)
                offered = json.loads(await sending)
                await _until_complete(journal, offered, counting)
                conflated = await _conflated(client, journal, offered)
                counting.cancel()
                page = (await client.get("/api/v1/feeds")).json()[0]
            return Overloaded(offered, _within(samples, offered), journal, page, conflated)


async def ordinary(folder: Path, seconds: float, rate: float) -> tuple[dict[str, Any], Samples]:
    """Run the program on so many quotes a second: what the vendor says it did, and the samples."""
    started = exchange(folder, quotes=int(seconds * rate), encoding="msgpack", rate=rate, flips=1)
    async with started as (sender, url):
        config = configure(folder, url, "msgpack", instruments=INSTRUMENTS, count=RULES)
        async with monitor(folder, config) as running:
            sending = asyncio.create_task(sender.line("{", patience=seconds + PATIENCE))
            samples = Samples()
            async with httpx.AsyncClient(base_url=_page(folder), timeout=PATIENCE) as client:
                while not sending.done():
                    await _sample(client, running, samples)
                    await asyncio.sleep(_EVERY)
            sent = json.loads(await sending)
            return sent, _within(samples, sent)


def plot(samples: Samples, offered: str) -> str:
    """Memory and latency over time, as SVG; `offered` says under what load."""
    times = np.array(samples.times, dtype=np.int64)
    axis = TimeAxis(times, TradingCalendar("always"))
    charts = [
        LineChart(
            "Age of the newest row in the state (s)",
            Unit.PLAIN,
            axis,
            [Line("", np.array(samples.lag))],
            subtitle=offered,
        ),
        LineChart(
            "Memory (MB)",
            Unit.PLAIN,
            axis,
            [Line("process", np.array(samples.rss)), Line("waiting", np.array(samples.waiting))],
        ),
    ]
    sizes = [Size(720, 320)] * len(charts)
    return stacked([line_chart(chart, size) for chart, size in zip(charts, sizes, strict=True)], sizes)


def _page(folder: Path) -> str:
    lines = (folder / "tests.benchmarks.monitor.log").read_text().splitlines()
    return str(next(json.loads(line)["page"] for line in lines if '"started"' in line))


async def _sample(client: httpx.AsyncClient, running: Program, samples: Samples) -> None:
    text = (await client.get("/metrics")).text
    lag, waiting = _LAG.search(text), _BACKLOG.search(text)
    if lag and waiting:
        samples.times.append(time.time_ns())
        samples.rss.append(psutil.Process(running.process.pid).memory_info().rss / _MB)
        samples.lag.append(float(lag[1]))
        samples.waiting.append(float(waiting[1]) / _MB)


def _within(samples: Samples, offered: dict[str, Any]) -> Samples:
    """Those of the overload, from its third second on: memory grows to its size first."""
    first = offered["began"] + min(3e9, (offered["ended"] - offered["began"]) / 4)
    kept = [n for n, at in enumerate(samples.times) if first <= at <= offered["ended"]]
    return Samples(
        [samples.times[n] for n in kept],
        [samples.rss[n] for n in kept],
        [samples.lag[n] for n in kept],
        [samples.waiting[n] for n in kept],
    )


async def _count(opened: RedisStore, journal: Counter[str]) -> None:
    """Rows in the journal by kind, as they come: old entries are forgotten after a while."""
    last: JournalId | None = None
    while True:
        async for entry in opened.journal(last):
            last = entry.id
            for kind in ("quotes", *KINDS):
                if data := entry.fields.get(kind):
                    journal[kind] += pl.read_ipc_stream(BytesIO(data), columns=[0]).height
        await asyncio.sleep(0.1)


async def _until_complete(journal: Counter[str], offered: dict[str, Any], counting: asyncio.Task[None]) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(journal[kind] < offered[kind] for kind in KINDS):
        if counting.done():
            counting.result()
        if time.monotonic() > deadline:
            raise Died(f"in the journal: {dict(journal)}; sent: {offered}")
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)  # what came twice would come still


async def _conflated(client: httpx.AsyncClient, journal: Counter[str], offered: dict[str, Any]) -> int:
    """What the program says it conflated, which it looks up now and then; asked until that explains every quote."""
    deadline = time.monotonic() + _SETTLED
    while True:
        found = _CONFLATED.search((await client.get("/metrics")).text)
        conflated = int(float(found[1])) if found else 0
        if journal["quotes"] + conflated == offered["quotes"] or time.monotonic() > deadline:
            return conflated
        await asyncio.sleep(0.2)
