"""The vendor's own client reads the exchange as it reads the vendor: a socket, MessagePack, its own models."""

from __future__ import annotations

import asyncio
import datetime as dt
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.simulator import Exchange, ExchangeOptions, Scenario, great_rotation
from tests.unit.connectors.simulator_sessions import SESSIONS

with warnings.catch_warnings():
    # The client stands on the old implementation of websockets, which says at import that it is deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from alpaca.data.live.stock import StockDataStream
    from alpaca.data.models import Bar, Quote, Trade

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

STEPS = 130
SYMBOLS = ("IWM", "SPY")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return great_rotation(SESSIONS)


class Received:
    """What the client's handlers were given."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.news = asyncio.Event()

    async def take(self, row) -> None:
        self.rows.append(row)
        self.news.set()

    def of(self, kind: type) -> list[Any]:
        return [row for row in self.rows if isinstance(row, kind)]

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not enough():
                await self.news.wait()
                self.news.clear()


@asynccontextmanager
async def running(stream: StockDataStream) -> AsyncIterator[None]:
    task = asyncio.create_task(stream._run_forever())
    try:
        yield
    finally:
        await stream.stop_ws()
        await asyncio.wait_for(task, 10)


async def test_trades_quotes_and_bars_arrive_as_the_clients_models(scenario):
    async with Exchange(scenario, ExchangeOptions(speed=46_800, steps=STEPS)) as exchange:
        stream = StockDataStream("key", "secret", url_override=exchange.url)
        received = Received()
        stream.subscribe_trades(received.take, *SYMBOLS)
        stream.subscribe_quotes(received.take, *SYMBOLS)
        stream.subscribe_bars(received.take, *SYMBOLS)
        async with running(stream):
            await received.until(lambda: len(received.of(Bar)) >= 2 * STEPS)
    tape = scenario.tape(0, STEPS)
    column = tape.symbols.index("IWM")
    trades = [t for t in received.of(Trade) if t.symbol == "IWM"][:STEPS]
    quotes = [q for q in received.of(Quote) if q.symbol == "IWM"][:STEPS]
    bars = [b for b in received.of(Bar) if b.symbol == "IWM"][: STEPS - 1]
    assert [t.price for t in trades] == tape.price[:STEPS, column].tolist()
    assert [t.id for t in trades] == tape.trade_id[:STEPS, column].tolist()
    assert [t.size for t in trades] == tape.size[:STEPS, column].tolist()
    assert [q.bid_price for q in quotes] == tape.bid[:STEPS, column].tolist()
    assert [q.ask_price for q in quotes] == tape.ask[:STEPS, column].tolist()
    assert [q.ask_size for q in quotes] == tape.ask_size[:STEPS, column].tolist()
    assert [b.close for b in bars] == tape.bars.close[: STEPS - 1, column].tolist()
    assert [b.volume for b in bars] == tape.bars.volume[: STEPS - 1, column].tolist()
    assert trades[0].timestamp == dt.datetime(2026, 1, 2, 14, 30, 0, 973_500, tzinfo=dt.UTC)
    assert bars[0].timestamp == dt.datetime(2026, 1, 2, 14, 30, tzinfo=dt.UTC)
    assert {row.symbol for row in received.rows} == set(SYMBOLS)


async def test_everything_can_be_asked_for_and_stopped_again(scenario):
    async with Exchange(scenario, ExchangeOptions(speed=46_800, steps=STEPS)) as exchange:
        stream = StockDataStream("key", "secret", raw_data=True, url_override=exchange.url)
        trades, quotes = Received(), Received()
        stream.subscribe_trades(trades.take, "*")
        stream.subscribe_quotes(quotes.take, "TLT")
        async with running(stream):
            await trades.until(lambda: {r["S"] for r in trades.rows} == set(scenario.symbols))
            await quotes.until(lambda: len(quotes.rows) > 3)
            await stream._send_unsubscribe_msg("trades", ["*"])
            await quotes.until(lambda: len(quotes.rows) > STEPS // 2)
            stopped_at = len(trades.rows)
            seen = len(quotes.rows)
            await quotes.until(lambda: len(quotes.rows) > seen + 5)
            assert len(trades.rows) == stopped_at


async def test_wrong_credentials_are_refused_in_its_words(scenario):
    async with Exchange(scenario) as exchange:
        stream = StockDataStream("key", "wrong", url_override=exchange.url)
        with pytest.raises(ValueError, match="auth failed"):
            await stream._start_ws()
        await stream.close()
