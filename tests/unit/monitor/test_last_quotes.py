import datetime as dt

import polars as pl
import pytest

from connectors.batch import QUOTES
from monitor.calendar import TradingCalendar
from monitor.ingest import CleanBatch
from monitor.last_quotes import A_PACE, PACE_NS, LastQuotes
from monitor.state import MarketState

SECOND = 1_000_000_000
NOON = int(dt.datetime(2026, 1, 23, 12, tzinfo=dt.UTC).timestamp()) * SECOND


@pytest.fixture
def state():
    return MarketState(TradingCalendar("always"))


def quote(state, symbols, at=NOON, bid=10.0):
    rows = {"ts": [at] * len(symbols), "symbol": symbols, "bid": bid, "ask": bid + 1, "bid_size": 2.0, "ask_size": None}
    state.apply(CleanBatch(quotes=pl.DataFrame(rows).cast(dict(QUOTES)), event_time=at), at)


def test_what_is_known_is_published_as_text(state):
    quote(state, ["SPY"], NOON + 1)
    assert LastQuotes(state).due(NOON) == {
        "SPY": {
            "quote_ts": "2026-01-23 12:00:00.000000001+00:00",
            "price_ts": "2026-01-23 12:00:00.000000001+00:00",
            "bid": "10.0",
            "ask": "11.0",
            "bid_size": "2.0",
            "price": "10.5",
        }
    }


def test_an_instrument_is_published_once_a_second_and_only_when_it_changed(state):
    board = LastQuotes(state)
    quote(state, ["SPY", "IWM"])
    assert set(board.due(NOON)) == {"SPY", "IWM"}
    quote(state, ["SPY"], NOON + 1)
    assert board.due(NOON + SECOND // 2) == {}
    assert set(board.due(NOON + SECOND)) == {"SPY"}
    assert board.due(NOON + 3 * SECOND) == {}


def test_many_are_published_a_few_at_a_time_and_none_is_left_out(state):
    board = LastQuotes(state)
    board.due(NOON)
    symbols = [f"S{number}" for number in range(5 * A_PACE)]
    seen: list[str] = []
    for pace in range(1, 26):
        quote(state, symbols, NOON + pace * PACE_NS)
        published = board.due(NOON + pace * PACE_NS)
        assert len(published) <= A_PACE
        seen += published
    assert set(seen) == set(symbols)
    assert max(map(seen.count, symbols)) == 1  # a quarter of a second has passed


def test_within_a_pace_nothing_is_published(state):
    board = LastQuotes(state)
    board.due(NOON)
    quote(state, ["SPY"])
    assert board.due(NOON + PACE_NS - 1) == {}


def test_after_a_pause_all_that_waits_is_published(state):
    symbols = [f"S{number}" for number in range(3 * A_PACE)]
    quote(state, symbols)
    assert set(LastQuotes(state).due(NOON)) == set(symbols)


def test_instruments_may_come_later(state):
    board = LastQuotes(state)
    quote(state, ["SPY"])
    board.due(NOON)
    quote(state, ["IWM"])
    assert set(board.due(NOON + PACE_NS)) == {"IWM"}
