import asyncio

import polars as pl
import pytest

from connectors.backlog import Backlog
from connectors.batch import QUOTES, TRADES, Batch

LARGE = 2**30


def quotes(symbols, first=0, feed="a"):
    """One quote a symbol named; its bid is its number from `first`."""
    numbers = range(first, first + len(symbols))
    frame = pl.DataFrame(
        {"ts": numbers, "symbol": symbols, "bid": numbers, "ask": numbers, "bid_size": 1.0, "ask_size": 1.0}
    )
    return Batch(feed=feed, received_at=first, quotes=frame.cast(dict(QUOTES)))


def trades(count, feed="a"):
    frame = pl.DataFrame({"ts": range(count), "symbol": ["SPY"] * count, "price": 1.0, "size": 1.0, "id": range(count)})
    return Batch(feed=feed, received_at=0, trades=frame.cast(dict(TRADES)))


async def test_what_waits_is_taken_merged_by_feed():
    backlog = Backlog(LARGE)
    for batch in (quotes(["SPY"]), quotes(["IWM"], feed="b"), trades(2), quotes(["QQQ"], 5)):
        await backlog.put(batch)
    assert backlog.rows == 5
    a, b = await backlog.take(100)
    assert (a.feed, b.feed) == ("a", "b")
    assert a.quotes["symbol"].to_list() == ["SPY", "QQQ"]
    assert a.trades.height == 2
    assert b.quotes["symbol"].to_list() == ["IWM"]
    assert backlog.rows == backlog.bytes == 0


async def test_take_waits_for_the_first():
    backlog = Backlog(LARGE)
    taking = asyncio.create_task(backlog.take(10))
    await asyncio.sleep(0)
    assert not taking.done()
    await backlog.put(quotes(["SPY"]))
    assert (await taking)[0].rows == 1


async def test_take_keeps_to_the_number_of_rows():
    backlog = Backlog(LARGE)
    for number in range(5):
        await backlog.put(quotes(["SPY", "IWM"], number))
    assert [b.rows for b in await backlog.take(5)] == [4]
    assert [b.rows for b in await backlog.take(1)] == [2]
    assert [b.rows for b in await backlog.take(100)] == [4]


async def test_quotes_are_conflated_per_instrument_and_counted():
    backlog = Backlog(20_000)
    for number in range(1_000):
        await asyncio.wait_for(backlog.put(quotes(["SPY", "IWM"], 2 * number)), 1)
        assert backlog.bytes <= 20_000
    (batch,) = await backlog.take(10**6)
    last = batch.quotes.unique("symbol", keep="last", maintain_order=True)
    assert last["bid"].to_list() == [1998.0, 1999.0]
    assert backlog.conflated == {"a": 2_000 - batch.rows}
    kept = batch.quotes.filter(symbol="SPY").height
    assert backlog.conflated_of == {"a": {"SPY": 1_000 - kept, "IWM": 1_000 - (batch.rows - kept)}}
    assert batch.quotes["bid"].is_sorted(), "arrival order"


async def test_an_instrument_that_said_little_is_not_lost():
    backlog = Backlog(20_000)
    await backlog.put(quotes(["QUIET"]))
    for number in range(1_000):
        await backlog.put(quotes(["SPY"] * 5, number))
    (batch,) = await backlog.take(10**6)
    assert set(batch.quotes["symbol"]) == {"QUIET", "SPY"}


async def test_feeds_are_conflated_apart():
    backlog = Backlog(20_000)
    for number in range(500):
        await backlog.put(quotes(["SPY"], number, "a"))
        await backlog.put(quotes(["SPY"], number, "b"))
    a, b = await backlog.take(10**6)
    assert a.quotes["bid"].to_list()[-1] == b.quotes["bid"].to_list()[-1] == 499.0
    assert backlog.conflated["a"] + a.rows == backlog.conflated["b"] + b.rows == 500


async def test_trades_are_never_dropped_so_put_waits():
    backlog = Backlog(10_000)
    done = []

    async def produce():
        for number in range(50):
            await backlog.put(trades(100))
            done.append(number)

    task = asyncio.create_task(produce())
    for _ in range(100):
        await asyncio.sleep(0)
    assert 0 < len(done) < 50
    assert backlog.bytes < 2 * 10_000
    rows = 0
    while not task.done() or backlog.rows:
        rows += sum(batch.rows for batch in await backlog.take(1_000))
        for _ in range(3):
            await asyncio.sleep(0)
    assert rows == 5_000
    assert not backlog.conflated["a"]


async def test_a_batch_larger_than_the_bound_still_passes():
    backlog = Backlog(100)
    putting = asyncio.create_task(backlog.put(trades(1_000)))
    await asyncio.sleep(0)
    assert not putting.done()
    assert (await backlog.take(10))[0].rows == 1_000
    await asyncio.wait_for(putting, 1)


async def test_a_cancelled_put_loses_nothing():
    backlog = Backlog(100)
    putting = asyncio.create_task(backlog.put(trades(1_000)))
    await asyncio.sleep(0)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert (await backlog.take(10))[0].rows == 1_000


async def test_conflation_is_not_tried_for_every_batch(monkeypatch):
    backlog = Backlog(2**20)
    tries = []
    real = Backlog._conflate

    def counted(self):
        tries.append(1)
        real(self)

    monkeypatch.setattr(Backlog, "_conflate", counted)
    for number in range(1_000):
        await backlog.put(quotes([f"S{number}-{i}" for i in range(8)]))  # nothing repeats: nothing to conflate
    assert len(tries) <= 3
