"""A daemon that dies anywhere and starts again decides what one that never stopped decides, once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cache
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from connectors.batch import SERIES, TRADES, Batch
from monitor.alerting.dispatcher import Dispatcher
from monitor.alerting.policy import told_at_once
from monitor.alerting.routes import Route
from monitor.calendar import TradingCalendar
from monitor.compaction import compact
from monitor.ingest import Cutter, TruthFilter
from monitor.pipeline import Pipeline
from monitor.recovery import recover
from monitor.revised_bars import with_revisions
from monitor.state import MarketState
from monitor.store.memory import MemoryServer, MemoryStore
from rules.engine import Engine
from rules.load import load_texts

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
RULES = """\
version: 1
groups:
  - name: g
    rules:
      - alert: ahead
        when: ret(A, 1d) - ret(B, 1d) > 10bp
        until: ret(A, 1d) - ret(B, 1d) < 0
        for: 2m
        keep_firing_for: 1m
      - alert: streak
        when: streak(ret(A, 1d) > ret(B, 1d)) >= 2
      - alert: swing
        when: ret(A, 3m) > mean(ret(A, 3m), 5m)
        on_close: resolve
      - alert: busy
        when: volume(A, 5m) > mean(volume(A, 5m), 5m) or rel_volume(A, 2d) > 1 or volume(A, 2d) > 20
      - alert: rising
        when: change(value(rate), 2m) > 0 or change(value(rate), 1d) > 0
"""
HISTORY = pl.DataFrame(
    {"ts": ["2026-01-20", "2026-01-21"] * 2, "symbol": ["A", "A", "B", "B"], "close": [99.0, 100.0, 100.0, 100.0]}
).with_columns(pl.col("ts").str.to_date())


@cache
def calendar() -> TradingCalendar:
    return TradingCalendar("XNYS")


@cache
def policy():
    """One receiver is told at once and again and again, the other of groups."""
    grouped = Route(receivers=("digest",), group_by=(), group_wait=90 * SECOND, group_interval=10 * MINUTE)
    at_once = Route(receivers=("desk",), go_on=True, repeat=("5m", "1h", "next_open"))
    return replace(told_at_once(["desk"], calendar()), route=Route(receivers=("desk",), routes=(at_once, grouped)))


@cache
def ruleset():
    loaded = load_texts({"r.yaml": RULES})
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


class Process:
    """What a daemon is between its start and its death."""

    def __init__(self, server: MemoryServer) -> None:
        self.store = MemoryStore(server)
        self.engine = Engine(ruleset(), calendar(), max_gap_ns=15 * MINUTE)
        self.state = MarketState(calendar())
        self.truth = TruthFilter()
        self.state.needs(self.engine.requirements)

    async def start(self) -> None:
        await self.store.open()
        await self.store.acquire("me")
        found = await recover(self.store, self.state, self.truth, self.engine.requirements, [HISTORY])
        self.pipeline = Pipeline(
            self.state,
            self.engine,
            self.truth,
            Cutter(),
            ZoneInfo("America/New_York"),
            follows_wall=False,
            last_id=found.last_id,
        )
        self.dispatcher = Dispatcher(self.store, policy(), exact=True)
        await self.dispatcher.load(self.state.now)
        await self.commit(self.pipeline.adopt(found.records, self.state.now or 1), dispatched=True)

    async def take(self, batch: Batch, *, dispatched: bool) -> None:
        await self.commit(self.pipeline.process([batch], batch.received_at), dispatched=dispatched)
        while self.pipeline.waiting:
            await self.commit(self.pipeline.process((), batch.received_at), dispatched=dispatched)

    async def commit(self, results, *, dispatched: bool) -> None:
        """`dispatched`: the process lives long enough to decide who is told of it."""
        await self.store.commit([r.commit for r in results])
        if dispatched:
            self.dispatcher.committed(results)
            await self.dispatcher.step()

    async def checkpoint(self) -> None:
        await self.store.save_checkpoint(await with_revisions(self.store, self.pipeline.checkpoint()))
        await compact(self.store)


def tape(moves) -> list[Batch]:
    """Trades of A and B from 22 January 2026 on; a move is (seconds after the one before, bp, instrument)."""
    batches, now = [], calendar().open_ns(calendar().ordinal_on_or_before(HISTORY["ts"].max()) + 1)
    prices = {"A": 100.0, "B": 100.0}
    for number, (wait, move, symbol) in enumerate(moves):
        now += wait * SECOND
        prices[symbol] *= 1 + move / 10_000
        rows = [(now, s, prices[s], 1.0 + move % 7 / 7, 2 * number + i) for i, s in enumerate("AB")]
        rate = pl.DataFrame([(now - move * SECOND, "rate", float(move))], schema=dict(SERIES), orient="row")
        trades = pl.DataFrame(rows, schema=dict(TRADES), orient="row")
        batches.append(Batch("f", now, trades=trades, series=rate.head(move % 2)))
    return batches


MOVES = st.lists(
    st.tuples(st.sampled_from([1, 20, 45, 60, 90, 400, 9_000, 64_800]), st.integers(-30, 30), st.sampled_from("AB")),
    min_size=1,
    max_size=40,
)


async def played(batches, deaths, checkpoints, undispatched=frozenset()):
    server = MemoryServer()
    process = Process(server)
    await process.start()
    for number, batch in enumerate(batches):
        await process.take(batch, dispatched=number not in deaths & undispatched)
        if number in checkpoints:
            await process.checkpoint()
        if number in deaths:
            process = Process(server)
            await process.start()
    process.dispatcher.book.evaluated()  # the last batch's process may have died before it told what fell due
    await process.dispatcher.step()
    transitions = await process.store.transitions(10_000)
    told = await process.store.take_outbox("c", 10_000, 0)
    return process, [fields for _, fields in transitions], [e.fields["key"] for e in told]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MOVES, st.data())
def test_a_restart_anywhere_changes_nothing(moves, data):
    batches = tape(moves)
    places = st.sets(st.integers(0, len(batches) - 1), max_size=4)
    deaths, checkpoints = data.draw(places), data.draw(places)
    undispatched = data.draw(places)
    straight, decided, told = asyncio.run(played(batches, set(), set()))
    restarted, decided_again, told_again = asyncio.run(played(batches, deaths, checkpoints, undispatched))
    assert decided_again == decided
    assert told_again == told
    assert len(set(told)) == len(told)
    records = [p.engine.instances for p in (straight, restarted)]
    assert [records[0].record(i) for i in range(len(records[0].rows))] == [
        records[1].record(i) for i in range(len(records[1].rows))
    ]
    lived, rebuilt = (p.state.checkpoint_frames() for p in (straight, restarted))
    assert lived.keys() == rebuilt.keys()
    for name, frame in lived.items():
        assert_frame_equal(frame, rebuilt[name], check_exact=True)


def test_a_restart_does_not_reach_back_before_the_first_volume():
    batches = tape([(1, 0, "A"), (400, 0, "A"), (1, 0, "A")])
    _, decided, _ = asyncio.run(played(batches, set(), set()))
    _, decided_again, _ = asyncio.run(played(batches, {1}, {1}))
    assert decided_again == decided
