"""How long a restart takes on a store as a daemon leaves it: session and minute bars, a checkpoint, a journal's tail.

The store is filled by the program's own state, pipeline and store. Then the program is started on it, and recovery is
timed on its own in a process of its own.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import yaml

from connectors.batch import QUOTES, Batch
from monitor import logs
from monitor.calendar import TradingCalendar
from monitor.compaction import compact
from monitor.ingest import Cutter, TruthFilter
from monitor.pipeline import Pipeline, _chunks
from monitor.recovery import recover
from monitor.state import SESSION_BARS, MarketState
from monitor.store.base import Store
from monitor.store.factory import open_store
from rules.engine import Engine
from rules.load import load_rules
from tests.benchmarks.figures import Report, Target, median
from tests.benchmarks.market import history, rules
from tests.benchmarks.processes import program
from tests.benchmarks.tape import base_prices, symbols

INSTRUMENTS = 10_000
RULES = 100
SESSIONS = 250
MINUTE_SESSIONS = 5
TAIL = 30
"""Journal entries after the checkpoint, a second apart, each of 2,000 quotes."""
STARTS = 3
_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND


@dataclass(frozen=True)
class Took:
    """Seconds of a recovery, what it found, and the size of the state after it."""

    seconds: float
    entries: int
    kept_minutes: int
    state_bytes: int


async def measure() -> Report:
    """Fill a store, then start on it."""
    report = Report(
        "restart",
        f"{INSTRUMENTS:,} instruments, {SESSIONS} sessions, {MINUTE_SESSIONS} sessions of minute bars, {RULES} rules",
    )
    with TemporaryDirectory() as name:
        folder = Path(name)
        config = _configure(folder)
        async with open_store("embedded", folder / "data") as store:
            await store.acquire("benchmark")
            chunks = await _fill(store, folder)
        size = sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())
        starts = [await _start(folder, config) for _ in range(STARTS)]
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            took = await asyncio.wrap_future(pool.submit(_recover, folder))
    report.add("from nothing to `started`", median(starts), "s", Target("<", 3), " ".join(f"{s:.2f}" for s in starts))
    report.add(
        "of it recovery", took.seconds, "s", note=f"{chunks:,} chunks of minutes, {took.entries} journal entries"
    )
    report.add("store on disk", size / 1e6, "MB")
    return report


def _configure(folder: Path) -> Path:
    (folder / "rules.yaml").write_text(rules(symbols(INSTRUMENTS), RULES, minutes=390 * MINUTE_SESSIONS - 10))
    feed = {"type": "alpaca", "key": "k", "secret": "s", "url": "ws://127.0.0.1:9/"}
    path = folder / "rotation.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "store": {"url": "embedded", "data_dir": str(folder / "data")},
                "rules": ["rules.yaml"],
                "feeds": {"bench": feed},
                "web": {"listen": "127.0.0.1:0"},
                "log": {"format": "json"},
            }
        )
    )
    return path


def _parts(folder: Path) -> tuple[MarketState, Engine]:
    calendar = TradingCalendar()
    ruleset = load_rules([folder / "rules.yaml"]).ruleset
    assert ruleset is not None, "the benchmark's own rules have errors"
    engine = Engine(ruleset, calendar, max_gap_ns=900 * _SECOND, session_ns=calendar.session_ns)
    state = MarketState(calendar)
    state.needs(engine.requirements)
    return state, engine


async def _fill(store: Store, folder: Path) -> int:
    """What a year of running leaves; how many chunks of minutes."""
    state, engine = _parts(folder)
    calendar, names, prices = state.calendar, symbols(INSTRUMENTS), base_prices(INSTRUMENTS)
    last = calendar.session_at(time.time_ns()) - 1
    first = last - MINUTE_SESSIONS + 1
    dates = [calendar.date(session) for session in range(first - SESSIONS + MINUTE_SESSIONS, first)]
    past = history(names, prices.tolist(), dates)
    state.import_sessions(past)
    await store.save_bars(_chunks("1d", past.select(_session_bars()).cast(SESSION_BARS)))
    pipeline = Pipeline(state, engine, TruthFilter(), Cutter(), ZoneInfo("UTC"), follows_wall=True)
    rng = np.random.default_rng(2)
    for session in range(first, last + 1):
        for now in range(calendar.open_ns(session) + _MINUTE // 2, calendar.close_ns(session), _MINUTE):
            batch = _quotes(now, names, np.round(prices * (1 + rng.normal(0, 1e-4, INSTRUMENTS)), 2))
            state.apply(pipeline.truth.clean(batch), now)
            minutes, sessions = state.closed_bars()
            made = [*_chunks("1m", minutes), *_chunks("1d", sessions)]
            await store.save_bars(made)
        while await compact(store):  # as the daemon does after each checkpoint
            pass
    await store.save_checkpoint(pipeline.checkpoint())
    for second in range(1, TAIL):
        at, which = state.now + _SECOND, slice(2_000 * (second % 5), 2_000 * (second % 5 + 1))
        results = pipeline.process([_quotes(at, names[which], prices[which])], at)
        await store.commit([result.commit for result in results])
    return len(await store.bar_chunks("1m"))


def _session_bars() -> list[pl.Expr]:
    prices = [pl.col("close").alias(name) for name in ("open", "high", "low", "close")]
    return [pl.col("ts", "symbol"), *prices, pl.lit(1e6).alias("volume")]


def _quotes(now: int, names: list[str], bids: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Batch:
    rows = pl.DataFrame({"ts": now, "symbol": names, "bid": bids, "ask": bids + 0.02, "bid_size": 1.0, "ask_size": 1.0})
    return Batch(feed="bench", received_at=now, quotes=rows.cast(dict(QUOTES)))


async def _start(folder: Path, config: Path) -> float:
    """Seconds from the start of the process to the line that says it has started."""
    began = time.monotonic()
    async with program(folder, "tests.benchmarks.monitor", "--config", str(config)) as running:
        await running.says('"started"')
        took = time.monotonic() - began
        await running.end(signal.SIGKILL)  # an orderly end would leave no journal to apply
        return took


def _recover(folder: Path) -> Took:
    """Recovery alone, in this process."""

    async def run() -> Took:
        logs.configure(logs.LogFormat.JSON, logging.ERROR)
        state, engine = _parts(folder)
        async with open_store("embedded", folder / "data") as store:
            began = time.perf_counter()
            recovered = await recover(store, state, TruthFilter(), engine.requirements, [])
            seconds = time.perf_counter() - began
        return Took(seconds, recovered.entries, len(state.minutes), state.nbytes)

    return asyncio.run(run())
