"""Real splits in prices as traded: noticed, asked about, and, told, returns are those of adjusted prices."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from connectors.batch import BARS, TIME, Batch
from monitor.calendar import TradingCalendar
from monitor.corporate_actions import Action, Kind, suspected_splits
from monitor.corporate_actions.screen import SPLIT, screened
from monitor.ingest import Cause, TruthFilter, TruthSettings
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


@pytest.mark.parametrize("without", [(), ("open",)])
def test_every_real_split_is_suspected_by_its_ratio_and_nothing_else(raw, actions, without):
    """Not even UVXY of 9 April 2025, which lost a third as tariffs were paused: at noon, and as its beta says."""
    found = {(s.symbol, s.date): s.new / s.old for s in suspected_splits(raw.drop(without))}
    assert found == {(a.symbol, a.date): a.ratio for a in actions}


def test_session_bars_across_a_split_nobody_named_are_refused_until_it_is(raw, actions):
    calendar = TradingCalendar("XNYS")
    sessions = {day: calendar.ordinal_on_or_before(day) for day in raw["ts"].unique().to_list()}
    spans = [(day, calendar.open_ns(n), calendar.close_ns(n)) for day, n in sessions.items()]
    times = pl.DataFrame(spans, schema={"ts": pl.Date, "start": pl.Int64, "end": pl.Int64}, orient="row")
    timed = raw.join(times, on="ts", maintain_order="left").with_columns(
        ts=pl.col("start").cast(TIME), end=pl.col("end").cast(TIME)
    )
    bars = timed.select(BARS.names()).sort("end", maintain_order=True)
    whole, told = TruthFilter(TruthSettings(recorded=True)), TruthFilter(TruthSettings(recorded=True))
    for action in actions:
        at = calendar.open_ns(calendar.ordinal_on_or_before(action.date))
        told.tell_splits(action.symbol, [(at, 1 / action.ratio)])
    assert told.clean(Batch("data", 0, bars=bars)).bars.height == bars.height
    whole.clean(Batch("data", 0, bars=bars))
    assert set(whole.suspected_splits()) == {a.symbol for a in actions}
    assert {cause for _, cause in whole.rejects.counts} == {Cause.SPLIT_SUSPECTED}
    # And a day at a time, as they come live.
    daily = TruthFilter(TruthSettings(recorded=True))
    for _, day in bars.group_by("end", maintain_order=True):
        daily.clean(Batch("data", 0, bars=day))
    assert daily.rejects.counts == whole.rejects.counts


def test_history_across_a_split_nobody_named_is_not_used(raw, actions):
    (kept,), objections = screened([raw], [], [])
    assert {o.symbol for o in objections if o.condition == SPLIT} == {"IBKR", "NFLX", "UVXY"}
    assert not suspected_splits(kept)
    (told,), left = screened([raw], [], actions)
    assert not left
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
