"""Rules about the monitor itself: decided once, from the journal like everything else."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

from polars.testing import assert_frame_equal

from connectors.batch import Batch
from monitor.calendar import TradingCalendar
from monitor.ingest import Cutter, TruthFilter
from monitor.pipeline import Pipeline
from monitor.recovery import recover
from monitor.state import MarketState
from monitor.store.memory import MemoryServer, MemoryStore
from rules.engine import Engine
from rules.load import load_texts
from tests.unit.monitor.ingest.frames import SECOND, T0, at, quotes

RULES = """\
version: 1
groups:
  - name: feed-health
    rules:
      - alert: crossed
        when: value('monitor.crossed_quotes') > 1
        hours: always
      - alert: down
        when: value('monitor.feeds_down') > 0
        hours: always
"""


async def start(server: MemoryServer) -> tuple[MemoryStore, Pipeline]:
    calendar = TradingCalendar("XNYS")
    ruleset = load_texts({"r.yaml": RULES}).ruleset
    assert ruleset is not None
    store, engine = MemoryStore(server), Engine(ruleset, calendar, max_gap_ns=60 * SECOND)
    state, truth = MarketState(calendar), TruthFilter()
    state.needs(engine.requirements)
    await store.open()
    await store.acquire("me")
    found = await recover(store, state, truth, engine.requirements, [])
    zone = ZoneInfo("America/New_York")
    return store, Pipeline(state, engine, truth, Cutter(), zone, follows_wall=True, last_id=found.last_id)


async def play() -> tuple[list[str], Pipeline, Pipeline]:
    server = MemoryServer()
    store, pipeline = await start(server)
    for second in range(100):
        ask = 9.0 if second in {20, 21} else 11.0
        rows = quotes((second, "A", 10.0, ask), (second + 0.5, "B", 10.0, 11.0))
        now = at(second + 1)
        pipeline.feeds_down(["sim"] if second >= 50 else [])
        await store.commit([r.commit for r in pipeline.process([Batch("f", now, quotes=rows)], now)])
        while pipeline.waiting:
            await store.commit([r.commit for r in pipeline.process((), now)])
        if second == 60:
            await store.save_checkpoint(pipeline.checkpoint())
    told = [f"{f['alert'].decode()} {f['to'].decode()}" for _, f in await store.transitions(1000)]
    return told, pipeline, (await start(server))[1]


def test_figures_fire_resolve_and_are_replayed_exactly():
    told, lived, restarted = asyncio.run(play())
    assert sorted(told) == ["crossed firing", "crossed resolved", "down firing"]
    lived_frames, restarted_frames = lived.state.checkpoint_frames(), restarted.state.checkpoint_frames()
    for name, frame in lived_frames.items():
        assert_frame_equal(frame, restarted_frames[name], check_exact=True)
    assert lived_frames["series"].height, "what was published is kept"
    assert lived.state.now > T0 + 99 * SECOND
