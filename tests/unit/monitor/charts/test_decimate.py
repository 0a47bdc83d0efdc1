from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.charts.decimate import decimated, runs

heights = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))


@given(st.integers(0, 400).flatmap(lambda n: arrays(np.float64, n, elements=heights)), st.integers(1, 40))
def test_no_peak_is_lost_and_nothing_is_invented(y, columns):
    x = np.arange(len(y), dtype=np.float64)
    pieces = decimated(x, y, 1.5, 0.0, float(max(len(y) - 1, 1)), columns)
    kept = {(a, b) for px, py in pieces for a, b in zip(px.tolist(), py.tolist(), strict=True)}
    assert kept <= set(zip(x.tolist(), y.tolist(), strict=True))
    known = y[np.isfinite(y)]
    if len(known):
        drawn = np.concatenate([py for _, py in pieces])
        assert (drawn.min(), drawn.max()) == (known.min(), known.max())
        assert all((np.diff(px) > 0).all() for px, _ in pieces)
    else:
        assert pieces == []


@given(st.integers(1, 200).flatmap(lambda n: arrays(np.float64, n, elements=heights)))
def test_a_line_is_broken_where_and_only_where_a_value_is_unknown(y):
    pieces = decimated(np.arange(len(y), dtype=np.float64), y, 1.5, 0.0, float(max(len(y) - 1, 1)), 5)
    assert len(pieces) == len([run for run in np.split(y, np.flatnonzero(np.isnan(y))) if np.isfinite(run).any()])


def test_a_long_series_becomes_as_short_as_its_columns():
    y = np.sin(np.arange(100_000) / 7.0)
    ((x, _),) = decimated(np.arange(100_000.0), y, 1.5, 0.0, 99_999.0, 500)
    assert 500 <= len(x) <= 2 * 501 + 2


def test_a_hole_in_time_breaks_the_line():
    assert runs(np.array([0.0, 1, 2, 30, 31]), np.zeros(5), 6.5).tolist() == [0, 0, 0, 1, 1]


def test_only_what_is_shown_is_drawn():
    ((x, _),) = decimated(np.arange(10.0), np.arange(10.0), 1.5, 3.0, 6.0, 100)
    assert x.tolist() == [3, 4, 5, 6]
