"""Many views at once decide what each alone does, wherever the chunks end; histories kept up are those built anew."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import BARS, TIME
from monitor.calendar import MINUTE, TradingCalendar
from monitor.ingest import CleanBatch
from monitor.state import MarketState
from rules.engine import Engine
from rules.evaluator import Evaluator
from rules.load import load_texts
from rules.plan import Compiler
from rules.ruleset import RuleSet
from rules.view import Floats, Requirements, View

CALENDAR = TradingCalendar("XNYS")
NAMES = ("AAA", "BBB", "CCC")
FIRST = CALENDAR.ordinal_on_or_before(dt.date(2026, 1, 5))
GAP = 120 * MINUTE
CONDITIONS = (
    "ret(AAA, 1d) > 0",
    "zscore(ret(AAA, 1d) - ret(BBB, 1d), 5d) > 1",
    "percentile(price(BBB), 6d) > 50%",
    "mean(ret(CCC, 30m), 20m) > 0",
    "zscore(price(AAA), 15m) > 1.5",
    "zscore(mean(ret(BBB, 2d), 3d), 4d) < 0",
    "median(ret(CCC, open), 10m) > 0",
    "held(ret(AAA, 1d) > 0, 3, 5d)",
    "streak(ret(BBB, 1d) > 0) >= 2",
    "then(ret(AAA, 5m) > 50bp, ret(AAA, 5m) < 0, 30m)",
    "crosses_above(ret(CCC, 10m), 10bp, 5m)",
    "corr(AAA, BBB, 5d) > 0",
    "slope(ret(AAA, 1d), 4d) > 0",
    "ema(ret(AAA, 1d), 3d) > 0",
    "drawdown(AAA, 20m) < -50bp",
    "rank(AAA, every, ret(it, 1d)) == 1",
    "share(every, ret(it, 10m) > 0) > 50%",
    "rank_corr(every, ret(it, 1d), ret(it, 2d)) < 0",
    "spread(every, ret(it, wtd)) > 1%",
    "rs_momentum(AAA, BBB, 4d) > 100",
    "ret(pair, 2d) > 0",
    "mean(count(every, ret(it, 1d) > 0), 3d) > 1",
)
KEYS = ("", "for: 2m", "for: 7h", "keep_firing_for: 3m", "no_data: resolve, no_data_for: 1m", "on_close: reset",
        "on_close: resolve", "no_data: alert, no_data_for: 2m", "for: 1m, on_close: reset, keep_firing_for: 1h",
        "hours: always, for: 1h", "hours: extended")  # fmt: skip


@dataclass(frozen=True)
class Made:
    """What a market and its rules are made from: a day's history is imported again before each batch of `revisions`."""

    seed: int
    rules: tuple[tuple[str, str], ...]
    days: int
    steps: int
    revisions: frozenset[int]
    chunk: int


MADE = st.builds(
    Made,
    seed=st.integers(0, 2**32),
    rules=st.lists(st.tuples(st.sampled_from(CONDITIONS), st.sampled_from(KEYS)), min_size=1, max_size=8).map(tuple),
    days=st.integers(1, 4),
    steps=st.integers(2, 12),
    revisions=st.frozensets(st.integers(1, 40), max_size=2),
    chunk=st.integers(1, 30),
)


def ruleset_of(made: Made) -> RuleSet:
    rules = "\n".join(
        f"      - {{alert: r{n}, when: '{when}'{', ' if keys else ''}{keys}}}"
        for n, (when, keys) in enumerate(made.rules)
    )
    text = (
        "version: 1\nbaskets: {pair: [AAA, BBB]}\nuniverses: {every: [AAA, BBB, CCC]}\n"
        f"groups:\n  - name: all\n    rules:\n{rules}\n"
    )
    loaded = load_texts({"rules": text})
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


def history(seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    days = CALENDAR.dates[FIRST - 40 : FIRST]
    closes = 100 * np.exp(rng.normal(0, 0.01, (len(days), len(NAMES))).cumsum(axis=0))
    return pl.DataFrame({"ts": np.repeat(days, len(NAMES)), "symbol": list(NAMES) * len(days), "close": closes.ravel()})


def views(made: Made, needs: Requirements) -> Iterator[View]:
    """Minute bars at random times of some sessions, some instruments missing, some late into the night."""
    rng = np.random.default_rng(made.seed)
    state = MarketState(CALENDAR, sessions=60, record_bars=False)
    state.needs(needs)
    state.import_sessions(history(made.seed))
    prices, number = np.full(len(NAMES), 100.0), 0
    for session in range(FIRST, FIRST + made.days):
        opened = CALENDAR.open_ns(session)
        for minute in np.unique(rng.integers(1, 391 + 60, made.steps)).tolist():
            number += 1
            if number in made.revisions:
                state.import_sessions(history(made.seed + number))
            prices = prices * np.exp(rng.normal(0, 0.004, len(NAMES)))
            there = rng.random(len(NAMES)) < 0.8
            end = opened + minute * MINUTE
            names = [name for name, here in zip(NAMES, there, strict=True) if here]
            if names:
                close = prices[there]
                rows = {"ts": [end - MINUTE] * len(names), "end": [end] * len(names), "symbol": names, "open": close}
                bars = pl.DataFrame(rows | {"high": close, "low": close, "close": close, "volume": close})
                bars = bars.with_columns(pl.col("ts", "end").cast(TIME))
                state.apply(CleanBatch(bars=bars.cast(dict(BARS)), event_time=end), end)
            else:
                state.advance(end)
            yield state.view(needs.instruments, needs.series)


def engine(made: Made) -> Engine:
    return Engine(ruleset_of(made), CALENDAR, max_gap_ns=GAP, session_ns=CALENDAR.session_ns)


@settings(max_examples=25, deadline=None)
@given(made=MADE)
def test_chunks_decide_what_single_evaluations_decide(made: Made) -> None:
    alone, together = engine(made), engine(made)
    one_by_one = [repr(t) for view in views(made, alone.requirements) for t in alone.evaluate(view).transitions]
    together._evaluator._rows_at_once = made.chunk
    assert [repr(t) for t in together.transitions(views(made, together.requirements))] == one_by_one


def values_of(made: Made) -> tuple[Compiler, list[int]]:
    compiler = Compiler(CALENDAR.session_ns)
    return compiler, [compiler.slot(rule.when.expr) for rule in ruleset_of(made).alerts]


@settings(max_examples=25, deadline=None)
@given(made=MADE)
def test_chunks_have_the_values_of_single_evaluations(made: Made) -> None:
    plan = values_of(made)[0].plan()
    alone, together = Evaluator(plan), Evaluator(plan)
    together._rows_at_once = made.chunk
    one_by_one = np.array([alone.evaluate(view).copy() for view in views(made, plan.requirements)]).T
    found: list[Floats] = [
        v.reshape(plan.size, -1).copy() for v in together.evaluate_many(views(made, plan.requirements))
    ]
    np.testing.assert_allclose(np.concatenate(found, axis=1), one_by_one, rtol=1e-12, atol=1e-15)


@settings(max_examples=25, deadline=None)
@given(made=MADE, upto=st.integers(1, 40))
def test_histories_kept_up_are_those_built_anew(made: Made, upto: int) -> None:
    plan = values_of(made)[0].plan()
    kept = Evaluator(plan)
    for view in islice(views(made, plan.requirements), upto):
        values = kept.evaluate(view)
        np.testing.assert_allclose(values, Evaluator(plan).evaluate(view), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_of_these_tests_is_known_at_some_time(condition: str) -> None:
    made = Made(7, ((condition, ""),), 4, 12, frozenset(), 10)
    compiler, (slot,) = values_of(made)
    plan = compiler.plan()
    evaluator = Evaluator(plan)
    assert any(not np.isnan(evaluator.evaluate(view)[slot]) for view in views(made, plan.requirements))
