"""Real splits in prices as traded: noticed, asked about, and, told, returns are those of adjusted prices."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from monitor.calendar import TradingCalendar
from monitor.corporate_actions import Action, Kind, suspected_splits
from monitor.corporate_actions.screen import SPLIT, screened
from monitor.state import MarketState
from rules.ast import Sessions

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> pl.DataFrame:
    return pl.read_parquet(shared_data / "daily_ohlcv_raw.parquet").with_columns(pl.col("ts").cast(pl.Date))


@pytest.fixture(scope="module")
def actions(raw: pl.DataFrame) -> list[Action]:
    rows = raw.filter(pl.col("splitfactor") != 1).select("ts", "symbol", "splitfactor").rows()
    return [Action(date, symbol, Kind.SPLIT, ratio=factor) for date, symbol, factor in rows]


def test_every_real_split_is_suspected_by_its_ratio(raw, actions):
    found = {(s.symbol, s.date): s.new / s.old for s in suspected_splits(raw)}
    assert {(a.symbol, a.date): a.ratio for a in actions}.items() <= found.items()
    # Volatility fell by a third on the day tariffs were paused, which nothing but an answer tells from 3:2.
    assert found.keys() - {(a.symbol, a.date) for a in actions} == {("UVXY", dt.date(2025, 4, 9))}


def test_history_across_a_split_nobody_named_is_not_used(raw, actions):
    (kept,), objections = screened([raw], [], [])
    assert {o.symbol for o in objections if o.condition == SPLIT} == {"IBKR", "NFLX", "UVXY"}
    assert not [s for s in suspected_splits(kept) if s.symbol != "UVXY"]
    (told,), left = screened([raw], [], actions)
    assert {o.symbol for o in left} == {"UVXY"}
    assert told.filter(pl.col("symbol") == "NFLX").height == raw.filter(pl.col("symbol") == "NFLX").height


@pytest.mark.parametrize("late", [False, True])
def test_returns_are_those_of_adjusted_prices_within_a_basis_point(raw, actions, late):
    state = MarketState(TradingCalendar("XNYS"), sessions=300)
    if not late:
        state.actions.know(actions)
    state.import_sessions(raw.select("ts", "symbol", "close"))
    state.advance(state.calendar.close_ns(state.calendar.ordinal_on_or_before(dt.date(2026, 1, 29))) + 1)
    state.actions.know(actions)
    for action in actions:
        own = raw.filter((pl.col("symbol") == action.symbol) & (pl.col("divcash") == 0))
        view = state.view((action.symbol,))
        days = own.filter(pl.col("ts").is_between(action.date - dt.timedelta(14), action.date + dt.timedelta(14)))
        closes = {row["ts"]: row["adjclose"] for row in days.iter_rows(named=True)}
        adjusted = [closes[day] for day in sorted(closes)]
        back = [state.session - state.calendar.ordinal_on_or_before(day) for day in sorted(closes)]
        ours = [float(view.base(Sessions(b))[0]) for b in back]
        for n in range(1, len(ours)):
            assert ours[n] / ours[n - 1] == pytest.approx(adjusted[n] / adjusted[n - 1], abs=1e-4), action


def test_prices_adjusted_for_a_split_under_prices_as_traded_are_refused(raw, shared_data):
    """Of SOXS one source has prices as traded, and the other those after a 1:20 split still to come."""
    bars = pl.read_parquet(shared_data / "bars_5min.parquet").filter(pl.col("ts").dt.date() < dt.date(2026, 1, 30))
    closes = bars.filter(pl.col("symbol").is_in(["SOXS", "IWM", "SPY"])).sort("ts")
    traded = closes.group_by(pl.col("ts").dt.date(), "symbol", maintain_order=True).agg(pl.col("close").last())
    (kept,), objections = screened([raw.filter(pl.col("symbol").is_in(["SOXS", "IWM", "SPY"]))], [traded], [])
    assert [(o.condition, o.symbol) for o in objections] == [("history-adjusted", "SOXS")]
    assert "corporate_actions:" in objections[0].reason
    assert set(kept["symbol"]) == {"IWM", "SPY"}
