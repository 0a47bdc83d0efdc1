"""Closes of history that the sessions beside them contradict: errors are found, and nothing that a market did."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from monitor.corporate_actions import Action, Kind
from monitor.corporate_actions.screen import IMPOSSIBLE, SPIKE, believed, screened
from monitor.corporate_actions.spikes import spikes
from monitor.data_files import read

FIRST = dt.date(2025, 1, 1)


def closes(prices, symbol="IWM"):
    days = [FIRST + dt.timedelta(n) for n in range(len(prices))]
    return pl.DataFrame({"ts": days, "symbol": [symbol] * len(prices), "close": [float(p) for p in prices]})


def walk(seed=1, sessions=60, scale=0.01):
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, scale, sessions)))


@pytest.mark.parametrize("factor", [10, 0.1, 100, 0.01, 1.5, 0.6])
@pytest.mark.parametrize("row", [1, 30, 58])
def test_one_close_away_from_its_neighbours_is_an_error(factor, row):
    prices = walk()
    prices[row] *= factor
    (found,) = spikes(closes(prices))
    assert (found.row, found.close, found.before) == (row, prices[row], prices[row - 1])
    kept, wrong = believed(closes(prices), ())
    assert (kept["close"].to_list(), wrong) == ([p for n, p in enumerate(prices) if n != row], [found])


@pytest.mark.parametrize(("right", "wrong"), [(123.45, 213.45), (91.20, 19.20), (58.10, 85.10)])
def test_swapped_digits_are_an_error(right, wrong):
    prices = walk() * right / 100
    prices[30] = right
    prices[31:] *= right / prices[31]
    prices[:30] *= right / prices[29]
    assert not spikes(closes(prices))
    prices[30] = wrong
    assert [s.close for s in spikes(closes(prices))] == [wrong]


def test_a_good_close_between_two_errors_stays():
    prices = walk()
    prices[30] *= 10
    prices[32] *= 10
    assert [s.row for s in spikes(closes(prices))] == [30, 32]


def test_a_crash_a_rebound_of_the_market_and_a_new_level_are_none():
    crash = walk()
    crash[30:] *= 0.4
    assert not spikes(closes(crash))
    every = [closes(walk(seed) * np.where(np.arange(60) == 30, 0.7, 1.0), f"S{seed}") for seed in range(9)]
    assert not spikes(pl.concat(every))
    assert len(spikes(every[0])) == 1


def test_the_newest_close_is_left_out_beyond_what_no_market_does_until_the_next_confirms_it():
    prices = walk()
    assert not spikes(closes([*prices, prices[-1] * 3]))
    far = [*prices, prices[-1] * 12]
    (found,) = spikes(closes(far))
    assert (found.row, found.after) == (60, None)
    assert not spikes(closes([*far, prices[-1] * 12.1]))
    split = Action(FIRST + dt.timedelta(60), "IWM", Kind.SPLIT, ratio=1 / 12)
    assert not spikes(closes(far), [split])


def test_history_is_taken_in_without_it_and_it_is_said():
    prices = walk()
    prices[30] *= 10
    (kept,), objections = screened([closes(prices)], [], [])
    assert kept.height == 59
    assert [(o.condition, o.symbol) for o in objections] == [(SPIKE, "IWM")]
    assert "2025-01-31" in objections[0].reason


def test_history_that_cannot_be_is_left_out_and_said_by_symbol():
    good = closes([100, 101, 102]).with_columns(open=pl.col("close"), high=pl.col("close"), low=pl.col("close"))
    bad = good.with_columns(symbol=pl.lit("SPY"), high=pl.col("close") - pl.Series([0, 50, 0]))
    (kept,), objections = screened([pl.concat([good, bad])], [], [])
    assert kept.height == 5
    assert [(o.condition, o.symbol) for o in objections] == [(IMPOSSIBLE, "SPY")]
    text = "1 bar left out: crossed, such as SPY 2025-01-02: open 101, high 51, low 101, close 101"
    assert objections[0].reason == text


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["daily_close", "daily_ohlcv_raw", "daily_ohlcv_iex_noisy"])
def test_no_real_close_is_one_and_every_planted_one_is_found(shared_data, name):
    frame = read(shared_data / f"{name}.parquet").frame
    assert not spikes(frame)
    inner = frame.with_row_index().filter(
        pl.col("ts").rank("dense") % 3 == 0,  # none beside another
        pl.col("ts").diff().over("symbol").dt.total_days() <= 4,
        pl.col("ts").diff(-1).over("symbol").dt.total_days() >= -4,
    )
    generator = np.random.default_rng(1)
    for factor in (10, 0.1, 100, 0.01):
        rows = generator.choice(inner["index"].to_numpy(), 50, replace=False)
        prices = frame["close"].to_numpy().copy()
        prices[rows] *= factor
        assert {s.row for s in spikes(frame.with_columns(close=pl.Series(prices)))} == set(rows.tolist())


@pytest.mark.realdata
def test_of_ten_thousand_instruments_two_closes_are_taken_back_and_three_are_not_confirmed(shared_data):
    """HEPS and TWG, on volume of next to nothing; and reverse splits on the day the file ends."""
    found = spikes(read(shared_data / "daily_close_all_us.parquet").frame)
    assert [(s.symbol, s.after is None) for s in found] == [
        ("ELPW", True), ("HEPS", False), ("KXIN", True), ("PHOE", True), ("TWG", False)
    ]  # fmt: skip
