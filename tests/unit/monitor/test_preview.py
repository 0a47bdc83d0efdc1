from __future__ import annotations

import pytest

from monitor.preview import PreviewError, Variants, read_sweep, variants
from rules.ast import Comparison, Literal, Logic, Type
from rules.load import load_texts
from rules.ruleset import AlertRule

RULES = """
universes: {sectors: [XLB, XLE, XLK]}
groups:
  - name: g
    rules:
      - {record: lead, value: "excess(IWM, SPY, 14d)"}
      - {record: ahead, value: "lead > 400bp"}
      - {alert: plain, when: lead > 400bp, until: lead < 250bp}
      - {alert: spelt-out, when: "400bp < excess(IWM, SPY, 14d)", until: "lead < 100bp or ret(IWM, 1d) < -5%"}
      - {alert: other-until, when: lead > 400bp, until: "ret(IWM, 1d) < -1%"}
      - alert: rank
        each: sectors
        when: rank(it, sectors, ret(it, 20d)) <= 3 and ret(it, 1d) < -150bp
      - {alert: streak, when: "not (streak(ret(IWM, 1d) > 0) < 10)"}
      - {alert: by-record, when: ahead}
      - {alert: old, when: age(IWM) > 5m}
      - {alert: two, when: "ret(IWM, 1d) > ret(SPY, 1d)"}
"""


def rule(name: str) -> AlertRule:
    loaded = load_texts({"rules.yaml": RULES}).ruleset
    assert loaded is not None
    return next(r for r in loaded.alerts if r.name == name)


def sweep_of(name: str, text: str) -> Variants:
    return variants(rule(name), read_sweep(text))


def numbers(expr: object) -> list[float]:
    """The literal sides of comparisons, in order."""
    match expr:
        case Comparison(left=left, right=right):
            return [side.value for side in (left, right) if isinstance(side, Literal)]
        case Logic(operands=operands):
            return [n for o in operands for n in numbers(o)]
        case _:
            return [n for part in ("operand", "value") if hasattr(expr, part) for n in numbers(getattr(expr, part))]


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ("200bp..600bp/100bp", Type.RATIO, ["200bp", "300bp", "400bp", "500bp", "600bp"]),
        ("2%..3%/0.5%", Type.RATIO, ["2%", "2.5%", "3%"]),
        ("200bp..3%/50bp", Type.RATIO, ["200bp", "250bp", "300bp"]),
        ("-300bp..-100bp/100bp", Type.RATIO, ["-300bp", "-200bp", "-100bp"]),
        ("0..2%/1%", Type.RATIO, ["0%", "1%", "2%"]),
        ("-1%..1%/1%", Type.RATIO, ["-1%", "0%", "1%"]),
        ("1..4/0.5", Type.SCORE, ["1", "1.5", "2", "2.5", "3", "3.5", "4"]),
        ("1..4/2", Type.SCORE, ["1", "3"]),
        ("5..5/1", Type.SCORE, ["5"]),
        ("1m..5m/2m", Type.DURATION, ["1m", "3m", "5m"]),
        ("30s..2m/30s", Type.DURATION, ["30s", "60s", "90s", "120s"]),
    ],
)
def test_sweeps(text: str, type_: Type, expected: list[str]) -> None:
    sweep = read_sweep(text)
    assert [t.text for t in sweep.thresholds] == expected
    assert sweep.type is type_


def test_a_threshold_is_the_number_that_a_rule_file_would_have() -> None:
    """No drift: the thousandth is as exact as the first."""
    sweep = read_sweep("1bp..1000bp/1bp")
    assert [float(t.value) for t in sweep.thresholds] == [n / 10_000 for n in range(1, 1001)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("400bp", "`400bp` is no range of thresholds: write A..B/STEP"),
        ("200bp..600bp", "is no range of thresholds"),
        ("200..600bp/50bp", "mixes units"),
        ("1..2/5m", "mixes units"),
        ("200bp..600bp/0bp", "the step has to be above 0"),
        ("200bp..600bp/-50bp", "the step has to be above 0"),
        ("600bp..200bp/50bp", "goes downwards: write 200bp..600bp/50bp"),
        ("1bp..1001bp/1bp", "is 1001 thresholds; 1000 are the most"),
        ("0..1/0.000000000000001", "thresholds; 1000 are the most"),
        ("low..high/1", "`low` is no number with a unit"),
        ("1d..5d/1d", "`1d` is no number with a unit"),
        ("", "is no range of thresholds"),
    ],
)
def test_wrong_sweeps(text: str, message: str) -> None:
    with pytest.raises(PreviewError) as error:
        read_sweep(text)
    assert message in str(error.value)


def test_the_threshold_moves_and_until_keeps_its_distance() -> None:
    chosen = sweep_of("plain", "300bp..500bp/100bp")
    assert [numbers(r.when.expr) for r in chosen.rules] == [[0.03], [0.04], [0.05]]
    assert [numbers(r.until.expr) for r in chosen.rules if r.until] == [[0.015], [0.025], [0.035]]
    assert chosen.rules[1].logic == chosen.rule.logic


def test_until_is_found_however_it_is_spelt() -> None:
    chosen = sweep_of("spelt-out", "300bp..500bp/200bp")
    assert [numbers(r.when.expr) for r in chosen.rules] == [[0.03], [0.05]]
    assert [numbers(r.until.expr)[0] for r in chosen.rules if r.until] == [0.0, 0.02]
    other = rule("spelt-out").until
    assert other is not None
    assert isinstance(other.expr, Logic)
    assert all(r.until.expr.operands[1] is chosen.rule.until.expr.operands[1] for r in chosen.rules)


def test_until_of_something_else_stays() -> None:
    chosen = sweep_of("other-until", "300bp..500bp/100bp")
    assert chosen.cleared == ()
    assert all(r.until == chosen.rule.until for r in chosen.rules)


def test_of_several_comparisons_the_unit_says_which() -> None:
    ranks, falls = sweep_of("rank", "1..3/1"), sweep_of("rank", "-2%..-1%/1%")
    assert ranks.moved.text == "rank(it, sectors, ret(it, 20d)) <= 3"
    assert falls.moved.text == "ret(it, 1d) < -150bp"
    assert [numbers(r.when.expr)[0] for r in ranks.rules] == [1.0, 2.0, 3.0]
    assert [numbers(r.when.expr) for r in falls.rules] == [[3.0, -0.02], [3.0, -0.01]]


def test_inside_not_and_records() -> None:
    assert [numbers(r.when.expr) for r in sweep_of("streak", "5..6/1").rules] == [[5.0], [6.0]]
    assert [numbers(r.when.expr) for r in sweep_of("by-record", "1%..2%/1%").rules] == [[0.01], [0.02]]
    assert [numbers(r.when.expr) for r in sweep_of("old", "1m..2m/1m").rules] == [[60e9], [120e9]]


def test_shared_parts_stay_the_same_objects() -> None:
    """What is one object is compiled once."""
    chosen = sweep_of("rank", "-2%..-1%/10bp")
    assert len({id(r.when.expr.operands[0]) for r in chosen.rules}) == 1
    assert len({id(r.when.expr.operands[1].left) for r in chosen.rules}) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("plain", "1..4/1", "the threshold of `plain` is that of `lead > 400bp`, a ratio: write such as 200bp"),
        ("streak", "1%..4%/1%", "a count: write such as 1..4/0.5"),
        ("old", "1..4/1", "a duration: write such as 1m..10m/1m"),
        ("two", "1%..4%/1%", "`two` compares nothing with a number: `ret(IWM, 1d) > ret(SPY, 1d)`"),
    ],
)
def test_rules_without_such_a_threshold(name: str, text: str, message: str) -> None:
    with pytest.raises(PreviewError) as error:
        sweep_of(name, text)
    assert message in str(error.value)
