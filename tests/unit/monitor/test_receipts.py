"""What was received is acknowledged when the journal has it, and not before."""

import asyncio
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from connectors.batch import TRADES, Batch
from monitor import journal
from monitor.calendar import TradingCalendar
from monitor.committer import Committer
from monitor.ingest import Cutter, TruthFilter
from monitor.pipeline import Pipeline
from monitor.positions import Place, Positions
from monitor.state import MarketState
from monitor.store.base import Commit, StoreUnavailable
from rules.engine import Engine
from rules.load import load_texts

NOW = 1_769_178_600_000_000_000
RULES = "version: 1\ngroups:\n  - name: g\n    rules:\n      - alert: a\n        when: price(SPY) > 1000\n"


def pipeline(*, hold=False):
    calendar = TradingCalendar("always")
    ruleset = load_texts({"r.yaml": RULES}).ruleset
    engine = Engine(ruleset, calendar, max_gap_ns=900 * 10**9)
    state = MarketState(calendar)
    state.needs(engine.requirements)
    return Pipeline(state, engine, TruthFilter(), Cutter(hold_last=hold), ZoneInfo("UTC"), follows_wall=False)


def batch(*times, receipt=lambda: None, price=100.0):
    rows = {"ts": list(times), "symbol": "SPY", "price": price, "size": 1.0, "id": list(times)}
    trades = pl.DataFrame(rows, schema_overrides={"ts": pl.Int64}).cast(TRADES)
    return Batch("desk", 1, trades=trades, receipts=(receipt,))


def receipts(results):
    return [len(result.receipts) for result in results]


def test_the_last_of_the_pieces_carries_the_receipts():
    results = pipeline().process([batch(NOW, NOW + 5 * 10**9, NOW + 9 * 10**9), batch(NOW + 9 * 10**9 + 1)], 1)
    assert len(results) >= 3
    assert receipts(results) == [0] * (len(results) - 1) + [2]


def test_they_wait_while_pieces_wait():
    it = pipeline()
    results = it.process([batch(*(NOW + n * 10**9 for n in range(40)))], 1)
    assert it.waiting
    assert sum(receipts(results)) == 0
    while it.waiting:
        results = it.process((), 1)
    assert receipts(results)[-1] == 1


def test_they_wait_for_an_instant_that_is_held_back():
    it = pipeline(hold=True)
    assert sum(receipts(it.process([batch(NOW)], 1))) == 0
    assert receipts(it.flush(1)) == [1]


def test_what_the_filter_refuses_is_acknowledged_too():
    it = pipeline()
    it.process([batch(NOW)], 1)
    (result,) = it.process([batch(NOW + 1, price=-1.0)], 1)
    assert receipts([result]) == [1]
    assert journal.decode(result.commit.entry.fields)[0].rows == 0


class Disk:
    """A store that takes nothing until it is told to."""

    def __init__(self) -> None:
        self.away = True
        self.commits: list[Commit] = []

    async def commit(self, commits) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.commits += commits


@pytest.mark.parametrize("count", [1, 3])
async def test_nothing_is_acknowledged_before_the_store_has_it(count):
    disk, said = Disk(), []
    troubled = asyncio.Event()

    async def instances():
        return {}

    committer = Committer(
        disk,
        max_bytes=10**6,
        owner="me",
        instances=instances,
        on_done=lambda _results, _seconds: None,
        on_trouble=lambda reason: troubled.set() if reason else None,
    )
    it = pipeline()
    for number in range(count):
        await committer.put(*it.process([batch(NOW + number, receipt=lambda n=number: said.append(n))], 1))
    running = asyncio.create_task(committer.run())
    await asyncio.wait_for(troubled.wait(), 10)
    assert said == []
    disk.away = False
    await asyncio.wait_for(committer.drained(), 10)
    assert said == list(range(count))
    assert disk.commits
    running.cancel()
    await asyncio.wait([running])


def test_where_a_reader_stands_goes_into_the_step_of_the_last_piece():
    place = Place(Positions(), "inbox/a.csv", "3")
    results = pipeline().process([batch(NOW, NOW + 5 * 10**9, receipt=place)], 1)
    assert [dict(result.commit.positions) for result in results] == [{}] * (len(results) - 1) + [{"inbox/a.csv": b"3"}]
    place()
    assert place.positions.of("inbox/a.csv") == "3"
