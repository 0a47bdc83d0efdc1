"""Which closes of sessions are believed as they come: as by a plain model, in any batches, whatever comes later."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from monitor.ingest import TruthFilter, TruthSettings
from tests.unit.monitor.ingest.frames import bars, batch

DAY = 86_400
MOVES = st.sampled_from([1.0, 1.02, 0.97, 1.4, 0.6, 3.0, 10.0, 0.1, 100.0])
SESSIONS = st.lists(st.tuples(MOVES, MOVES, st.sampled_from([1, 1, 1, 4, 20])), min_size=1, max_size=60)


def rows_of(sessions):
    """Closes of two instruments: each move holds from then on or is of that session alone; days may be missing."""
    day, prices, rows = 0, [100.0, 40.0], []
    for one, other, days in sessions:
        day += days
        for at, (symbol, move) in enumerate((("A", one), ("B", other))):
            rows.append((day * DAY, day * DAY + 6.5 * 3600, symbol, prices[at] * move))
            if move in {1.02, 0.97, 3.0} or days == 4:
                prices[at] *= move
    return rows


def model(rows):
    """What is believed, one row at a time."""
    known, kept = {}, []
    for _, end, symbol, close in rows:
        last, then, moves, waits = known.setdefault(symbol, [math.nan, -math.inf, [], math.nan])
        near = not math.isnan(last) and end - then <= 14 * DAY
        bound = math.log(5)
        if len(moves) >= 16:
            bound = min(math.log(8), max(bound, 20 * median(moves[-32:])))
        move = abs(math.log(close / last)) if near else math.nan
        agrees = abs(math.log(close / waits)) <= math.log(5) if waits > 0 else False
        if near and move > bound and not agrees:
            known[symbol][3] = close
            continue
        if near and move <= bound:
            moves.append(move)
        known[symbol] = [close, end, moves, math.nan]
        kept.append((symbol, end, close))
    return kept


def filtered(rows, cuts):
    truth = TruthFilter(TruthSettings(recorded=True))
    edges = [0, *sorted(cut % len(rows) for cut in cuts), len(rows)]
    parts = [truth.clean(batch(bars=bars(*rows[a:b]))).bars for a, b in pairwise(edges) if a < b]
    frame = pl.concat(parts)
    return list(zip(frame["symbol"], frame["close"], strict=True))


@given(SESSIONS, st.lists(st.integers(0, 200), max_size=4), st.integers(1, 120))
def test_the_filter_is_the_model_in_any_batches_and_what_comes_later_changes_nothing(sessions, cuts, length):
    rows = rows_of(sessions)
    whole = filtered(rows, cuts)
    assert whole == [(symbol, close) for symbol, _, close in model(rows)]
    before = filtered(rows[:length], cuts)
    assert before == whole[: len(before)]
