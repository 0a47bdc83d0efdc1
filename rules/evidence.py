"""The values behind a decision: every sub-expression, the prices under it, and how far it is from its threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

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
from rules.readings import Lasting
from rules.ruleset import Formula
from rules.timers import Ints
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


class Moment:
    """When a decision is made, and the prices that it is seen with.

    `now` is event time, UTC nanoseconds; `session` its ordinal in the calendar. The prices are asked for when they are
    looked at: most decisions are that nothing happened.
    """

    __slots__ = ("_said", "_view", "now", "session")

    def __init__(self, view: View) -> None:
        self.now, self.session = view.now, view.session
        self._view: View | None = view
        self._said: tuple[Floats, Ints] | None = None

    @classmethod
    def kept(cls, view: View, *, prices: bool) -> Moment:
        """One that outlives its view; without `prices` nobody may look at them."""
        moment = cls(view)
        if prices and not isinstance(view, Lasting):
            moment._said = view.prices(), view.price_times()
        if not isinstance(view, Lasting):
            moment._view = None
        return moment

    @property
    def prices(self) -> Floats:
        """``(instruments,)``; NaN is unknown."""
        return self._seen()[0]

    @property
    def times(self) -> Ints:
        """The event times of the prices, ``(instruments,)``, UTC nanoseconds; 0 where there is none."""
        return self._seen()[1]

    def _seen(self) -> tuple[Floats, Ints]:
        if self._said is None:
            assert self._view is not None, "kept without prices"  # noqa: S101 - a promise of this package
            self._said = self._view.prices(), self._view.price_times()
        return self._said


@dataclass(frozen=True, slots=True)
class _Threshold:
    """The deciding comparison, and where its sides are."""

    said: dict[str, Any]
    watched: int
    level: int


@dataclass(frozen=True, slots=True)
class _Account:
    """What there is to tell of a formula and a member: texts, and the slots and instruments that they are about.

    It holds on to the two, so that they can be known by their id().
    """

    formula: Formula
    it: Asset | None
    said: tuple[dict[str, Any], ...]
    slots: Ints
    symbols: tuple[str, ...]
    columns: Ints
    threshold: _Threshold | None
    watched: int
    watched_type: str
    whole: int
    type: str


class Witness:
    """Reads evidence out of the values of an evaluation."""

    def __init__(self, compiler: Compiler, instruments: tuple[str, ...]) -> None:
        self._compiler = compiler
        self._index = {symbol: i for i, symbol in enumerate(instruments)}
        self._accounts: dict[tuple[int, int], _Account] = {}

    def value(
        self, formula: Formula, explicit: Formula | None, it: Asset | None, values: Floats
    ) -> tuple[float | None, str]:
        """What the alert is about and its type.

        The rule's `value`, or the watched side of the first comparison of `formula`.
        """
        if explicit is not None:
            account = self._account(explicit, it)
            return number(values[account.whole]), account.type
        account = self._account(formula, it)
        return number(values[account.watched]), account.watched_type

    def slot(self, expr: Expr, it: Asset | None) -> int:
        """Where the value of an expression, or of a part of one, stands among those of an evaluation."""
        return self._compiler.slot(expr, it)

    def evidence(self, formula: Formula, it: Asset | None, values: Floats, moment: Moment) -> Evidence:
        """See :class:`~rules.transition.Evidence`."""
        account = self._account(formula, it)
        found = values[account.slots].tolist()
        prices, times = moment.prices[account.columns].tolist(), moment.times[account.columns].tolist()
        return Evidence(
            tuple({**said, "value": _told(value)} for said, value in zip(account.said, found, strict=True)),
            {s: {"price": _told(p), "ts": t} for s, p, t in zip(account.symbols, prices, times, strict=True)},
            self.threshold(formula, it, values),
        )

    def threshold(self, formula: Formula, it: Asset | None, values: Floats) -> dict[str, Any] | None:
        """The deciding comparison, as in :class:`~rules.transition.Evidence`; None where there is none."""
        threshold = self._account(formula, it).threshold
        if threshold is None:
            return None
        value, level = number(values[threshold.watched]), number(values[threshold.level])
        distance = None if value is None or level is None else value - level
        return {**threshold.said, "value": value, "level": level, "distance": distance}

    def _account(self, formula: Formula, it: Asset | None) -> _Account:
        key = (id(formula), id(it))
        if (account := self._accounts.get(key)) is None:
            account = self._accounts[key] = self._prepared(formula, it)
        return account

    def _prepared(self, formula: Formula, it: Asset | None) -> _Account:
        said: dict[tuple[str, str | None], tuple[dict[str, Any], int]] = {}
        for expr, bound in _parts(formula.expr, it):
            text = formula.text[expr.span.start : expr.span.end]
            entry = {"expr": text, "value": None, "type": str(expr.type)}
            if bound is not None and bound is not it:
                entry["member"] = name(bound)
            said.setdefault((text, entry.get("member")), (entry, self._compiler.slot(expr, bound)))
        symbols = tuple(dict.fromkeys(s for asset in _assets(formula.expr, it) for s in _symbols(asset)))
        found = deciding(formula.expr)
        threshold = None
        watched: Expr = formula.expr
        if found is not None:
            watched, op, level = found
            text = formula.text[watched.span.start : watched.span.end]
            template = {
                "expr": text,
                "value": None,
                "op": op,
                "level": None,
                "distance": None,
                "type": str(watched.type),
            }
            threshold = _Threshold(template, self._compiler.slot(watched, it), self._compiler.slot(level, it))
        return _Account(
            formula=formula,
            it=it,
            said=tuple(entry for entry, _ in said.values()),
            slots=np.array([slot for _, slot in said.values()], np.int64),
            symbols=symbols,
            columns=np.array([self._index[s] for s in symbols], np.int64),
            threshold=threshold,
            watched=self._compiler.slot(watched, it),
            watched_type=str(watched.type),
            whole=self._compiler.slot(formula.expr, it),
            type=str(formula.expr.type),
        )


def _told(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 - NaN alone is not itself


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
