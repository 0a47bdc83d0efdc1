"""Evaluates a plan: the current values from the current prices, the past only when a new sample joins it.

The same evaluation serves the present and the past: to rebuild what ``zscore`` or ``streak`` look at, the plan is
evaluated on views of the stored closes, oldest first, exactly as it would have been at the time. Between samples only
current values are computed, so an evaluation costs the same whatever the windows' lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from rules.ast import Clock, Window, Word
from rules.steps import QUORUM, First, Plan, RankStep, Resolution, ReturnStep, SegmentStep, Step, WindowStep
from rules.view import Floats, View

_TOLERANCE: Final = 1e-9
"""So that 4 of 5 is 80 % in floating point too."""

_BINARY: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": lambda a, b: np.divide(a, b, out=np.full_like(a, np.nan), where=b != 0),
    "<": lambda a, b: _known(np.less(a, b), a, b),
    "<=": lambda a, b: _known(np.less_equal(a, b), a, b),
    ">": lambda a, b: _known(np.greater(a, b), a, b),
    ">=": lambda a, b: _known(np.greater_equal(a, b), a, b),
    "==": lambda a, b: _known(np.equal(a, b), a, b),
    "!=": lambda a, b: _known(np.not_equal(a, b), a, b),
    "and": lambda a, b: np.where((a == 0) | (b == 0), 0.0, a * b),
    "or": lambda a, b: np.where((a == 1) | (b == 1), 1.0, a + b),
}


def _known(holds: npt.NDArray[np.bool_], a: Floats, b: Floats) -> Floats:
    return np.where(np.isnan(a) | np.isnan(b), np.nan, holds)


class History:
    """The last samples of some slots: ``(kept, columns) float64``, oldest first; rows that never were are not in it."""

    def __init__(self, kept: int, columns: int) -> None:
        self._kept = kept
        self._rows = np.empty((max(2 * kept, 1), columns))
        self._end = 0

    def clear(self) -> None:
        """Forget every sample."""
        self._end = 0

    def append(self, row: Floats) -> None:
        """Add the newest sample: ``(columns,)``."""
        if self._end == len(self._rows):  # amortised: the kept half moves to the front once every `kept` samples
            self._rows[: self._kept] = self._rows[self._end - self._kept : self._end]
            self._end = self._kept
        self._rows[self._end] = row
        self._end += 1

    def last(self, count: int) -> Floats:
        """The last `count` rows, or as many as there are."""
        return self._rows[max(0, self._end - count) : self._end]


class Evaluator:
    """Holds a plan's values and the histories of its window functions."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.values: Floats = np.full(plan.size, np.nan)
        where, constants = plan.constants
        self.values[where] = constants
        self._history: dict[Resolution, History] = {
            r: History(plan.kept[r], len(plan.history[r])) for r in ("session", "minute")
        }
        self._past: dict[int, tuple[Floats, ...]] = {}
        self._dirty: set[Resolution] = {"session", "minute"}
        self._bases: dict[int, Floats] = {}
        self._bases_of: tuple[int, int] | None = None
        self._session: int | None = None
        self._minute: int | None = None
        self._revision: int | None = None

    def evaluate(self, view: View) -> Floats:
        """All slots' values as of the view; the array is reused by the next call. `view` must not go back in time."""
        if view.history_revision != self._revision:
            self._revision = view.history_revision
            self._session = self._minute = None
        for sampled, resolution in self._samples(view):
            self._compute(sampled, {})
            self._history[resolution].append(self.values[self.plan.history[resolution]])
            self._dirty.add(resolution)
        if (view.session, view.history_revision) != self._bases_of:
            self._bases_of = (view.session, view.history_revision)
            self._bases = {}
        self._compute(view, self._bases)
        return self.values

    # --- the past -----------------------------------------------------------------------------------------------------

    def _samples(self, view: View) -> Iterator[tuple[View, Resolution]]:
        """Samples that have joined the past since the last evaluation, oldest first.

        All that are needed, after a rebuild.
        """
        due: list[tuple[int, int, View, Resolution]] = []
        if len(self.plan.history["session"]):
            count = self._due("session", view.session, self._session, view.closed_sessions())
            due += [(v.session, v.now, v, "session") for v in map(view.at_close, range(1, count + 1))]
        self._session = view.session
        if len(self.plan.history["minute"]):
            minute = view.minute()
            count = self._due("minute", minute, self._minute, view.closed_minutes())
            due += [(v.session, v.now, v, "minute") for v in map(view.at_minute, range(1, count + 1))]
            self._minute = minute
        # At a close the last minute's sample comes first: it belongs to the session that the close then ends.
        due.sort(key=lambda s: (s[1], s[3] == "session"))
        for _, _, sampled, resolution in due:
            yield sampled, resolution

    def _due(self, resolution: Resolution, current: int, last: int | None, stored: int) -> int:
        """How many samples to take; a rebuild starts from nothing."""
        if last is not None and current - last <= self.plan.rebuild[resolution]:
            return min(current - last, stored)
        self._history[resolution].clear()
        self._dirty.add(resolution)
        return min(self.plan.rebuild[resolution], stored)

    # --- one evaluation -----------------------------------------------------------------------------------------------

    def _compute(self, view: View, bases: dict[int, Floats]) -> None:
        values, prices = self.values, view.prices()
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            for number, step in enumerate(self.plan.steps):
                match step:
                    case ReturnStep(out=out, instrument=instrument):
                        base = self._base(view, number, step, bases)
                        values[out] = prices[instrument] / base - 1.0
                    case Step(op="price", out=out, args=(instrument,)):
                        values[out] = prices[instrument]
                    case Step(op="neg", out=out, args=(a,)):
                        values[out] = -values[a]
                    case Step(op="not", out=out, args=(a,)):
                        values[out] = 1.0 - values[a]
                    case Step(op=op, out=out, args=(a, b)):
                        values[out] = _BINARY[op](values[a], values[b])
                    case SegmentStep():
                        values[step.out] = _reduce(step, values)
                    case RankStep():
                        values[step.out] = _rank(step, values)
                    case WindowStep():
                        values[step.out] = self._window(number, step, values[step.source])
        self._dirty.clear()

    def _base(self, view: View, number: int, step: ReturnStep, bases: dict[int, Floats]) -> Floats:
        """Start prices a row of the step.

        Only clock windows and `open` can change within a session; the others are kept.
        """
        base = bases.get(number)
        fresh = base is None
        if base is None:
            base = bases[number] = np.empty(len(step.out))
        for window, rows in step.windows:
            if fresh or _moves(window):
                start = view.first() if isinstance(window, First) else view.base(window)
                base[rows] = start[step.instrument[rows]]
        return base

    def _window(self, number: int, step: WindowStep, current: Floats) -> Floats:
        past = self._past.get(number)
        if past is None or step.resolution in self._dirty:
            rows = self._history[step.resolution].last(step.samples)[:, step.column]
            past = self._past[number] = _PAST[step.op](rows, step.samples)
        return _PRESENT[step.op](past, current, step.samples)


def _moves(window: Window | First) -> bool:
    return isinstance(window, Clock) or window is Word.OPEN


def _reduce(step: SegmentStep, values: Floats) -> Floats:
    """Weighted mean over the known members; unknown below the quorum, of weight for a basket, of number for a share."""
    members = values[step.members]
    known = ~np.isnan(members)
    if known.all():
        return np.add.reduceat(members * step.weights, step.starts) / np.add.reduceat(step.weights, step.starts)
    weight = np.where(known, step.weights, 0.0)
    total = np.add.reduceat(np.where(known, members, 0.0) * weight, step.starts)
    present = np.add.reduceat(weight, step.starts)
    whole = np.add.reduceat(step.weights, step.starts)
    return np.where(present >= QUORUM * whole - _TOLERANCE, total / present, np.nan)


def _rank(step: RankStep, values: Floats) -> Floats:
    """1 + the number of known members with a higher value."""
    members = values[step.members]
    known = np.sort(members[~np.isnan(members)])
    if len(known) < QUORUM * len(members) - _TOLERANCE:
        return np.full(len(step.out), np.nan)
    own = members[step.position]
    return np.where(np.isnan(own), np.nan, 1.0 + len(known) - np.searchsorted(known, own, side="right"))


# What a window function keeps of the past, a row of samples each, and how the present joins it.
# -----------------------------------


def _mean_past(rows: Floats, samples: int) -> tuple[Floats, ...]:
    earlier = rows[len(rows) - min(len(rows), samples - 1) :]
    known = (~np.isnan(earlier)).sum(axis=0).astype(np.float64)
    if len(earlier) < samples - 1:
        known[:] = -np.inf
    return np.nansum(earlier, axis=0), known


def _mean_present(past: tuple[Floats, ...], current: Floats, samples: int) -> Floats:
    total, known = past
    here = ~np.isnan(current)
    count = known + here
    value = (total + np.where(here, current, 0.0)) / count
    return np.where(count >= QUORUM * samples - _TOLERANCE, value, np.nan)


def _zscore_past(rows: Floats, samples: int) -> tuple[Floats, ...]:
    known = ~np.isnan(rows)
    count = known.sum(axis=0)
    enough = (len(rows) == samples) & (count >= QUORUM * samples - _TOLERANCE) & (count > 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / np.maximum(count, 1)
    deviation = np.where(known, rows - mean, 0.0)
    std = np.sqrt((deviation**2).sum(axis=0) / np.maximum(count - 1, 1))
    # Samples that are all alike differ from their mean by rounding alone: that is no spread to measure with.
    flat = std <= np.abs(mean) * 1e-14
    return mean, np.where(enough & ~flat, std, np.nan)


def _zscore_present(past: tuple[Floats, ...], current: Floats, _samples: int) -> Floats:
    mean, std = past
    return (current - mean) / std


def _streak_past(rows: Floats, _samples: int) -> tuple[Floats, ...]:
    """How many of the newest rows in a row are true: all rows, or those after the newest that is not."""
    broken = rows != 1.0
    newest = np.argmax(broken[::-1], axis=0).astype(np.float64) if len(rows) else np.zeros(rows.shape[1])
    return (np.where(broken.any(axis=0), newest, float(len(rows))),)


def _streak_present(past: tuple[Floats, ...], current: Floats, samples: int) -> Floats:
    (before,) = past
    return np.where(np.isnan(current), np.nan, np.where(current == 1.0, np.minimum(before + 1.0, samples), 0.0))


_PAST: Final = {"mean": _mean_past, "zscore": _zscore_past, "streak": _streak_past}
_PRESENT: Final = {"mean": _mean_present, "zscore": _zscore_present, "streak": _streak_present}
