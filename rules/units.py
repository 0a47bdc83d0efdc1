"""Which types may be added, multiplied and compared, and what to write where they may not.

Scores and counts are pure numbers and mix freely; so does a price with a number, since a price has no unit of its own
to be written with. A ratio and a duration have: `4%`, `400bp`, `30s`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from rules.ast import Expr, Literal, Negate, Type
from rules.syntax import Node, brief

PURE: Final = frozenset({Type.SCORE, Type.COUNT})
NUMERIC: Final = frozenset({Type.RATIO, Type.PRICE, Type.SCORE, Type.COUNT, Type.VOLUME, Type.DURATION})
_PLAIN_UNIT: Final = frozenset({Type.PRICE, Type.VOLUME})

Side = tuple[Node, Expr, Type]
"""An operand: as written, as checked, and its type."""


class UnitError(ValueError):
    """Two operands that do not go together; `at` is the one to change, if it is clear which."""

    def __init__(self, message: str, hint: str = "", at: Node | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.at = at


def bare(expr: Expr) -> float | None:
    """The value of a number written without a unit, or None."""
    match expr:
        case Literal(value=value, type=Type.SCORE):
            return value
        case Negate(operand=operand):
            inner = bare(operand)
            return None if inner is None else -inner
        case _:
            return None


def compared(op: str, left: Side, right: Side) -> None:
    """Checks a comparison.

    Raises:
        UnitError: The sides cannot be compared.
    """
    for node, _, type_ in (left, right):
        if type_ is Type.CONDITION:
            raise UnitError(
                f"{brief(node)} is a condition already and cannot be compared",
                "combine conditions with and, or, not",
                node,
            )
    if left[2] is Type.CATEGORY and right[2] is Type.CATEGORY and op in {"==", "!="}:
        return
    if not _mix(left, right, zero=True):
        raise _mismatch(left, right, "compared")


def combined(op: str, left: Side, right: Side) -> Type:
    """The type of ``left op right``.

    Raises:
        UnitError: The operator makes no sense between these.
    """
    for node, _, type_ in (left, right):
        if type_ not in NUMERIC:
            raise UnitError(f"{brief(node)} is {article(type_)} and cannot be calculated with", at=node)
    a, b = left[2], right[2]
    match op:
        case "+" | "-":
            return _sum(left, right)
        case "*":
            return _product(left, right)
        case _:
            if bare(right[1]) == 0:
                raise UnitError("division by 0", at=right[0])
            if a is b:
                return Type.SCORE
            if b in PURE or b is Type.RATIO:
                return Type.SCORE if a is Type.COUNT else a
            raise UnitError(f"{_is(left)} and {_is(right)}: their quotient has no meaning")


def _sum(left: Side, right: Side) -> Type:
    if not _mix(left, right, zero=False):
        raise _mismatch(left, right, "added")
    a, b = left[2], right[2]
    if a is b:
        return a
    if {a, b} <= PURE:
        return Type.COUNT if bare(left[1]) is not None or bare(right[1]) is not None else Type.SCORE
    return b if a in PURE else a


def _product(left: Side, right: Side) -> Type:
    a, b = left[2], right[2]
    for one, other in ((a, b), (b, a)):
        if one in PURE:
            return other
    for one, other in ((a, b), (b, a)):
        if one is Type.RATIO:
            return other
    raise UnitError(f"{_is(left)} and {_is(right)}: their product has no meaning")


def _mix(left: Side, right: Side, *, zero: bool) -> bool:
    """Whether two values can stand on the two sides of a sum or a comparison. `zero`: a bare 0 goes with everything."""
    a, b = left[2], right[2]
    if not {a, b} <= NUMERIC:
        return False
    if a is b or {a, b} <= PURE:
        return True
    for number, other in ((bare(left[1]), b), (bare(right[1]), a)):
        if number is not None and (other in _PLAIN_UNIT or (zero and number == 0)):
            return True
    return False


def _mismatch(left: Side, right: Side, verb: str) -> UnitError:
    for number, other in ((left, right), (right, left)):
        value = bare(number[1])
        if value is not None and other[2] is Type.RATIO:
            meant = "100%" if verb == "added" and value == 1 else as_ratio(value)
            return UnitError(f"{_is(number)} and {_is(other)}: write {meant}", at=number[0])
        if value is not None and other[2] is Type.DURATION:
            return UnitError(f"{_is(number)} and {_is(other)}: write clock time, such as 30s, 5m or 2h", at=number[0])
    for literal, other in ((left, right), (right, left)):
        if isinstance(literal[1], Literal) and other[2] in PURE | _PLAIN_UNIT:
            return UnitError(f"{_is(literal)} and {_is(other)}: write a number without a unit", at=literal[0])
    return UnitError(f"{_is(left)} and {_is(right)}: they cannot be {verb}")


def as_ratio(value: float) -> str:
    """What a number without a unit was most likely meant to be, in both units.

    Examples:
        >>> as_ratio(400), as_ratio(4), as_ratio(0.04)
        ('400bp or 4%', '4% or 400bp', '4% or 400bp')
    """
    number = Decimal(repr(value))
    size = abs(number)
    in_bp = number if size >= 20 else number * 100 if size >= 1 else number * 10_000  # noqa: PLR2004 - 20% is a lot
    bp, pct = f"{_plain(in_bp)}bp", f"{_plain(in_bp / 100)}%"
    return f"{bp} or {pct}" if size >= 20 else f"{pct} or {bp}"  # noqa: PLR2004


def article(type_: Type) -> str:
    """``a ratio``."""
    return f"a {type_}"


def _is(side: Side) -> str:
    node, expr, type_ = side
    return f"{brief(node)} is {'a bare number' if bare(expr) is not None else article(type_)}"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
