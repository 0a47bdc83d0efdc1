"""Evaluates a plan: the current values from the current prices, the past only when a new sample joins it.

A *row* is one moment: a view that is judged, or a sample that joins the past. Rows are evaluated in chunks, level by
level, as ``(slots, rows)``; the present, between two samples, is a chunk of one row and simply ``(slots,)``. The same
steps serve both, so a backtest of twenty years, the histories rebuilt after a restart, and the next tick all come from
one arithmetic. Between samples only current values are computed: an evaluation costs the same whatever the windows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rules.budget import Stopwatch
from rules.histories import of_histories
from rules.kernels import KERNELS, Past
from rules.members import of_sets, ranked, reduced
from rules.nodes import RESOLUTIONS
from rules.pointwise import POINTWISE
from rules.reach import Resolution
from rules.readings import Answers, Day, Lasting, answered, answers, stacked
from rules.samples import Samples
from rules.steps import Plan, RankStep, ReturnStep, SegmentStep, SetStep, Slots, SourceStep, Step, WindowStep
from rules.view import Floats, View

_CHUNK: Final = 4_000_000
"""Values and answers of a chunk, at most: 32 MB."""

_BLOCK: Final = 262_144
"""Samples that a window kernel looks at together: they and what is made of them stay in the cache of a core."""


@dataclass(frozen=True, slots=True)
class Row:
    """One moment: what its view answered, or will, and of what it is a sample (None: it is to be judged).

    `restarts`: histories that are forgotten before it, since they are built anew from it on. `twin`: it is of the same
    moment as the sample before it, the last minute of the session that it closes, which is not yet its past. `bases`:
    start prices of its session, as far as they are known.
    """

    answers: Answers | Lasting
    sample: Resolution | None
    restarts: tuple[Resolution, ...] = ()
    twin: bool = False
    bases: dict[int, Floats] = field(default_factory=dict)


class Evaluator:
    """Holds a plan's values and the histories of its window functions."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.values: Floats = np.full(plan.size, np.nan)
        where, constants = plan.constants
        self.values[where] = constants
        self._samples: dict[Resolution, Samples] = {r: Samples(plan.kept[r], len(plan.history[r])) for r in RESOLUTIONS}
        self._of_samples = of_histories(plan)
        self._past: dict[int, tuple[int, Past]] = {}
        self._day = Day()
        self._bases: dict[int, Floats] = {}
        self._session: int | None = None
        self._minute: int | None = None
        self._revision: int | None = None
        width = plan.size + len(plan.readings) * len(plan.requirements.instruments)
        self._rows_at_once = max(1, _CHUNK // max(width, 1))
        self.stopwatch: Stopwatch | None = None
        """Takes the time of the steps, where somebody wants to know."""

    def evaluate(self, view: View) -> Floats:
        """All slots' values as of the view; the array is reused by the next call. `view` must not go back in time."""
        deque(self.evaluate_many((view,)), maxlen=0)
        return self.values

    def evaluate_many(self, views: Iterable[View]) -> Iterator[Floats]:
        """All slots' values as of each view, in chunks ``(slots, views)`` (or ``(slots,)``, of one view).

        Views are asked when they are taken from `views`, so each need be good only until the next; they must not go
        back in time. Each chunk's array is good until the next.
        """
        rows: list[Row] = []
        for view in views:
            for row in self._rows(view):
                if rows and not row.twin and (row.restarts or len(rows) >= self._rows_at_once):
                    yield from self._chunk(rows)
                    rows = []
                for resolution in row.restarts:
                    self._samples[resolution].clear()
                    self._past.clear()
                rows.append(row)
        if rows:
            yield from self._chunk(rows)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _rows(self, view: View) -> Iterator[Row]:
        """The samples that have joined the past since the last view, oldest first, and the view itself.

        All samples that are needed, after a rebuild.
        """
        if view.history_revision != self._revision:
            self._revision = view.history_revision
            self._session = self._minute = None
        due: list[tuple[int, bool, View, Resolution]] = []
        restarts: list[Resolution] = []
        if len(self.plan.history["session"]):
            passed = None if self._session is None else view.session - self._session
            count = self._due("session", passed, view.closed_sessions(), restarts)
            due += [(v.now, True, v, "session") for v in map(view.at_close, range(1, count + 1))]
        self._session = view.session
        if len(self.plan.history["minute"]):
            minute = view.minute()
            passed = None if self._minute is None else minute - self._minute
            count = self._due("minute", passed, view.closed_minutes(), restarts)
            due += [(v.now, False, v, "minute") for v in map(view.at_minute, range(1, count + 1))]
            self._minute = minute
        # At a close the last minute's sample comes first: it belongs to the session that the close then ends.
        due.sort(key=lambda sample: sample[:2])
        before = None
        for now, _, sampled, resolution in due:
            said = sampled if isinstance(sampled, Lasting) else answers(sampled, self._of_samples.readings)
            yield Row(said, resolution, tuple(restarts), twin=now == before)
            restarts, before = [], now
        if isinstance(view, Lasting):
            yield Row(view, None, tuple(restarts))
            return
        if self._day.turn(view):
            self._bases = {}
        yield Row(self._day.answers(view, self.plan.readings), None, tuple(restarts), bases=self._bases)

    def _due(self, resolution: Resolution, passed: int | None, stored: int, restarts: list[Resolution]) -> int:
        """How many samples to take, `passed` having passed since the last view; a rebuild starts from nothing."""
        if passed is not None and passed <= self.plan.rebuild[resolution]:
            return min(passed, stored)
        restarts.append(resolution)
        return min(self.plan.rebuild[resolution], stored)

    # --- one chunk ----------------------------------------------------------------------------------------------------

    def _chunk(self, rows: Sequence[Row]) -> Iterator[Floats]:
        """All slots of the rows that are judged, if any are; samples among the rows join the past."""
        judged = [row for row in rows if row.sample is None]
        new = self._sampled([row for row in rows if row.sample is not None])
        if len(judged) == 1 and rows[-1].sample is None:
            self._join(new)
            said = answered(judged[0].answers, self.plan.readings)
            self._compute(self.plan, self.values, said, judged[0].bases, None)
            yield self.values
            return
        if not judged:
            self._join(new)
            return
        values = _slots(self.plan, len(judged))
        joins = {r: np.array([row.sample == r for row in rows]) for r in RESOLUTIONS}
        here = np.flatnonzero([row.sample is None for row in rows])
        joining = _Joining({r: np.cumsum(joins[r])[here] for r in RESOLUTIONS}, new=new)
        self._compute(self.plan, values, stacked([row.answers for row in judged], self.plan.readings), {}, joining)
        self.values[:] = values[:, -1]
        self._join(new)
        yield values

    def _sampled(self, rows: Sequence[Row]) -> dict[Resolution, Floats]:
        """What joins the histories, ``(columns, samples)`` of each resolution."""
        plan = self._of_samples
        if not rows:
            return {r: np.empty((len(plan.history[r]), 0)) for r in RESOLUTIONS}
        values = _slots(plan, len(rows))
        joins = {r: np.array([row.sample == r for row in rows]) for r in RESOLUTIONS}
        place = {r: np.cumsum(joins[r]) - joins[r] for r in RESOLUTIONS}
        twins = np.flatnonzero([row.twin for row in rows])
        for r in RESOLUTIONS:
            place[r][twins] -= joins[r][twins - 1]
        where = {r: np.flatnonzero(joins[r]) for r in RESOLUTIONS}
        said = stacked([row.answers for row in rows], plan.readings)
        self._compute(plan, values, said, {}, _Joining(place, where=where))
        return {r: values[np.ix_(plan.history[r], where[r])] for r in RESOLUTIONS}

    def _join(self, new: dict[Resolution, Floats]) -> None:
        for resolution, samples in new.items():
            if samples.shape[1]:
                self._samples[resolution].append(samples)

    def _compute(
        self, plan: Plan, values: Floats, said: Answers, bases: dict[int, Floats], joining: _Joining | None
    ) -> None:
        watch = self.stopwatch if plan is self.plan else None
        if watch is not None:
            watch.start()
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            for number, step in enumerate(plan.steps):
                match step:
                    case ReturnStep():
                        values[step.out] = said[step.price][step.column] / _bases(number, step, said, bases) - 1.0
                    case SourceStep():
                        values[step.out] = said[step.reading][step.column]
                    case Step(op=op, out=out, args=(a, b)):
                        values[out] = POINTWISE[op](values[a], values[b])
                    case Step(op=op, out=out, args=(a,)):
                        values[out] = POINTWISE[op](values[a])
                    case SegmentStep():
                        values[step.out] = reduced(step, values)
                    case WindowStep():
                        values[step.out] = self._window(number, step, values, joining)
                    case RankStep():
                        values[step.out] = ranked(step, values)
                    case SetStep():
                        values[step.out] = of_sets(step, values)
                if watch is not None:
                    watch.lap(number)

    # --- windows ------------------------------------------------------------------------------------------------------

    def _window(self, number: int, step: WindowStep, values: Floats, joining: _Joining | None) -> Floats:
        kernel = KERNELS[step.op]
        sources = tuple(values[slots] for slots in step.sources)
        samples, length = self._samples[step.resolution], kernel.length(step.samples)
        if joining is not None:
            return self._windows(number, step, values, sources, joining)
        at, past = self._past.get(number, (-1, ()))
        if at != samples.taken:
            histories = tuple(samples.last(columns, length) for columns in step.columns)
            past = _warmed(kernel.past(histories, step.samples), kernel.warm, length, np.array(samples.taken))
            self._past[number] = samples.taken, past
        return kernel.present(past, sources, step.samples)

    def _windows(
        self, number: int, step: WindowStep, values: Floats, sources: tuple[Floats, ...], joining: _Joining
    ) -> Floats:
        """A window function of many rows: the pasts of each place in the history, joined by the rows that are there."""
        kernel = KERNELS[step.op]
        samples, length = self._samples[step.resolution], kernel.length(step.samples)
        place = joining.place[step.resolution]
        windows = tuple(
            np.lib.stride_tricks.sliding_window_view(
                np.concatenate([samples.last(columns, length), joining.samples(step, past, columns, values)], axis=1),
                length,
                axis=1,
            )
            for past, columns in zip(step.past, step.columns, strict=True)
        )
        result = np.empty((len(step.out), len(place)))
        size = max(1, _BLOCK // max(1, length * len(step.out)))
        for start in range(0, len(place), size):
            rows = slice(start, start + size)
            here = place[rows]
            first, last = int(here[0]), int(here[-1])
            past = kernel.past(tuple(w[:, first : last + 1] for w in windows), step.samples)
            past = _warmed(past, kernel.warm, length, samples.taken + np.arange(first, last + 1))
            if joining.new is not None:
                self._past[number] = samples.taken + last, tuple(p[:, -1].copy() for p in past)
            if last - first + 1 != len(here):
                past = tuple(p[:, here - first] for p in past)
            result[:, rows] = kernel.present(past, tuple(s[:, rows] for s in sources), step.samples)
        return result


@dataclass(frozen=True, slots=True)
class _Joining:
    """How the samples of a chunk join the histories, by resolution.

    `place`: how many samples each row has before it. `new`: the samples, ``(columns, samples)``; None where the rows
    are the samples themselves: then `where` says which.
    """

    place: dict[Resolution, Slots]
    new: dict[Resolution, Floats] | None = None
    where: dict[Resolution, Slots] = field(default_factory=dict)

    def samples(self, step: WindowStep, past: Slots, columns: Slots, values: Floats) -> Floats:
        """The samples of a window function's past, ``(slots, samples)``."""
        if self.new is not None:
            return self.new[step.resolution][columns]
        return values[np.ix_(past, self.where[step.resolution])]


def _slots(plan: Plan, rows: int) -> Floats:
    """Room for a chunk's values, constants in it."""
    values = np.empty((plan.size, rows))
    where, constants = plan.constants
    values[where] = constants[:, None]
    return values


def _warmed(past: Past, warm: bool, length: int, taken: Slots) -> Past:  # noqa: FBT001 - as the kernel has it
    """Nothing is known of windows that the history does not reach back to the beginning of."""
    if not warm or (taken >= length).all():
        return past
    known, *rest = past
    return (np.where(taken >= length, known, -np.inf), *rest)


def _bases(number: int, step: ReturnStep, said: Answers, bases: dict[int, Floats]) -> Floats:
    """Start prices, one a row of the step. Those that cannot change within a session are kept for the session."""
    base = bases.get(number)
    fresh = base is None
    if base is None:
        base = bases[number] = np.empty((len(step.out), *said[step.price].shape[1:]))
    for reading, rows in step.bases:
        if fresh or reading.moves:
            base[rows] = said[reading][step.column[rows]]
    return base
