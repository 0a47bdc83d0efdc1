"""Splits, dividends and new symbols: returns across them, a restart, and history that is read later."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from monitor.corporate_actions import Action, Kind
from monitor.state import MarketState
from rules.ast import Clock, Sessions
from tests.unit.monitor.state.conftest import Tape, at

SPLIT = Action(dt.date(2024, 6, 10), "NVDA", Kind.SPLIT, ratio=10)
CLOSES = pl.DataFrame(
    {
        "ts": [dt.date(2024, 6, 5), dt.date(2024, 6, 6), dt.date(2024, 6, 5), dt.date(2024, 6, 6)],
        "symbol": ["NVDA", "NVDA", "SPY", "SPY"],
        "close": [1224.4, 1210.0, 534.7, 534.6],
    }
)


def returns(state: MarketState, sessions: int = 1, symbol: str = "NVDA") -> float:
    view = state.view((symbol,))
    return float(view.prices()[0] / view.base(Sessions(sessions))[0] - 1)


@pytest.fixture
def state(nyse) -> MarketState:
    return MarketState(nyse, clock_ns=30 * 60 * 10**9)


def friday(state: MarketState) -> Tape:
    tape = Tape(state)
    tape.trade("NVDA", 1200.0, "2024-06-07 15:59:00")
    tape.trade("NVDA", 1208.8, "2024-06-07 16:00:00")
    return tape


def monday(tape: Tape) -> None:
    tape.trade("NVDA", 120.37, "2024-06-10 09:30:01")
    tape.trade("NVDA", 121.79, "2024-06-10 10:00:00")


def test_returns_across_a_split_are_those_of_adjusted_prices(state):
    state.import_sessions(CLOSES)
    state.actions.know([SPLIT])
    tape = friday(state)
    assert returns(state) == pytest.approx(1208.8 / 1210 - 1, rel=1e-12)
    monday(tape)
    assert returns(state) == pytest.approx(121.79 / 120.88 - 1, rel=1e-12)
    assert returns(state, 3) == pytest.approx(121.79 / 122.44 - 1, rel=1e-12)
    assert state.view(("NVDA",)).first()[0] == pytest.approx(122.44)


def test_after_hours_before_the_split_are_at_the_old_level(state):
    state.import_sessions(CLOSES)
    state.actions.know([SPLIT])
    tape = friday(state)
    tape.trade("NVDA", 1209.0, "2024-06-07 19:00:00")
    assert returns(state) == pytest.approx(1209.0 / 1208.8 - 1)
    tape.advance("2024-06-10 04:00:00")
    assert state.columns.price[state.index.codes(["NVDA"])[0]] == pytest.approx(120.9)


def test_a_split_told_late_changes_what_is_before_it_only_and_once(state):
    state.import_sessions(CLOSES)
    tape = friday(state)
    monday(tape)
    before = state.history_revision
    state.actions.know([SPLIT])
    state.actions.know([SPLIT])
    assert state.history_revision == before + 1
    assert returns(state) == pytest.approx(121.79 / 120.88 - 1)
    assert state.view(("NVDA",)).base(Clock(20 * 60 * 10**9))[0] == pytest.approx(120.37)


def test_clock_windows_reach_across(state):
    state.actions.know([SPLIT])
    monday(friday(state))
    code = state.index.codes(["NVDA"])[0]
    rows = [state.minutes.row(n)[0][code] for n in range(state.minutes.first, state.minutes.stop)]
    assert np.nanmax(rows) < 130


def test_history_read_later_is_as_traded_too(state):
    state.actions.know([SPLIT])
    monday(friday(state))
    state.import_sessions(CLOSES)
    assert returns(state, 3) == pytest.approx(121.79 / 122.44 - 1)


@pytest.mark.parametrize("told", [True, False])
def test_a_restart_adjusts_nothing_twice(state, nyse, told):
    """Stored bars are as traded; the checkpoint says whether the split is in what it holds."""
    state.import_sessions(CLOSES)
    if told:
        state.actions.know([SPLIT])
    monday(friday(state))
    minutes, sessions = state.closed_bars()
    assert sessions.filter(pl.col("symbol") == "NVDA")["close"].to_list() == [1208.8]
    frames = state.checkpoint_frames()
    again = MarketState(nyse, clock_ns=30 * 60 * 10**9)
    again.actions.know([SPLIT])
    stored = pl.concat(
        [
            CLOSES.with_columns(open=pl.lit(None, pl.Float64)),
            sessions.select("ts", pl.col("symbol").cast(pl.String), "close", "open"),
        ]
    )
    again.restore(frames, [minutes], [stored])
    state.actions.know([SPLIT])
    for back in (1, 2, 3):
        assert returns(again, back) == pytest.approx(returns(state, back), rel=1e-15)
    assert again.actions.applied == {SPLIT.name: 0.1}
    for old, new in zip(
        range(state.minutes.first, state.minutes.stop), range(again.minutes.first, again.minutes.stop), strict=True
    ):
        assert again.minutes.row(new)[0][0] == pytest.approx(state.minutes.row(old)[0][0], nan_ok=True, rel=1e-15)


def test_a_dividend_takes_its_share_of_the_close_before(state):
    state.import_sessions(CLOSES)
    state.actions.know([Action(dt.date(2024, 6, 10), "NVDA", Kind.DIVIDEND, amount=12.088)])
    tape = friday(state)
    tape.trade("NVDA", 1196.712, "2024-06-10 10:00:00")
    assert returns(state) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("amount", [1208.8, 5000.0])
def test_a_dividend_that_is_not_below_the_close_is_said_and_not_applied(state, amount):
    state.import_sessions(CLOSES)
    state.actions.know([Action(dt.date(2024, 6, 10), "NVDA", Kind.DIVIDEND, amount=amount, source="d.csv: row 3")])
    tape = friday(state)
    assert not state.actions.impossible
    tape.trade("NVDA", 1208.8, "2024-06-10 10:00:00")
    assert returns(state) == 0.0
    ((action, reason),) = state.actions.impossible.items()
    assert action.amount == amount
    assert reason.startswith(f"d.csv: row 3: NVDA cannot have paid a dividend of {amount:g} on 2024-06-10, its close")
    assert "before was 1208.8: it is not applied. Write" in reason
    right = Action(dt.date(2024, 6, 10), "NVDA", Kind.DIVIDEND, amount=12.088)
    state.actions.know([right])
    assert not state.actions.impossible
    assert state.actions.applied == {right.name: pytest.approx(0.99)}


def test_a_dividend_before_a_split_is_in_shares_of_its_day(state):
    state.import_sessions(CLOSES)
    dividend = Action(dt.date(2024, 6, 7), "NVDA", Kind.DIVIDEND, amount=12.1)
    state.actions.know([SPLIT, dividend])
    monday(friday(state))
    assert state.actions.applied == {SPLIT.name: 0.1, dividend.name: pytest.approx(0.99)}
    assert returns(state, 2) == pytest.approx(121.79 / (121.0 * 0.99) - 1)


def test_a_new_symbol_goes_on_where_the_old_one_ended(nyse):
    state = MarketState(nyse)
    days = [dt.date(2022, 6, 7), dt.date(2022, 6, 8)]
    state.import_sessions(pl.DataFrame({"ts": days, "symbol": ["FB"] * 2, "close": [195.65, 196.45]}))
    state.actions.know([Action(dt.date(2022, 6, 9), "FB", Kind.SYMBOL, new="META")])
    Tape(state).trade("META", 184.0, "2022-06-09 15:00:00")
    assert returns(state, 1, "META") == pytest.approx(184 / 196.45 - 1)
    assert returns(state, 2, "META") == pytest.approx(184 / 195.65 - 1)


@pytest.mark.parametrize(("old", "new"), [("OLD", "XNEW"), ("OLD", "ANEW")])
@pytest.mark.parametrize(("of_old", "split"), [(True, 9), (False, 9), (False, 10)])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_split_with_or_after_a_new_symbol_is_in_what_the_old_one_left(nyse, old, new, of_old, split, restarted):
    """A reverse split 1:10 of the old symbol or the new one, in the night of the change or the next."""
    state = MarketState(nyse, clock_ns=30 * 60 * 10**9)
    days = [dt.date(2022, 6, 6), dt.date(2022, 6, 7), dt.date(2022, 6, 8)]
    closes = pl.DataFrame({"ts": days, "symbol": [old] * 3, "close": [10.0, 10.0, 11.0]})
    actions = [
        Action(dt.date(2022, 6, 9), old, Kind.SYMBOL, new=new),
        Action(dt.date(2022, 6, split), old if of_old else new, Kind.SPLIT, ratio=0.1),
    ]
    if not restarted:
        state.import_sessions(closes)
    state.actions.know(actions)
    Tape(state).trade(new, 121.0, f"2022-06-{split:02} 15:00:00")
    if restarted:
        state.import_sessions(closes)
    assert returns(state, split - 7, new) == pytest.approx(0.21)


def test_an_action_of_the_future_waits(state):
    state.import_sessions(CLOSES)
    state.actions.know([SPLIT])
    friday(state)
    assert state.actions.applied == {}
    assert at("2024-06-07 20:00:00") < state.actions.next_at < at("2024-06-10 04:00:00")
