"""What the picture of an alert shows, worked out from its rule alone: the expressions to look at, and how far back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.report.watched import Gauge, gauge_of
from rules.ast import (
    Asset,
    Basket,
    Call,
    Clock,
    Expr,
    Instrument,
    RecordRef,
    Sessions,
    Since,
    Type,
    Universe,
    Window,
    Word,
)
from rules.evidence import name
from rules.plan import Compiler
from rules.ruleset import AlertRule
from rules.scope import walk
from rules.steps import Plan

MINUTE: Final = 60_000_000_000
MINUTES_SHOWN: Final = 2 * 390
"""Minutes of trading that pictures look back to, at the most: two regular sessions."""
LOOKED_BACK: Final = MINUTES_SHOWN * MINUTE
"""The same in nanoseconds: what the state must keep."""

_SESSIONS: Final = {Word.WTD: 5, Word.MTD: 21, Word.QTD: 63, Word.YTD: 120}
_SINCE: Final = 120
_FEW: Final = 2
"""Sessions of a window up to which the minutes tell more than the closes."""
_CLOSES: Final = 20
_TRAIL: Final = 5
"""Samples of a member's way over the rotation map."""
_MOST_MEMBERS: Final = 40
"""Members of a universe that a map has room for."""
_FEWEST_MEMBERS: Final = 3
_ROTATION: Final = frozenset({"rs_ratio", "rs_momentum", "quadrant"})


@dataclass(frozen=True, slots=True)
class Span:
    """How far back is looked: `closes` of sessions before the alert's, and `minutes` of trading.

    `trail`: the closes are there for the rotation map alone, where the minutes are known.
    """

    closes: int
    minutes: int
    trail: bool = False


@dataclass(frozen=True, slots=True)
class Rotation:
    """A map of a universe: its members' relative strength against `against` over `window` sessions, and its momentum.

    `ratio` and `momentum` are slots of the plan, (members,). `against` is in words.
    """

    universe: str
    members: tuple[str, ...]
    against: str
    window: int
    ratio: npt.NDArray[np.int64]
    momentum: npt.NDArray[np.int64]

    @property
    def samples(self) -> int:
        """Of each member's trail, the newest included."""
        return _TRAIL


@dataclass(frozen=True, slots=True)
class Subject:
    """What to evaluate for a picture. `value`, `fires` and `clears` are slots of the plan; -1 where there is none."""

    gauge: Gauge
    plan: Plan
    span: Span
    value: int
    fires: int
    clears: int
    rotation: Rotation | None


def subject(rule: AlertRule, member: Asset | None, session_ns: int) -> Subject:
    """What the picture of an instance shows; `session_ns`: length of a regular session."""
    compiler = Compiler(session_ns)

    def slots(parts: Sequence[tuple[Expr, Asset | None]]) -> npt.NDArray[np.int64]:
        return np.array([compiler.slot(expr, it) for expr, it in parts], np.int64)

    gauge = gauge_of(slots, rule, member, name(member) if member else "")
    parts = [gauge.expr, *(limit.level for limit in (gauge.fires, gauge.clears) if limit)]
    about = list(chain(_all(rule.when.expr), *(_all(part) for part in parts)))
    wanted = _rotation(rule, about)
    value, *levels = (int(compiler.slot(part, member)) for part in parts)
    rotation = None
    if wanted is not None:
        members, against, words, window = wanted
        ratio, momentum = (
            slots([(Call(f, (m, against, Sessions(window)), Type.SCORE), None) for m in members.members])
            for f in ("rs_ratio", "rs_momentum")
        )
        rotation = Rotation(members.name, tuple(map(name, members.members)), words, window, ratio, momentum)
    return Subject(
        gauge=gauge,
        plan=compiler.plan(),
        span=_span([w for e in chain(*map(_all, parts)) for w in _windows(e)]),
        value=value,
        fires=levels.pop(0) if gauge.fires else -1,
        clears=levels.pop(0) if gauge.clears else -1,
        rotation=rotation,
    )


def _all(expr: Expr) -> Iterator[Expr]:
    """The expression and everything below it, records included."""
    for part in walk(expr):
        yield part
        if isinstance(part, RecordRef):
            yield from _all(part.value)


def _windows(expr: Expr) -> Iterator[Window]:
    if isinstance(expr, Call):
        yield from (a for a in expr.args if isinstance(a, Sessions | Clock | Word | Since))


def _span(windows: Sequence[Window]) -> Span:
    """A few times what the windows look back to, in what they are counted in."""
    clock = max((w.ns for w in windows if isinstance(w, Clock)), default=0)
    sessions = max((_sessions(w) for w in windows if not isinstance(w, Clock)), default=0)
    if sessions > _FEW:
        return Span(min(max(2 * sessions, _CLOSES), 120), MINUTES_SHOWN // 2)
    minutes = min(max(6 * -(-clock // MINUTE), 60), MINUTES_SHOWN) if clock and not sessions else MINUTES_SHOWN
    return Span(_CLOSES, minutes, trail=True)


def _sessions(window: Window) -> int:
    match window:
        case Sessions(count=count):
            return count
        case Since():
            return _SINCE
        case Word():
            return _SESSIONS.get(window, 0)
        case _:
            return 0


def _rotation(rule: AlertRule, parts: Sequence[Expr]) -> tuple[Universe, Asset, str, int] | None:
    """The universe a rule is about, what its members are held against (also in words), and over how many sessions."""
    calls = [part for part in parts if isinstance(part, Call)]
    universe = rule.each or next((a for call in calls for a in call.args if isinstance(a, Universe)), None)
    if universe is None or not _FEWEST_MEMBERS <= len(universe.members) <= _MOST_MEMBERS:
        return None
    for call in calls:
        match call:
            case Call(function=function, args=(_, Instrument() | Basket() as against, Sessions(count=count))) if (
                function in _ROTATION
            ):
                return universe, against, name(against), count
    window = max((_sessions(w) for call in calls for w in _windows(call)), default=0)
    window = min(max(window, 10), 20)
    others = (a for call in calls for a in call.args if isinstance(a, Instrument | Basket))
    if (other := next((a for a in others if a not in universe.members), None)) is not None:
        return universe, other, name(other), window
    return universe, _average(universe), f"the average of {universe.name}", window


def _average(universe: Universe) -> Basket:
    """The universe's members as one portfolio, all of equal weight."""
    weights: dict[str, float] = {}
    for member in universe.members:
        each = ((member.symbol, 1.0),) if isinstance(member, Instrument) else member.weights
        for symbol, weight in each:
            weights[symbol] = weights.get(symbol, 0.0) + weight / len(universe.members)
    return Basket(universe.name, tuple(weights.items()))
