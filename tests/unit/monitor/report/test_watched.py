"""What is drawn of a rule, and that it is what the engine saw."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from monitor.backtest import SESSIONS, Backtest, Playback, Recording, Series
from monitor.calendar import TradingCalendar
from monitor.data_files import read
from monitor.data_playback import batches
from monitor.report.episodes import records
from monitor.report.watched import Watched
from rules.load import load_texts, parse_expression
from rules.ruleset import RuleSet
from rules.transition import State

RULES = """
universes:
  pair: [IWM, QQQ]
groups:
  - name: g
    rules:
      - record: lead
        value: excess(IWM, SPY, 2d)
      - alert: by-value
        each: pair
        when: rank(it, pair, ret(it, 1d)) <= 1 and excess(it, SPY, 1d) > 100bp
        until: 20bp > excess(it, SPY, 1d)
        value: excess(it, SPY, 1d)
      - {alert: by-record, when: lead < -1%}
      - {alert: by-not, when: 'not (lead >= -1%)'}
      - {alert: moving, when: 'ret(IWM, 1d) > ret(SPY, 1d)'}
      - {alert: turned, when: '0 < ret(IWM, 1d)'}
      - {alert: crossing, when: 'crosses_below(ratio(IWM, SPY), 1.02, 1d)'}
      - {alert: bare, when: 'held(ret(IWM, 1d) > 0, 2, 3d)'}
"""


@pytest.fixture(scope="module")
def calendar():
    return TradingCalendar("XNYS")


@pytest.fixture(scope="module")
def ruleset():
    loaded = load_texts({"r.yaml": RULES})
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


@pytest.fixture(scope="module")
def closes(tmp_path_factory):
    """Forty sessions of three instruments, walking at random; QQQ is missing in one of them."""
    random = np.random.default_rng(3)
    calendar = TradingCalendar("XNYS")
    first = calendar.ordinal_on_or_before(dt.date(2026, 1, 5))
    lines = ["ts,symbol,close"]
    for symbol in ("IWM", "QQQ", "SPY"):
        prices = 100 * np.cumprod(1 + random.normal(0, 0.01, 40))
        lines += [
            f"{calendar.date(first + i)},{symbol},{p:.4f}" for i, p in enumerate(prices) if (symbol, i) != ("QQQ", 20)
        ]
    path = tmp_path_factory.mktemp("data") / "daily.csv"
    path.write_text("\n".join(lines))
    return path


def played(path, calendar, needs):
    batch = (b for _, b in batches([read(path)], calendar))
    empty = pl.DataFrame(schema={"ts": pl.Date, "symbol": pl.String, "open": pl.Float64, "close": pl.Float64})
    return Playback(Recording(batch, SESSIONS.stale_after_ns, empty), calendar, needs).instants(0, 2**62)


@pytest.fixture
def run(ruleset, closes, calendar):
    test = Backtest(ruleset, calendar, SESSIONS)
    watched = Watched(test.engine, calendar)
    transitions = list(test.transitions(played(closes, calendar, test.engine.requirements)))
    return test, watched, transitions


def series(text, closes, calendar):
    formula = parse_expression(text, RuleSet())
    alone = Series(formula, calendar)
    return list(alone.values(played(closes, calendar, alone.requirements)))


def test_values_are_those_of_the_expression_alone(run, closes, calendar):
    _, watched, _ = run
    alone = series("excess(IWM, SPY, 1d)", closes, calendar)
    assert watched.times.tolist() == [at for at, _ in alone]
    np.testing.assert_array_equal(watched.values(watched.gauges["by-value", "IWM"]), [v for _, v in alone])


@pytest.mark.parametrize(
    ("key", "text", "fires", "clears", "rises"),
    [
        (("by-value", "IWM"), "excess(it, SPY, 1d)", (">", 0.01), ("<", 0.002), True),
        (("by-record", ""), "lead", ("<", -0.01), None, False),
        (("by-not", ""), "lead", ("<", -0.01), None, False),
        (("moving", ""), "ret(IWM, 1d)", (">", None), None, True),
        (("turned", ""), "ret(IWM, 1d)", (">", 0.0), None, True),
        (("crossing", ""), "ratio(IWM, SPY)", ("<", 1.02), None, False),
        (("bare", ""), "held(ret(IWM, 1d) > 0, 2, 3d)", None, None, None),
    ],
)
def test_what_is_drawn_of_a_rule(run, key, text, fires, clears, rises):
    gauge = run[1].gauges[key]
    assert gauge.text == text
    for limit, expected in ((gauge.fires, fires), (gauge.clears, clears)):
        found = None if limit is None else (limit.op, limit.literal)
        assert found == (None if expected is None else (expected[0], pytest.approx(expected[1])))
    assert gauge.rises is rises


def test_a_threshold_that_moves_is_recorded(run, closes, calendar):
    _, watched, _ = run
    gauge = watched.gauges["moving", ""]
    assert gauge.fires is not None
    assert gauge.fires.text == "ret(SPY, 1d)"
    alone = [v for _, v in series("ret(SPY, 1d)", closes, calendar)]
    np.testing.assert_array_equal(watched.level(gauge, gauge.fires), alone)


def test_closes_are_those_of_every_session_whether_it_had_data_or_not(run):
    _, watched, _ = run
    assert watched.session_count == 40
    assert len(watched.closes(watched.gauges["by-value", "QQQ"])) == 40
    assert np.isnan(watched.closes(watched.gauges["by-value", "QQQ"])[20])


def test_memory_is_bounded_and_closes_stay_exact(run, ruleset, closes, calendar, monkeypatch):
    _, whole, _ = run
    test = Backtest(ruleset, calendar, SESSIONS)
    few = Watched(test.engine, calendar)
    few._most = 8
    list(test.transitions(played(closes, calendar, test.engine.requirements)))
    gauge, same = few.gauges["by-record", ""], whole.gauges["by-record", ""]
    assert few.every == 8
    assert few.times.tolist() == whole.times.tolist()[::8]
    np.testing.assert_array_equal(few.values(gauge), whole.values(same)[::8])
    np.testing.assert_array_equal(few.closes(gauge), whole.closes(same))


def test_what_a_transition_says_is_what_is_drawn_then(run):
    _, watched, transitions = run
    fired = [t for t in transitions if t.new is State.FIRING and t.alert != "bare"]
    assert fired
    for t in fired:
        place = watched.times.tolist().index(t.at)
        assert watched.values(watched.gauges[t.alert, t.member])[place] == t.value


def test_episodes_have_the_figures_of_what_was_watched(run, calendar):
    test, watched, transitions = run
    found = {r.counts.alert: r for r in records(test, transitions, watched, calendar)}
    times = watched.times.tolist()
    for alert in ("by-value", "by-record", "moving"):
        record = found[alert]
        assert record.counts.fired == len(record.episodes) > 0
        for episode in record.episodes:
            values = watched.values(watched.gauges[alert, episode.member])
            first = times.index(episode.start)
            last = times.index(episode.end) if episode.end else len(times) - 1
            span = values[first : last + 1]
            assert episode.peak == (np.nanmin(span) if alert == "by-record" else np.nanmax(span))
            later = first + 5
            expected = values[later] if later < len(values) and np.isfinite(values[later]) else None
            assert episode.later[0] == expected
            assert episode.lead is None  # 40 sessions hold no 60 more
    assert found["by-value"].lead is None
    assert found["by-value"].any_day is None
