"""What each alert instance watches, over time: recorded from the engine's own evaluations, in the same pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.calendar import Times, TradingCalendar
from rules.ast import Asset, Call, Comparison, Expr, Literal, Logic, Not, Type
from rules.engine import Engine
from rules.ruleset import AlertRule, Formula
from rules.view import Floats

_MEMORY: Final = 64 * 1024 * 1024
"""Bytes that the values at single evaluations may take."""

SlotsOf = Callable[[Sequence[tuple[Expr, Asset | None]]], npt.NDArray[np.int64]]
"""Where expressions, with `it` bound, stand in a plan, (n,): equal where they mean the same."""

_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NEGATED: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold of what is watched: ``watched op level``; `text`: the level as it was written."""

    op: str
    level: Expr
    text: str

    @property
    def literal(self) -> float | None:
        """Its value where it is a number; None where it moves."""
        return self.level.value if isinstance(self.level, Literal) else None


@dataclass(frozen=True, slots=True)
class Gauge:
    """What one instance is about: an expression and its thresholds for firing and for clearing, where it has them.

    `expr`: the rule's `value`, or the watched side of its first comparison, or its condition. `text`: as it was
    written.
    """

    rule: AlertRule
    member: Asset | None
    name: str
    expr: Expr
    text: str
    fires: Limit | None
    clears: Limit | None

    @property
    def kind(self) -> str:
        """The type of the values (:class:`rules.ast.Type`)."""
        return str(self.expr.type)

    @property
    def rises(self) -> bool | None:
        """Whether it fires on a high value (True) or a low one (False); None where neither can be said."""
        return None if self.fires is None or self.fires.op in ("==", "!=") else self.fires.op in (">", ">=")


def comparisons(expr: Expr) -> Iterator[tuple[Expr, str, Expr]]:
    """Every comparison that a condition is made of, both ways round, with what `not` makes of it."""
    match expr:
        case Comparison(op=op, left=left, right=right):
            yield left, op, right
            yield right, _FLIPPED[op], left
        case Logic(operands=operands):
            for operand in operands:
                yield from comparisons(operand)
        case Not(operand=operand):
            yield from ((left, _NEGATED[op], right) for left, op, right in comparisons(operand))
        case Call(function="crosses_above" | "crosses_below" as name, args=(watched, level, _)):
            if isinstance(watched, Expr) and isinstance(level, Expr):
                yield watched, ">" if name == "crosses_above" else "<", level
        case _:
            return


def deciding(expr: Expr) -> tuple[Expr, str, Expr] | None:
    """The first comparison of a condition as (what is watched, operator, level), if that has a height to draw.

    Not within a record, whose text is its own.
    """
    found = next((c for c in comparisons(expr) if not isinstance(c[0], Literal)), None)
    return None if found is None or found[0].type is Type.CATEGORY else found


class Watched:
    """The values of all gauges of an engine, recorded from now on.

    Every evaluation is kept while memory lasts; after that every second, every fourth ... A session's last evaluation
    is always kept, so what is read at closes is exact.
    """

    def __init__(self, engine: Engine, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self.gauges = {
            (row.rule.name, row.member_name): gauge_of(engine.slots, row.rule, row.member, row.member_name)
            for row in engine.instances.rows
        }
        parts = [(e, g.member) for g in self.gauges.values() for e in _parts(g)]
        slots = engine.slots(parts)
        self._slots, columns = np.unique(slots, return_inverse=True)
        self._column = {(id(e), id(it)): int(c) for (e, it), c in zip(parts, columns.tolist(), strict=True)}
        self._most = max(1024, _MEMORY // (8 * max(len(self._slots), 1)))
        self.every = 1
        """Of how many evaluations one was kept."""
        self._offered = 0
        self._times: list[int] = []
        self._rows: list[Floats] = []
        self._sessions: list[int] = []
        self._closes: list[Floats] = []
        self._joined: tuple[Times, Floats, Floats] | None = None
        engine.observer = self._take

    def _take(self, now: int, values: Floats) -> None:
        row = values[self._slots]
        session = self._calendar.session_at(now)
        if self._sessions and self._sessions[-1] == session:
            self._closes[-1] = row
        else:
            self._sessions.append(session)
            self._closes.append(row)
        if self._offered % self.every == 0:
            self._times.append(now)
            self._rows.append(row)
            if len(self._rows) >= self._most:
                del self._times[1::2], self._rows[1::2]
                self.every *= 2
        self._offered += 1
        self._joined = None

    def _tables(self) -> tuple[Times, Floats, Floats]:
        if self._joined is None:
            closes = np.full((self.session_count, len(self._slots)), np.nan)
            if self._closes:
                closes[np.array(self._sessions) - self._sessions[0]] = np.array(self._closes)
            rows = np.array(self._rows).reshape(len(self._rows), len(self._slots))
            self._joined = np.array(self._times, np.int64), rows.T.copy(), closes.T.copy()
        return self._joined

    @property
    def times(self) -> Times:
        """When the kept evaluations were, (n,) UTC nanoseconds."""
        return self._tables()[0]

    @property
    def first_session(self) -> int:
        """Ordinal of the first session with an evaluation; 0 before there is one."""
        return self._sessions[0] if self._sessions else 0

    @property
    def session_count(self) -> int:
        """How many sessions there are from the first with an evaluation to the last."""
        return self._sessions[-1] - self._sessions[0] + 1 if self._sessions else 0

    def values(self, gauge: Gauge) -> Floats:
        """The watched value at each of :attr:`times`, (n,); NaN is unknown."""
        return self._column_of(self._tables()[1], gauge.expr, gauge)

    def level(self, gauge: Gauge, limit: Limit) -> Floats:
        """A threshold at each of :attr:`times`, (n,)."""
        return self._column_of(self._tables()[1], limit.level, gauge)

    def closes(self, gauge: Gauge) -> Floats:
        """The watched value at the end of each session from the first to the last, (sessions,); NaN is unknown."""
        return self._column_of(self._tables()[2], gauge.expr, gauge)

    def _column_of(self, table: Floats, expr: Expr, gauge: Gauge) -> Floats:
        found: Floats = table[self._column[id(expr), id(gauge.member)]]
        return found

    def session_index(self, at: int) -> int:
        """Where in :meth:`closes` the session of a moment stands."""
        return self._calendar.session_at(at) - self.first_session


def _parts(gauge: Gauge) -> Iterator[Expr]:
    yield gauge.expr
    for limit in (gauge.fires, gauge.clears):
        if limit is not None:
            yield limit.level


def gauge_of(slots: SlotsOf, rule: AlertRule, member: Asset | None, name: str) -> Gauge:
    """What an instance of a rule is about; `slots` tells which expressions are the same."""
    expr, text = _about(rule)
    fires = _limit(slots, rule.when, expr, member)
    clears = _limit(slots, rule.until, expr, member) if rule.until else None
    return Gauge(rule, member, name, expr, text, fires, clears)


def _about(rule: AlertRule) -> tuple[Expr, str]:
    """What to draw of a rule: a category has no height, so of its rule the condition is drawn."""
    if rule.value is not None and rule.value.expr.type is not Type.CATEGORY:
        return rule.value.expr, " ".join(rule.value.text.split())
    found = deciding(rule.when.expr)
    if found is None:
        return rule.when.expr, " ".join(rule.when.text.split())
    return found[0], written_in(rule.when, found[0])


def _limit(slots_of: SlotsOf, formula: Formula, expr: Expr, member: Asset | None) -> Limit | None:
    """The first comparison, in a condition, of the expression with something else."""
    found = [c for c in comparisons(formula.expr) if c[0].type is expr.type]
    if not found:
        return None
    slots = slots_of([(expr, member), *((watched, member) for watched, _, _ in found)])
    same = (c for slot, c in zip(slots[1:], found, strict=True) if slot == slots[0])
    return next((Limit(op, level, written_in(formula, level)) for _, op, level in same), None)


def written_in(formula: Formula, part: Expr) -> str:
    """A part of a formula as it was written, on one line."""
    return " ".join(formula.text[part.span.start : part.span.end].split())
