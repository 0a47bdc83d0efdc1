"""The scenario has the figures of January 2026, whatever the seed."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from connectors.simulator import Scenario, great_rotation
from connectors.simulator.great_rotation import HISTORY, PROFILES, STORY
from tests.unit.connectors.simulator_sessions import SESSIONS

SEEDS = (1, 2, 3, 23, 2026)
MAG7 = ("AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META", "TSLA")
BP = 1e-4


class Closes:
    """Closes by symbol, and by session relative to the first of the story (0), whose eve is -1."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    def of(self, symbol: str) -> np.ndarray:
        return self.scenario.closes[:, self.scenario.symbols.index(symbol)]

    def ret(self, symbol: str, start: int, end: int) -> float:
        past = self.scenario.past
        close = self.of(symbol)
        return float(close[past + end] / close[past + start] - 1)

    def leads(self) -> np.ndarray:
        """IWM minus SPY, by session; the first is unknown."""
        daily = [np.diff(self.of(s)) / self.of(s)[:-1] for s in ("IWM", "SPY")]
        return np.append(np.nan, daily[0] - daily[1])

    def basket(self, symbols: tuple[str, ...], start: int, end: int) -> float:
        return float(np.mean([self.ret(s, start, end) for s in symbols]))


@pytest.fixture(scope="module", params=SEEDS)
def closes(request) -> Closes:
    return Closes(great_rotation(SESSIONS, seed=request.param))


def longest_run(leads: np.ndarray) -> int:
    longest = run = 0
    for lead in leads:
        run = run + 1 if lead > 0 else 0
        longest = max(longest, run)
    return longest


def zscore(now: float, before: np.ndarray) -> float:
    return float((now - before.mean()) / before.std(ddof=1))


def test_small_caps_lead_fourteen_sessions_in_a_row_by_850bp(closes):
    past = closes.scenario.past
    leads = closes.leads()
    assert leads[past - 1] < 0
    assert (leads[past : past + 14] > 0).all()
    assert leads[past + 14] == pytest.approx(-188 * BP, abs=0.1 * BP)
    assert closes.ret("IWM", -1, 13) - closes.ret("SPY", -1, 13) == pytest.approx(850 * BP, abs=0.1 * BP)


def test_no_run_of_ten_sessions_before_the_story(closes):
    past = closes.scenario.past
    assert longest_run(closes.leads()[1:past]) < 10
    assert longest_run(closes.leads()[past + 14 :]) < 10


def test_no_session_is_unusual_but_ten_of_them_are(closes):
    past = closes.scenario.past
    leads = closes.leads()
    assert max(zscore(leads[i], leads[i - 60 : i]) for i in range(past, past + 14)) < 1.5
    iwm, spy = closes.of("IWM"), closes.of("SPY")
    ten = np.append(np.full(10, np.nan), iwm[10:] / iwm[:-10] - spy[10:] / spy[:-10])
    by_session = [zscore(ten[i], ten[i - 250 : i]) for i in range(past, past + 14)]
    assert max(by_session) > 2.2
    assert max(by_session[:4]) < max(by_session[8:])


def test_nobody_leads_when_the_story_starts(closes):
    assert abs(closes.ret("IWM", -15, -1) - closes.ret("SPY", -15, -1)) < 250 * BP


def test_megacaps_lose_and_value_beats_growth(closes):
    assert closes.basket(MAG7, -1, 13) == pytest.approx(-1.6 / 100, abs=0.03 / 100)
    assert closes.ret("IWD", -1, 13) - closes.ret("IWF", -1, 13) == pytest.approx(600 * BP, abs=1 * BP)


def test_sectors_turn_and_semiconductors_rise(closes):
    sectors = {p.symbol: closes.ret(p.symbol, -1, 13) for p in PROFILES if p.symbol.startswith("XL")}
    ranking = sorted(sectors, key=sectors.__getitem__, reverse=True)
    assert len(ranking) == 11
    assert set(ranking[:4]) == {"XLE", "XLB", "XLI", "XLP"}
    assert {"XLC", "XLF"} == set(ranking[-2:])
    assert sectors["XLK"] < closes.ret("SPY", -1, 13)
    assert closes.ret("MU", -1, 13) > 0.3
    assert closes.ret("TSM", -1, 13) > 0.05


def test_prices_end_the_history_at_the_levels_of_january(closes):
    for profile in PROFILES:
        assert closes.of(profile.symbol)[closes.scenario.past - 1] == profile.price
    assert (closes.scenario.closes > 0).all()


def test_betas_of_the_history_are_those_of_the_instruments(closes):
    past = closes.scenario.past
    spy = np.diff(np.log(closes.of("SPY")[:past]))
    for profile in PROFILES:
        own = np.diff(np.log(closes.of(profile.symbol)[:past]))
        assert np.cov(own, spy)[0, 1] / spy.var(ddof=1) == pytest.approx(profile.beta, abs=0.6)


def test_the_default_seed_shows_the_rotation_and_its_end():
    closes = Closes(great_rotation(SESSIONS))
    lead = {k: closes.ret("IWM", k - 14, k) - closes.basket(MAG7, k - 14, k) for k in range(-1, STORY)}
    assert lead[-1] < 150 * BP
    assert lead[9] > 400 * BP
    assert lead[STORY - 1] < 300 * BP


def test_history_and_outcome_are_daily_closes_in_order():
    scenario = great_rotation(SESSIONS)
    history, outcome = scenario.history(), scenario.outcome()
    assert history.schema == outcome.schema == {"ts": pl.Date, "symbol": pl.String, "close": pl.Float64}
    assert history["ts"].is_sorted()
    assert history["ts"].n_unique() == scenario.past >= 300
    assert history.height == scenario.past * len(PROFILES)
    assert history["ts"].max() == dt.date(2025, 12, 31)
    assert outcome["ts"].min() == dt.date(2026, 1, 2)
    assert history.row(1) == (SESSIONS[0].date, "QQQ", scenario.closes[0, 1])


def test_the_same_seed_gives_the_same_prices_and_another_one_others():
    one, again, other = (great_rotation(SESSIONS, seed=s) for s in (5, 5, 6))
    assert (one.closes == again.closes).all()
    assert (one.closes != other.closes).mean() > 0.9


def test_more_dates_afterwards_change_nothing_before_them():
    short = great_rotation(SESSIONS[:-20], seed=5)
    long = great_rotation(SESSIONS, seed=5)
    told = short.past + 15
    assert (short.closes[:told] == long.closes[:told]).all()


@pytest.mark.parametrize(
    ("first", "last", "have"),
    [(100, None, r"got 246 and 61"), (0, -50, r"got 346 and 11")],
)
def test_a_calendar_that_is_too_short_is_refused(first, last, have):
    with pytest.raises(
        ValueError, match=rf"needs {HISTORY} sessions before 2026-01-02 and {STORY} from then on; {have}"
    ):
        great_rotation(SESSIONS[first:last])
