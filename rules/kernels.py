"""Functions of an expression's samples: what each keeps of the past, and how the present joins it.

Samples are on the last axis, ``(..., length)``, oldest first; unknown samples, and those from before the stored
history, are NaN. A *past* function reduces them to a few arrays, of which the first is the number of known samples; a
*present* function joins the current values to these in a time that does not depend on the window's length. So between
two samples an evaluation costs the same whatever the windows, and the same two functions serve one column of one moment
and all columns of a thousand moments at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rules.steps import QUORUM
from rules.view import Floats

Past = tuple[Floats, ...]

TOLERANCE: Final = 1e-9
"""So that 4 of 5 is 80 % in floating point too."""

ROUNDING: Final = 1e-14
"""A deviation this small against the mean is rounding: the samples are all alike."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A window function.

    `past` is given the histories (one, or two for a pair of series) and the window's number of samples N; `present`
    what `past` gave, the current values of its sources, and N. `length` is how many earlier samples a window of N
    takes. `warm`: unknown until the stored history has them all.
    """

    past: Callable[[tuple[Floats, ...], int], Past]
    present: Callable[[Past, tuple[Floats, ...], int], Floats]
    length: Callable[[int], int]
    warm: bool = True


def _joining(samples: int) -> int:
    """The current value is the newest of the samples."""
    return samples - 1


def _before(samples: int) -> int:
    """The samples are those before the current value."""
    return samples


def ema_samples(samples: int) -> int:
    """How many samples an exponential mean is made of, the current one included."""
    return 4 * samples


# --- knowledge --------------------------------------------------------------------------------------------------------


def _count(rows: Floats) -> Floats:
    """How many samples are known."""
    known: Floats = np.count_nonzero(_here(rows), axis=-1).astype(np.float64)
    return known


def _enough(value: Floats, known: Floats, samples: int) -> Floats:
    """The value where enough samples are known."""
    return np.where(known >= QUORUM * samples - TOLERANCE, value, np.nan)


def _zeroed(rows: Floats) -> Floats:
    """Unknown samples as zeros."""
    return np.where(rows == rows, rows, 0.0)  # noqa: PLR0124 - NaN alone is not itself


def _here(current: Floats) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = current == current  # noqa: PLR0124 - NaN alone is not itself
    return known


# --- sums and extremes, the current value included --------------------------------------------------------------------


def _total_past(histories: tuple[Floats, ...], _samples: int) -> Past:
    (rows,) = histories
    return _count(rows), _zeroed(rows).sum(axis=-1)


def _sum_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (known, total), (current,) = past, sources
    here = _here(current)
    return _enough(total + np.where(here, current, 0.0), known + here, samples)


def _mean_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (known, total), (current,) = past, sources
    here = _here(current)
    count = known + here
    return _enough((total + np.where(here, current, 0.0)) / count, count, samples)


def _min_past(histories: tuple[Floats, ...], _samples: int) -> Past:
    (rows,) = histories
    return _count(rows), np.fmin.reduce(rows, axis=-1, initial=np.inf)


def _min_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (known, lowest), (current,) = past, sources
    return _enough(np.fmin(lowest, current), known + _here(current), samples)


def _max_past(histories: tuple[Floats, ...], _samples: int) -> Past:
    (rows,) = histories
    return _count(rows), np.fmax.reduce(rows, axis=-1, initial=-np.inf)


def _max_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (known, highest), (current,) = past, sources
    return _enough(np.fmax(highest, current), known + _here(current), samples)


# --- moments ----------------------------------------------------------------------------------------------------------


def _moments_past(histories: tuple[Floats, ...], _samples: int) -> Past:
    """Known samples, their mean in two parts, and the sum of their squared distances from it.

    The second part is what rounding left out of the first: at a level of a million it is as much as 1e-10.
    """
    (rows,) = histories
    known = _count(rows)
    count = np.maximum(known, 1.0)
    mean = _zeroed(rows).sum(axis=-1) / count
    apart = _zeroed(rows - mean[..., None])
    rest = apart.sum(axis=-1) / count
    return known, mean, rest, np.square(apart, out=apart).sum(axis=-1) - known * rest * rest


def _deviation(known: Floats, mean: Floats, squares: Floats) -> Floats:
    """Standard deviation (ddof 1); zero where samples differ by rounding alone."""
    deviation = np.sqrt(squares / np.where(known > 1, known - 1.0, np.nan))
    return np.where(deviation <= np.abs(mean) * ROUNDING, 0.0, deviation)


def _std_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (known, mean, rest, squares), (current,) = past, sources
    here = _here(current)
    count = known + here
    apart = np.where(here, current - mean - rest, 0.0)
    return _enough(_deviation(count, mean, squares + apart * apart * (known / count)), count, samples)


def _zscore_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (known, mean, rest, squares), (current,) = past, sources
    deviation = _deviation(known, mean, squares)
    return _enough((current - mean - rest) / np.where(deviation > 0, deviation, np.nan), known, samples)


# --- pairs ------------------------------------------------------------------------------------------------------------


def _pair_past(histories: tuple[Floats, ...], _samples: int) -> Past:
    """Pairs of which both are known, their means, and the sums of the products of their distances from these."""
    xs, ys = histories
    both = _here(xs) & _here(ys)
    known = np.count_nonzero(both, axis=-1).astype(np.float64)
    count = np.maximum(known, 1.0)
    mean_x, mean_y = (np.where(both, v, 0.0).sum(axis=-1) / count for v in (xs, ys))
    dx, dy = (np.where(both, v - m[..., None], 0.0) for v, m in ((xs, mean_x), (ys, mean_y)))
    return known, mean_x, mean_y, (dx * dx).sum(axis=-1), (dx * dy).sum(axis=-1), (dy * dy).sum(axis=-1)


def _joined_pair(past: Past, x: Floats, y: Floats) -> Past:
    known, mean_x, mean_y, xx, xy, yy = past
    both = _here(x) & _here(y)
    count = known + both
    dx, dy = np.where(both, x - mean_x, 0.0), np.where(both, y - mean_y, 0.0)
    share = known / count
    return (
        count,
        mean_x + dx / count,
        mean_y + dy / count,
        xx + dx * dx * share,
        xy + dx * dy * share,
        yy + dy * dy * share,
    )


def _spread_out(count: Floats, mean: Floats, squares: Floats) -> Floats:
    """The sum of squares, unknown where the samples are all alike."""
    return np.where(_deviation(count, mean, squares) > 0, squares, np.nan)


def _beta_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    count, _, mean_y, _, xy, yy = _joined_pair(past, *sources)
    return _enough(xy / _spread_out(count, mean_y, yy), count, samples)


def _corr_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    count, mean_x, mean_y, xx, xy, yy = _joined_pair(past, *sources)
    scale = np.sqrt(_spread_out(count, mean_x, xx)) * np.sqrt(_spread_out(count, mean_y, yy))
    return _enough(np.clip(xy / scale, -1.0, 1.0), count, samples)


def _slope_past(histories: tuple[Floats, ...], samples: int) -> Past:
    """A pair of which one side is the sample's place in the window."""
    (rows,) = histories
    return _pair_past((rows, np.broadcast_to(np.arange(samples - 1.0), rows.shape)), samples)


def _slope_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (current,) = sources
    count, _, _, _, xy, yy = _joined_pair(past, current, np.full_like(current, samples - 1.0))
    return _enough(xy / np.where(yy > 0, yy, np.nan), count, samples)


# --- order ------------------------------------------------------------------------------------------------------------


def _median_past(histories: tuple[Floats, ...], _samples: int) -> Past:
    """Known samples, the middle one if they are odd, and what the current value is held between."""
    (rows,) = histories
    known = _count(rows)
    edge = np.full((*rows.shape[:-1], 1), np.inf)
    ordered = np.concatenate([-edge, np.sort(rows, axis=-1), edge], axis=-1)  # sorting puts the unknown last
    count = known.astype(np.int64)
    half, odd = count // 2, count % 2 == 1

    def at(place: npt.NDArray[np.int64]) -> Floats:
        value = np.take_along_axis(ordered, place[..., None], axis=-1)[..., 0]
        return np.where(place > count, np.inf, value)

    return known, np.where(odd, at(half + 1), np.nan), at(half), at(np.where(odd, half + 2, half + 1))


def _median_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (known, middle, low, high), (current,) = past, sources
    here, odd = _here(current), middle == middle  # noqa: PLR0124 - NaN alone is not itself
    held = np.minimum(np.maximum(current, low), high)
    joined = np.where(odd, middle + (held - middle) / 2, held)
    alone = np.where(odd, middle, low + (high - low) / 2)
    return _enough(np.where(here, joined, alone), known + here, samples)


def _sorted_past(histories: tuple[Floats, ...], _samples: int) -> Past:
    (rows,) = histories
    return _count(rows), np.sort(rows, axis=-1)


def _percentile_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (known, ordered), (current,) = past, sources
    length = ordered.shape[-1]
    flat = ordered.reshape(-1)
    start = (np.arange(known.size) * length).reshape(known.shape)
    start, upper = (np.broadcast_to(v, current.shape) for v in (start, np.maximum(known, 0).astype(np.int64)))
    below = _places(flat, start, upper, current, np.less)
    tied = (below < upper) & (flat[start + np.minimum(below, length - 1)] == current)
    through = below
    if tied.any():
        through = below.copy()
        through[tied] = _places(flat, start[tied], upper[tied], current[tied], np.less_equal)
    share = (below + through) / (2.0 * known)
    return _enough(np.where(_here(current), share, np.nan), known, samples)


def _places(
    flat: Floats,
    start: npt.NDArray[np.int64],
    upper: npt.NDArray[np.int64],
    value: Floats,
    before: Callable[[Floats, Floats], npt.NDArray[np.bool_]],
) -> npt.NDArray[np.int64]:
    """Binary search in many sorted rows at once: how many of ``flat[start:start + upper]`` come before each value."""
    low, high = np.zeros_like(upper), upper
    for _ in range(int(upper.max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        right = (low < high) & before(flat[np.minimum(start + middle, len(flat) - 1)], value)
        low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
    return low


# --- one after the other ----------------------------------------------------------------------------------------------


def _ema_past(histories: tuple[Floats, ...], samples: int) -> Past:
    """Known samples and their exponential mean, the oldest of them being its seed."""
    (rows,) = histories
    known = _here(rows)
    count = np.count_nonzero(known, axis=-1)
    alpha = 2.0 / (samples + 1.0)
    decay = (1.0 - alpha) ** np.arange(rows.shape[-1] + 1.0)
    newer = count[..., None] - np.cumsum(known, axis=-1)  # known samples after each
    weight = np.where(newer == count[..., None] - 1, 1.0, alpha) * decay[newer]
    mean = (np.where(known, rows, 0.0) * np.where(known, weight, 0.0)).sum(axis=-1)
    return count.astype(np.float64), np.where(count > 0, mean, np.nan)


def _ema_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (known, mean), (current,) = past, sources
    here = _here(current)
    moved = np.where(_here(mean), mean + 2.0 / (samples + 1.0) * (current - mean), current)
    return _enough(np.where(here, moved, mean), known + here, ema_samples(samples))


def _lag_past(histories: tuple[Floats, ...], _samples: int) -> Past:
    (rows,) = histories
    oldest = rows[..., 0].copy()
    return _here(oldest).astype(np.float64), oldest


def _lag_present(past: Past, sources: tuple[Floats, ...], _samples: int) -> Floats:
    (current,) = sources
    return np.broadcast_to(past[1], current.shape)


def _streak_past(histories: tuple[Floats, ...], _samples: int) -> Past:
    """How many of the newest samples in a row are true: all, or those after the newest that is not."""
    (rows,) = histories
    broken = rows[..., ::-1] != 1.0
    return (np.where(broken.any(axis=-1), np.argmax(broken, axis=-1), float(rows.shape[-1])),)


def _streak_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    (before,), (current,) = past, sources
    return np.where(_here(current), np.where(current == 1.0, np.minimum(before + 1.0, samples), 0.0), np.nan)


def _then_present(past: Past, sources: tuple[Floats, ...], samples: int) -> Floats:
    """Kleene's `and` of what was before, if enough of it is known, and what is now."""
    (known, before), (now,) = past, sources
    happened = _enough(before, known, samples)
    return np.where(_here(happened) & ((happened == 0.0) | (now == 0.0)), 0.0, happened * now)


KERNELS: Final = {
    "mean": Kernel(_total_past, _mean_present, _joining),
    "sum": Kernel(_total_past, _sum_present, _joining),
    "min": Kernel(_min_past, _min_present, _joining),
    "max": Kernel(_max_past, _max_present, _joining),
    "std": Kernel(_moments_past, _std_present, _joining),
    "median": Kernel(_median_past, _median_present, _joining),
    "slope": Kernel(_slope_past, _slope_present, _joining),
    "ema": Kernel(_ema_past, _ema_present, lambda samples: ema_samples(samples) - 1),
    "beta": Kernel(_pair_past, _beta_present, _joining),
    "corr": Kernel(_pair_past, _corr_present, _joining),
    "zscore": Kernel(_moments_past, _zscore_present, _before),
    "percentile": Kernel(_sorted_past, _percentile_present, _before),
    "then": Kernel(_max_past, _then_present, _before),
    "lag": Kernel(_lag_past, _lag_present, _before),
    "streak": Kernel(_streak_past, _streak_present, _before, warm=False),
}
