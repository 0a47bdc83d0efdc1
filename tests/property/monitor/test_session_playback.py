"""Session closes read from tables say what the state says that is played the same closes one by one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.batch import BARS, SERIES, TIME, Batch
from monitor.backtest import SESSIONS, Backtest, Playback, Recording
from monitor.calendar import TradingCalendar
from rules.evaluator import Evaluator
from rules.load import load_rules, parse_expression
from rules.plan import Compiler
from rules.ruleset import RuleSet

CALENDAR = TradingCalendar("XNYS")
NAMES = ("AAA", "BBB", "CCC", "DDD")
FIRST = CALENDAR.ordinal_on_or_before(dt.date(2019, 11, 1))
EXPRESSIONS = (
    "price(AAA)", "bid(AAA)", "age(DDD)", "ret(AAA, 1d)", "ret(BBB, 5d)", "ret(CCC, open)", "ret(DDD, wtd)",
    "ret(AAA, mtd)", "ret(AAA, qtd)", "ret(BBB, ytd)", "ret(CCC, 2019-12-31)", "ret(DDD, 2020-02-28)", "price(pair)",
    "ret(pair, 3d)", "volume(AAA, 1d)", "volume(BBB, 5d)", "volume(CCC, mtd)", "volume(DDD, open)",
    "rel_volume(AAA, 5d)", "zscore(ret(AAA, 1d) - ret(BBB, 1d), 10d)", "mean(rel_volume(BBB, 3d), 4d)",
    "max(volume(CCC, 2d), 5d)",
    "value(yield)", "change(value(yield), 5d)", "drawdown(AAA, 20d)", "median(ret(CCC, open), 6d)",
    "zscore(mean(ret(AAA, 2d), 4d), 6d)", "rs_momentum(AAA, BBB, 8d)", "streak(ret(DDD, 1d) > 0)",
)  # fmt: skip
RULES = """
version: 1
baskets: {pair: [AAA, BBB]}
universes: {every: [AAA, BBB, CCC, DDD]}
groups:
  - name: all
    rules:
      - {alert: up, each: every, when: "ret(it, 1d) > 1%", until: "ret(it, 1d) < 0", no_data: resolve, no_data_for: 1s}
      - {alert: slow, each: every, when: "ret(it, 3d) > 0", for: 7h, keep_firing_for: 8h, on_close: freeze}
      - {alert: reset, when: "mean(ret(AAA, 1d), 3d) > 0", for: 7h, on_close: reset}
      - {alert: gone, when: "zscore(price(CCC), 5d) > 1", on_close: resolve}
      - {alert: silent, when: "ret(DDD, 2d) > 5%", no_data: alert, no_data_for: 1s}
      - {alert: breadth, when: "share(every, ret(it, 1d) > 0) > 50% and rank(AAA, every, ret(it, 5d)) == 1"}
      - {alert: busy, when: "rel_volume(AAA, 3d) > 1.2 or value(yield) > 2"}
"""


@pytest.fixture(scope="module")
def ruleset(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    path: Path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(RULES)
    loaded = load_rules([path])
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


@dataclass(frozen=True)
class Made:
    """What a recording is made from."""

    seed: int
    sessions: int
    missing: float
    history_from: int
    history: int


A_HOLE = Made(seed=74, sessions=5, missing=0.0, history_from=-11, history=1)
"""One session of history, further back than any window keeps, and none until the first that is played."""

MADE = st.builds(
    Made,
    seed=st.integers(0, 2**32),
    sessions=st.integers(2, 90),
    missing=st.sampled_from([0.0, 0.1, 0.5]),
    history_from=st.integers(-60, 90),
    history=st.integers(0, 60),
)


def recording_of(made: Made) -> Recording:
    """Bars with gaps, some history before, under and after them, and a series published now and then."""
    rng, sessions, missing = np.random.default_rng(made.seed), made.sessions, made.missing
    bars = _table(rng, FIRST, sessions, missing)
    ordinals = bars["session"].to_numpy()
    played = bars.select(
        ts=pl.Series(CALENDAR.opens[ordinals]).cast(TIME), end=pl.Series(CALENDAR.closes[ordinals]).cast(TIME),
        symbol="symbol", open="open", high=pl.max_horizontal("open", "close"), low=pl.min_horizontal("open", "close"),
        close="close", volume="volume",
    ).cast(dict(BARS))  # fmt: skip
    past = _table(rng, FIRST + made.history_from, made.history, missing)
    days = pl.Series(CALENDAR.dates[past["session"].to_numpy()]).cast(pl.Date)
    history = past.select(ts=days, symbol="symbol", open="open", close="close", volume="volume")
    times = np.sort(rng.integers(CALENDAR.opens[FIRST - 20], CALENDAR.closes[FIRST + 80], 30))
    series = pl.DataFrame({"ts": times, "series": ["yield"] * 30, "value": rng.normal(2, 1, 30)}).cast(dict(SERIES))
    one_by_one = (
        Batch("data", int(CALENDAR.closes[s]), bars=played.filter(pl.Series(ordinals == s)))
        for s in np.unique(ordinals)
    )
    return Recording(list(one_by_one), SESSIONS.stale_after_ns, history, series, sessions=played)


def _table(rng: np.random.Generator, first: int, sessions: int, missing: float) -> pl.DataFrame:
    steps = rng.normal(0, 0.02, (sessions, len(NAMES))).cumsum(axis=0)
    frame = pl.DataFrame(
        {
            "session": np.repeat(np.arange(first, first + sessions), len(NAMES)),
            "symbol": list(NAMES) * sessions,
            "close": np.round(100 * np.exp(steps), 2).ravel(),
            "volume": rng.integers(0, 1000, sessions * len(NAMES)).astype(float),
            "keep": rng.random(sessions * len(NAMES)) >= missing,
            "silent": rng.random(sessions * len(NAMES)) < 0.05,
        },
        schema_overrides={"symbol": pl.String},
    )
    frame = frame.with_columns(open=(pl.col("close") * 1.01), volume=pl.when("silent").then(None).otherwise("volume"))
    return frame.filter(pl.col("keep") | (pl.int_range(pl.len()) == 0))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=MADE, begin=st.integers(0, 30))
@example(made=A_HOLE, begin=0)
def test_the_same_transitions_with_the_same_evidence(ruleset: RuleSet, made: Made, begin: int) -> None:
    recording, start = recording_of(made), CALENDAR.close_ns(FIRST + begin)
    found = []
    for way in (recording, replace(recording, sessions=None)):
        test = Backtest(ruleset, CALENDAR, SESSIONS)
        playback = Playback(way, CALENDAR, test.engine.requirements)
        found.append([repr(t) for t in test.transitions(playback.instants(start, 2**62))])
    assert found[0] == found[1]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=MADE)
@example(made=A_HOLE)
def test_the_same_values(ruleset: RuleSet, made: Made) -> None:
    recording = recording_of(made)
    compiler = Compiler(CALENDAR.session_ns)
    slots = [compiler.slot(parse_expression(text, ruleset).expr) for text in EXPRESSIONS]
    plan = compiler.plan()
    found = []
    for way in (recording, replace(recording, sessions=None)):
        views = Playback(way, CALENDAR, plan.requirements).instants(0, 2**62)
        chunks = [values.reshape(plan.size, -1)[slots] for values in Evaluator(plan).evaluate_many(views)]
        found.append(np.concatenate(chunks, axis=1))
    for text, tables, state in zip(EXPRESSIONS, *found, strict=True):
        np.testing.assert_allclose(tables, state, rtol=1e-12, err_msg=text)
