from __future__ import annotations

import pytest

from rules.ast import (
    Arithmetic,
    Basket,
    Call,
    Clock,
    Comparison,
    Expr,
    Instrument,
    It,
    Literal,
    Logic,
    Negate,
    Not,
    RecordRef,
    Sessions,
    Type,
    Universe,
    Word,
)
from rules.check import check
from rules.scope import MAX_LEVELS, MAX_NODES, Scope, uses_clock
from rules.syntax import ExpressionError
from rules.units import as_ratio

IWM, SPY, XLB, XLE = (Instrument(s) for s in ("IWM", "SPY", "XLB", "XLE"))
MAG7 = Basket("mag7", (("AAPL", 0.5), ("MSFT", 0.5)))
SECTORS = Universe("sectors", (XLB, XLE))
SOME = Universe("some", (XLB,))


@pytest.fixture
def scope() -> Scope:
    names = Scope(
        {"small_caps": IWM, "large_caps": SPY, "FB": Instrument("META")},
        {"mag7": MAG7},
        {"sectors": SECTORS, "some": SOME},
        broken={"wrong"},
    )
    for name, text in [
        ("lead", "ret(small_caps, ytd) - ret(large_caps, ytd)"),
        ("number", "zscore(lead, 250d)"),
        ("ahead", "lead > 0"),
        ("intraday", "ret(IWM, 30m)"),
    ]:
        names.add_record(name, expression(text, names))
    return names


def expression(text: str, scope: Scope, it: Universe | None = None) -> Expr:
    checked = check(text, scope, it=it)
    assert checked.problems == ()
    assert checked.formula is not None
    return checked.formula.expr


def message(text: str, scope: Scope, it: Universe | None = None, condition: str = "") -> str:
    (problem,) = check(text, scope, it=it, condition=condition).problems
    return problem.message


def test_names_are_resolved_and_positions_do_not_matter(scope: Scope) -> None:
    expr = expression("ret(small_caps, 2w) - ret(mag7, 10d) > 400bp", scope)
    assert expr == expression(" ret( IWM,10d ) - (ret(mag7,2w)) > 4% ", scope)
    assert expr == Comparison(
        ">",
        Arithmetic(
            "-",
            Call("ret", (IWM, Sessions(10)), Type.RATIO),
            Call("ret", (MAG7, Sessions(10)), Type.RATIO),
            Type.RATIO,
        ),
        Literal(0.04, Type.RATIO),
    )


def test_every_function_of_the_table(scope: Scope) -> None:
    ret = Call("ret", (IWM, Word.YTD), Type.RATIO)
    of_it = Call("ret", (It(), Sessions(1)), Type.RATIO)
    assert expression("price(FB)", scope) == Call("price", (Instrument("META"),), Type.PRICE)
    assert expression("price('brk.b')", scope) == Call("price", (Instrument("brk.b"),), Type.PRICE)
    assert expression("ret(IWM, ytd)", scope) == ret
    assert expression("excess(IWM, mag7, 30m)", scope) == Call(
        "excess", (IWM, MAG7, Clock(1_800_000_000_000)), Type.RATIO
    )
    assert expression("mean(ret(IWM, ytd), 5m)", scope) == Call("mean", (ret, Clock(300_000_000_000)), Type.RATIO)
    assert expression("mean(price(IWM), 5d)", scope).type is Type.PRICE
    assert expression("zscore(ret(IWM, ytd), 250d)", scope) == Call("zscore", (ret, Sessions(250)), Type.SCORE)
    positive = Comparison(">", ret, Literal(0.0, Type.SCORE))
    assert expression("streak(ret(IWM, ytd) > 0)", scope) == Call("streak", (positive,), Type.COUNT)
    assert expression("share(sectors, ret(it, 1d) > 0)", scope) == Call(
        "share", (SECTORS, Comparison(">", of_it, Literal(0.0, Type.SCORE))), Type.RATIO
    )
    assert expression("rank(XLB, sectors, ret(it, 1d))", scope) == Call("rank", (XLB, SECTORS, of_it), Type.COUNT)


def test_records_chains_negative_numbers_and_clock_time(scope: Scope) -> None:
    lead = expression("lead", scope)
    assert isinstance(lead, RecordRef)
    assert lead.value == expression("ret(IWM, ytd) - ret(SPY, ytd)", scope)
    a, b, c = (expression(t, scope) for t in ("lead > 0", "number > 2", "ahead"))
    assert expression("lead > 0 and (number > 2 and ahead)", scope) == Logic("and", (a, b, c))
    assert expression("lead > 0 or number > 2 and ahead", scope) == Logic("or", (a, Logic("and", (b, c))))
    assert expression("not ahead", scope) == Not(c)
    assert expression("-150bp", scope) == Literal(-0.015, Type.RATIO)
    assert expression("-lead", scope) == Negate(lead, Type.RATIO)
    assert expression("30s", scope) == Literal(30e9, Type.DURATION)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("lead + lead", Type.RATIO),
        ("lead + 1%", Type.RATIO),
        ("100% + lead", Type.RATIO),
        ("price(IWM) - price(SPY)", Type.PRICE),
        ("price(IWM) + 5", Type.PRICE),
        ("price(IWM) / price(SPY)", Type.SCORE),
        ("price(IWM) * 2", Type.PRICE),
        ("price(IWM) * 1%", Type.PRICE),
        ("price(IWM) / (100% + lead)", Type.PRICE),
        ("2 * lead", Type.RATIO),
        ("lead / 2", Type.RATIO),
        ("lead / lead", Type.SCORE),
        ("50% * lead", Type.RATIO),
        ("number * lead", Type.RATIO),
        ("number + 1", Type.SCORE),
        ("streak(ahead) + 1", Type.COUNT),
        ("streak(ahead) + number", Type.SCORE),
        ("streak(ahead) / 2", Type.SCORE),
        ("30s * 2", Type.DURATION),
        ("30s + 5m", Type.DURATION),
        ("5m / 30s", Type.SCORE),
        ("lead > 0", Type.CONDITION),
        ("lead == 0 or price(IWM) > 0", Type.CONDITION),
        ("price(IWM) > 100.5", Type.CONDITION),
        ("price(IWM) > -100", Type.CONDITION),
        ("streak(ahead) >= 10", Type.CONDITION),
        ("streak(ahead) > number", Type.CONDITION),
        ("share(sectors, ret(it, 1d) > ret(SPY, 1d)) > 60%", Type.CONDITION),
        ("share(some, rank(it, sectors, ret(it, 1d)) <= 3) > 50%", Type.CONDITION),
    ],
)
def test_types(text: str, type_: Type, scope: Scope) -> None:
    assert expression(text, scope).type is type_


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("ret(IWM, 14d) > 400", "400 is a bare number and ret(...) is a ratio: write 400bp or 4%"),
        ("4 < ret(IWM, 14d)", "4 is a bare number and ret(...) is a ratio: write 4% or 400bp"),
        ("-0.5 < ret(IWM, 14d)", "-0.5 is a bare number and ret(...) is a ratio: write -50% or -5000bp"),
        ("lead + 1", "1 is a bare number and lead is a ratio: write 100%"),
        ("lead + price(IWM)", "lead is a ratio and price(...) is a price: they cannot be added"),
        ("lead > number", "lead is a ratio and number is a score: they cannot be compared"),
        ("price(IWM) > number", "price(...) is a price and number is a score: they cannot be compared"),
        ("number > 4%", "4% is a ratio and number is a score: write a number without a unit"),
        ("30s > 4", "4 is a bare number and 30s is a duration: write clock time, such as 30s, 5m or 2h"),
        ("ahead > 0", "ahead is a condition already and cannot be compared"),
        ("ahead + 1", "ahead is a condition and cannot be calculated with"),
        ("-ahead", "ahead is a condition and has no negative"),
        ("lead / 0", "division by 0"),
        ("lead / -0", "division by 0"),
        ("1 / price(IWM)", "1 is a bare number and price(...) is a price: their quotient has no meaning"),
        ("price(IWM) * price(SPY)", "price(...) is a price and price(...) is a price: their product has no meaning"),
        ("lead and ahead", "`and` needs a condition, and lead is a ratio: compare it, as in `lead > 4%`"),
        ("not lead", "`not` needs a condition, and lead is a ratio: compare it, as in `lead > 4%`"),
        ("14d", "14d is a window, and stands inside a function, as in ret(SPY, 14d)"),
        ("-14d", "a window cannot be negative: write 14d"),
        ("mag7", "`mag7` is a basket, not a value: write price(mag7) or ret(mag7, 1d)"),
        ("'BRK.B'", "`'BRK.B'` is an instrument, not a value: write price('BRK.B') or ret('BRK.B', 1d)"),
        ("sectors > 1", "`sectors` is a universe, not a value"),
        ("ret > 1", "`ret` is a function: write ret(x, w)"),
        ("leed > 1%", "unknown name `leed`: did you mean `lead`?"),
        ("ret(spy, 1d)", "unknown name `spy`"),
        ("ret(Spy, 1d)", "unknown name `Spy`"),
        ("slope(lead, 20d)", "unknown function `slope`"),
        ("BRK-B > 1", "`BRK-B` is read as two instruments: quote it if it is one symbol: 'BRK-B'"),
        ("price(it)", "`it` is the member of a universe, and here is no loop over one"),
        ("zscore(lead, 1m)", "zscore(e, w) needs 2 samples or more, and 1m has 1"),
        ("mean(ahead, 5d)", "mean(e, w) needs a value, and ahead is a condition"),
    ],
)
def test_refused_in_words(text: str, wrong: str, scope: Scope) -> None:
    assert message(text, scope) == wrong


def test_a_condition_is_asked_for_by_its_key(scope: Scope) -> None:
    assert message("lead", scope, condition="`until`").startswith("`until` needs a condition, and lead is a ratio")
    assert check("ahead", scope, condition="`until`").formula is not None


def test_every_part_is_looked_at_and_nothing_is_told_twice(scope: Scope) -> None:
    problems = check("ret(foo, 1d) > 3 and ret(IWM, 5) > 0 or bar(1)", scope).problems
    assert [p.message.split("`")[0].strip() for p in problems] == [
        "unknown name",
        "ret(x, w) needs a window as w, and here is 5",
        "unknown function",
    ]


def test_what_uses_a_wrong_definition_is_no_second_error(scope: Scope) -> None:
    checked = check("ret(wrong, 1d) > 0 and wrong > 0 and share(wrong, ret(it, 1d) > 0) > 0", scope)
    assert checked.formula is None
    assert checked.problems == ()


def test_it_is_the_member_of_the_innermost_loop(scope: Scope) -> None:
    text = "ret(it, 1d) > 0 and share(some, ret(it, 1d) > 0) > 50%"
    assert message(text, scope).startswith("`it` is the member")
    assert expression(text, scope, it=SECTORS).type is Type.CONDITION
    assert message("it > 0", scope, it=SECTORS).startswith("`it` is an instrument, not a value")


def test_rank_is_of_members_only(scope: Scope) -> None:
    assert message("rank(SPY, sectors, ret(it, 1d))", scope).startswith("SPY is no member of `sectors`")
    for loop in (SECTORS, Universe("renamed", (XLE,))):
        assert expression("rank(it, sectors, ret(it, 1d))", scope, it=loop).type is Type.COUNT
    assert message("rank(it, some, ret(it, 1d))", scope, it=SECTORS) == (
        "`it` is a member of `sectors`, and XLE is not in `some`"
    )


def test_a_definition_shadows_a_symbol_and_a_quoted_word_never_is_a_name(scope: Scope) -> None:
    assert expression("price('small_caps')", scope) == Call("price", (Instrument("small_caps"),), Type.PRICE)


def test_records_that_double_each_other_are_refused_before_they_explode(scope: Scope) -> None:
    scope.add_record("r0", expression("lead + lead", scope))
    problems: tuple[ExpressionError, ...] = ()
    for level in range(1, 60):
        checked = check(f"r{level - 1} + r{level - 1}", scope)
        if checked.formula is None:
            problems = checked.problems
            break
        scope.add_record(f"r{level}", checked.formula.expr)
    assert len(problems) == 1
    assert f"{MAX_NODES} and {MAX_LEVELS} are the most" in problems[0].message


def test_records_that_chain_are_bounded_in_depth(scope: Scope) -> None:
    scope.add_record("c0", expression("lead", scope))
    for level in range(1, 1_000):
        checked = check(f"-(-c{level - 1})", scope)
        if checked.formula is None:
            break
        scope.add_record(f"c{level}", checked.formula.expr)
    else:
        pytest.fail("nothing stopped the chain")
    assert level < MAX_LEVELS


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("ret(IWM, 30m) > 1%", True),
        ("mean(ret(IWM, 1d), 30m) > 1%", True),
        ("intraday > 1%", True),
        ("ahead and share(sectors, ret(it, 5m) > 0) > 50%", True),
        ("ret(IWM, 14d) > 1%", False),
        ("ret(IWM, open) > 1% and number > 2", False),
        ("30s > 0", False),
    ],
)
def test_windows_of_clock_time_are_found_anywhere(text: str, clock: bool, scope: Scope) -> None:
    assert uses_clock(expression(text, scope)) is clock


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (400, "400bp or 4%"),
        (4, "4% or 400bp"),
        (0.04, "4% or 400bp"),
        (-150, "-150bp or -1.5%"),
        (1.5, "1.5% or 150bp"),
    ],
)
def test_what_a_bare_number_was_meant_to_be(value: float, written: str) -> None:
    assert as_ratio(value) == written
