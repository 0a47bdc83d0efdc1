from __future__ import annotations

import numpy as np
import pytest

from rules.ast import (
    Arithmetic,
    Basket,
    Call,
    Clock,
    Comparison,
    Instrument,
    It,
    Literal,
    Logic,
    Not,
    Sessions,
    Type,
    Universe,
)
from rules.evaluator import Evaluator
from rules.plan import Compiler
from tests.unit.rules.market import CALENDAR, MINUTE, Tables

IWM, SPY, QQQ = Instrument("IWM"), Instrument("SPY"), Instrument("QQQ")


def ret(asset, count=1):
    return Call("ret", (asset, Sessions(count)), Type.RATIO)


def number(value, type_=Type.SCORE):
    return Literal(value, type_)


def evaluate(expr, view):
    compiler = Compiler(7 * 60 * MINUTE)
    slot = compiler.slot(expr)
    plan = compiler.plan()
    return Evaluator(plan).evaluate(reorder(view, plan.requirements.instruments))[slot]


def reorder(view: Tables, instruments):
    columns = [view.instruments.index(i) for i in instruments]
    return Tables(
        tuple(instruments),
        view.closes[:, columns],
        view.now_prices[columns],
        view.time,
        past_minutes=tuple((t, p[columns]) for t, p in view.past_minutes),
    )


def market(closes, now, symbols=("IWM", "SPY", "QQQ"), hour=10.0):
    closes = np.asarray(closes, float)
    return Tables(tuple(symbols), closes, np.asarray(now, float), CALENDAR.at(len(closes), hour))


FLAT = market([[100, 100, 100]] * 5, [110, 101, 99])


def test_return_is_price_over_close_minus_one():
    assert evaluate(ret(IWM), FLAT) == pytest.approx(0.10)


def test_excess_is_the_difference_of_two_returns():
    assert evaluate(Call("excess", (IWM, SPY, Sessions(3)), Type.RATIO), FLAT) == pytest.approx(0.09)


def test_a_window_longer_than_the_history_is_unknown():
    assert np.isnan(evaluate(ret(IWM, 6), FLAT))


@pytest.mark.parametrize(
    ("op", "left", "right", "expected"),
    [
        ("and", 0.0, np.nan, 0.0),
        ("and", np.nan, 1.0, np.nan),
        ("and", 1.0, 1.0, 1.0),
        ("or", 1.0, np.nan, 1.0),
        ("or", np.nan, 0.0, np.nan),
        ("or", 0.0, 0.0, 0.0),
    ],
)
def test_logic_is_kleenes(op, left, right, expected):
    # A comparison with an unknown price is unknown; IWM is 110, so `> x` makes any truth value wanted.
    truth = {0.0: number(200, Type.PRICE), 1.0: number(1, Type.PRICE)}
    unknown = Comparison(">", Call("price", (QQQ,), Type.PRICE), number(1, Type.PRICE))

    def side(value):
        return unknown if np.isnan(value) else Comparison(">", Call("price", (IWM,), Type.PRICE), truth[value])

    view = market([[100, 100, 100]], [110, 101, np.nan])
    assert evaluate(Logic(op, (side(left), side(right))), view) == pytest.approx(expected, nan_ok=True)
    assert evaluate(Not(Logic(op, (side(left), side(right)))), view) == pytest.approx(1 - expected, nan_ok=True)


def test_division_by_zero_is_unknown():
    zero = Arithmetic("-", ret(IWM), ret(IWM), Type.RATIO)
    assert np.isnan(evaluate(Arithmetic("/", ret(SPY), zero, Type.SCORE), FLAT))


def test_a_basket_skips_unknown_members_down_to_the_quorum():
    five = Basket("five", tuple((s, 0.2) for s in "ABCDE"))
    view = market([[100] * 5], [110, 120, 130, 140, np.nan], "ABCDE")
    assert evaluate(Call("ret", (five, Sessions(1)), Type.RATIO), view) == pytest.approx(0.25)
    view = market([[100] * 5], [110, 120, 130, np.nan, np.nan], "ABCDE")
    assert np.isnan(evaluate(Call("ret", (five, Sessions(1)), Type.RATIO), view))


def test_a_baskets_price_is_its_index_from_the_first_stored_close():
    pair = Basket("pair", (("IWM", 0.5), ("SPY", 0.5)))
    assert evaluate(Call("price", (pair,), Type.PRICE), FLAT) == pytest.approx(105.5)


UNIVERSE = Universe("u", (IWM, SPY, QQQ))


def test_rank_counts_higher_members_and_ties_take_the_smaller_number():
    def rank(asset, view):
        return evaluate(Call("rank", (asset, UNIVERSE, ret(It())), Type.COUNT), view)

    assert [rank(a, FLAT) for a in (IWM, SPY, QQQ)] == [1, 2, 3]
    tied = market([[100] * 3], [110, 110, 90])
    assert [rank(a, tied) for a in (IWM, SPY, QQQ)] == [1, 1, 3]


def test_share_is_of_known_members():
    falls = Comparison("<", ret(It()), number(0, Type.RATIO))
    assert evaluate(Call("share", (UNIVERSE, falls), Type.RATIO), FLAT) == pytest.approx(1 / 3)


@pytest.fixture
def random_walk():
    rng = np.random.default_rng(7)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, (300, 3)), axis=0))
    return market(closes[:-1], closes[-1], hour=16)


def test_zscore_compares_with_the_samples_before(random_walk):
    closes = np.vstack([random_walk.closes, random_walk.now_prices])
    daily = closes[1:] / closes[:-1] - 1
    spread = daily[:, 0] - daily[:, 1]
    expected = (spread[-1] - spread[-61:-1].mean()) / spread[-61:-1].std(ddof=1)
    z = Call("zscore", (Call("excess", (IWM, SPY, Sessions(1)), Type.RATIO), Sessions(60)), Type.SCORE)
    assert evaluate(z, random_walk) == pytest.approx(expected, rel=1e-12)


def test_zscore_is_right_at_a_large_offset():
    prices = 1e5 + np.array([0, 1e-3, 0, 1e-3, 0, 1e-3])
    view = market(np.column_stack([prices] * 3), [1e5 + 2e-3] * 3)
    z = Call("zscore", (Call("price", (IWM,), Type.PRICE), Sessions(6)), Type.SCORE)
    expected = (1.5e-3) / np.std([0, 1e-3] * 3, ddof=1)
    assert evaluate(z, view) == pytest.approx(expected, rel=1e-6)


def test_zscore_of_what_never_moved_is_unknown():
    view = market([[100.1] * 3] * 6, [101] * 3)
    assert np.isnan(evaluate(Call("zscore", (Call("price", (IWM,), Type.PRICE), Sessions(6)), Type.SCORE), view))


def test_mean_includes_the_current_value(random_walk):
    mean = Call("mean", (Call("price", (IWM,), Type.PRICE), Sessions(5)), Type.PRICE)
    expected = np.append(random_walk.closes[-4:, 0], random_walk.now_prices[0]).mean()
    assert evaluate(mean, random_walk) == pytest.approx(expected, rel=1e-12)


def test_nested_windows_are_warm_after_a_rebuild(random_walk):
    inner = Call("mean", (ret(IWM), Sessions(5)), Type.RATIO)
    closes = np.append(random_walk.closes[:, 0], random_walk.now_prices[0])
    daily = closes[1:] / closes[:-1] - 1
    means = np.convolve(daily, np.ones(5) / 5, "valid")
    expected = (means[-1] - means[-21:-1].mean()) / means[-21:-1].std(ddof=1)
    z = Call("zscore", (inner, Sessions(20)), Type.SCORE)
    assert evaluate(z, random_walk) == pytest.approx(expected, rel=1e-9)


def test_streak_counts_back_from_now():
    rising = np.array([[100, 100, 100], [99, 100, 100], [100, 100, 100], [101, 100, 100]], float)
    up = Call("streak", (Comparison(">", ret(IWM), ret(SPY)),), Type.COUNT)
    assert evaluate(up, market(rising, [102, 100, 100])) == 3
    assert evaluate(up, market(rising, [100, 100, 100])) == 0
    assert np.isnan(evaluate(up, market(rising, [np.nan, 100, 100])))


def test_clock_windows_sample_minutes():
    view = market([[100] * 3], [106, 100, 100])
    minutes = tuple((view.time - (5 - m) * MINUTE, np.array([100.0 + m, 100, 100])) for m in range(5))
    view = Tables(view.instruments, view.closes, view.now_prices, view.time, past_minutes=minutes)
    mean = Call("mean", (Call("price", (IWM,), Type.PRICE), Clock(3 * MINUTE)), Type.PRICE)
    assert evaluate(mean, view) == pytest.approx((103 + 104 + 106) / 3)


def test_living_through_sessions_equals_a_rebuild(random_walk):
    compiler = Compiler(7 * 60 * MINUTE)
    z = compiler.slot(Call("zscore", (Call("mean", (ret(IWM), Sessions(5)), Type.RATIO), Sessions(20)), Type.SCORE))
    streak = compiler.slot(Call("streak", (Comparison(">", ret(IWM), ret(SPY)),), Type.COUNT))
    plan = compiler.plan()
    lived = Evaluator(plan)
    for back in range(40, 0, -1):
        past = random_walk.at_close(back)
        now = lived.evaluate(reorder(past, plan.requirements.instruments)).copy()
        again = Evaluator(plan).evaluate(reorder(past, plan.requirements.instruments))
        assert now[z] == again[z]
        assert now[streak] == again[streak]


def test_equal_parts_share_a_slot():
    compiler = Compiler(7 * 60 * MINUTE)
    compiler.slot(Comparison(">", ret(IWM), number(0.01, Type.RATIO)))
    size = compiler.plan().size
    compiler.slot(Comparison(">", ret(IWM), number(0.01, Type.RATIO)))
    assert compiler.plan().size == size
    assert compiler.slot(ret(IWM)) < size


def test_what_all_members_are_compared_with_is_written_once():
    """A universe's members are one object in each of the nodes that look at them, or compiling takes their square."""
    universe = Universe("many", tuple(Instrument(f"S{n}") for n in range(50)))
    place = Call("rank", (It(), universe, ret(It())), Type.COUNT)
    mean = Call("avg", (universe, ret(It())), Type.RATIO)
    compiler = Compiler(7 * 60 * MINUTE)
    places = [compiler.slot(place, member) for member in universe.members]
    means = {compiler.slot(mean, member) for member in universe.members}
    nodes = compiler.nodes
    assert len(means) == 1
    assert len({id(nodes.all[slot][1]) for slot in places}) == 1
    assert [nodes.all[slot][2] for slot in places] == list(range(50))
    assert {nodes.levels[slot] for slot in places} == {1}
    assert len({str(nodes.reach[slot]) for slot in places}) == 1
