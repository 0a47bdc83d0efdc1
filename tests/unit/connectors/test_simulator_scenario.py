"""A tape goes from one close to the next, in time order, and its bars are those of its trades."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from connectors.simulator import Scenario, Session, Tape, great_rotation
from connectors.simulator.scenario import MINUTE, SECOND, MinuteBars, Noise
from tests.unit.connectors.simulator_sessions import SESSIONS

STEPS = 130


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return great_rotation(SESSIONS)


@pytest.fixture(scope="module")
def tape(scenario: Scenario) -> Tape:
    return scenario.tape(0, STEPS)


def test_the_last_trade_of_every_symbol_is_its_close_just_before_the_close(scenario):
    for number in range(20):
        tape = scenario.tape(number, STEPS)
        assert (tape.price[-1] == scenario.closes[scenario.past + number]).all()
        assert (tape.trade_at[-1] < tape.session.close).all()
        assert (tape.trade_at[-1] > tape.session.close - SECOND).all()


def test_the_first_prints_are_right_after_the_open_with_a_gap(scenario, tape):
    assert (tape.trade_at[0] > tape.session.open).all()
    assert (tape.trade_at[0] < tape.session.open + SECOND).all()
    before, close = scenario.closes[scenario.past - 1], scenario.closes[scenario.past]
    gap = np.log(tape.price[0] / before) / np.log(close / before)
    assert gap == pytest.approx(0.25, abs=0.01)


def test_event_times_are_strictly_increasing(tape):
    times = np.stack([tape.quote_at, tape.trade_at], axis=2).ravel()
    assert (np.diff(times) > 0).all()
    assert len(tape.instants) == STEPS + 1


def test_quotes_are_one_to_two_bp_wide_around_the_trade(tape):
    mid = (tape.bid + tape.ask) / 2
    width = (tape.ask - tape.bid) / mid * 1e4
    # Rounded to a hundredth of a cent, which is 0.02 bp of the cheapest price here.
    assert width.min() > 0.95
    assert width.max() < 2.05
    assert np.abs(mid / tape.price - 1).max() < 1e-5
    assert (np.round(tape.price, 4) == tape.price).all()


def test_trade_ids_are_unique_over_sessions(scenario):
    ids = np.concatenate([scenario.tape(n, STEPS).trade_id.ravel() for n in range(5)])
    assert len(np.unique(ids)) == len(ids)


def test_no_moment_of_the_rotation_looks_unusual(scenario):
    """The lead since the close before stays within 1.5 deviations of the 60 sessions before, at every instant."""
    iwm, spy = (scenario.symbols.index(s) for s in ("IWM", "SPY"))
    closes = scenario.closes
    daily = np.diff(closes, axis=0) / closes[:-1]
    leads = daily[:, iwm] - daily[:, spy]
    for number in range(14):
        at = scenario.past + number
        live = scenario.tape(number, 390).price / closes[at - 1] - 1
        before = leads[at - 61 : at - 1]
        z = (live[:, iwm] - live[:, spy] - before.mean()) / before.std(ddof=1)
        assert z.max() < 1.6


def test_a_step_between_instants_is_no_spike(scenario):
    for number in range(scenario.story):
        price = scenario.tape(number, 390).price
        assert np.abs(np.diff(np.log(price), axis=0)).max() < 0.01


def test_tapes_depend_on_the_seed_and_the_session_only(scenario):
    again = great_rotation(SESSIONS)
    again.tape(7, STEPS)
    one, two = scenario.tape(3, STEPS), again.tape(3, STEPS)
    for name in ("price", "bid", "ask", "size", "bid_size", "ask_size", "trade_id", "quote_at", "trade_at"):
        assert (getattr(one, name) == getattr(two, name)).all(), name
    other = great_rotation(SESSIONS, seed=1).tape(3, STEPS)
    assert (one.price != other.price).mean() > 0.9


@pytest.mark.parametrize("steps", [1, 78, 390, 1170])
def test_bars_are_those_of_the_trades(scenario, steps):
    tape = scenario.tape(2, steps)
    trades = pl.DataFrame(
        {
            "ts": tape.trade_at.ravel(),
            "symbol": list(tape.symbols) * len(tape.instants),
            "price": tape.price.ravel(),
            "size": tape.size.ravel(),
        }
    )
    expected = (
        trades.group_by(pl.col("ts") // MINUTE * MINUTE, "symbol", maintain_order=True)
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("size").sum(),
            trades=pl.len(),
        )
        .to_dict(as_series=False)
    )
    bars = tape.bars
    m = len(tape.symbols)
    assert np.repeat(bars.start, m).tolist() == expected["ts"]
    for name in ("open", "high", "low", "close", "volume"):
        assert getattr(bars, name).ravel().tolist() == expected[name], name
    assert np.repeat(bars.trades, m).tolist() == expected["trades"]
    assert (bars.vwap >= bars.low - 1e-4).all()
    assert (bars.vwap <= bars.high + 1e-4).all()


def test_a_bar_is_known_before_the_first_instant_after_its_end(tape):
    for start, known in zip(tape.bars.start, tape.bars.known_before, strict=True):
        assert (tape.instants[:known] <= start + MINUTE).all()
        assert (tape.instants[known:] > start + MINUTE).all()
    assert tape.bars.known_before[-1] == len(tape.instants)


def test_half_days_are_played_to_their_close():
    day = Session(dt.date(2026, 1, 3), 0, 12_600 * SECOND)
    closes = np.array([[100.0], [101.0]])
    noise = Noise(market=0.0, beta=np.ones(1), own=np.zeros(1))
    half = Scenario("half", 1, ("A",), (Session(dt.date(2026, 1, 2), -2, -1), day), 1, 1, closes, noise)
    tape = half.tape(0, 210)
    assert tape.instants[-1] == day.close
    assert tape.price[-1, 0] == 101.0
    assert (np.diff(tape.price[:, 0]) > 0).all()
    with pytest.raises(ValueError, match="12600 s cannot be played in 12600 steps: between 1 and 12599"):
        half.tape(0, 12_600)


def test_a_session_that_does_not_exist_is_refused(scenario):
    for number in (-1, len(scenario.played)):
        with pytest.raises(IndexError, match=f"there is no {number}"):
            scenario.tape(number, STEPS)


def test_closes_of_another_shape_are_refused():
    noise = Noise(market=0.0, beta=np.ones(1), own=np.zeros(1))
    two = (Session(dt.date(2026, 1, 2), 0, 1), Session(dt.date(2026, 1, 5), 2, 3))
    with pytest.raises(ValueError, match="expected 2 sessions x 1 instruments"):
        Scenario("odd", 1, ("A",), two, 1, 1, np.ones((1, 1)), noise)
    with pytest.raises(ValueError, match="2 of 2 sessions are history"):
        Scenario("odd", 1, ("A",), two, 2, 1, np.ones((2, 1)), noise)


def test_bars_of_one_minute_have_open_high_low_and_close():
    instants = np.array([MINUTE + SECOND * s for s in (1, 20, 40, 60)])
    price = np.array([[10.0], [12.0], [9.0], [11.0]])
    bars = MinuteBars.of(instants, price, np.array([[1], [1], [1], [3]]))
    assert (bars.start[0], bars.known_before[0]) == (MINUTE, 4)
    assert [float(x[0, 0]) for x in (bars.open, bars.high, bars.low, bars.close)] == [10.0, 12.0, 9.0, 11.0]
    assert float(bars.vwap[0, 0]) == pytest.approx((10 + 12 + 9 + 33) / 6, abs=1e-4)
