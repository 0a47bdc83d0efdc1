"""What an alert's instance watched up to a moment, read from the stored bars: nothing is recorded beforehand.

This part runs on the compute thread, which owns the bars. The state keeps session closes anyway and minutes on demand,
so an alert costs a picture's evaluation when it fires and nothing before; after a restart the past is there at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.calendar import Times
from monitor.charts.rotation_map import Trail
from monitor.pictures.subject import MINUTE, Subject
from monitor.pipeline import Pipeline
from rules.ast import Asset
from rules.evaluator import Evaluator
from rules.ruleset import AlertRule
from rules.view import Floats, View

_PRESENT: Final = MINUTE
"""The market as it is stands for an alert's moment while that is no longer ago than this."""

_POINTS: Final = 200
"""Minutes that are looked at, at the most: a picture has no room for more, and the compute thread has other work."""


@dataclass(frozen=True, slots=True)
class Past:
    """Samples up to the alert's moment, oldest first: (n,) each, times in UTC ns, NaN where unknown.

    `fires` and `clears` are the thresholds, None where there are none; `closes`: which of the samples are sessions'
    closes, the others being minutes. `trails`: the members' ways over the rotation map.
    """

    times: Times
    values: Floats
    fires: Floats | None
    clears: Floats | None
    closes: npt.NDArray[np.bool_]
    trails: tuple[Trail, ...] = ()


def instance(pipeline: Pipeline, alert: str, member: str) -> tuple[AlertRule, Asset | None] | None:
    """The rule in force of that name, and its member; None where there is no such instance."""
    table = pipeline.engine.instances
    i = table.index.get((alert, member))
    return None if i is None else (table.rows[i].rule, table.rows[i].member)


def past(pipeline: Pipeline, about: Subject, at: int, value: float | None) -> Past:
    """What `about` was up to `at` (UTC ns), when it was `value` (None: take what the bars say)."""
    state = pipeline.state
    needs = about.plan.requirements
    known = set(state.index.symbols())
    times: list[int] = []
    moments: list[View] = []
    closed: list[bool] = []
    if state.now and known.issuperset(needs.instruments):
        view = state.view(needs.instruments, needs.series)
        for moment, close in _moments(pipeline, view, about, at):
            moments.append(moment)
            times.append(moment.now)
            closed.append(close)
    evaluator = Evaluator(about.plan)
    rows = [chunk.reshape(len(chunk), -1).copy() for chunk in evaluator.evaluate_many(moments)]
    table = np.concatenate(rows, axis=1) if rows else np.empty((about.plan.size, 0))
    if times:
        times[-1] = at
        if value is not None:
            table[about.value, -1] = value
    closes = np.array(closed, np.bool_)
    return Past(
        times=np.array(times, np.int64),
        values=table[about.value],
        fires=table[about.fires] if about.fires >= 0 else None,
        clears=table[about.clears] if about.clears >= 0 else None,
        closes=closes,
        trails=_trails(about, table, closes),
    )


def _moments(pipeline: Pipeline, view: View, about: Subject, at: int) -> Iterator[tuple[View, bool]]:
    """Views of closes and of minutes, and last of the alert's own moment, each with whether it is a close."""
    calendar, span = pipeline.state.calendar, about.span
    session = calendar.session_at(at)
    first = max(view.session - view.closed_sessions(), session - span.closes)
    now, minute = view.minute(), calendar.minute_at(at)
    oldest = max(minute - span.minutes, now - view.closed_minutes(), 0)
    step = max(1, -(-(minute - oldest) // _POINTS))
    since = 0 if span.trail else calendar.close_ns(session - 1)
    # At a close the last minute's sample comes first: it belongs to the session that the close then ends.
    ends = [(calendar.close_ns(s), True, s) for s in range(first, session)]
    ends += [(calendar.minute_end(m), False, m) for m in range(minute - step, oldest - 1, -step)]
    for end, close, number in sorted(ends):
        if close:
            yield view.at_close(view.session - number), True
        elif since < end < at:
            yield view.at_minute(now - number), False
    yield (view if view.now - at < _PRESENT else view.at_minute(now - minute + 1)), False


def _trails(about: Subject, table: Floats, closes: npt.NDArray[np.bool_]) -> tuple[Trail, ...]:
    """The last closes and the alert's own moment."""
    if about.rotation is None or not table.shape[1]:
        return ()
    here = [*np.flatnonzero(closes)[1 - about.rotation.samples :].tolist(), table.shape[1] - 1]
    return tuple(
        Trail(member, table[ratio, here], table[momentum, here])
        for member, ratio, momentum in zip(
            about.rotation.members, about.rotation.ratio.tolist(), about.rotation.momentum.tolist(), strict=True
        )
    )
