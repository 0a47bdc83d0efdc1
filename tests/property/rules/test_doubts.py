"""What is said to be impossible never happens: conditions at the edges of what functions can give, on random closes."""

from __future__ import annotations

import datetime as dt
import random
from functools import cache

import numpy as np
import pandas as pd
import pytest

from rules.certainty import Certainty
from rules.doubts import doubt_of_until, doubts
from rules.load import load_texts, parse_expression
from rules.ruleset import Formula, RuleSet
from tests.property.rules.reference import Market

SYMBOLS = ("AA", "BB", "CC", "DD", "EE")
DEFINITIONS = "baskets: {two: [AA, BB]}\nuniverses: {all: [AA, BB, CC, DD, EE], some: [AA, CC, two]}\n"
UP = "ret(it, 1d) > 0"
VALUES = {
    "ratio": (
        ("ret(AA, 1d)", "ret(two, 3d)", "excess(AA, BB, 2d)", "ret(AA, 2d) - ret(BB, 2d)", "-excess(BB, AA, 2d)",
         "percentile(ret(AA, 1d), 5d)", f"share(all, {UP})", "drawdown(AA, 5d)", "vol(AA, 5d)", "-drawdown(two, 3d)",
         f"std(share(all, {UP}), 3d)", "change(drawdown(AA, 5d), 2d)", "spread(some, drawdown(it, 3d))",
         f"mean(share(some, {UP}), 3d) * 2", "best(all, percentile(ret(it, 1d), 3d))", f"sum(share(all, {UP}), 3d)"),
        ("0", "100%", "-100%", "50%", "1%", "-1%", "70%", "72%", "200%", "300%"),
    ),
    "score": (
        ("corr(AA, BB, 3d)", "rank_corr(all, ret(it, 1d), ret(it, 3d))", "rs_ratio(AA, BB, 4d)", "ratio(AA, CC)",
         "rs_momentum(AA, BB, 3d)", "zscore(ret(AA, 1d), 5d)", "beta(AA, BB, 3d)", "1 / ratio(AA, CC)",
         "slope(corr(AA, BB, 3d), 4d)", "ema(corr(AA, BB, 3d), 2d)"),
        ("0", "1", "-1", "100", "101.5", "98.5", "101.1", "0.5", "2"),
    ),
    "count": (
        (f"streak({UP.replace('it', 'AA')})", f"count(some, {UP})", "rank(AA, all, ret(it, 2d))",
         "rank(AA, some, price(it))", "sum(rank(AA, all, ret(it, 2d)), 3d)", f"-count(all, {UP})",
         "max(rank(AA, all, ret(it, 2d)), 3d) - 3", f"median(count(some, {UP}), 4d)"),
        ("0", "1", "2", "3", "4", "5", "2.5", "-5", "15", "16"),
    ),
}  # fmt: skip
QUADRANT = "quadrant(AA, BB, 4d)"


@cache
def names() -> RuleSet:
    loaded = load_texts({"a.yaml": DEFINITIONS})
    assert loaded.ruleset is not None
    return loaded.ruleset


@cache
def market(seed: int) -> Market:
    """Wild closes, some missing and some that stand still."""
    generator = np.random.default_rng(seed)
    dates = [dt.date(2026, 1, 5) + dt.timedelta(days=d) for d in range(40)]
    steps = generator.normal(0, 0.3, (len(dates), len(SYMBOLS))) * (generator.random((len(dates), 1)) > 0.2)
    closes = np.round(100 * np.exp(np.cumsum(steps, axis=0)), 2)
    closes[generator.random(closes.shape) < 0.03] = np.nan
    frame = pd.DataFrame(closes, index=dates, columns=list(SYMBOLS))
    return Market(dates, frame, frame * 0 + 1_000)


def comparison(dice: random.Random) -> str:
    """At an edge, mostly; every other one of the few values that come again and again."""
    if dice.random() < 0.1:
        return f"{QUADRANT} {dice.choice(['==', '!='])} {dice.choice(['leading', 'weakening', 'lagging', 'improving'])}"
    values, levels = VALUES[dice.choice(list(VALUES))]
    value = dice.choice(values[2:5] if dice.random() < 0.5 else values)
    other = dice.choice(levels if dice.random() < 0.8 else values)
    op = dice.choice(["<", "<=", ">", ">=", "==", "!="])
    return f"{other} {op} {value}" if dice.random() < 0.2 else f"{value} {op} {other}"


def condition(dice: random.Random, depth: int) -> str:
    match dice.randrange(9) if depth else 8:
        case 0 | 1 | 2:
            return f" {dice.choice(['and', 'or'])} ".join(f"({condition(dice, depth - 1)})" for _ in range(2))
        case 3:
            return f"not ({condition(dice, depth - 1)})"
        case 4:
            values, levels = VALUES[dice.choice(list(VALUES))]
            return f"crosses_{dice.choice(['above', 'below'])}({dice.choice(values)}, {dice.choice(levels)}, 1d)"
        case 5:
            return f"then({condition(dice, depth - 1)}, {condition(dice, depth - 1)}, 2d)"
        case 6:
            return f"held({condition(dice, depth - 1)}, {dice.randint(1, 3)}, 3d)"
        case _:
            return comparison(dice)


def formula(text: str) -> Formula:
    return parse_expression(text, names())


def seen(of: Formula) -> set[float]:
    return {float(v) for seed in range(3) for v in market(seed).values(of.expr) if not np.isnan(v)}


@pytest.mark.parametrize("block", range(8))
def test_what_cannot_be_never_is(block: int) -> None:
    dice = random.Random(block)
    claims = 0
    for _ in range(150):
        text = condition(dice, dice.choice([0, 0, 1, 1, 2]))
        looked_at = formula(text)
        impossible = {float(v) for v in (True, False) if not Certainty().can_be(looked_at.expr, value=v)}
        claims += len(impossible)
        assert not impossible & seen(looked_at), text
        assert not impossible or doubts(looked_at), text
    assert claims >= 15


def test_an_until_that_is_said_to_hold_with_when_does() -> None:
    dice = random.Random(0)
    claims = 0
    for _ in range(600):
        value = dice.choice(VALUES["ratio"][0][:6])
        parts = [f"{value} {dice.choice(['<', '<=', '>', '>='])} {dice.randint(-9, 9)}%" for _ in range(2)]
        when = formula(f"{parts[0]} and {comparison(dice)}" if dice.random() < 0.3 else parts[0])
        until = formula(parts[1])
        doubt = doubt_of_until(when, until)
        if doubt is not None and "whenever" in doubt.message:
            claims += 1
            for seed in range(3):
                both = zip(market(seed).values(when.expr), market(seed).values(until.expr), strict=True)
                assert (1.0, 0.0) not in both, (when.text, until.text)
    assert claims > 20
