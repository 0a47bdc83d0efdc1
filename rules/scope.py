"""What names mean: aliases, baskets, universes and records of all files together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from rules.ast import (
    Arithmetic,
    Basket,
    Call,
    Clock,
    Comparison,
    Expr,
    Instrument,
    Logic,
    Negate,
    Not,
    RecordRef,
    Universe,
)
from rules.ruleset import RuleSet

MAX_NODES: Final = 10_000
"""Nodes of an expression with the records in it written out; records of records double quickly."""
MAX_LEVELS: Final = 200
"""Levels of the same."""


@dataclass(frozen=True, slots=True)
class Record:
    """A checked record; `nodes` and `levels` are those of its expression with other records written out."""

    value: Expr
    nodes: int
    levels: int


@dataclass(slots=True)
class Scope:
    """The names an expression can use. `broken`: those whose own definition is wrong; using one is no second error."""

    aliases: Mapping[str, Instrument] = field(default_factory=dict)
    baskets: Mapping[str, Basket] = field(default_factory=dict)
    universes: Mapping[str, Universe] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    @staticmethod
    def of(ruleset: RuleSet) -> Scope:
        """The names of a rule set."""
        scope = Scope(ruleset.aliases, ruleset.baskets, ruleset.universes)
        for rule in ruleset.records:
            scope.add_record(rule.name, rule.value.expr)
        return scope

    def add_record(self, name: str, value: Expr) -> None:
        """Makes a record known; those it uses are added before it."""
        if name in self.records:
            return
        for node in walk(value):
            if isinstance(node, RecordRef):
                self.add_record(node.name, node.value)
        self.records[name] = Record(value, *self.measure(value))

    def measure(self, expr: Expr) -> tuple[int, int]:
        """Nodes and levels of an expression, with the records in it written out."""
        if isinstance(expr, RecordRef):
            record = self.records[expr.name]
            return record.nodes + 1, record.levels + 1
        below = [self.measure(child) for child in children(expr)]
        return 1 + sum(nodes for nodes, _ in below), 1 + max((levels for _, levels in below), default=0)

    def universe(self, name: str) -> Universe | None:
        """What a name loops over: a universe, or the members of a basket."""
        if (basket := self.baskets.get(name)) is not None:
            return Universe(name, tuple(Instrument(symbol) for symbol, _ in basket.weights))
        return self.universes.get(name)

    def names(self) -> Iterator[str]:
        """Every defined name."""
        yield from self.aliases
        yield from self.baskets
        yield from self.universes
        yield from self.records
        yield from self.broken

    def assets(self) -> Iterator[str]:
        """Names that can stand for an instrument."""
        yield from self.aliases
        yield from self.baskets


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly below one; a record's is not below it."""
    match expr:
        case Negate(operand=operand) | Not(operand=operand):
            return (operand,)
        case Arithmetic(left=left, right=right) | Comparison(left=left, right=right):
            return (left, right)
        case Logic(operands=operands):
            return operands
        case Call(args=args):
            return tuple(a for a in args if isinstance(a, Expr))
        case _:
            return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and everything below it, without going into records."""
    pending = [expr]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(children(node))


def uses_clock(expr: Expr) -> bool:
    """Whether a window of clock time occurs anywhere, records included."""
    seen: set[str] = set()
    pending = [expr]
    while pending:
        for node in walk(pending.pop()):
            if isinstance(node, Call) and any(isinstance(arg, Clock) for arg in node.args):
                return True
            if isinstance(node, RecordRef) and node.name not in seen:
                seen.add(node.name)
                pending.append(node.value)
    return False
