"""A small daemon made of the real parts, without feeds and receivers: what the API is given, driven by hand."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from fastapi import FastAPI

from connectors.batch import QUOTES, TRADES, Batch
from monitor.alerting.dispatcher import Dispatcher
from monitor.alerting.policy import told_at_once
from monitor.calendar import TradingCalendar
from monitor.compute import ComputeThread
from monitor.health import HealthBoard
from monitor.ingest import Cutter, TruthFilter, TruthSettings
from monitor.metrics import Metrics
from monitor.notify.outbox import Notifier
from monitor.notify.values import NEW_YORK
from monitor.pipeline import Pipeline, Result
from monitor.settings import WebSettings
from monitor.state import MarketState
from monitor.store.memory import MemoryStore
from monitor.web.api import create_app, snapshot
from monitor.web.events import EventStream
from monitor.web.server import WebServer
from rules.engine import Engine
from rules.load import load_rules
from rules.ruleset import RuleSet
from tests.unit.monitor.notify.samples import ScriptedSender

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
WALL = 1_800_000_000 * SECOND
CALENDAR = TradingCalendar()


def ny(text: str) -> int:
    """New York time, as ``2026-01-23 10:00``, in UTC nanoseconds."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


def closes(last: str, sessions: int, prices: Mapping[str, float]) -> pl.DataFrame:
    """The same closes for some sessions up to a date."""
    end = CALENDAR.ordinal_on_or_before(dt.date.fromisoformat(last))
    dates = [CALENDAR.date(s) for s in range(end - sessions + 1, end + 1)]
    return pl.DataFrame(
        [(date, symbol, price) for date in dates for symbol, price in prices.items()],
        schema={"ts": pl.Date, "symbol": pl.String, "close": pl.Float64},
        orient="row",
    )


class Desk:
    """The `Daemon` of :mod:`monitor.web.api`."""

    zone = NEW_YORK

    def __init__(self, rules: Path, history: pl.DataFrame) -> None:
        self.rules = rules
        ruleset = self._read()[0]
        assert ruleset is not None
        engine = Engine(ruleset, CALENDAR, max_gap_ns=15 * MINUTE)
        state = MarketState(CALENDAR)
        state.needs(engine.requirements)
        state.import_sessions(history)
        truth = TruthFilter(TruthSettings(trade_jump=2.0))
        self.pipeline = Pipeline(state, engine, truth, Cutter(), NEW_YORK, follows_wall=False)
        self.compute = ComputeThread(self.pipeline)
        self.store = MemoryStore()
        self.dispatcher = Dispatcher(self.store, told_at_once(["desk", "mail"], CALENDAR), exact=True)
        self.senders = {"desk": ScriptedSender(), "mail": ScriptedSender()}
        self.notifier = Notifier(self.store, self.senders)
        self.events = EventStream()
        self.health = HealthBoard(())
        self._metrics = Metrics()

    def application(self, web: WebSettings) -> FastAPI:
        return create_app(self, web)

    def _read(self) -> tuple[RuleSet | None, list[str]]:
        loaded = load_rules([self.rules])
        return loaded.ruleset, [d.render() for d in loaded.diagnostics]

    async def trades(self, at: int, **prices: float) -> None:
        """One print an instrument, all at a moment."""
        await self.take(
            trades=pl.DataFrame(
                [(at, symbol, price, 100.0, None) for symbol, price in prices.items()], schema=TRADES, orient="row"
            )
        )

    async def quote(self, at: int, symbol: str, bid: float, ask: float) -> None:
        """One quote."""
        await self.take(quotes=pl.DataFrame([(at, symbol, bid, ask, 1.0, 1.0)], schema=QUOTES, orient="row"))

    async def take(self, **frames: pl.DataFrame) -> None:
        """What a feed sent, through the pipeline into the store."""
        await self._commit(await self.compute.run(Pipeline.process, [Batch("sim", WALL, **frames)], WALL))

    async def _commit(self, results: Sequence[Result]) -> None:
        await self.store.commit([r.commit for r in results])
        self.dispatcher.committed(results)
        await self.dispatcher.step()
        self.events.transitions(t["transition"] for r in results for t in r.commit.transitions)

    async def save_bars(self) -> None:
        """Closed bars into the store."""
        await self.store.save_checkpoint(await self.compute.run(Pipeline.checkpoint))

    def troubles(self) -> list[dict[str, Any]]:
        return self.health.conditions()

    def unready(self) -> list[str]:
        return [f"{c['name']}: {c['reason']}" for c in self.health.conditions()]

    def feeds(self) -> list[dict[str, Any]]:
        return [{"name": "sim", "status": "live", "frames": 12_345, "reconnects": 1}]

    def metrics(self, accept: str) -> tuple[bytes, str]:
        return self._metrics.expose(accept)

    async def reload(self) -> list[str]:
        ruleset, errors = self._read()
        if ruleset is None:
            return errors
        await self._commit(await self.compute.run(Pipeline.reload, ruleset, WALL))
        return []


@contextlib.asynccontextmanager
async def serving(desk: Desk, web: WebSettings | None = None) -> AsyncIterator[str]:
    """The desk behind a real socket; its address."""
    await desk.store.acquire("test")
    server = WebServer(desk.application(web or WebSettings()), "127.0.0.1", 0)
    tasks = [asyncio.create_task(t) for t in (server.run(), desk.events.run(partial(snapshot, desk)))]
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        desk.compute.close()
