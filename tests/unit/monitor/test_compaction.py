import datetime as dt

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from monitor.compaction import RESOLUTION, compact
from monitor.pipeline import CHUNK_NAME, frame_bytes
from monitor.recovery import read_frame
from monitor.state import MINUTE_BARS
from monitor.store.base import BarChunk
from monitor.store.memory import MemoryStore

NINE = dt.datetime(2026, 1, 23, 9, tzinfo=dt.UTC)


def bars(minute, *symbols, close=1.0):
    rows = {"ts": NINE + dt.timedelta(minutes=minute), "symbol": list(symbols), "close": close, "age_ms": 5}
    others = [pl.lit(None).alias(name) for name in MINUTE_BARS if name not in rows]
    return pl.DataFrame(rows).with_columns(others).select(MINUTE_BARS.names()).cast(dict(MINUTE_BARS))


def chunk(minute, *symbols, close=1.0):
    name = (NINE + dt.timedelta(minutes=minute)).strftime(CHUNK_NAME)
    return BarChunk(RESOLUTION, name, frame_bytes(bars(minute, *symbols, close=close)))


@pytest.fixture
async def store():
    opened = MemoryStore()
    await opened.open()
    return opened


async def stored(store):
    names = await store.bar_chunks(RESOLUTION)
    return {name: read_frame(c.data) for name, c in zip(names, await store.load_bars(RESOLUTION, names), strict=True)}


async def test_a_past_hour_becomes_one_chunk_an_instruments_bars_side_by_side(store):
    await store.save_bars([chunk(1, "SPY", "IWM"), chunk(2, "IWM"), chunk(59, "SPY"), chunk(60, "SPY")])
    assert await compact(store) == 3
    chunks = await stored(store)
    assert list(chunks) == ["2026-01-23T09:01", "2026-01-23T10:00"]
    whole = pl.concat([bars(1, "IWM"), bars(2, "IWM"), bars(1, "SPY"), bars(59, "SPY")])
    assert_frame_equal(chunks["2026-01-23T09:01"], whole)
    assert await compact(store) == 0


async def test_the_newest_hour_is_left_alone(store):
    await store.save_bars([chunk(1, "SPY"), chunk(2, "SPY")])
    assert await compact(store) == 0
    assert len(await stored(store)) == 2
    assert await compact(MemoryStore()) == 0


async def test_hours_are_merged_one_after_the_other_oldest_first(store):
    await store.save_bars([chunk(minute, "SPY") for minute in (0, 1, 60, 61, 120)])
    assert [await compact(store) for _ in range(3)] == [2, 2, 0]
    assert list(await stored(store)) == ["2026-01-23T09:00", "2026-01-23T10:00", "2026-01-23T11:00"]


async def test_what_a_crash_left_half_done_is_done_again(store):
    parts = [chunk(1, "SPY"), chunk(2, "SPY"), chunk(3, "SPY"), chunk(60, "SPY")]
    await store.save_bars(parts)
    await compact(store)
    whole = await stored(store)
    await store.save_bars(parts[1:3])  # as if they had not been dropped
    assert await compact(store) == 3
    assert list(await stored(store)) == list(whole)
    assert_frame_equal((await stored(store))["2026-01-23T09:01"], whole["2026-01-23T09:01"])
