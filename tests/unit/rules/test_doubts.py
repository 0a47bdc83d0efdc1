"""Conditions that can never be true, or always are; and an `until` that does not do its work."""

from __future__ import annotations

import time

import pytest

from rules.ast import Instrument, Universe
from rules.bounds import MAX_STREAK
from rules.check import check
from rules.doubts import doubt_of_until, doubts
from rules.lowering import STREAK_SESSIONS
from rules.ruleset import Formula
from rules.scope import Scope

SECTORS = Universe("sectors", tuple(Instrument(s) for s in ("XLB", "XLC", "XLE", "XLF")))


@pytest.fixture
def scope() -> Scope:
    names = Scope(universes={"sectors": SECTORS})
    for name, text in [
        ("lead", "ret(IWM, 5d) - ret(SPY, 5d)"),
        ("ahead", "lead > 3%"),
        ("always", "ret(IWM, 5d) >= -100%"),
        ("quad", "quadrant(IWM, SPY, 20d)"),
        ("place", "rank(XLB, sectors, ret(it, 5d))"),
    ]:
        names.add_record(name, formula(text, names).expr)
    return names


def formula(text: str, scope: Scope) -> Formula:
    checked = check(text, scope, it=SECTORS)
    assert checked.formula is not None, checked.problems
    return checked.formula


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("ret(IWM, 1d) < -120%", 0, "`ret(...) < -120%` can never be true: ret(...) is at least -100%"),
        ("lead > 1% and ret(IWM, ytd) < -1.1", None, None),
        ("ret(IWM, 1d) >= -100%", 0, "`ret(...) >= -100%` is always true: ret(...) is at least -100%"),
        (
            "lead > 0 and share(sectors, ret(it, 1d) > 0) > 100%",
            13,
            "`share(...) > 100%` can never be true: share(...) is at most 100%",
        ),
        (
            "share(sectors, ret(it, 1d) < -200%) > 60%",
            15,
            "`ret(...) < -200%` can never be true: ret(...) is at least -100%",
        ),
        ("place < 1", 0, "`place < 1` can never be true: place is at least 1"),
        ("place > 4", 0, "`place > 4` can never be true: place is at most 4"),
        ("count(sectors, ret(it, 1d) > 0) > 4", 0, "`count(...) > 4` can never be true: count(...) is at most 4"),
        ("streak(ahead) > 260", 0, "`streak(...) > 260` can never be true: streak(...) is at most 260"),
        ("percentile(lead, 20d) > 1.5", None, None),
        ("percentile(lead, 20d) > 150%", 0, None),
        ("corr(IWM, SPY, 20d) < -1", 0, "`corr(...) < -1` can never be true: corr(...) is at least -1"),
        ("rank_corr(sectors, ret(it, 5d), ret(it, 9d)) <= 1", 0, None),
        ("age(IWM) < 0", 0, "`age(...) < 0` can never be true: age(...) is at least 0s"),
        ("-age(IWM) > 30s", 0, "`-age(...) > 30s` can never be true: -age(...) is at most 0s"),
        ("volume(IWM, 5d) >= 0", 0, "`volume(...) >= 0` is always true: volume(...) is at least 0"),
        ("drawdown(IWM, 9d) > 5%", 0, "`drawdown(...) > 5%` can never be true: drawdown(...) is at most 0%"),
        ("quoted_spread(IWM) > 201%", 0, None),
        (
            "rs_ratio(IWM, SPY, 20d) > 105",
            0,
            "`rs_ratio(...) > 105` can never be true: rs_ratio(...) is at most 104.249",
        ),
        ("std(percentile(lead, 9d), 9d) > 71%", 0, None),
        ("spread(sectors, percentile(ret(it, 1d), 9d)) > 100%", 0, None),
        ("change(percentile(lead, 9d), 1d) < -100%", 0, None),
        ("sum(place, 5d) > 20", 0, "`sum(...) > 20` can never be true: sum(...) is at most 20"),
        ("mean(percentile(lead, 9d), 5d) * 2 > 201%", 0, None),
        ("100% - percentile(lead, 9d) < 0", 0, None),
        ("price(IWM) / price(SPY) < 0", 0, None),
        ("4% > 3%", 0, "`4% > 3%` is always true: both sides are numbers"),
        ("lead > lead", 0, "`lead > lead` can never be true: both sides are the same"),
        ("lead - (ret(IWM, 5d) - ret(SPY, 5d)) == 0", 0, None),
        ("lead > 5% and lead < 3%", 14, "`lead < 3%` can never be true where `lead > 5%` is"),
        ("lead > 5% and lead <= 5%", 14, None),
        ("lead > 5% and not lead > 3%", 14, "`not (...)` can never be true where `lead > 5%` is"),
        ("lead > 5% or lead < 6%", 13, "one of `lead > 5%` and `lead < 6%` is always true"),
        ("ahead and lead < 0", 10, "`lead < 0` can never be true where `ahead` is"),
        ("ahead and -lead > 1%", 10, "`-lead > 1%` can never be true where `ahead` is"),
        ("excess(IWM, SPY, 5d) < 0 and ahead", 29, "`ahead` can never be true where `excess(...) < 0` is"),
        (
            "ret(IWM, 5d) > ret(SPY, 5d) and ret(SPY, 5d) > ret(IWM, 5d)",
            32,
            "`ret(...) > ret(...)` can never be true where `ret(...) > ret(...)` is",
        ),
        (
            "ret(IWM, 5d) > ret(SPY, 5d) and ret(SPY, 5d) - ret(IWM, 5d) > 1%",
            32,
            "`ret(...) - ret(...) > 1%` can never be true where `ret(...) > ret(...)` is",
        ),
        ("place > 3 and place < 4", 14, None),
        ("place == 2.5", 0, "`place == 2.5` can never be true: place is a whole number"),
        ("quad == leading and quad == lagging", 20, "`quad == lagging` can never be true where `quad == leading` is"),
        ("quad != leading or quad != lagging", 19, "one of `quad != leading` and `quad != lagging` is always true"),
        (
            "quad != leading and quad != lagging and quad != weakening and quad != improving",
            0,
            "these 4 conditions can never be true at once",
        ),
        ("lead > 5% and (quad == leading or lead > 1%) and lead < 3%", 49, None),
        (
            "crosses_above(percentile(lead, 9d), 100%, 1d)",
            0,
            "`crosses_above(...)` can never be true: percentile(...) is at most 100%",
        ),
        ("crosses_below(price(IWM), -1, 1d)", 0, "`crosses_below(...)` can never be true: price(...) is at least 0"),
        (
            "crosses_above(lead, 3%, 1d) and lead < 2%",
            32,
            "`lead < 2%` can never be true where `crosses_above(...)` is",
        ),
        ("then(place > 5, lead > 1%, 9d)", 5, "`place > 5` can never be true: place is at most 4"),
        ("then(lead > 1%, ahead, 9d) and lead < 1%", 31, "`lead < 1%` can never be true where `then(...)` is"),
        ("held(age(IWM) < 0, 2, 5d)", 5, "`age(...) < 0` can never be true: age(...) is at least 0s"),
    ],
)
def test_what_is_certain_is_told_with_its_reason(
    text: str, column: int | None, message: str | None, scope: Scope
) -> None:
    if column is None:
        assert not check(text, scope, it=SECTORS).formula  # refused before it is doubted
        return
    (doubt,) = doubts(formula(text, scope))
    assert doubt.span.start == column
    if message is not None:
        assert doubt.message == message


@pytest.mark.parametrize(
    "text",
    [
        "ret(IWM, 1d) > -99%",
        "lead > 3% and lead < 5%",
        "lead > 3% or lead < 2%",
        "lead >= 3% and lead <= 3%",
        "place >= 3 and place < 4",
        "quad != leading and quad != lagging",
        "always",  # told where the record stands
        "crosses_above(lead, 0, 1d) and crosses_below(lead, 5%, 5d)",
        "then(lead > 3%, lead < 0, 5d)",
        "held(lead > 3%, 1, 5d) and lead < 0",
        "streak(lead > 3%) >= 3 and lead < 0 or streak(lead > 0) == 0",
        "share(sectors, ret(it, 5d) > 0) > 50% and ret(it, 5d) < 0",
        "price(IWM) > 0",
        "quoted_spread(IWM) < 0",
        "ret(IWM, 5d) - ret(SPY, 5d) > 0 and ret(IWM, 6d) - ret(SPY, 6d) < 0",
        "1 / zscore(lead, 20d) < 0",
        "price(IWM) / (price(SPY) - price(QQQ)) < 0",
        "rs_momentum(IWM, SPY, 20d) > 104",
        "change(place, 1d) < -2 and place <= 2",
    ],
)
def test_what_can_be_either_way_is_left_alone(text: str, scope: Scope) -> None:
    assert doubts(formula(text, scope)) == []


@pytest.mark.parametrize(
    ("when", "until", "message"),
    [
        ("lead > 4%", "lead > 3%", "`until` holds whenever `when` does, so it keeps nothing up"),
        (
            "lead > 4% and place > 2",
            "excess(IWM, SPY, 5d) > 0",
            "`until` holds whenever `when` does, so it keeps nothing up",
        ),
        (
            "ahead",
            "lead < 5%",
            "`until` holds where `when` does, above 3% and below 5%: the alert stays up there, and clears as without",
        ),
    ],
)
def test_an_until_that_holds_with_when_is_told(when: str, until: str, message: str, scope: Scope) -> None:
    doubt = doubt_of_until(formula(when, scope), formula(until, scope))
    assert doubt is not None
    assert doubt.message == message


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("lead > 4%", "lead < 3%"),
        ("lead > 4%", "lead <= 4%"),
        ("lead > 4%", "ret(IWM, 1d) < 3%"),
        ("lead > 4% and place > 2", "lead < 3% or place == 1"),
        ("lead > 4%", "price(IWM) < -1"),  # told as an `until` that is never true
        ("quad == leading", "quad != leading"),
    ],
)
def test_an_until_that_does_its_work_is_left_alone(when: str, until: str, scope: Scope) -> None:
    assert doubt_of_until(formula(when, scope), formula(until, scope)) is None


def test_a_hint_says_what_it_means_for_the_alert(scope: Scope) -> None:
    never, always = formula("place > 4", scope), formula("place <= 4", scope)
    assert doubts(never, "when")[0].hint == "the alert can never fire"
    assert doubts(always, "when")[0].hint == "the alert fires as soon as its data is there, and stays"
    assert doubts(never, "until")[0].hint == "once it has fired, the alert never clears"
    assert "without `until`" in doubts(always, "until")[0].hint
    assert doubts(formula("place > 4 or lead > 0", scope), "when")[0].hint == ""


def test_the_longest_streak_is_that_of_the_engine() -> None:
    assert MAX_STREAK == STREAK_SESSIONS


def test_a_large_formula_is_looked_at_for_a_bounded_time(scope: Scope) -> None:
    nested = "ret(it, 1d) > 0"
    for level in range(80):
        nested = f"({nested}) {'and' if level % 2 else 'or'} lead > {level}bp and ret(it, {level + 2}d) < {level}%"
    large = formula(nested, scope)
    started = time.process_time()
    doubts(large)
    assert time.process_time() - started < 1.0
