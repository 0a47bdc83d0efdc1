"""Every function of the language against numpy on a table of closes, written from the contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rules.ast import (
    Basket,
    Call,
    Comparison,
    Instrument,
    It,
    Literal,
    Quadrant,
    Series,
    Sessions,
    Type,
    Universe,
)
from rules.evaluator import Evaluator
from rules.functions import FUNCTIONS
from rules.lowering import LOWERINGS
from rules.plan import Compiler
from tests.unit.rules.market import CALENDAR, MINUTE, Tables

SYMBOLS = ("A", "B", "C", "D", "E", "F")
A, B, C = (Instrument(s) for s in "ABC")
ALL = Universe("all", tuple(map(Instrument, SYMBOLS)))
PAIR = Basket("pair", (("A", 0.25), ("B", 0.75)))
IT = It()
RNG = np.random.default_rng(23)
CLOSES = 100 * np.exp(np.cumsum(RNG.normal(0, 0.01, (120, 6)), axis=0))
VOLUMES = RNG.uniform(1e6, 2e6, (120, 6))
SERIES = RNG.normal(0, 1, (1, 120))
BIDS, ASKS = CLOSES[-1] - 0.01, CLOSES[-1] + 0.02
DAILY = CLOSES[1:] / CLOSES[:-1] - 1
AGES = np.array([1e9, 3e9, 0, 0, 0, np.nan])
VIEW = Tables(
    SYMBOLS, CLOSES[:-1], CLOSES[-1], CALENDAR.at(119, 16),
    quotes=(BIDS, ASKS), traded=VOLUMES, published=SERIES, ages_now=AGES,
)  # fmt: skip


def call(function, *args):
    return Call(function, args, FUNCTIONS[function].result or Type.SCORE)


def days(count):
    return Sessions(count)


def number(value):
    return Literal(value, Type.SCORE)


def arranged(view, instruments):
    columns = [view.instruments.index(i) for i in instruments]

    def pick(table):
        return None if table is None else table[..., columns]

    return replace(
        view,
        instruments=tuple(instruments),
        closes=view.closes[:, columns],
        now_prices=view.now_prices[columns],
        quotes=None if view.quotes is None else tuple(map(pick, view.quotes)),
        traded=pick(view.traded),
        ages_now=pick(view.ages_now),
        past_minutes=tuple((t, p[columns]) for t, p in view.past_minutes),
    )


def value(expr, view=VIEW, it=None):
    compiler = Compiler(7 * 60 * MINUTE)
    slot = compiler.slot(expr, it)
    plan = compiler.plan()
    return Evaluator(plan).evaluate(arranged(view, plan.requirements.instruments))[slot]


def above(left, right):
    return Comparison(">", left, right)


PRICE = call("price", A)
RET = call("ret", A, days(1))
A_PRICES, B_PRICES = CLOSES[:, 0], CLOSES[:, 1]
A_DAILY, B_DAILY = DAILY[:, 0], DAILY[:, 1]


def standing(values, n, at=-1):
    window = values[len(values) + at + 1 - n : len(values) + at + 1]
    return 100 + (window[-1] - window.mean()) / window.std(ddof=1)


RATIOS = np.array([standing(100 * A_PRICES / B_PRICES, 20, -back) for back in range(60, 0, -1)])
MOMENTUM = RATIOS[1:] / RATIOS[:-1] - 1
R20 = CLOSES[-1] / CLOSES[-21] - 1


def share_below(values, now):
    return ((values < now) + 0.5 * (values == now)).mean()


def places(values):
    return values.argsort().argsort()


def grown(back):
    """What each was worth at the last close, of one invested `back` closes before."""
    return CLOSES[-1] / CLOSES[-1 - back]


INDEX = 0.25 * grown(119)[0] + 0.75 * grown(119)[1]
BID_INDEX = 0.25 * BIDS[0] / CLOSES[0, 0] + 0.75 * BIDS[1] / CLOSES[0, 1]
MIDWAY = number((A_PRICES[-1] + A_PRICES[-6]) / 2)
UPS = (A_DAILY[-10:] > 0).sum()
PAIR_DAILY = 0.25 * A_DAILY + 0.75 * B_DAILY
MEANS = np.convolve(A_DAILY - B_DAILY, np.full(5, 0.2), "valid")
RET20, RET1 = call("ret", IT, days(20)), call("ret", IT, days(1))
MAP = {
    (True, True): Quadrant.LEADING,
    (True, False): Quadrant.WEAKENING,
    (False, False): Quadrant.LAGGING,
    (False, True): Quadrant.IMPROVING,
}


EXPECTED = {
    "price": (PRICE, CLOSES[-1, 0]),
    "price of a basket": (call("price", PAIR), 100 * INDEX),
    "bid": (call("bid", A), BIDS[0]),
    "ask": (call("ask", A), ASKS[0]),
    "bid of a basket": (call("bid", PAIR), 100 * BID_INDEX),
    "quoted_spread": (call("quoted_spread", A), 0.03 / (CLOSES[-1, 0] + 0.005)),
    "volume": (call("volume", A, days(3)), VOLUMES[-3:, 0].sum()),
    "volume of a basket": (call("volume", PAIR, days(3)), VOLUMES[-3:, :2].sum()),
    "volume's samples": (call("mean", call("volume", A, days(1)), days(5)), VOLUMES[-5:, 0].mean()),
    "rel_volume": (call("rel_volume", A, days(10)), VOLUMES[-1, 0] / VOLUMES[-11:-1, 0].mean()),
    "age": (call("age", A), 1e9),
    "age of a basket": (call("age", PAIR), 3e9),
    "ret": (RET, A_DAILY[-1]),
    "ret of a basket": (call("ret", PAIR, days(5)), 0.25 * grown(5)[0] + 0.75 * grown(5)[1] - 1),
    "excess": (call("excess", A, B, days(1)), A_DAILY[-1] - B_DAILY[-1]),
    "ratio": (call("ratio", A, B), CLOSES[-1, 0] / CLOSES[-1, 1]),
    "mean": (call("mean", PRICE, days(20)), A_PRICES[-20:].mean()),
    "std": (call("std", PRICE, days(20)), A_PRICES[-20:].std(ddof=1)),
    "min": (call("min", PRICE, days(20)), A_PRICES[-20:].min()),
    "max": (call("max", PRICE, days(20)), A_PRICES[-20:].max()),
    "sum": (call("sum", RET, days(20)), A_DAILY[-20:].sum()),
    "median": (call("median", PRICE, days(20)), np.median(A_PRICES[-20:])),
    "ema": (call("ema", PRICE, days(1)), A_PRICES[-1]),
    "slope": (call("slope", PRICE, days(20)), np.polyfit(np.arange(20), A_PRICES[-20:], 1)[0]),
    "change": (call("change", PRICE, days(5)), A_PRICES[-1] - A_PRICES[-6]),
    "zscore": (call("zscore", RET, days(60)), (A_DAILY[-1] - A_DAILY[-61:-1].mean()) / A_DAILY[-61:-1].std(ddof=1)),
    "percentile": (call("percentile", RET, days(60)), share_below(A_DAILY[-61:-1], A_DAILY[-1])),
    "crosses_above": (call("crosses_above", PRICE, MIDWAY, days(5)), A_PRICES[-1] > A_PRICES[-6]),
    "crosses_below": (call("crosses_below", PRICE, MIDWAY, days(5)), A_PRICES[-1] < A_PRICES[-6]),
    "streak": (call("streak", above(PRICE, number(0))), 120),
    "held": (call("held", above(RET, number(0)), number(UPS), days(10)), 1),
    "held once more": (call("held", above(RET, number(0)), number(UPS + 1), days(10)), 0),
    "then": (call("then", above(RET, number(np.max(A_DAILY[-11:-1]) - 1e-9)), above(PRICE, number(0)), days(10)), 1),
    "then not": (call("then", above(RET, number(np.max(A_DAILY[-11:-1]))), above(PRICE, number(0)), days(10)), 0),
    "vol": (call("vol", A, days(20)), A_DAILY[-20:].std(ddof=1) * np.sqrt(252)),
    "beta": (call("beta", A, B, days(60)), np.cov(A_DAILY[-60:], B_DAILY[-60:])[0, 1] / B_DAILY[-60:].var(ddof=1)),
    "corr": (call("corr", A, PAIR, days(60)), np.corrcoef(A_DAILY[-60:], PAIR_DAILY[-60:])[0, 1]),
    "drawdown": (call("drawdown", A, days(60)), A_PRICES[-1] / A_PRICES[-60:].max() - 1),
    "count": (call("count", ALL, above(call("ret", IT, days(20)), number(0))), (R20 > 0).sum()),
    "share": (call("share", ALL, above(call("ret", IT, days(20)), number(0))), (R20 > 0).mean()),
    "avg": (call("avg", ALL, call("ret", IT, days(20))), R20.mean()),
    "med": (call("med", ALL, call("ret", IT, days(20))), np.median(R20)),
    "stdev": (call("stdev", ALL, call("ret", IT, days(20))), R20.std(ddof=1)),
    "best": (call("best", ALL, call("ret", IT, days(20))), R20.max()),
    "worst": (call("worst", ALL, call("ret", IT, days(20))), R20.min()),
    "spread": (call("spread", ALL, call("ret", IT, days(20))), R20.max() - R20.min()),
    "rank": (call("rank", C, ALL, call("ret", IT, days(20))), 1 + (R20[2] < R20).sum()),
    "rank_corr": (call("rank_corr", ALL, RET20, RET1), np.corrcoef(places(R20), places(DAILY[-1]))[0, 1]),
    "rs_ratio": (call("rs_ratio", A, B, days(20)), RATIOS[-1]),
    "rs_momentum": (call("rs_momentum", A, B, days(20)), standing(MOMENTUM, 20)),
    "quadrant": (
        call("quadrant", A, B, days(20)),
        MAP[RATIOS[-1] >= 100, standing(MOMENTUM, 20) >= 100],
    ),
    "reversal": (
        call("reversal", A, B, days(60), days(10), number(0.001)),
        (CLOSES[-11, 0] / CLOSES[-71, 0] - CLOSES[-11, 1] / CLOSES[-71, 1] > 0.001)
        and (CLOSES[-1, 0] / CLOSES[-11, 0] - CLOSES[-1, 1] / CLOSES[-11, 1] < -0.001),
    ),
    "value": (call("value", Series("cape")), SERIES[0, -1]),
    "value's samples": (call("mean", call("value", Series("cape")), days(12)), SERIES[0, -12:].mean()),
    "nested": (
        call("zscore", call("mean", call("excess", A, B, days(1)), days(5)), days(20)),
        (MEANS[-1] - MEANS[-21:-1].mean()) / MEANS[-21:-1].std(ddof=1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_a_function_is_its_definition(name):
    expr, expected = EXPECTED[name]
    assert value(expr) == pytest.approx(float(expected), rel=1e-9)


def test_every_function_of_the_table_can_be_evaluated_and_is_looked_at_here():
    assert set(FUNCTIONS) == set(LOWERINGS)
    assert set(EXPECTED) >= set(FUNCTIONS)


def compiled():
    compiler = Compiler(7 * 60 * MINUTE)
    slots = [compiler.slot(expr) for expr, _ in EXPECTED.values()]
    return compiler.plan(), slots


def test_many_views_at_once_are_each_alone():
    plan, slots = compiled()
    views = [arranged(VIEW.at_close(back), plan.requirements.instruments) for back in range(80, 0, -1)]
    one, many = Evaluator(plan), Evaluator(plan)
    alone = np.array([one.evaluate(view)[slots].copy() for view in views]).T
    together = np.concatenate([values[slots].reshape(len(slots), -1) for values in many.evaluate_many(views)], axis=1)
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(one.evaluate(views[-1]), many.evaluate(views[-1]))


def test_a_life_through_sessions_equals_a_rebuild():
    plan, slots = compiled()
    lived = Evaluator(plan)
    for back in range(30, 0, -1):
        view = arranged(VIEW.at_close(back), plan.requirements.instruments)
        np.testing.assert_array_equal(lived.evaluate(view)[slots], Evaluator(plan).evaluate(view)[slots])
