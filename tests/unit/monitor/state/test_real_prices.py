"""January 2026 as it was: five-minute bars through the state, on daily closes of the year before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from connectors.batch import BARS, TIME, Batch
from monitor.state import MarketState
from rules.ast import Sessions, Since
from rules.view import Requirements
from tests.unit.monitor.state.conftest import at

pytestmark = pytest.mark.realdata

PAIR = ("IWM", "SPY")


def bars(folder: Path, start: str, end: str) -> Iterator[Batch]:
    frame = pl.read_parquet(folder / "bars_5min.parquet").filter(
        pl.col("symbol").is_in(PAIR),
        pl.col("ts").is_between(dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end)),
    )
    known = frame.with_columns(pl.col("ts").cast(TIME)).with_columns(end=pl.col("ts").dt.offset_by("5m"))
    for _, rows in known.sort("ts").group_by("end", maintain_order=True):
        yield Batch("test", 0, bars=rows.select(BARS.names()).cast(BARS))


@pytest.fixture
def state(shared_data, nyse) -> MarketState:
    state = MarketState(nyse)
    state.needs(Requirements(PAIR, sessions=260))
    daily = pl.read_parquet(shared_data / "daily_ohlcv_raw.parquet").filter(pl.col("symbol").is_in(PAIR))
    state.import_sessions(
        daily.select(pl.col("ts").cast(pl.Date), "symbol", "open", "close").cast({"close": pl.Float64})
    )
    return state


def excess(now: np.ndarray, base: np.ndarray) -> float:
    returns = now / base - 1
    return 1e4 * float(returns[0] - returns[1])


def test_small_caps_fell_behind_on_23_january(shared_data, state):
    crossed: dict[int, int] = {}
    for batch in bars(shared_data, "2026-01-23T00:00:00+00:00", "2026-01-23T21:00:00+00:00"):
        state.apply(batch, 0)
        view = state.view(PAIR)
        if view.now > at("2026-01-23 09:30"):
            for level in (-50, -100, -150):
                if excess(view.prices(), view.base(Sessions(1))) < level:
                    crossed.setdefault(level, view.now)
    assert crossed == {
        -50: at("2026-01-23 09:50"),
        -100: at("2026-01-23 10:10"),
        -150: at("2026-01-23 12:35"),
    }


def test_small_caps_led_on_fourteen_sessions_in_a_row(shared_data, state):
    for batch in bars(shared_data, "2026-01-23T00:00:00+00:00", "2026-01-23T15:00:00+00:00"):
        state.apply(batch, 0)
    view = state.view(PAIR)
    led = [excess(past.prices(), past.base(Sessions(1))) > 0 for past in map(view.at_close, range(1, 16))]
    assert led == [True] * 14 + [False]
    at_22 = view.at_close(1)
    assert excess(at_22.prices(), at_22.base(Since(dt.date(2025, 12, 31)))) == pytest.approx(856, abs=5)


def test_five_minute_bars_make_the_closes_of_the_daily_file(shared_data, state, nyse):
    live = MarketState(nyse)
    for batch in bars(shared_data, "2025-12-23T00:00:00+00:00", "2026-01-24T00:00:00+00:00"):
        live.apply(batch, 0)
    live.advance(at("2026-01-26 09:31"))
    state.advance(at("2026-01-26 09:31"))
    left, right = live.view(PAIR), state.view(PAIR)
    assert left.closed_sessions() == 21
    for back in range(1, 22):
        np.testing.assert_allclose(left.at_close(back).prices(), right.at_close(back).prices(), rtol=5e-4)
