"""How often a rule would have fired at each of many thresholds, in one pass over the data.

The rule is copied once a threshold; the copies are one rule set and so one plan, in which everything but the comparison
itself is computed once for all of them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from monitor.backtest import Backtest, RuleSummary, Tempo, summarise
from monitor.calendar import TradingCalendar
from rules.ast import Comparison, Expr, Literal, Logic, Negate, Not, RecordRef, Type
from rules.evidence import deciding
from rules.literals import CLOCK_UNITS, SCALES
from rules.ruleset import AlertRule, Formula, RuleSet
from rules.transition import State, Transition
from rules.view import View

MOST: Final = 1000
"""Thresholds of one sweep."""

_AMOUNT: Final = re.compile(r"(?P<number>[-+]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}))(?P<unit>%|bp|[smh]?)\Z")
_EXAMPLE: Final = "such as 200bp..600bp/50bp or 1..4/0.5"
_TOLD: Final = frozenset({State.FIRING, State.RECOVERING, State.RESOLVED})


class PreviewError(ValueError):
    """A sweep that cannot be made: one line that says what is wrong and what to write."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number in base units (a ratio is a fraction, a duration nanoseconds), and as it was written."""

    value: Decimal
    text: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """Thresholds, ascending. `type` is ratio, duration, or score for every number without a unit."""

    thresholds: tuple[Threshold, ...]
    type: Type


def read_sweep(text: str) -> Sweep:
    """``A..B/STEP``, each with its unit; both ends are thresholds if the step meets them.

    Raises:
        PreviewError: It is none, or more than a thousand thresholds.

    Examples:
        >>> [t.text for t in read_sweep("200bp..3%/50bp").thresholds]
        ['200bp', '250bp', '300bp']
    """
    ends, slash, step_text = text.partition("/")
    first_text, dots, last_text = ends.partition("..")
    if not (slash and dots):
        raise PreviewError(f"`{text}` is no range of thresholds: write A..B/STEP, {_EXAMPLE}")
    first, last, step = (_amount(part.strip()) for part in (first_text, last_text, step_text))
    kinds = {kind for value, kind, _ in (first, last, step) if value or kind is not Type.SCORE}
    if len(kinds) > 1:
        raise PreviewError(f"`{text}` mixes units: give all three the same, {_EXAMPLE}")
    if step[0] <= 0:
        raise PreviewError(f"`{text}`: the step has to be above 0")
    if last[0] < first[0]:
        raise PreviewError(f"`{text}` goes downwards: write {last_text}..{first_text}/{step_text}")
    count = int((last[0] - first[0]) / step[0]) + 1
    if count > MOST:
        raise PreviewError(f"`{text}` is {count} thresholds; {MOST} are the most: take a longer step")
    unit = first[2] or last[2] or step[2]
    scale = Decimal(CLOCK_UNITS[unit]) if unit in CLOCK_UNITS else 1 / SCALES[unit]
    values = (first[0] + step[0] * i for i in range(count))
    return Sweep(
        tuple(Threshold(v, f"{_plain(v / scale)}{unit}") for v in values), kinds.pop() if kinds else Type.SCORE
    )


def _amount(text: str) -> tuple[Decimal, Type, str]:
    match = _AMOUNT.match(text)
    if match is None:
        raise PreviewError(f"`{text}` is no number with a unit: write A..B/STEP, {_EXAMPLE}")
    number, unit = Decimal(match["number"]), match["unit"]
    if unit in CLOCK_UNITS:
        return number * CLOCK_UNITS[unit], Type.DURATION, unit
    return number / SCALES[unit], Type.RATIO if unit else Type.SCORE, unit


def _plain(number: Decimal) -> str:
    text = f"{number.normalize():f}"
    return "0" if text == "-0" else text


@dataclass(frozen=True, slots=True)
class Moved:
    """A comparison with a number, whose number is what moves. `number_left`: it stands on the left."""

    comparison: Comparison
    number_left: bool
    text: str

    @property
    def watched(self) -> Expr:
        """The other side, records written out."""
        return _written_out(self.comparison.right if self.number_left else self.comparison.left)

    @property
    def level(self) -> Decimal:
        """The number, in base units."""
        side = self.comparison.left if self.number_left else self.comparison.right
        return _number(side) or Decimal(0)

    def at(self, value: Decimal) -> Comparison:
        """The same comparison with another number."""
        literal = Literal(float(value), self.watched.type)
        if self.number_left:
            return dataclasses.replace(self.comparison, left=literal)
        return dataclasses.replace(self.comparison, right=literal)


@dataclass(frozen=True, slots=True)
class Variants:
    """A rule at every threshold of a sweep.

    `moved`: the comparison whose number moves; `cleared`: those of `until` that keep their distance to it. `rules`: one
    a threshold, in their order.
    """

    rule: AlertRule
    sweep: Sweep
    moved: Moved
    cleared: tuple[Moved, ...]
    rules: tuple[AlertRule, ...]

    @property
    def ruleset(self) -> RuleSet:
        """All of them."""
        return RuleSet(alerts=self.rules)


def variants(rule: AlertRule, sweep: Sweep) -> Variants:
    """The rule at each threshold. `until` moves by as much as `when` does, where it watches the same.

    The comparison that moves is the deciding one, or, where that is of another kind than the sweep (a rank, and the
    sweep is in basis points), the first of the sweep's kind.

    Raises:
        PreviewError: The rule compares nothing with a number of the sweep's kind.
    """
    found = list(_comparisons(rule.when.expr, rule.when.text))
    fitting = [m for m in found if _fits(m.watched.type, sweep)]
    if not fitting:
        raise PreviewError(_nothing_fits(rule, found))
    first = deciding(rule.when.expr)
    moved = next((m for m in fitting if first and m.watched == _written_out(first[0])), fitting[0])
    cleared: tuple[Moved, ...] = ()
    if rule.until is not None:
        cleared = tuple(m for m in _comparisons(rule.until.expr, rule.until.text) if m.watched == moved.watched)
    rules = tuple(_variant(rule, number, t.value, moved, cleared) for number, t in enumerate(sweep.thresholds))
    return Variants(rule, sweep, moved, cleared, rules)


def _variant(rule: AlertRule, number: int, value: Decimal, moved: Moved, cleared: tuple[Moved, ...]) -> AlertRule:
    when = Formula(rule.when.text, _with(rule.when.expr, moved.comparison, moved.at(value)))
    until = rule.until
    if until is not None:
        expr = until.expr
        for each in cleared:
            expr = _with(expr, each.comparison, each.at(each.level + value - moved.level))
        until = Formula(until.text, expr)
    # Rule names have no slash, so this is no other rule's.
    return dataclasses.replace(rule, name=f"{rule.name}/{number}", when=when, until=until)


class Preview:
    """The engine over all variants; `rows` has what came out once every view was seen."""

    def __init__(self, chosen: Variants, calendar: TradingCalendar, tempo: Tempo) -> None:
        self._calendar = calendar
        self._chosen = chosen
        self.test = Backtest(chosen.ruleset, calendar, tempo)

    def rows(self, views: Iterable[View]) -> list[tuple[Threshold, RuleSummary]]:
        """Each threshold and how the rule did with it, in their order."""
        summaries = summarise(self.test, list(self._told(views)), self._calendar)
        return list(zip(self._chosen.sweep.thresholds, summaries, strict=True))

    def _told(self, views: Iterable[View]) -> Iterator[Transition]:
        """Begins and ends of episodes, without their evidence: a thousand thresholds have many."""
        for transition in self.test.transitions(views, evidence=False):
            if transition.new in _TOLD:
                yield dataclasses.replace(transition, labels={}, annotations={})


# --- comparisons


def _comparisons(expr: Expr, text: str) -> Iterator[Moved]:
    """Comparisons with a number, in the order in which :func:`rules.evidence.deciding` looks for them."""
    match expr:
        case Comparison(left=left, right=right, span=span):
            shown = text[span.start : span.end]
            if _number(right) is not None and _number(left) is None:
                yield Moved(expr, number_left=False, text=shown)
            elif _number(left) is not None and _number(right) is None:
                yield Moved(expr, number_left=True, text=shown)
        case Logic(operands=operands):
            for operand in operands:
                yield from _comparisons(operand, text)
        case Not(operand=operand):
            yield from _comparisons(operand, text)
        case RecordRef(name=name, value=value):
            # Its places are in the record's own text, which is not at hand.
            yield from (dataclasses.replace(m, text=name) for m in _comparisons(value, ""))
        case _:
            return


def _number(expr: Expr) -> Decimal | None:
    match expr:
        case Literal(value=value, type=type_) if type_ is not Type.CATEGORY:
            return Decimal(repr(value))
        case Negate(operand=operand):
            inner = _number(operand)
            return None if inner is None else -inner
        case _:
            return None


def _written_out(expr: Expr) -> Expr:
    while isinstance(expr, RecordRef):
        expr = expr.value
    return expr


def _with(expr: Expr, old: Expr, new: Expr) -> Expr:
    """The expression with a part replaced; parts that do not change stay the same objects, and are compiled once."""
    if expr is old:
        return new
    match expr:
        case Logic(operands=operands):
            changed = tuple(_with(o, old, new) for o in operands)
            return expr if all(a is b for a, b in zip(changed, operands, strict=True)) else _replaced(expr, changed)
        case Not(operand=operand):
            inner = _with(operand, old, new)
            return expr if inner is operand else dataclasses.replace(expr, operand=inner)
        case RecordRef(value=value):
            inner = _with(value, old, new)
            return expr if inner is value else dataclasses.replace(expr, value=inner)
        case _:
            return expr


def _replaced(expr: Logic, operands: tuple[Expr, ...]) -> Logic:
    return dataclasses.replace(expr, operands=operands)


def _fits(type_: Type, sweep: Sweep) -> bool:
    if type_ in {Type.RATIO, Type.DURATION}:
        return sweep.type is type_ or not any(t.value for t in sweep.thresholds)
    return sweep.type is Type.SCORE and type_ not in {Type.CATEGORY, Type.CONDITION}


_KINDS: Final = {Type.RATIO: "200bp..600bp/50bp", Type.DURATION: "1m..10m/1m"}


def _nothing_fits(rule: AlertRule, found: list[Moved]) -> str:
    if not found:
        return f"`{rule.name}` compares nothing with a number: `{rule.when.text}`"
    has = found[0]
    write = _KINDS.get(has.watched.type, "1..4/0.5")
    return f"the threshold of `{rule.name}` is that of `{has.text}`, a {has.watched.type}: write such as {write}"
