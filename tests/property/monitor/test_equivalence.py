"""The same bars decide the same, however they come: a backtest, live in any batches, one view at a time, rebuilt."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import Batch
from monitor.backtest import Backtest, Playback, Recording
from monitor.ingest import Cutter, TruthFilter
from monitor.pipeline import Pipeline
from monitor.state import MarketState
from rules.engine import Engine
from rules.evaluator import Evaluator
from tests.property.monitor.test_no_look_ahead import CASES, NO_HISTORY, calendar, published, ruleset

DRAWN = st.tuples(st.sampled_from(sorted(CASES)), st.integers(0, 2))


def told(transitions):
    return [(t.at, t.alert, t.member, t.old, t.new, t.reason, t.episode, t.value) for t in transitions]


def playback(case, seed, needs):
    _, make, tempo = CASES[case]
    frame = make(seed)
    newest = int(frame["end"].to_physical().max())
    batches = [Batch("f", newest, bars=part) for part in frame.partition_by("end", maintain_order=True)]
    return Playback(Recording(batches, tempo.stale_after_ns, NO_HISTORY, published(seed)), calendar(), needs)


@cache
def in_a_backtest(case, seed):
    text, _, tempo = CASES[case]
    test = Backtest(ruleset(text), calendar(), tempo)
    found = told(test.transitions(playback(case, seed, test.engine.requirements).instants(0, 2**62)))
    assert found
    return found


@settings(max_examples=25, deadline=None)
@given(DRAWN, st.sets(st.integers(1, 400), max_size=30))
def test_live_in_any_batches(drawn, places):
    """Cuts may fall within an instant: it is evaluated once it is whole."""
    case, seed = drawn
    text, make, tempo = CASES[case]
    engine = Engine(ruleset(text), calendar(), max_gap_ns=tempo.max_gap_ns, session_ns=calendar().session_ns)
    state = MarketState(calendar(), stale_after_ns=tempo.stale_after_ns)
    state.needs(engine.requirements)
    state.import_series(published(seed))
    # Every instant is evaluated, as in a backtest.
    pipeline = Pipeline(
        state, engine, TruthFilter(), Cutter(1, hold_last=True), ZoneInfo("America/New_York"), follows_wall=False
    )
    frame, found, now = make(seed), [], 0
    edges = [0, *sorted(p for p in places if p < frame.height), frame.height]
    for start, stop in pairwise(edges):
        part = frame[start:stop]
        now = int(part["end"].to_physical().max())
        results = pipeline.process([Batch("f", now, bars=part)], now)
        while pipeline.waiting:
            results += pipeline.process((), now)
        found += [t for r in results for t in r.transitions]
    found += [t for r in pipeline.flush(now) for t in r.transitions]
    assert told(found) == in_a_backtest(case, seed)


@settings(max_examples=12, deadline=None)
@given(DRAWN)
def test_one_view_at_a_time(drawn):
    case, seed = drawn
    text, _, tempo = CASES[case]
    engine = Engine(ruleset(text), calendar(), max_gap_ns=tempo.max_gap_ns, session_ns=calendar().session_ns)
    views = playback(case, seed, engine.requirements).instants(0, 2**62)
    assert told(t for view in views for t in engine.evaluate(view).transitions) == in_a_backtest(case, seed)


@settings(max_examples=20, deadline=None)
@given(DRAWN, st.floats(0.05, 0.95))
def test_rebuilt_from_bars_as_one_that_lived_through_it(drawn, part):
    case, seed = drawn
    text, make, tempo = CASES[case]
    engine = Engine(ruleset(text), calendar(), max_gap_ns=tempo.max_gap_ns, session_ns=calendar().session_ns)
    lived = Evaluator(engine._evaluator.plan)
    instants = make(seed)["end"].n_unique()
    rebuilt = None
    for n, view in enumerate(playback(case, seed, engine.requirements).instants(0, 2**62)):
        values = lived.evaluate(view).copy()
        if n == int(part * instants):
            rebuilt = Evaluator(lived.plan)
        if rebuilt is not None:
            again = rebuilt.evaluate(view)
            np.testing.assert_allclose(again, values, rtol=1e-9, atol=1e-12)
    assert rebuilt is not None
