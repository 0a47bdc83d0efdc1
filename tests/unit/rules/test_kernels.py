"""Every window kernel against plain loops over the samples, written from the definitions."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest

from rules.kernels import KERNELS

N = 10


def known(window):
    return [v for v in window if not math.isnan(v)]


def enough(window, samples=N):
    return len(known(window)) >= 0.8 * samples - 1e-9


def of_known(function, minimum=1):
    def reference(past, current):
        window = [*past[-(N - 1) :], current]
        values = known(window)
        return function(values) if enough(window) and len(values) >= minimum else math.nan

    return reference


def ema(past, current):
    window = known([*past[-(4 * N - 1) :], current])
    if len(window) < 0.8 * 4 * N:
        return math.nan
    mean, *others = window
    for value in others:
        mean += 2 / (N + 1) * (value - mean)
    return mean


def slope(past, current):
    window = [*past[-(N - 1) :], current]
    known = [t for t, v in enumerate(window) if not math.isnan(v)]
    return float(np.polyfit(known, [window[t] for t in known], 1)[0]) if enough(window) else math.nan


def zscore(past, current):
    window = past[-N:]
    values = known(window)
    if not enough(window) or statistics.stdev(values) == 0:
        return math.nan
    if math.isnan(current):
        return math.nan
    exact = [Fraction(v) for v in values]
    return float(Fraction(current) - sum(exact) / len(exact)) / statistics.stdev(values)


def percentile(past, current):
    window = past[-N:]
    if not enough(window) or math.isnan(current):
        return math.nan
    return sum((v < current) + 0.5 * (v == current) for v in known(window)) / len(known(window))


def streak(past, current):
    if math.isnan(current):
        return math.nan
    count = 0
    for value in reversed([*past[-N:], current]):
        if value != 1:
            break
        count += 1
    return min(count, N)


REFERENCES = {
    "mean": of_known(statistics.fmean),
    "sum": of_known(math.fsum),
    "min": of_known(min),
    "max": of_known(max),
    "std": of_known(statistics.stdev, 2),
    "median": of_known(statistics.median),
    "ema": ema,
    "slope": slope,
    "zscore": zscore,
    "percentile": percentile,
    "lag": lambda past, _current: past[-N],
}


def joined(op, past, current, samples=N):
    """The kernel's value; `past` and `current` are one series, or two."""
    kernel = KERNELS[op]
    histories = tuple(np.array([p[len(p) - kernel.length(samples) :]]) for p in past)
    with np.errstate(all="ignore"):
        summary = kernel.past(histories, samples)
        return kernel.present(summary, tuple(np.array([c]) for c in current), samples)[0]


def series(rng, length=4 * N, gaps=0.1):
    values = rng.normal(0, 1, length)
    values[rng.random(length) < gaps] = np.nan
    return values.tolist()


@pytest.mark.parametrize("op", REFERENCES)
@pytest.mark.parametrize("gaps", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_kernel_is_its_definition(op, gaps, offset):
    rng = np.random.default_rng(17)
    some_known = False
    for _ in range(60):
        *past, current = [v + offset for v in series(rng, 4 * N + 1, gaps)]
        expected = REFERENCES[op](past, current)
        tolerance = 1e-9 * (1 if op != "slope" or not offset else 1e3)  # polyfit itself is no better at an offset
        got = joined(op, [past], [current])
        assert got == pytest.approx(expected, rel=tolerance, abs=1e-12 + offset * 1e-16, nan_ok=True)
        some_known |= not math.isnan(expected)
    assert some_known


@pytest.mark.parametrize("op", ["percentile", "median", "min", "max"])
def test_ties_are_counted(op):
    rng = np.random.default_rng(5)
    for _ in range(60):
        *past, current = np.where(np.isnan(v := np.array(series(rng, 4 * N + 1))), v, np.round(v)).tolist()
        assert joined(op, [past], [current]) == pytest.approx(REFERENCES[op](past, current), nan_ok=True)


@pytest.mark.parametrize("chance", [0.3, 0.9, 1.0])
def test_a_streak_counts_back_from_now(chance):
    rng = np.random.default_rng(3)
    for _ in range(60):
        *past, current = rng.choice([0.0, 1.0, np.nan], 2 * N, p=[(1 - chance) / 2, chance, (1 - chance) / 2]).tolist()
        assert joined("streak", [past], [current]) == pytest.approx(streak(past, current), nan_ok=True)


@pytest.mark.parametrize("op", ["beta", "corr"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_pairs_are_those_of_which_both_sides_are_known(op, offset):
    rng = np.random.default_rng(29)
    some_known = False
    for _ in range(60):
        x = np.array(series(rng, N, 0.08)) + offset
        y = np.array(series(rng, N, 0.08)) + 0.5 * x
        both = ~np.isnan(x) & ~np.isnan(y)
        expected = math.nan
        if both.sum() >= 0.8 * N:
            c = np.cov(x[both], y[both])
            expected = c[0, 1] / c[1, 1] if op == "beta" else np.corrcoef(x[both], y[both])[0, 1]
            some_known = True
        got = joined(op, [x[:-1], y[:-1]], [x[-1], y[-1]])
        assert got == pytest.approx(expected, rel=1e-8 if offset else 1e-9, nan_ok=True)
    assert some_known


def test_what_never_moves_has_no_deviation_and_nothing_is_measured_with_it():
    flat, moving = [100.1] * N, list(range(N))
    assert joined("std", [flat[:-1]], [100.1]) == 0.0
    assert np.isnan(joined("zscore", [flat], [101.0]))
    assert np.isnan(joined("corr", [flat[:-1], moving[:-1]], [100.1, 9.0]))
    assert np.isnan(joined("corr", [moving[:-1], flat[:-1]], [9.0, 100.1]))
    assert np.isnan(joined("beta", [moving[:-1], flat[:-1]], [9.0, 100.1]))
    assert joined("beta", [flat[:-1], moving[:-1]], [100.1, 9.0]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([0.0] * 9 + [1.0], 1.0, 1.0),
        ([0.0] * 9 + [1.0], 0.0, 0.0),
        ([0.0] * 9 + [1.0], np.nan, np.nan),
        ([0.0] * 10, 1.0, 0.0),
        ([0.0] * 10, np.nan, 0.0),
        ([1.0] * 7 + [np.nan] * 3, 1.0, np.nan),
        ([0.0] * 8 + [np.nan] * 2, 1.0, 0.0),
    ],
)
def test_then_is_kleenes_and_of_before_and_now(before, now, expected):
    assert joined("then", [before], [now]) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("op", [op for op in KERNELS if op not in ("beta", "corr", "then")])
def test_a_window_of_one_sample_is_the_current_value_or_nothing(op):
    expected = {
        "ema": 7.0,
        "slope": np.nan,
        "std": np.nan,
        "zscore": np.nan,
        "percentile": 1.0,
        "lag": 5.0,
        "streak": 0.0,
    }
    assert joined(op, [[5.0] if op != "ema" else [7.0] * 3], [7.0], 1) == pytest.approx(
        expected.get(op, 7.0), nan_ok=True
    )
