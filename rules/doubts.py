"""Conditions that say less than they seem to: never true, always true, or an `until` that cannot do its work."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from rules.ast import Call, Comparison, Expr, Literal, Logic, RecordRef, Span, Type
from rules.certainty import OPPOSITE, Certainty, TooMuchError, is_whole
from rules.parse import parse
from rules.ranges import Range, satisfying
from rules.ruleset import Formula
from rules.scope import children
from rules.syntax import brief

NEVER: Final = "can never be true"
ALWAYS: Final = "is always true"
_HINTS: Final = {
    ("when", True): "the alert can never fire",
    ("when", False): "the alert fires as soon as its data is there, and stays",
    ("until", True): "once it has fired, the alert never clears",
    ("until", False): "the alert clears as soon as `when` does not hold, as it does without `until`",
}
"""By the key, and whether its condition can never be true."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is doubtful, and where in the text of the formula."""

    message: str
    span: Span
    hint: str = ""


def doubts(formula: Formula, key: str = "") -> list[Doubt]:
    """Conditions of a formula that can never be true, or always are where they are known.

    Each is told once, at its smallest part; of a formula that is too large, only a part is looked at.

    Args:
        formula: What is looked at.
        key: Of the rule, `when` or `until`, where a hint says what it means for the alert.
    """
    search = _Search(formula.text, Certainty())
    with suppress(TooMuchError):  # what was found until then is certain
        search.look(formula.expr)
        for never in (True, False):
            if search.found and (key, never) in _HINTS and not search.certainty.can_be(formula.expr, value=never):
                first = search.found[0]
                search.found[0] = Doubt(first.message, first.span, _HINTS[key, never])
    return search.found


def doubt_of_until(when: Formula, until: Formula) -> Doubt | None:
    """Why an `until` keeps an alert from doing what it seems to: it holds while `when` does."""
    certainty = Certainty()
    try:
        if any(not certainty.can_be(f.expr, value=v) for f in (when, until) for v in (True, False)):
            return None  # told already
        span = until.expr.span
        if not certainty.together([(when.expr, True), (until.expr, False)]):
            message = "`until` holds whenever `when` does, so it keeps nothing up"
            return Doubt(message, span, "the two hold at different times: when x > 4%, until x < 3%")
        both = _overlap(when.expr, until.expr, certainty)
    except TooMuchError:
        return None
    if both is None:
        return None
    watched, shared = both
    where = _between(shared, watched.type)
    message = f"`until` holds where `when` does, {where}: the alert stays up there, and clears as without"
    return Doubt(message, span, "leave a gap between the two: when x > 4%, until x < 3%")


def _overlap(when: Expr, until: Expr, certainty: Certainty) -> tuple[Expr, Range] | None:
    """What both compare with a number, and where both hold; None if that is not all they do."""
    first, second = _threshold(when), _threshold(until)
    if first is None or second is None or first[0] != second[0]:
        return None
    shared = certainty.range_of(first[0])
    for _, op, level in (first, second):
        shared = shared.meets(satisfying(op, Range.point(level)))
    return None if shared.empty or shared.holes else (first[0], shared)


def _threshold(expr: Expr) -> tuple[Expr, str, float] | None:
    while isinstance(expr, RecordRef):
        expr = expr.value
    match expr:
        case Comparison(op="<" | "<=" | ">" | ">=" as op, left=left, right=Literal(value=level)):
            while isinstance(left, RecordRef):
                left = left.value
            return left, op, level
        case _:
            return None


@dataclass(slots=True)
class _Search:
    """Goes through one formula from the smallest parts up."""

    text: str
    certainty: Certainty
    found: list[Doubt]

    def __init__(self, text: str, certainty: Certainty) -> None:
        self.text = text
        self.certainty = certainty
        self.found = []

    def look(self, expr: Expr) -> bool:
        """Whether something in an expression is constant, which then is told."""
        told = [self.look(child) for child in children(expr)]
        if expr.type is not Type.CONDITION or any(told):
            return any(told)
        for value in (True, False):
            if not self.certainty.can_be(expr, value=value):
                if not isinstance(expr, RecordRef):  # told where the record stands
                    self.found.append(self._doubt(expr, never=value))
                return True
        return False

    def _doubt(self, expr: Expr, *, never: bool) -> Doubt:
        match expr:
            case Comparison(op=op, left=left, right=right):
                reason = self._reason(op if never else OPPOSITE[op], left, right)
                return Doubt(f"`{self._brief(expr)}` {NEVER if never else ALWAYS}{reason}", expr.span)
            case Call(function="crosses_above" | "crosses_below" as name, args=(left, right, _)) if isinstance(
                left, Expr
            ) and isinstance(right, Expr):
                beyond = ">" if name == "crosses_above" else "<"
                op = beyond if self._never(beyond, left, right) else OPPOSITE[beyond]
                return Doubt(f"`{self._brief(expr)}` {NEVER}{self._reason(op, left, right)}", expr.span)
            case Logic(operands=operands):
                return self._joint(operands, expr.span, never=never)
            case _:
                return Doubt(f"`{self._brief(expr)}` {NEVER if never else ALWAYS}", expr.span)

    def _joint(self, operands: tuple[Expr, ...], span: Span, *, never: bool) -> Doubt:
        """Of conditions that are constant only together."""
        for first, second in combinations(operands, 2):
            if not self.certainty.together([(first, never), (second, never)]):
                a, b = self._brief(first), self._brief(second)
                if never:
                    return Doubt(f"`{b}` {NEVER} where `{a}` is", second.span)
                return Doubt(f"one of `{a}` and `{b}` {ALWAYS}", second.span)
        together = f"these {len(operands)} conditions"
        return Doubt(f"{together} {NEVER} at once" if never else f"one of {together} {ALWAYS}", span)

    def _never(self, op: str, left: Expr, right: Expr) -> bool:
        return not self.certainty.can_be(Comparison(op, left, right), value=True)

    def _reason(self, op: str, left: Expr, right: Expr) -> str:
        """Why ``left op right`` cannot be."""
        ranges = [(expr, self.certainty.range_of(expr)) for expr in (left, right)]
        reasons = []
        for (expr, own), (_, other), side in zip(ranges, ranges[::-1], ("left", "right"), strict=True):
            if isinstance(expr, Literal):
                continue
            if op in {"==", "!="} and not own.meets(other).empty:
                continue
            above = (op in {"<", "<="}) == (side == "left") if op not in {"==", "!="} else own.low > other.high
            end = own.low if above else own.high
            if math.isfinite(end):
                shown = _shown(end, expr.type)
                reasons.append(f"{self._brief(expr)} is {'at least' if above else 'at most'} {shown}")
        if isinstance(left, Literal) and isinstance(right, Literal):
            return ": both sides are numbers"
        if not reasons:
            whole = next((self._brief(expr) for expr in (left, right) if is_whole(expr)), "")
            return f": {whole} is a whole number" if whole and left != right else ": both sides are the same"
        return f": {' and '.join(reasons)}"

    def _brief(self, expr: Expr) -> str:
        return brief(parse(self.text[expr.span.start : expr.span.end]))


def _between(shared: Range, type_: Type) -> str:
    parts: Iterator[str] = (
        f"{word} {_shown(end, type_)}"
        for word, end in (("above", shared.low), ("below", shared.high))
        if math.isfinite(end)
    )
    return " and ".join(parts)


def _shown(value: float, type_: Type) -> str:
    value += 0.0  # -0 is 0
    match type_:
        case Type.RATIO:
            return f"{value * 100:.12g}%"
        case Type.DURATION:
            return f"{value / 1e9:.12g}s"
        case _:
            return f"{value:.6g}"
