"""What a broker sends again to a new process, because the old one could not say any more that it is kept."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from connectors.batch import Batch
from monitor import journal
from monitor.calendar import TradingCalendar
from monitor.ingest import Cutter, TruthFilter
from monitor.pipeline import Pipeline
from monitor.recovery import recover
from monitor.state import MarketState
from monitor.store.memory import MemoryServer, MemoryStore
from rules.engine import Engine
from rules.load import load_texts
from tests.unit.monitor.ingest.frames import SECOND, at, trades

RULES = "version: 1\ngroups:\n  - name: g\n    rules:\n      - alert: a\n        when: price(A) > 1000\n"


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


@pytest.mark.parametrize("checkpoint", ["none", "before", "after"])
async def test_a_trade_that_is_journalled_counts_once_wherever_the_checkpoint_is(checkpoint):
    server = MemoryServer()
    store, pipeline = await start(server)
    sent = Batch("desk", at(2), trades=trades((1, "A", 10.0, 100.0, 7), (2, "A", 10.0, 100.0, 8)))
    if checkpoint == "before":
        await store.save_checkpoint(pipeline.checkpoint())
    await store.commit([r.commit for r in pipeline.process([sent], at(2))])
    if checkpoint == "after":
        await store.save_checkpoint(pipeline.checkpoint())
    later, again = await start(server)
    new = Batch("desk", at(3), trades=trades((3, "A", 10.0, 100.0, 9)))
    await later.commit([r.commit for r in again.process([sent, new], at(3))])
    found = [i async for e in later.journal(None) for i in journal.decode(e.fields)[0].trades["id"].to_list()]
    assert found == [7, 8, 9]
