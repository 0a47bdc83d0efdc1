from __future__ import annotations

from dataclasses import replace

import numpy as np

from rules.ast import Instrument, It, Universe
from rules.engine import Engine
from rules.ruleset import Formula, RecordRule, RuleSet, Source
from rules.transition import Reason, State
from tests.unit.rules.market import CALENDAR, MAX_GAP, MINUTE, Tables, level, rule, view

START = CALENDAR.at(5, 10)


def engine(*rules):
    return Engine(RuleSet(tuple(rules)), CALENDAR, max_gap_ns=MAX_GAP)


def moves(evaluation):
    return [(str(t.old), str(t.new)) for t in evaluation.transitions]


def test_for_counts_trading_time_over_the_night():
    e = engine(rule(for_ns=30 * MINUTE))
    evening, morning = CALENDAR.at(5, 15.75), CALENDAR.at(6, 9.25)
    assert moves(e.evaluate(view(evening, "T"))) == [("inactive", "pending")]
    assert moves(e.evaluate(view(morning - MINUTE, "T"))) == []
    assert moves(e.evaluate(view(morning, "T"))) == [("pending", "firing")]


def test_nothing_happens_while_the_market_is_closed():
    e = engine(rule())
    assert moves(e.evaluate(view(CALENDAR.at(5, 8), "T"))) == []
    assert moves(e.evaluate(view(CALENDAR.at(5, 9), "T"))) == [("inactive", "firing")]


def test_episodes_are_numbered_by_session():
    e = engine(rule())
    episodes = []
    for at, verdict in [(10, "T"), (11, "F"), (12, "T"), (13, "F")]:
        episodes += [t.episode for t in e.evaluate(view(CALENDAR.at(5, at), verdict)).transitions]
    episodes += [t.episode for t in e.evaluate(view(CALENDAR.at(6, 10), "T")).transitions]
    assert episodes == ["r@2026-01-06.1", "r@2026-01-06.1", "r@2026-01-06.2", "r@2026-01-06.2", "r@2026-01-07.1"]


def test_each_makes_one_instance_a_member():
    condition = level(">", 10)
    over_it = replace(condition.expr, left=replace(condition.expr.left, args=(It(),)))
    each = replace(
        rule(until=False), when=Formula("price(it) > 10", over_it), each=Universe("u", tuple(map(Instrument, "AB")))
    )
    e = engine(each)
    market = Tables(("A", "B"), np.full((3, 2), 10.0), np.array([9.0, 12.0]), START)
    (fired,) = e.evaluate(market).transitions
    assert (fired.member, fired.episode) == ("B", "r:B@2026-01-06.1")
    assert fired.labels["member"] == "B"


def test_evidence_says_how_far_from_the_threshold():
    text = "price(A) > 10"
    base = rule()
    spanned = Formula(text, replace(base.when.expr, span=type(base.when.expr.span)(0, 13)))
    (fired,) = engine(replace(base, when=spanned)).evaluate(view(START, "T")).transitions
    assert fired.value == 11.0
    assert fired.evidence.threshold["distance"] == 1.0
    assert fired.evidence.threshold["level"] == 10.0
    assert fired.evidence.prices == {"A": {"price": 11.0, "ts": START}}
    assert fired.evidence.expressions[0] == {"expr": text, "value": 1.0, "type": "condition"}


def test_an_edited_rule_is_resolved_and_a_reworded_one_goes_on():
    e = engine(rule())
    e.evaluate(view(START, "T"))
    reworded = replace(
        rule(), labels={"desk": "x"}, annotations={"summary": "y"}, when=Formula("other text", rule().when.expr)
    )
    assert moves(e.reload(RuleSet((reworded,)))) == []
    assert e.instances.record(0).state is State.FIRING
    evaluation = e.reload(RuleSet((replace(rule(), when=level(">", 10.5)),)))
    (ended,) = evaluation.transitions
    assert (ended.new, ended.reason, ended.episode) == (State.RESOLVED, Reason.RULE_CHANGED, "r@2026-01-06.1")
    assert moves(e.evaluate(view(START + MINUTE, "T"))) == [("inactive", "firing")]
    assert e.instances.record(0).episode == "r@2026-01-06.2"


def test_a_rule_taken_out_and_put_back_does_not_reuse_an_episode():
    e = engine(rule())
    e.evaluate(view(START, "T"))
    e.reload(RuleSet())
    e.reload(RuleSet((rule(),)))
    (fired,) = e.evaluate(view(START + MINUTE, "T")).transitions
    assert fired.episode == "r@2026-01-06.2"


def test_time_does_not_go_back():
    e = engine(rule())
    e.evaluate(view(START, "T"))
    assert moves(e.evaluate(view(START - MINUTE, "F"))) == []


def test_records_have_values():
    record = RecordRule("a", Formula("price(A)", level(">", 1).expr.left), {}, "g", Source("r.yaml", 1))
    e = Engine(RuleSet(records=(record,)), CALENDAR, max_gap_ns=MAX_GAP)
    e.evaluate(view(START, "H"))
    assert e.series() == {"a": 7.0}


def test_many_views_decide_what_each_alone_decides():
    verdicts = [(5, 10, "T"), (5, 11, "T"), (5, 12, "F"), (5, 13, "H"), (5, 13.5, "U"), (6, 10, "F"), (6, 15, "T")]
    for made in (rule(), rule(for_ns=30 * MINUTE, keep=30 * MINUTE)):
        views = [view(CALENDAR.at(day, hour), verdict) for day, hour, verdict in verdicts]
        alone = engine(made)
        one_by_one = [t for each in views for t in alone.evaluate(each).transitions]
        assert one_by_one
        assert list(engine(made).transitions(views)) == one_by_one
        bare = list(engine(made).transitions(views, evidence=False))
        assert [replace(t, evidence=bare[0].evidence) for t in one_by_one] == bare
