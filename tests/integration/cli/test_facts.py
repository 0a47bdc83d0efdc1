"""Every figure of recorded history, against independent calculations.

`facts.json` gives percent with two decimals and basis points with one: a value is right if it rounds to the figure.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import isnan

import pytest

from monitor.backtest import Playback, Series
from monitor.calendar import TradingCalendar
from monitor.cli.moments import read_end, read_moment, read_start
from monitor.cli.recorded import read_recorded
from rules.evaluator import Evaluator
from rules.load import load_texts, parse_expression
from rules.plan import Compiler
from tests.conftest import shared

pytestmark = pytest.mark.realdata

PERCENT, BP, NUMBER = 100.0, 10_000.0, 1.0

DEFINITIONS = """
baskets: {mag7: [AAPL, MSFT, GOOGL, AMZN, NVDA, META, TSLA]}
universes: {sectors: [XLB, XLC, XLE, XLF, XLI, XLK, XLP, XLRE, XLU, XLV, XLY]}
"""
SPREADS = {
    "small_minus_large_bps": "excess(IWM, SPY, {w})",
    "small_minus_nasdaq_bps": "excess(IWM, QQQ, {w})",
    "value_minus_growth_bps": "excess(IWD, IWF, {w})",
    "equal_minus_cap_bps": "excess(RSP, SPY, {w})",
    "mag7_minus_spy_bps": "excess(mag7, SPY, {w})",
}
WHOLE = {"z5": "2026-01-08", "z10": "2026-01-15", "z14": "2026-01-22"}
"""From when on the file has all 250 windows before: the figures were made with sessions of 2024 that it leaves out."""
LEVELS = {"+50bps": 0.005, "+100bps": 0.01, "-50bps": -0.005, "-100bps": -0.01, "-150bps": -0.015}


@dataclass(frozen=True)
class Figure:
    name: str
    expression: str
    date: str
    expected: float
    unit: float
    digits: int
    slack: float = 0.0


@cache
def facts():
    path = shared("data") / "facts.json"
    return json.loads(path.read_text()) if path.exists() else {}


def figures():
    """All daily figures; none where there is no recorded data."""
    return [*_episodes(), *_spreads(), *_scores(), *_article(), *_streaks()] if facts() else []


def _episodes():
    for name, episode in facts().items():
        if not isinstance(episode, dict):
            continue
        if "start" in episode:
            yield from _moves(name, episode, episode["start"])
        for window in ("1d", "5d", "14d"):
            if window in episode:
                yield from _moves(f"{name}/{window}", episode[window], episode[window]["start"])
                yield from _moves(f"{name}/{window} in sessions", episode[window], window)


def _spreads():
    for date, bps in facts()["streak_IWM_over_SPY_first_weeks_2026"]:
        yield Figure(f"spread/{date}", "excess(IWM, SPY, 1d)", date, bps, BP, 1)


def _scores():
    for date, scores in facts()["zcum_small_large_2026_01"].items():
        for key, score in scores.items():
            z = f"zscore(excess(IWM, SPY, {key[1:]}d), 250d)"
            yield Figure(f"zcum/{date}/{key}", z, date, score, NUMBER, 2, slack=0.0 if date >= WHOLE[key] else 0.02)
    for date, scores in facts()["z60_event_day"].items():
        for key, pair in (("small_large", "IWM, SPY"), ("value_growth", "IWD, IWF")):
            z = f"zscore(excess({pair}, 1d), 60d)"
            yield Figure(f"z60/{date}/{key}", z, date, scores[key], NUMBER, 2)


def _article():
    for date, moves in facts()["seed_article_check_2026"].items():
        for key, pct in moves.items() if isinstance(moves, dict) else ():
            who = "mag7" if key == "mag7_ew" else key
            for window in ("2025-12-31", "ytd"):
                yield Figure(f"article/{date}/{key} {window}", f"ret({who}, {window})", date, pct, PERCENT, 2)


def _streaks():
    length, first, last = facts()["streak_IWM_over_SPY_2026_01"]
    for date, expected in (("2025-12-31", 0), (first, 1), (last, length), ("2026-01-23", 0)):
        yield Figure(f"streak/{date}", "streak(ret(IWM, 1d) > ret(SPY, 1d))", date, expected, NUMBER, 0)


def _moves(name, episode, window):
    """Returns and spreads of one episode, measured over `window`."""
    date = episode["end"]
    for key, template in SPREADS.items():
        yield Figure(f"{name}/{key}", template.format(w=window), date, episode[key], BP, 1)
    yield Figure(f"{name}/mag7", f"ret(mag7, {window})", date, episode["mag7_ew_pct"], PERCENT, 2)
    for symbol, pct in (*episode["pct"].items(), *episode["mag7"].items(), *episode["sectors"]):
        yield Figure(f"{name}/{symbol}", f"ret({symbol}, {window})", date, pct, PERCENT, 2)
    for place, (symbol, _) in enumerate(episode["sectors"], start=1):
        rank = f"rank({symbol}, sectors, ret(it, {window}))"
        yield Figure(f"{name}/rank of {symbol}", rank, date, place, NUMBER, 0)
    moves = [pct for _, pct in episode["sectors"]]
    if (market := episode["pct"]["SPY"]) not in moves:  # two decimals do not say which of two alike is ahead
        ahead = sum(pct > market for pct in moves) / len(moves)
        breadth = f"share(sectors, ret(it, {window}) > ret(SPY, {window}))"
        yield Figure(f"{name}/breadth", breadth, date, ahead, NUMBER, 9)


@pytest.fixture(scope="module")
def calendar():
    return TradingCalendar("XNYS")


@pytest.fixture(scope="module")
def values(calendar, shared_data):
    """Every expression at every date, from one pass over the daily closes."""
    ruleset = load_texts({"definitions": DEFINITIONS}).ruleset
    compiler = Compiler(calendar.session_ns)
    slots = {f.expression: compiler.slot(parse_expression(f.expression, ruleset).expr) for f in figures()}
    plan = compiler.plan()
    moments = sorted({read_moment(f.date, calendar, "--at") for f in figures()})
    recorded = read_recorded([shared_data / "daily_close.parquet"], (), calendar, label="start", bar=None)
    recording = recorded.recording(plan.requirements.instruments, moments[0], moments[-1])
    playback = Playback(recording, calendar, plan.requirements)
    evaluator = Evaluator(plan)
    found = {}
    for view in playback.at(moments):
        now = evaluator.evaluate(view)
        date = calendar.date(view.session).isoformat()
        found |= {(expression, date): float(now[slot]) for expression, slot in slots.items()}
    return found


@pytest.mark.parametrize("figure", figures(), ids=lambda f: f.name)
def test_figure(figure, values):
    value = values[figure.expression, figure.date] * figure.unit
    assert value == pytest.approx(figure.expected, abs=0.5 * 10**-figure.digits + figure.slack + 1e-6)


@pytest.mark.parametrize("date", list(facts().get("macro", {})))
def test_external_series_at_a_close(date, calendar, shared_data):
    moment = read_moment(date, calendar, "--at")
    recorded = read_recorded([shared_data / "macro.parquet"], (), calendar, label="start", bar=None)
    for name, (_, expected) in facts()["macro"][date].items():
        series = Series(parse_expression(f"value('{name}')", load_texts({}).ruleset), calendar)
        playback = Playback(recorded.recording((), moment, moment), calendar, series.requirements)
        ((_, value),) = series.values(playback.at([moment]))
        assert value == pytest.approx(expected, rel=1e-12), name


def spreads(calendar, files, start, end):
    """Time and excess(IWM, SPY, 1d) at each bar end."""
    series = Series(parse_expression("excess(IWM, SPY, 1d)", load_texts({}).ruleset), calendar)
    first, last = read_start(start, calendar), read_end(end, calendar)
    recorded = read_recorded(files, (), calendar, label="start", bar=None)
    recording = recorded.recording(series.requirements.instruments, first, last)
    playback = Playback(recording, calendar, series.requirements)
    return list(series.values(playback.instants(first, last)))


@pytest.fixture(scope="module")
def from_bars(calendar, shared_data):
    """Closes are the last bars': by date, the last value of each session."""
    found = spreads(calendar, [shared_data / "bars_5min.parquet"], "2025-12-30", None)
    return {calendar.date(calendar.session_at(ts)).isoformat(): value for ts, value in found if not isnan(value)}


@pytest.mark.parametrize(
    "fact", facts().get("intraday_daily_last_bar_spread_2026_01", []), ids=lambda fact: str(fact[0])
)
def test_last_bar_of_the_session(fact, from_bars):
    date, bps, _ = fact
    assert from_bars[date] * BP == pytest.approx(bps, abs=0.05 + 1e-6)


@pytest.fixture(scope="module")
def with_daily_closes(calendar, shared_data):
    """Closes are the exchange's: by date, time of day in New York and value of each bar end."""
    files = [shared_data / "bars_5min.parquet", shared_data / "daily_ohlcv_raw.parquet"]
    by_date = {}
    for ts, value in spreads(calendar, files, "2026-01-08", "2026-01-23"):
        local = dt.datetime.fromtimestamp(ts / 1e9, dt.timezone(dt.timedelta(hours=-5)))
        by_date.setdefault(local.date().isoformat(), []).append((local.strftime("%H:%M"), value))
    return by_date


@pytest.mark.parametrize("key", list(facts().get("intraday_first_cross", {})))
def test_first_crossing(key, with_daily_closes):
    date, _, name = key.partition(":")
    level, expected = LEVELS[name], facts()["intraday_first_cross"][key]
    beyond = [(at, v) for at, v in with_daily_closes[date] if (v >= level if level > 0 else v <= level)]
    if expected is None:
        assert beyond == []
    else:
        assert beyond[0][0] == expected[0]
        assert beyond[0][1] * BP == pytest.approx(expected[1], abs=0.05 + 1e-6)


def test_the_streak_grows_by_one_a_session(values):
    dates = [d for d, _ in facts()["streak_IWM_over_SPY_first_weeks_2026"] if "2026-01-02" <= d <= "2026-01-22"]
    streaks = [values["streak(ret(IWM, 1d) > ret(SPY, 1d))", d] for d in dates]
    assert all(later == earlier + 1 for earlier, later in pairwise(streaks))
