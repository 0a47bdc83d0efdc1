"""Time passes where everything a feed says is refused: prices grow stale, minutes close, and it is said."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import polars as pl
import pytest

from connectors.batch import QUOTES, SERIES, TIME, TRADES, Batch
from monitor.calendar import TradingCalendar
from monitor.data_health import FEED_CLOCK, FEED_REFUSED
from monitor.ingest import Cause, Cutter, TruthFilter
from monitor.pipeline import Pipeline
from monitor.state import MarketState
from rules.engine import Engine
from rules.load import load_texts

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
NOW = 1_769_178_600 * SECOND
"""23 January 2026, 14:30 UTC: the open in New York."""
RULES = """\
version: 1
groups:
  - name: g
    rules:
      - alert: far
        when: price(SPY) > 1000
      - alert: gap
        when: ret(SPY, 1m) > 1%
"""


def pipeline():
    calendar = TradingCalendar("XNYS")
    engine = Engine(load_texts({"r.yaml": RULES}).ruleset, calendar, max_gap_ns=900 * SECOND)
    state = MarketState(calendar)
    state.needs(engine.requirements)
    return Pipeline(state, engine, TruthFilter(), Cutter(), ZoneInfo("UTC"), follows_wall=True)


def trades(ts, price=100.0, feed="iex", received=None):
    rows = {"ts": [ts], "symbol": "SPY", "price": price, "size": 1.0, "id": [ts]}
    frame = pl.DataFrame(rows, schema_overrides={"ts": pl.Int64}).cast(TRADES)
    return Batch(feed, ts if received is None else received, trades=frame)


def price(it):
    return it.state.view(("SPY",)).prices().tolist()


def drive(it, seconds, make, start=NOW):
    """Two batches a second from `make(wall)`, so that nobody ever waits for data; what was decided."""
    transitions = []
    for half in range(1, 2 * seconds + 1):
        wall = start + half * SECOND // 2
        results = it.process([make(wall)], wall)
        while it.waiting:
            results += it.process((), wall)
        transitions += [t for r in results for t in r.transitions]
    return transitions


@pytest.mark.parametrize(
    "make",
    [
        lambda wall: trades(wall, -1.0),
        lambda wall: trades(wall + 2 * HOUR),
        lambda wall: trades(NOW),
        lambda wall: Batch("desk", wall, series=pl.DataFrame([(wall, "rate", 1.0)], schema=SERIES, orient="row")),
    ],
    ids=["impossible", "of the future", "the same again", "only series"],
)
def test_a_price_grows_stale_while_nothing_new_comes(make):
    it = pipeline()
    it.process([trades(NOW)], NOW)
    assert price(it) == [100.0]
    drive(it, 20 * 60, make)
    assert it.state.now >= NOW + 20 * 60 * SECOND - SECOND
    assert price(it) != [100.0]
    assert it.state.closed_bars()[0].height == 1


def test_it_passes_as_fast_as_the_clock():
    it = pipeline()
    it.process([trades(NOW)], NOW)
    drive(it, 60, lambda wall: trades(wall, -1.0))
    assert NOW + 59 * SECOND <= it.state.now <= NOW + 60 * SECOND
    drive(it, 60, trades, NOW + 60 * SECOND)
    assert it.state.now == NOW + 120 * SECOND


def test_a_feed_ahead_by_two_hours_is_refused_and_said_and_decides_nothing():
    it = pipeline()
    it.process([trades(NOW)], NOW)
    decided = drive(it, 120, lambda wall: trades(wall + 2 * HOUR, 5000.0, received=wall))
    assert decided == []
    assert it.truth.rejects.counts == {("iex", Cause.FUTURE): 240}
    it.troubles(NOW + 60 * SECOND)
    drive(it, 60, lambda wall: trades(wall + 2 * HOUR, 5000.0, received=wall), NOW + 120 * SECOND)
    reasons = {t.name: t.reason for t in it.troubles(NOW + 180 * SECOND)}
    assert "its clock is 2h ahead of this machine's" in reasons[FEED_CLOCK]
    assert "were refused, most of all time as future" in reasons[FEED_REFUSED]


def test_a_feed_behind_by_two_hours_is_said_and_shown_nothing_as_new():
    it = pipeline()
    decided = drive(it, 60, lambda wall: trades(wall - 2 * HOUR, received=wall))
    assert decided == []
    assert it.state.now == NOW + 60 * SECOND - 2 * HOUR  # of its own time, as a feed delayed by its plan
    reasons = {t.name: t.reason for t in it.troubles(NOW + 60 * SECOND)}
    assert "its data are 2h old as they come" in reasons[FEED_CLOCK]
    assert it.truth.rejects.counts == {}


def test_a_feed_behind_by_two_hours_beside_one_that_is_not_has_no_price():
    it = pipeline()
    decided = drive(it, 60, lambda wall: quotes(wall, "IWM", "sip"))
    decided += drive(it, 60, lambda wall: trades(wall - 2 * HOUR, 5000.0, received=wall), NOW + 60 * SECOND)
    assert decided == []
    assert price(it) != [5000.0]
    assert it.state.view(("IWM",)).prices().tolist() == [100.5]


def quotes(ts, symbol, feed):
    rows = {"ts": [ts], "symbol": symbol, "bid": 100.0, "ask": 101.0, "bid_size": 1.0, "ask_size": 1.0}
    frame = pl.DataFrame(rows).with_columns(pl.col("ts").cast(TIME)).cast(QUOTES)
    return Batch(feed, ts, quotes=frame)
