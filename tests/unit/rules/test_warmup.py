"""How much history a rule needs, and from which session on it has it."""

from __future__ import annotations

import datetime as dt

import pytest

from rules.load import load_texts
from rules.plan import Compiler
from rules.ruleset import RuleSet
from rules.warmup import Cold, asked_by, warm_up

HEADER = """\
baskets: {pair: [MU, TSM]}
universes: {sectors: [XLB, XLE, pair]}
groups:
  - name: g
    rules:
      - {record: lead, value: "ret(IWM, 5d) - ret(SPY, 5d)"}
"""
FIRST_DAY = dt.date(2026, 1, 1)


def rules(when: str, each: str = "") -> RuleSet:
    looped = f", each: {each}" if each else ""
    loaded = load_texts({"a.yaml": f'{HEADER}      - {{alert: it, when: "{when}"{looped}}}\n'})
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


def needed(when: str, each: str = "") -> dict[str, int]:
    (alert,) = rules(when, each).alerts
    most: dict[str, int] = {}
    for symbol, sessions, _ in asked_by(alert):
        most[symbol] = max(sessions, most.get(symbol, 0))
    return most


@pytest.mark.parametrize(
    ("when", "wanted"),
    [
        ("ret(IWM, 14d) > 0", {"IWM": 14}),
        ("ret(IWM, 2w) > 0 and price(SPY) > 1", {"IWM": 10, "SPY": 0}),
        ("zscore(lead, 60d) > 2", {"IWM": 65, "SPY": 65}),
        ("mean(price(IWM), 20d) > 1", {"IWM": 19}),
        ("ema(price(IWM), 20d) > 1", {"IWM": 79}),
        ("std(zscore(ret(IWM, 1d), 20d), 5d) > 1", {"IWM": 25}),
        ("share(sectors, ret(it, 3d) > ret(SPY, 9d)) > 50%", {"XLB": 3, "XLE": 3, "MU": 3, "TSM": 3, "SPY": 9}),
        ("streak(ret(IWM, 1d) > 0) >= 3", {"IWM": 1}),
        ("corr(IWM, SPY, 60d) > 0.5", {"IWM": 60, "SPY": 60}),
        ("rs_ratio(IWM, SPY, 20d) > 101", {"IWM": 19, "SPY": 19}),
        ("quadrant(IWM, SPY, 20d) == leading", {"IWM": 39, "SPY": 39}),
        ("reversal(IWM, SPY, 60d, 10d, 3%)", {"IWM": 60, "SPY": 60}),
        ("held(ret(IWM, 5d) > 0, 3, 5d)", {"IWM": 9}),
        ("then(ret(IWM, 5d) > 0, ret(SPY, 1d) < 0, 10d)", {"IWM": 15, "SPY": 11}),
        ("mean(ret(IWM, 1d), 30m) > 0", {"IWM": 1}),
        ("value(rates.ust_10y) > 4", {}),
    ],
)
def test_sessions_before_the_current_one(when: str, wanted: dict[str, int]) -> None:
    assert needed(when) == wanted


@pytest.mark.parametrize(
    "when",
    ["zscore(lead, 60d) > 2", "ema(ret(IWM, 9d), 20d) > 1%", "quadrant(IWM, SPY, 20d) == leading", "vol(IWM, 9d) > 1%"],
)
def test_no_more_than_the_engine_looks_at(when: str) -> None:
    compiler = Compiler(390 * 60 * 10**9)
    compiler.slot(rules(when).alerts[0].when.expr)
    assert max(needed(when).values()) <= compiler.plan().requirements.sessions


def test_the_member_of_a_loop_is_each_of_them() -> None:
    assert needed("ret(it, 7d) > 0", each="sectors") == {"XLB": 7, "XLE": 7, "MU": 7, "TSM": 7}


def numbers(date: dt.date) -> int:
    return (date - FIRST_DAY).days


def cold(when: str, first: dict[str, int], current: int) -> Cold | None:
    ruleset = rules(when)
    found = [c for c in warm_up(ruleset, first, current, numbers) if c.rule is ruleset.alerts[0]]
    return found[0] if found else None


def test_a_rule_is_warm_as_soon_as_its_first_sample_is_stored() -> None:
    assert cold("ret(IWM, 14d) > 0", {"IWM": 100}, 114) is None
    found = cold("ret(IWM, 14d) > 0", {"IWM": 100}, 113)
    assert found is not None
    assert (found.symbol, found.needed, found.stored, found.warm) == ("IWM", 14, 13, 114)


def test_the_instrument_that_takes_longest_is_told() -> None:
    found = cold("excess(IWM, SPY, 14d) > 0", {"IWM": 100, "SPY": 105}, 110)
    assert found is not None
    assert (found.symbol, found.warm) == ("SPY", 119)


def test_an_instrument_without_history_begins_now() -> None:
    found = cold("ret(IWM, 14d) > 0", {}, 113)
    assert found is not None
    assert (found.stored, found.warm) == (0, 127)
    assert cold("price(IWM) > 1", {}, 113) is None


def test_a_date_before_the_history_never_becomes_warm() -> None:
    assert cold("ret(IWM, 2026-01-20) > 0", {"IWM": 19}, 60) is None
    found = cold("ret(IWM, 2026-01-20) > 0", {"IWM": 20}, 60)
    assert found is not None
    assert (found.warm, found.since) == (None, dt.date(2026, 1, 20))
