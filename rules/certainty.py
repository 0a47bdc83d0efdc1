"""Whether a condition can be true at all, and whether it can be false: by the ranges of what it compares.

The answer errs on one side: "it cannot" is certain, "it can" may only mean that nothing here excludes it. An unknown
is neither true nor false, so "cannot be false" means: true wherever it is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from rules.ast import Arithmetic, Call, Comparison, Expr, Literal, Logic, Negate, Not, RecordRef, Type
from rules.bounds import WHOLE, bounds
from rules.ranges import ANYTHING, Range, combined, satisfying

OPPOSITE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_ZERO: Final = Range.point(0.0)
_EFFORT: Final = 3_000
"""Steps for one formula, each some microseconds; what is left then is taken as possible."""

Difference = tuple[Expr, Expr]
Key = Expr | Difference
"""What is known something about: an expression, or how far one is above another."""


class TooMuchError(Exception):
    """The formula is too large to be looked at in the time there is for it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Ranges of expressions, now, under the conditions that are taken to hold."""

    known: dict[Key, Range] = field(default_factory=dict)

    def copy(self) -> Facts:
        """The same, to be added to."""
        return Facts(dict(self.known))

    def of(self, key: Key) -> Range:
        """What is known; of a difference, either way round."""
        if isinstance(key, tuple):
            first, second = key
            if first == second:
                return _ZERO
            if (other := self.known.get((second, first))) is not None:
                return other.negated()
        return self.known.get(key, ANYTHING)

    def narrow(self, key: Key, to: Range) -> Range:
        """Adds that something lies in a range, and gives what is left."""
        left = self.of(key).meets(to)
        if isinstance(key, tuple) and (key[1], key[0]) in self.known:
            self.known[key[1], key[0]] = left.negated()
        else:
            self.known[key] = left
        return left


_NOTHING: Final = Facts()


class Certainty:
    """Answers for the conditions of one formula; ranges of its parts are worked out once."""

    def __init__(self) -> None:
        self._ranges: dict[int, Range] = {}
        self._alive: list[Expr] = []  # keeps what `_ranges` knows by id() from being replaced by something else
        self._effort = 0

    def can_be(self, condition: Expr, *, value: bool) -> bool:
        """Whether a condition can have a value.

        Raises:
            TooMuchError: The formula is too large.
        """
        return self._can_be(condition, _NOTHING, value=value)

    def together(self, conditions: list[tuple[Expr, bool]]) -> bool:
        """Whether conditions can have these values at the same time."""
        return self._together(conditions, _NOTHING)

    def range_of(self, expr: Expr, facts: Facts = _NOTHING) -> Range:
        """The values that an expression can have."""
        plain = self._plain_range(expr)
        if not facts.known:
            return plain
        key, turned = _key(expr)
        fact = facts.of(key)
        known = plain.meets(fact.negated() if turned else fact)
        match expr:
            case Negate(operand=operand):
                known = known.meets(self.range_of(operand, facts).negated())
            case Arithmetic(op=op, left=left, right=right):
                known = known.meets(combined(op, self.range_of(left, facts), self.range_of(right, facts)))
        return known.whole() if is_whole(expr) else known

    def _plain_range(self, expr: Expr) -> Range:
        if (known := self._ranges.get(id(expr))) is None:
            known = self._ranges[id(expr)] = self._worked_out(expr)
            self._alive.append(expr)
        return known

    def _worked_out(self, expr: Expr) -> Range:
        self._step()
        match expr:
            case Literal(value=value):
                return Range.point(value)
            case Negate(operand=operand):
                return self._plain_range(operand).negated()
            case Arithmetic(op=op, left=left, right=right):
                found = combined(op, self._plain_range(left), self._plain_range(right))
                return found.meets(_ZERO) if op == "-" and _core(left) == _core(right) else found
            case RecordRef(value=value):
                return self._plain_range(value)
            case Call():
                return bounds(expr, self._plain_range)
            case _:
                return ANYTHING

    def _step(self) -> None:
        self._effort += 1
        if self._effort > _EFFORT:
            raise TooMuchError

    # --- conditions

    def _can_be(self, expr: Expr, facts: Facts, *, value: bool) -> bool:
        self._step()
        match expr:
            case Comparison(op=op, left=left, right=right):
                return self._compare(op if value else OPPOSITE[op], left, right, facts)
            case Logic(op=op, operands=operands):
                if value == (op == "and"):
                    return self._together([(operand, value) for operand in operands], facts)
                return any(self._can_be(operand, facts, value=value) for operand in operands)
            case Not(operand=operand):
                return self._can_be(operand, facts, value=not value)
            case RecordRef(value=inner):
                return self._can_be(inner, facts, value=value)
            case Call():
                return self._call_can_be(expr, value=value)
            case _:
                return True

    def _call_can_be(self, call: Call, *, value: bool) -> bool:
        """Of functions whose value is a condition. What is known of now says nothing of their earlier samples."""
        match call.function, call.args:
            case "held", (condition, *_) if value and isinstance(condition, Expr):
                return self._can_be(condition, _NOTHING, value=True)
            case "then", (before, now, _) if isinstance(before, Expr) and isinstance(now, Expr):
                parts = (self._can_be(part, _NOTHING, value=value) for part in (before, now))
                return all(parts) if value else any(parts)
            case (("crosses_above" | "crosses_below" as name), (watched, level, _)) if (
                value and isinstance(watched, Expr) and isinstance(level, Expr)
            ):
                beyond = ">" if name == "crosses_above" else "<"
                return all(self._compare(op, watched, level, _NOTHING) for op in (beyond, OPPOSITE[beyond]))
            case _:
                return True

    def _compare(self, op: str, left: Expr, right: Expr, facts: Facts) -> bool:
        """Whether ``left op right`` can be true."""
        first, second = self.range_of(left, facts), self.range_of(right, facts)
        if not _can_hold(op, first, second):
            return False
        if op == "==" and (is_whole(left) or is_whole(right)) and first.meets(second).whole().empty:
            return False
        return _can_hold(op, facts.of((_core(left), _core(right))), _ZERO)

    def _together(self, conditions: list[tuple[Expr, bool]], facts: Facts) -> bool:
        facts = facts.copy()
        if not all(self._suppose(condition, facts, value=value) for condition, value in conditions):
            return False
        return all(self._can_be(condition, facts, value=value) for condition, value in conditions)

    def _suppose(self, expr: Expr, facts: Facts, *, value: bool) -> bool:
        """Adds what a condition's value says about its parts; False if nothing is left of one."""
        self._step()
        match expr:
            case Comparison(op=op, left=left, right=right):
                return self._suppose_comparison(op if value else OPPOSITE[op], left, right, facts)
            case Logic(op=op, operands=operands) if value == (op == "and"):
                return all(self._suppose(operand, facts, value=value) for operand in operands)
            case Not(operand=operand):
                return self._suppose(operand, facts, value=not value)
            case RecordRef(value=inner):
                return self._suppose(inner, facts, value=value)
            case Call(function="crosses_above" | "crosses_below" as name, args=(left, right, _)) if (
                value and isinstance(left, Expr) and isinstance(right, Expr)
            ):
                return self._suppose_comparison(">" if name == "crosses_above" else "<", left, right, facts)
            case Call(function="then", args=(_, now, _)) if value and isinstance(now, Expr):
                return self._suppose(now, facts, value=True)
            case _:
                return True

    def _suppose_comparison(self, op: str, left: Expr, right: Expr, facts: Facts) -> bool:
        if self._plain_range(left).single is None and self._plain_range(right).single is None:
            apart = facts.narrow((_core(left), _core(right)), satisfying(op, _ZERO))
            if apart.empty:
                return False
        for expr, operator, other in ((left, op, right), (right, FLIPPED[op], left)):
            to = self._plain_range(expr).meets(satisfying(operator, self._plain_range(other)))
            to = to.whole() if is_whole(expr) else to
            key, turned = _key(expr)
            left_over = facts.narrow(key, to.negated() if turned else to)
            if is_whole(expr):
                left_over = left_over.whole()
            if left_over.empty:
                return False
        return True


def _can_hold(op: str, left: Range, right: Range) -> bool:
    if left.empty or right.empty:
        return False
    if op == "!=":
        return left.single is None or left.single != right.single
    return not left.meets(satisfying(op, right)).empty


def _core(expr: Expr) -> Expr:
    """What a record stands for."""
    while isinstance(expr, RecordRef):
        expr = expr.value
    return expr


def _key(expr: Expr) -> tuple[Key, bool]:
    """Under what facts of an expression are kept, and whether they are those of its negative."""
    turned = False
    expr = _core(expr)
    while isinstance(expr, Negate):
        turned, expr = not turned, _core(expr.operand)
    match expr:
        case Arithmetic(op="-", left=left, right=right):
            return (_core(left), _core(right)), turned
        case Call(function="excess", args=(x, y, window)):
            ours, theirs = (Call("ret", (asset, window), Type.RATIO) for asset in (x, y))
            return (ours, theirs), turned
        case _:
            return expr, turned


def is_whole(expr: Expr) -> bool:
    """Whether a value is a whole number, or the number of a category."""
    expr = _core(expr)
    return isinstance(expr, Call) and expr.function in WHOLE
