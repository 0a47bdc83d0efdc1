"""Rules over their time: the costs of steps come together in the rules, the dear ones go, the others go on."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.budget import Budget, Suspension, costs, over_budget
from rules.engine import Engine
from rules.load import load_texts
from rules.plan import Compiler
from rules.transition import Evidence, State
from tests.unit.rules.market import CALENDAR, MAX_GAP, MINUTE, Tables

MEMBERS = 2_000
SYMBOLS = ("AA", "BB", *(f"M{n}" for n in range(MEMBERS)))
NORMAL = """
groups:
  - name: normal
    rules:
      - record: lead
        value: ret(AA, 5d) - ret(BB, 5d)
      - alert: unusual
        when: zscore(lead, 20d) > 0.5 or lead > 1%
        until: lead < -1%
      - alert: ahead
        when: ret(AA, 1d) > 0
      - alert: held
        when: ret(AA, 1d) > 0
        for: 3m
"""
MONSTER = f"""
universes: {{all: [{", ".join(SYMBOLS[2:])}]}}
groups:
  - name: big
    rules:
      - alert: monster
        each: all
        when: zscore(mean(ret(it, 1d), 8d) - avg(all, ret(it, 3d)), 8d) > 1 and rank(it, all, vol(it, 9d)) <= 300
        for: 2m
        on_close: resolve
        no_data: resolve
        no_data_for: 0s
"""
MINUTES = 14


def ruleset(*texts):
    loaded = load_texts({f"{n}.yaml": text for n, text in enumerate(texts)})
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


def market(engine, minute, prices):
    """`prices`: (sessions, all symbols), the last of them now's."""
    at = [SYMBOLS.index(s) for s in engine.requirements.instruments]
    wobble = 1 + 0.01 * np.sin(minute + np.arange(len(SYMBOLS)))
    now = CALENDAR.at(40, 9.5) + minute * MINUTE
    return Tables(engine.requirements.instruments, prices[:-1, at], (prices[-1] * wobble)[at], now)


@pytest.fixture(scope="module")
def prices():
    moves = np.random.default_rng(5).normal(0, 0.02, (40, len(SYMBOLS)))
    return 100 * np.exp(np.cumsum(moves, axis=0))


def played(engine, prices, minutes=range(MINUTES)):
    return [engine.evaluate(market(engine, minute, prices)) for minute in minutes]


def seconds_of(prices, *texts):
    """The shortest evaluation, as a budget's timer takes it, in seconds of this thread."""
    looks = []

    def timer():
        looks.append(time.thread_time())
        return looks[-1]

    played(Engine(ruleset(*texts), CALENDAR, max_gap_ns=MAX_GAP, budget=Budget(1e9, timer)), prices)
    return min(end - began for began, end in zip(looks[::2], looks[1::2], strict=True))


def of_others(evaluations):
    return [(t.at, t.alert, t.old, t.new, t.value) for e in evaluations for t in e.transitions if t.alert != "monster"]


def test_a_monster_is_suspended_and_the_others_go_on(prices):
    plain = Engine(ruleset(NORMAL), CALENDAR, max_gap_ns=MAX_GAP)
    expected = played(plain, prices)
    normal, whole = seconds_of(prices, NORMAL), seconds_of(prices, NORMAL, MONSTER)
    budget = (normal * whole) ** 0.5
    assert whole > 4 * normal, "the monster is none"

    engine = Engine(
        ruleset(NORMAL, MONSTER), CALENDAR, max_gap_ns=MAX_GAP, budget=Budget(budget, time.thread_time, patience=2)
    )
    evaluations = played(engine, prices)
    assert [e.suspended for e in evaluations if e.suspended] == [("monster",)]
    place = next(n for n, e in enumerate(evaluations) if e.suspended)
    assert place == 5, "the first, which builds the histories, two more, and the three that are looked at"
    assert of_others(evaluations) == of_others(expected)
    assert of_others(expected)

    (why,) = engine.suspended.values()
    assert why.seconds > why.whole / 2
    assert "evaluation_budget" in why.reason
    after = [t for e in evaluations[place + 1 :] for t in e.transitions if t.alert == "monster"]
    assert after == []
    # Only what the others need is still asked of the market.
    assert set(engine.requirements.instruments) == {"AA", "BB"}
    monsters = [i for i, row in enumerate(engine.instances.rows) if row.rule.name == "monster"]
    states = {engine.instances.record(i).state for i in monsters}
    assert State.FIRING in states, "its instances keep their states, whatever no_data and on_close say"
    assert engine.value(monsters[0]) == (None, "")
    assert engine.threshold(monsters[0]) is None
    assert engine.evidence(monsters[0], market(engine, MINUTES, prices)) == Evidence()
    assert engine.series()["lead"] == plain.series()["lead"]


def test_no_more_rules_go_than_have_to():
    assert over_budget({"a": 5.0, "b": 3.0, "c": 1.0}, 4.0) == ["a"]
    assert over_budget({"a": 5.0, "b": 3.0, "c": 1.0}, 3.9) == ["a", "b"]
    assert over_budget({"a": 5.0, "b": 3.0, "c": 1.0}, 9.0) == []


def test_a_reload_tries_an_edited_rule_again_and_no_other(prices):
    engine = Engine(ruleset(NORMAL, MONSTER), CALENDAR, max_gap_ns=MAX_GAP)
    played(engine, prices, range(3))
    logic = next(row.logic for row in engine.instances.rows if row.rule.name == "monster")
    engine.suspended = {"monster": Suspension(2.0, 3.0, 0.1, logic)}
    before = [engine.instances.record(i) for i in range(len(engine.instances.rows))]

    evaluation = engine.reload(ruleset(NORMAL.replace("0.5", "0.6"), MONSTER))
    assert "monster" in engine.suspended
    monsters = [r for r in before if r.alert == "monster"]
    assert any(r.state is State.FIRING for r in monsters)
    assert all(t.alert != "monster" for t in evaluation.transitions)
    assert not any(t.alert == "monster" for e in played(engine, prices, range(3, 400, 40)) for t in e.transitions)
    after = [r for i in range(len(engine.instances.rows)) if (r := engine.instances.record(i)).alert == "monster"]
    assert [(r.state, r.episode) for r in after] == [(r.state, r.episode) for r in monsters]

    engine.reload(ruleset(NORMAL, MONSTER.replace("<= 300", "<= 3")))
    assert engine.suspended == {}
    assert len(engine.requirements.instruments) == len(SYMBOLS)
    played(engine, prices, range(400, 403))
    last = len(engine.instances.rows) - 1
    assert engine.instances.rows[last].rule.name == "monster"
    assert engine.threshold(last) is not None


@pytest.mark.parametrize(("late", "gone"), [("first", False), ("two of three", False), ("all", True)])
def test_only_what_is_late_again_and_again_is_suspended(prices, late, gone):
    """The timer's own time: an evaluation takes a second or none, and each look at a step a second too."""
    of = {"first": [1] + [0] * 11, "two of three": [0, 1, 1] * 4, "all": [1] * 12}[late]
    looks = iter([time for taken in of for time in (0.0, float(taken))])
    now = 0.0

    def timer():
        nonlocal now
        now += next(looks, 1.0)
        return now

    engine = Engine(ruleset(NORMAL), CALENDAR, max_gap_ns=MAX_GAP, budget=Budget(0.5, timer, patience=3))
    played(engine, prices, range(7 if gone else 12))
    assert bool(engine.suspended) is gone


EXPRESSIONS = (
    "ret(AA, 1d)",
    "ret(AA, 1d) - ret(BB, 1d)",
    "zscore(ret(AA, 1d) - ret(BB, 1d), 9d)",
    "avg(u, zscore(ret(it, 2d), 5d))",
    "rank(AA, u, ret(it, 3d))",
    "med(u, ret(it, 2d))",
    "rank_corr(u, ret(it, 2d), ret(it, 3d))",
    "corr(AA, b, 9d)",
    "quadrant(AA, b, 9d) == leading",
    "share(u, ret(it, 1d) > ret(b, 1d))",
)
DEFINITIONS = "universes: {u: [AA, BB, CC, DD]}\nbaskets: {b: [BB, CC]}\n"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_costs_of_rules_are_the_time_of_the_steps(expressions, dice):
    lines = "".join(f'      - {{record: r{n}, value: "{e}"}}\n' for n, e in enumerate(expressions))
    made = ruleset(DEFINITIONS + "groups:\n  - name: g\n    rules:\n" + lines)
    compiler = Compiler(390 * MINUTE)
    roots = {r.name: np.array([compiler.slot(r.value.expr)]) for r in made.records}
    plan = compiler.plan()
    laps = np.array([dice.random() for _ in plan.steps])
    found = costs(plan, laps, roots)
    assert sum(found.values()) == pytest.approx(laps.sum())
    for name, other in zip(found, list(found)[1:], strict=False):
        if expressions[int(name[1:])] == expressions[int(other[1:])]:
            assert found[name] == pytest.approx(found[other])
