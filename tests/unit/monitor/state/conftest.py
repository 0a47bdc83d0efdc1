"""A tape written by hand: times in New York, one call a batch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from connectors.batch import BARS, QUOTES, TIME, TRADES, Batch
from monitor.calendar import MINUTE, TradingCalendar
from monitor.state import MarketState
from rules.view import Requirements

SECOND = 1_000_000_000


def at(text: str) -> int:
    """``2026-01-23 10:00:00.5`` in New York, as UTC nanoseconds."""
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York"))
    return int(moment.timestamp()) * SECOND + moment.microsecond * 1000


class Tape:
    """A state, and what happens to it."""

    def __init__(self, state: MarketState) -> None:
        self.state = state

    def trade(self, symbol: str, price: float, when: str, size: float = 1.0) -> None:
        self.trades((symbol, price, when, size))

    def trades(self, *rows: tuple[str, float, str, float]) -> None:
        columns = {
            "ts": [at(when) for _, _, when, _ in rows],
            "symbol": [symbol for symbol, _, _, _ in rows],
            "price": [float(price) for _, price, _, _ in rows],
            "size": [float(size) for _, _, _, size in rows],
            "id": [None for _ in rows],
        }
        frame = pl.DataFrame(columns).with_columns(pl.col("ts").cast(TIME)).cast(TRADES)
        self.state.apply(Batch("test", 0, trades=frame), 0)

    def quote(self, symbol: str, bid: float, ask: float, when: str) -> None:
        columns = {"ts": [at(when)], "symbol": [symbol], "bid": [bid], "ask": [ask], "bid_size": [1], "ask_size": [2]}
        frame = pl.DataFrame(columns).with_columns(pl.col("ts").cast(TIME)).cast(QUOTES)
        self.state.apply(Batch("test", 0, quotes=frame), 0)

    def bar(self, symbol: str, prices: tuple[float | None, ...], start: str, minutes: int = 1) -> None:
        """`prices`: open, high, low, close, volume."""
        begin = at(start)
        columns = {"ts": [begin], "end": [begin + minutes * MINUTE], "symbol": [symbol]}
        named = dict(zip(("open", "high", "low", "close", "volume"), ([p] for p in prices), strict=True))
        frame = pl.DataFrame(columns | named).with_columns(pl.col("ts", "end").cast(TIME)).cast(BARS)
        self.state.apply(Batch("test", 0, bars=frame), 0)

    def advance(self, when: str) -> None:
        self.state.advance(at(when))


@pytest.fixture(scope="session")
def nyse() -> TradingCalendar:
    return TradingCalendar("XNYS")


@pytest.fixture
def new_state(nyse: TradingCalendar) -> Callable[..., MarketState]:
    """Make a state that keeps an hour of minutes."""

    def make(needs: Requirements | None = None, **options: object) -> MarketState:
        state = MarketState(nyse, **options)
        state.needs(needs or Requirements((), clock_ns=60 * MINUTE))
        return state

    return make


@pytest.fixture
def tape(new_state: Callable[..., MarketState]) -> Tape:
    return Tape(new_state())
