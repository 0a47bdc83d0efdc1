"""Functions across the members of baskets and universes.

Values are ``(slots,)`` for one moment or ``(slots, moments)`` for many; the same code serves both. Unknown members are
skipped while the quorum is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from rules.kernels import ROUNDING, TOLERANCE
from rules.steps import QUORUM, RankStep, SegmentStep, SetStep
from rules.view import Floats

# --- sums and extremes: one pass over all members of all baskets and universes ----------------------------------------


def reduced(step: SegmentStep, values: Floats) -> Floats:
    """One value a basket or universe; unknown below the quorum: of weight for a basket, of number for a universe."""
    members = values[step.members]
    weights, whole = (w.reshape(-1, *[1] * (values.ndim - 1)) for w in (step.weights, step.whole))
    known = members == members  # noqa: PLR0124 - NaN alone is not itself
    if known.all():
        return SEGMENTS[step.op](members, weights, whole, step.starts)
    present = np.add.reduceat(np.where(known, weights, 0.0), step.starts, axis=0)
    value = SEGMENTS[step.op](members, np.where(known, weights, 0.0), present, step.starts)
    return np.where(present >= QUORUM * whole - TOLERANCE, value, np.nan)


def _total(members: Floats, _weights: Floats, _present: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    return np.add.reduceat(np.nan_to_num(members, posinf=np.inf, neginf=-np.inf), starts, axis=0)


def _mean(members: Floats, weights: Floats, present: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    return np.add.reduceat(np.where(weights > 0, members, 0.0) * weights, starts, axis=0) / present


def _highest(members: Floats, _weights: Floats, _present: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    return np.fmax.reduceat(members, starts, axis=0)


def _lowest(members: Floats, _weights: Floats, _present: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    return np.fmin.reduceat(members, starts, axis=0)


def _deviation(members: Floats, weights: Floats, present: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    """Standard deviation with ddof 1, of members that weigh 1 each."""
    mean = _mean(members, weights, present, starts)
    sizes = np.diff(starts, append=len(members))
    apart = np.where(weights > 0, members - np.repeat(mean, sizes, axis=0), 0.0)
    squares = np.add.reduceat(apart * apart, starts, axis=0)
    deviation = np.sqrt(squares / np.where(present > 1, present - 1.0, np.nan))
    return np.where(deviation <= np.abs(mean) * ROUNDING, 0.0, deviation)


SEGMENTS: Final[dict[str, Callable[[Floats, Floats, Floats, npt.NDArray[np.int64]], Floats]]] = {
    "total": _total,
    "mean": _mean,
    "highest": _highest,
    "lowest": _lowest,
    "deviation": _deviation,
}


# --- order ------------------------------------------------------------------------------------------------------------


def ranked(step: RankStep, values: Floats) -> Floats:
    """1 + the number of known members with a higher value."""
    members = np.moveaxis(values[step.members], 0, -1)
    _, last, known = _places(members)
    rank = np.where(members == members, known[..., None] - last, np.nan)  # noqa: PLR0124 - NaN alone is not itself
    enough = known >= QUORUM * members.shape[-1] - TOLERANCE
    return np.moveaxis(np.where(enough[..., None], rank, np.nan), -1, 0)[step.position]


def of_sets(step: SetStep, values: Floats) -> Floats:
    """A function of the order within each universe."""
    return SETS[step.op](*(np.moveaxis(values[members], 1, -1) for members in step.members))


def _median(members: Floats) -> Floats:
    size = members.shape[-1]
    known = np.count_nonzero(members == members, axis=-1)  # noqa: PLR0124 - NaN alone is not itself
    ordered = np.sort(members, axis=-1)
    low, high = (
        np.take_along_axis(ordered, np.clip(place, 0, size - 1)[..., None], axis=-1)[..., 0]
        for place in ((known - 1) // 2, known // 2)
    )
    return np.where(known >= QUORUM * size - TOLERANCE, low + (high - low) / 2, np.nan)


def _rank_correlation(ours: Floats, theirs: Floats) -> Floats:
    """Spearman's: Pearson's correlation of ranks, ties taking the mean of their places."""
    both = (ours == ours) & (theirs == theirs)  # noqa: PLR0124 - NaN alone is not itself
    a, b = (_centred_ranks(np.where(both, members, np.nan)) for members in (ours, theirs))
    known = np.count_nonzero(both, axis=-1)
    scale = np.sqrt((a * a).sum(axis=-1)) * np.sqrt((b * b).sum(axis=-1))
    value = np.clip((a * b).sum(axis=-1) / np.where(scale > 0, scale, np.nan), -1.0, 1.0)
    return np.where((known >= QUORUM * both.shape[-1] - TOLERANCE) & (known > 1), value, np.nan)


def _centred_ranks(members: Floats) -> Floats:
    """Ranks less their mean; 0 where unknown."""
    first, last, known = _places(members)
    ranks = (first + last) / 2.0 - (known[..., None] - 1) / 2.0
    return np.where(members == members, ranks, 0.0)  # noqa: PLR0124 - NaN alone is not itself


def _places(members: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Places in ascending order along the last axis, from 0: the first and the last of those of equal value.

    And how many members are known; places of the unknown mean nothing.
    """
    order = np.argsort(members, axis=-1, kind="stable")
    ordered = np.take_along_axis(members, order, axis=-1)
    place = np.broadcast_to(np.arange(members.shape[-1]), members.shape)
    new = np.ones(members.shape, np.bool_)
    new[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    first = np.maximum.accumulate(np.where(new, place, 0), axis=-1)
    ends = np.ones(members.shape, np.bool_)
    ends[..., :-1] = new[..., 1:]
    last = np.minimum.accumulate(np.where(ends, place, members.shape[-1])[..., ::-1], axis=-1)[..., ::-1]
    firsts, lasts = np.empty_like(order), np.empty_like(order)
    np.put_along_axis(firsts, order, first, axis=-1)
    np.put_along_axis(lasts, order, last, axis=-1)
    return firsts, lasts, np.count_nonzero(members == members, axis=-1)  # noqa: PLR0124 - NaN alone is not itself


SETS: Final[dict[str, Callable[..., Floats]]] = {"median": _median, "rank correlation": _rank_correlation}
