"""The values behind a decision: every sub-expression, the prices under it, and how far it is from its threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from rules.ast import (
    Arithmetic,
    Asset,
    Basket,
    Call,
    Comparison,
    Expr,
    Instrument,
    It,
    Literal,
    Logic,
    Negate,
    Not,
    RecordRef,
    Universe,
)
from rules.plan import Compiler
from rules.ruleset import Formula
from rules.transition import Evidence
from rules.view import Floats, View

_MEMBERS: Final = 20
"""Members of a universe or basket listed one by one; larger ones are told by their function's value alone."""

_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def number(value: float) -> float | None:
    """A value for people and JSON: unknown is None."""
    return None if math.isnan(value) else float(value)


def deciding(expr: Expr) -> tuple[Expr, str, Expr] | None:
    """The first comparison of a condition as (what is watched, operator, level).

    The level is the side that is a literal, if one is.
    """
    match expr:
        case Comparison(op=op, left=Literal() as left, right=right) if not isinstance(right, Literal):
            return right, _FLIPPED[op], left
        case Comparison(op=op, left=left, right=right):
            return left, op, right
        case Logic(operands=operands):
            return next((found for o in operands if (found := deciding(o))), None)
        case Not(operand=operand):
            return deciding(operand)
        case RecordRef(value=value):
            return deciding(value)
        case _:
            return None


class Witness:
    """Reads evidence out of the values of the last evaluation."""

    def __init__(self, compiler: Compiler, instruments: tuple[str, ...]) -> None:
        self._compiler = compiler
        self._index = {symbol: i for i, symbol in enumerate(instruments)}

    def value(
        self, formula: Formula, explicit: Formula | None, it: Asset | None, values: Floats
    ) -> tuple[float | None, str]:
        """What the alert is about and its type.

        The rule's `value`, or the watched side of the first comparison of `formula`.
        """
        if explicit is not None:
            watched: Expr = explicit.expr
        elif found := deciding(formula.expr):
            watched = found[0]
        else:
            watched = formula.expr
        return number(values[self._compiler.slot(watched, it)]), str(watched.type)

    def slot(self, expr: Expr, it: Asset | None) -> int:
        """Where the value of an expression, or of a part of one, stands among those of an evaluation."""
        return self._compiler.slot(expr, it)

    def evidence(self, formula: Formula, it: Asset | None, values: Floats, view: View) -> Evidence:
        """See :class:`~rules.transition.Evidence`."""
        expressions, seen = [], set()
        for expr, bound in _parts(formula.expr, it):
            text = formula.text[expr.span.start : expr.span.end]
            entry = {"expr": text, "value": number(values[self._compiler.slot(expr, bound)]), "type": str(expr.type)}
            if bound is not None and bound is not it:
                entry["member"] = name(bound)
            if (text, entry.get("member")) not in seen:
                seen.add((text, entry.get("member")))
                expressions.append(entry)
        return Evidence(tuple(expressions), self._prices(formula.expr, it, view), self.threshold(formula, it, values))

    def _prices(self, expr: Expr, it: Asset | None, view: View) -> dict[str, dict[str, Any]]:
        prices, times = view.prices(), view.price_times()
        symbols = dict.fromkeys(s for asset in _assets(expr, it) for s in _symbols(asset))
        return {s: {"price": number(prices[self._index[s]]), "ts": int(times[self._index[s]])} for s in symbols}

    def threshold(self, formula: Formula, it: Asset | None, values: Floats) -> dict[str, Any] | None:
        """The deciding comparison, as in :class:`~rules.transition.Evidence`; None where there is none."""
        if (found := deciding(formula.expr)) is None:
            return None
        watched, op, level = found
        value, limit = (number(values[self._compiler.slot(e, it)]) for e in (watched, level))
        return {
            "expr": formula.text[watched.span.start : watched.span.end],
            "value": value,
            "op": op,
            "level": limit,
            "distance": None if value is None or limit is None else value - limit,
            "type": str(watched.type),
        }


def name(asset: Asset) -> str:
    """How a member is called: its symbol, or the basket's name."""
    return asset.symbol if isinstance(asset, Instrument) else asset.name


def _parts(expr: Expr, it: Asset | None) -> Iterator[tuple[Expr, Asset | None]]:
    """The expression and its parts, outermost first, literals left out.

    A universe function's part once for each member.
    """
    if isinstance(expr, Literal):
        return
    yield expr, it
    match expr:
        case Negate(operand=operand) | Not(operand=operand):
            yield from _parts(operand, it)
        case Arithmetic(left=left, right=right) | Comparison(left=left, right=right):
            yield from _parts(left, it)
            yield from _parts(right, it)
        case Logic(operands=operands):
            for operand in operands:
                yield from _parts(operand, it)
        case Call(args=args):
            universe = next((a for a in args if isinstance(a, Universe)), None)
            bindings: tuple[Asset | None, ...] = (it,) if universe is None else universe.members
            inner = [a for a in args if isinstance(a, Expr)]
            if len(bindings) <= _MEMBERS:
                for bound in bindings:
                    for arg in inner:
                        yield from _parts(arg, bound)


def _assets(expr: object, it: Asset | None) -> Iterator[Asset]:
    match expr:
        case It() if it is not None:
            yield it
        case Instrument() | Basket():
            yield expr
        case Negate(operand=operand) | Not(operand=operand):
            yield from _assets(operand, it)
        case Arithmetic(left=left, right=right) | Comparison(left=left, right=right):
            yield from _assets(left, it)
            yield from _assets(right, it)
        case Logic(operands=operands):
            for operand in operands:
                yield from _assets(operand, it)
        case RecordRef(value=value):
            yield from _assets(value, None)
        case Call(args=args):
            universe = next((a for a in args if isinstance(a, Universe)), None)
            if universe is None:
                for arg in args:
                    yield from _assets(arg, it)
            else:
                yield from _assets(args[0], it)
                yield from universe.members[:_MEMBERS]


def _symbols(asset: Asset) -> tuple[str, ...]:
    return (asset.symbol,) if isinstance(asset, Instrument) else tuple(s for s, _ in asset.weights[:_MEMBERS])
