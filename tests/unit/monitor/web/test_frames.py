from __future__ import annotations

import datetime as dt
import json

import polars as pl
import pytest

from monitor.pipeline import frame_bytes
from monitor.store.base import BarChunk
from monitor.store.memory import MemoryStore
from monitor.web.frames import as_json, of_symbols, stored_bars

DAYS = 100


def day(number: int) -> dt.date:
    return dt.date(2026, 1, 1) + dt.timedelta(days=number)


@pytest.fixture
async def store() -> MemoryStore:
    """A session bar of two instruments for each of 100 days, the close being the day's number."""
    store = MemoryStore()
    for number in range(DAYS):
        rows = pl.DataFrame({"ts": [day(number)] * 2, "symbol": ["IWM", "SPY"]}).with_columns(
            pl.lit(float(number)).alias(name) for name in ("open", "high", "low", "close", "volume")
        )
        await store.save_bars([BarChunk("1d", str(day(number)), frame_bytes(rows))])
    return store


@pytest.mark.parametrize(
    ("since", "limit", "expected"),
    [
        (None, 1000, range(DAYS)),
        (None, 5, range(95, DAYS)),
        (None, 40, range(60, DAYS)),
        (day(90), 1000, range(90, DAYS)),
        (day(0) - dt.timedelta(days=9), 1000, range(DAYS)),
        (day(DAYS), 1000, range(0)),
    ],
)
async def test_the_newest_bars_since_a_date_oldest_first(
    store: MemoryStore, since: dt.date | None, limit: int, expected: range
):
    bars = await stored_bars(store, "1d", "IWM", since, limit)
    assert (bars["close"].to_list() if bars.height else []) == list(expected)


async def test_a_chunk_that_began_the_day_before_is_searched_too():
    store = MemoryStore()
    times = [dt.datetime(2026, 1, 22, 20, 58, tzinfo=dt.UTC), dt.datetime(2026, 1, 23, 14, 30, tzinfo=dt.UTC)]
    rows = pl.DataFrame({"ts": times, "symbol": ["IWM", "IWM"]}).with_columns(
        pl.lit(1.0).alias(name) for name in ("open", "high", "low", "close", "volume")
    )
    await store.save_bars([BarChunk("1m", "2026-01-22T20:58", frame_bytes(rows))])
    bars = await stored_bars(store, "1m", "IWM", dt.date(2026, 1, 23), 10)
    assert [row["ts"] for row in json.loads(as_json(bars))] == ["2026-01-23T14:30:00Z"]


def test_json_of_a_frame_has_times_as_text_and_null_for_unknown():
    frame = pl.DataFrame(
        {"ts": [1, None], "symbol": ["IWM", "SPY"], "bid": [float("nan"), 1.5]},
        schema={"ts": pl.Datetime("ns", "UTC"), "symbol": pl.Categorical(), "bid": pl.Float64},
    )
    assert json.loads(as_json(frame)) == [
        {"ts": "1970-01-01T00:00:00.000000001Z", "symbol": "IWM", "bid": None},
        {"ts": None, "symbol": "SPY", "bid": 1.5},
    ]
    assert of_symbols(frame, ["SPY"])["bid"].to_list() == [1.5]
    assert json.loads(as_json(pl.DataFrame())) == []
