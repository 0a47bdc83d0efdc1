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
    Quadrant,
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
        ("quad", "quadrant(IWM, SPY, 20d)"),
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
        ("returns(IWM, 20d)", "unknown function `returns`"),
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
    assert message("rank(XLBB, sectors, ret(it, 1d))", scope).endswith("no rank there: did you mean `XLB`?")
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
    ("text", "wrong"),
    [
        ("vol(IWM, 30m)", "vol(x, w) looks at whole sessions, and 30m is clock time"),
        ("corr(IWM, SPY, ytd)", "corr(x, y, w) looks at whole sessions, and ytd is a word for a date"),
        ("rel_volume(IWM, 2025-12-31)", "rel_volume(x, w) looks at whole sessions, and 2025-12-31 is a date"),
        ("beta(IWM, SPY, 1d)", "beta(x, y, w) needs 2 samples or more, and 1d has 1"),
        ("quadrant(IWM, SPY, 1m)", "quadrant(x, y, w) needs 2 samples or more, and 1m has 1"),
        ("drawdown(IWM, ytd)", "drawdown(x, w) needs a number of samples, and ytd has none of its own"),
        ("crosses_above(lead, 400, 5d)", "400 is a bare number and lead is a ratio: write 400bp or 4%"),
        ("crosses_below(lead, number, 5d)", "lead is a ratio and number is a score: they cannot be compared"),
        ("crosses_above(lead, ahead, 5d)", "crosses_above(e, level, w) needs a value, and ahead is a condition"),
        ("held(ahead, 6, 5d)", "held 6 of 5 can never be: 5d has 5 samples"),
        ("held(ahead, 31, 30m)", "held 31 of 30 can never be: 30m has 30 samples"),
        ("held(ahead, 2.5, 5d)", "held(c, k, w) needs a whole number as k, and here is 2.5"),
        ("held(ahead, 0, 5d)", "held(c, k, w) needs a whole number as k, and here is 0"),
        ("held(ahead, 80%, 5d)", "held(c, k, w) needs a whole number as k, and here is 80%"),
        ("held(ahead, number, 5d)", "held(c, k, w) needs a whole number as k, and here is number"),
        (
            "reversal(IWM, SPY, 60d, 60d, 3%)",
            "`short` has to be shorter than `long`, and 60d is not shorter than 60d",
        ),
        (
            "reversal(IWM, SPY, 60d, 10m, 3%)",
            "reversal(x, y, long, short, by) needs both windows in sessions or both in clock time: 60d and 10m",
        ),
        ("reversal(IWM, SPY, 60d, 10d, 300)", "300 is a bare number and `by` is a ratio: write 300bp or 3%"),
        (
            "reversal(IWM, SPY, 60d, 10d, -3%)",
            "`by` cannot be negative: it is a distance, above for the one and below for the other",
        ),
        (
            "reversal(IWM, SPY, 60d, 10d, number)",
            "reversal(x, y, long, short, by) needs a ratio as by, and number is a score",
        ),
        ("value(lead)", "value(series) needs the name of an external series, and `lead` is a record: write lead alone"),
        (
            "value(small_caps)",
            "value(series) needs the name of an external series, and `small_caps` is an alias: write price(small_caps)",
        ),
        (
            "value(mag7)",
            "value(series) needs the name of an external series, and `mag7` is a basket: write price(mag7)",
        ),
        ("value(sectors)", "value(series) needs the name of an external series, and `sectors` is a universe"),
        ("value(4)", "value(series) needs the name of an external series, and here is 4"),
        ("ust_10y > 4", "unknown name `ust_10y`"),
        ("price(BRK.B) > 4", "unknown name `BRK.B`"),
        ("avg(sectors, ret(it, 1d) > 0)", "avg(u, e) needs a value, and ret(...) > 0 is a condition"),
        ("median(quad, 5d)", "median(e, w) needs a value, and quad is a category"),
        ("streak(quad)", "streak(c) needs a condition, and quad is a category: compare it, as in `quad == leading`"),
        ("quad == weekening", "`weekening` is no category: did you mean `weakening`?"),
        ("quad == SPY", "`SPY` is no category"),
        ("quad != 'leading'", "`'leading'` in quotes is an instrument, and quad is a category: write leading"),
        ("quad == 1", "1 is a number and quad is a category: write leading, weakening, lagging or improving"),
        ("quad == lead", "lead is a ratio and quad is a category: they cannot be compared"),
        ("lead == quad", "lead is a ratio and quad is a category: they cannot be compared"),
        ("quad == ret(SPY, 1d)", "ret(...) is a ratio and quad is a category: they cannot be compared"),
        ("quad >= leading", "categories have no order, and cannot be compared with `>=`"),
        ("lagging", "`lagging` is a category, and stands in a comparison, as in quadrant(IWM, SPY, 20d) == leading"),
        ("quad + 1", "quad is a category and cannot be calculated with"),
    ],
)
def test_arguments_are_refused_in_words(text: str, wrong: str, scope: Scope) -> None:
    assert message(text, scope) == wrong


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("value(ust_10y)", Type.SCORE),
        ("value(rates.ust_10y)", Type.SCORE),
        ("value('P/E discount')", Type.SCORE),
        ("value('lead')", Type.SCORE),
        ("zscore(avg(sectors, ret(it, 5d)) - ret(SPY, 5d), 60d)", Type.SCORE),
        ("streak(share(mag7, ret(it, 1d) < 0) > 50%)", Type.COUNT),
        ("held(crosses_above(lead, 0, 1d), 2, 5d)", Type.CONDITION),
        ("crosses_below(price(IWM), 200, 30m)", Type.CONDITION),
        ("crosses_below(price(IWM), mean(price(IWM), 50d), 1d)", Type.CONDITION),
        ("crosses_above(lead, 0, 1d)", Type.CONDITION),
        ("then(quad == leading, quad == weakening, 10d)", Type.CONDITION),
        ("reversal(IWM, SPY, 60d, 10d, vol(SPY, 60d) / 4)", Type.CONDITION),
        ("streak(reversal(IWM, SPY, 60m, 10m, 0))", Type.COUNT),
        ("spread(mag7, price(it))", Type.PRICE),
        ("best(sectors, age(it))", Type.DURATION),
        ("avg(sectors, count(mag7, ret(it, 1d) > 0))", Type.COUNT),
        ("sum(volume(IWM, 1d), 5d)", Type.VOLUME),
        ("med(sectors, percentile(ret(it, 1d), 250d))", Type.RATIO),
        ("ema(std(zscore(lead, 60d), 20d), 5d)", Type.SCORE),
        ("rank_corr(sectors, ret(it, 60d), ret(it, 5d))", Type.SCORE),
        ("rank('MSFT', mag7, rs_momentum(it, SPY, 20d))", Type.COUNT),
        ("ratio(mag7, SPY)", Type.SCORE),
        ("quad", Type.CATEGORY),
        ("count(sectors, quadrant(it, SPY, 20d) == improving)", Type.COUNT),
    ],
)
def test_functions_nest_as_their_types_allow(text: str, type_: Type, scope: Scope) -> None:
    assert expression(text, scope).type is type_


def test_a_quadrant_is_compared_with_words_that_elsewhere_may_be_names(scope: Scope) -> None:
    named = Scope({"leading": IWM}, records=scope.records)
    assert expression("price(leading)", named) == Call("price", (IWM,), Type.PRICE)
    wanted = Comparison("==", expression("quad", scope), Literal(float(Quadrant.LEADING), Type.CATEGORY))
    assert expression("quad == leading", named) == wanted
    lagging = Literal(float(Quadrant.LAGGING), Type.CATEGORY)
    assert expression("lagging != quad", named) == Comparison("!=", lagging, expression("quad", scope))
    assert expression("quad == quadrant(SPY, IWM, 20d)", named).type is Type.CONDITION


def test_a_basket_is_a_universe_of_its_members(scope: Scope) -> None:
    members = Universe("mag7", (Instrument("AAPL"), Instrument("MSFT")))
    call = expression("share(mag7, ret(it, 1d) > 0)", scope)
    assert isinstance(call, Call)
    assert call.args[0] == members


def test_a_margin_of_a_bare_zero_is_a_ratio(scope: Scope) -> None:
    call = expression("reversal(IWM, SPY, 60d, 10d, 0)", scope)
    assert isinstance(call, Call)
    assert call.args[4] == Literal(0.0, Type.RATIO)


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
