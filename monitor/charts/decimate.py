"""From a long series to what a picture of a given width can show: each column's lowest and highest point stay."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitor.charts.values import Floats


def runs(x: Floats, y: Floats, longest_step: float) -> npt.NDArray[np.int64]:
    """Number of the unbroken run that each point is in, (n,); -1 where `y` is unknown.

    A run ends at an unknown value, and where `x` moves on by more than `longest_step`.
    """
    known = np.isfinite(y)
    broken = np.ones(len(y), dtype=bool)
    if len(y) > 1:
        broken[1:] = ~known[:-1] | (np.diff(x) > longest_step)
    number = np.cumsum(broken & known) - 1
    return np.where(known, number, -1).astype(np.int64)


def decimated(
    x: Floats, y: Floats, longest_step: float, low: float, high: float, columns: int
) -> list[tuple[Floats, Floats]]:
    """The series as unbroken pieces, each with at most about four points in each of `columns` columns.

    `x`: (n,) ascending, of which ``[low, high]`` is shown. `y`: (n,), NaN where unknown. Of the points that fall into
    one column the lowest and the highest stay, and the ends of every piece: no peak is lost, and none is moved.
    """
    run = runs(x, y, longest_step)
    kept = np.flatnonzero((run >= 0) & (x >= low) & (x <= high))
    if not len(kept):
        return []
    if len(kept) > 2 * columns:
        column = np.floor((x[kept] - low) / max(high - low, 1e-300) * columns).astype(np.int64)
        group = run[kept] * (columns + 2) + column
        order = np.lexsort((y[kept], group))
        sorted_group = group[order]
        first = np.flatnonzero(np.r_[True, sorted_group[1:] != sorted_group[:-1]])
        last = np.r_[first[1:] - 1, len(order) - 1]
        edge = np.flatnonzero(np.diff(run[kept]))
        ends = np.r_[0, edge, edge + 1, len(kept) - 1]
        kept = kept[np.unique(np.r_[order[first], order[last], ends])]
    cuts = np.flatnonzero(np.diff(run[kept])) + 1
    return [(x[part], y[part]) for part in np.split(kept, cuts)]
