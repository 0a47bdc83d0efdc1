"""Pieces do not depend on how the data were batched."""

from __future__ import annotations

import itertools

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import SCHEMAS
from monitor.ingest import CleanBatch, Cutter, cut
from tests.unit.monitor.ingest.frames import SECOND, at, frame

KINDS = ("quotes", "trades", "bars")
STEPS = [0.0, 0.0, 0.1, 0.4, 1.0, 2.5]
Event = tuple[str, float]
"""Kind, and event time in seconds."""


@st.composite
def events(draw: st.DrawFn, steps: list[float]) -> list[Event]:
    time, rows = 0.0, []
    for _ in range(draw(st.integers(1, 40))):
        time += draw(st.sampled_from(steps))
        rows.append((draw(st.sampled_from(KINDS)), time))
    return rows


def batch(rows: list[tuple[int, Event]]) -> CleanBatch:
    """Events numbered by their order, which stands as the price."""
    values = {
        "quotes": [(t, "A", n, n, 1.0, 1.0) for n, (kind, t) in rows if kind == "quotes"],
        "trades": [(t, "A", n, 1.0, n) for n, (kind, t) in rows if kind == "trades"],
        "bars": [(t - 60, t, "A", n, n, n, n, 1.0) for n, (kind, t) in rows if kind == "bars"],
    }
    frames = {kind: frame(SCHEMAS[kind], r) for kind, r in values.items()}
    return CleanBatch(**frames, event_time=max((at(t) for _, (_, t) in rows), default=0))


def batched(rows: list[Event], cuts: set[int]) -> list[CleanBatch]:
    edges = [0, *sorted(c for c in cuts if c < len(rows)), len(rows)]
    return [batch(list(enumerate(rows))[a:b]) for a, b in itertools.pairwise(edges)]


def same(one: list[CleanBatch], other: list[CleanBatch]) -> bool:
    return len(one) == len(other) and all(
        a.event_time == b.event_time and all(a.frames()[k].equals(b.frames()[k]) for k in KINDS)
        for a, b in zip(one, other, strict=True)
    )


def instants(piece: CleanBatch) -> set[int]:
    return {
        t
        for k, c in (("quotes", "ts"), ("trades", "ts"), ("bars", "end"))
        for t in piece.frames()[k][c].to_physical().to_list()
    }


@given(events(STEPS), st.sets(st.integers(1, 39)))
@settings(max_examples=80, deadline=None)
def test_in_order_of_time_batching_changes_nothing(rows, cuts):
    pieces = cut(batched(rows, cuts))
    assert same(pieces, cut(batched(rows, set())))
    cells = [{(t - 1) // SECOND for t in instants(p)} for p in pieces]
    assert all(len(c) == 1 for c in cells)
    assert len({c.pop() for c in cells}) == len(cells), "a cell is one piece"
    assert all(p.event_time == max(instants(p)) for p in pieces)


@given(events([*STEPS, -0.7, -3.0]), st.sets(st.integers(1, 39)), st.booleans())
@settings(max_examples=80, deadline=None)
def test_nothing_is_lost_moved_or_sent_back_in_time(rows, cuts, hold_last):
    cutter = Cutter(hold_last=hold_last)
    parts = batched(rows, cuts)
    pieces = [p for part in parts for p in cutter.cut([part])] + cutter.flush()
    for kind in KINDS:
        assert pl.concat([p.frames()[kind] for p in pieces]).equals(pl.concat([p.frames()[kind] for p in parts]))
    assert [p.event_time for p in pieces] == sorted(p.event_time for p in pieces)
    assert all(p.event_time >= max(instants(p)) for p in pieces)
    assert pieces[-1].event_time == max(at(t) for _, t in rows)


@given(events(STEPS), st.sets(st.integers(1, 39)), st.sets(st.integers(1, 39)))
@settings(max_examples=80, deadline=None)
def test_held_back_an_instant_is_never_divided(rows, cuts, calls):
    cutter = Cutter(hold_last=True)
    parts = batched(rows, cuts)
    edges = [0, *sorted(c for c in calls if c < len(parts)), len(parts)]
    pieces = [p for a, b in itertools.pairwise(edges) for p in cutter.cut(parts[a:b])] + cutter.flush()
    seen = [t for p in pieces for t in instants(p)]
    assert len(seen) == len(set(seen))
    assert all(len({(t - 1) // SECOND for t in instants(p)}) == 1 for p in pieces)
