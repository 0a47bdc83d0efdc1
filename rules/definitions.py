"""Aliases, baskets and universes of all files: defined once each, their members looked up."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from rules.ast import Basket, Instrument, Span, Universe
from rules.diagnostics import did_you_mean
from rules.document import ListNode, MappingNode, Node, ScalarNode
from rules.fields import FieldReader
from rules.scope import Scope
from rules.symbols import WORD, is_plain_symbol, read_symbol
from rules.syntax import ExpressionError

WEIGHT_TOLERANCE: Final = 0.001
"""How far from 1 the weights of a basket may add up, for thirds written as 0.333; they are scaled to 1 exactly."""

_WEIGHT: Final = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?P<percent>%?)\Z")


class Sort(StrEnum):
    """What a name is defined as."""

    ALIAS = "an alias"
    BASKET = "a basket"
    UNIVERSE = "a universe"
    RECORD = "a record"
    ALERT = "an alert"
    GROUP = "a group"


@dataclass(frozen=True, slots=True)
class Definition:
    """A name, where it is defined, and as what."""

    sort: Sort
    name: str
    key: ScalarNode
    value: Node
    reader: FieldReader

    @property
    def where(self) -> str:
        """``file:line:column``."""
        line, column = self.reader.document.place(self.key.start)
        return f"{self.reader.document.file}:{line}:{column}"


@dataclass(slots=True)
class Names:
    """One space of names: each may be defined once in all files."""

    defined: dict[str, Definition] = field(default_factory=dict)

    def add(self, definition: Definition) -> bool:
        """Takes a definition, or notes that its name is taken."""
        first = self.defined.setdefault(definition.name, definition)
        if first is definition:
            return True
        message = f"`{definition.name}` is defined twice: it is {first.sort} at {first.where}"
        definition.reader.wrong(definition.key, message, "a name may be defined once in all files together")
        return False

    def of(self, sort: Sort) -> list[Definition]:
        """Definitions of one sort, in the order they were read."""
        return [d for d in self.defined.values() if d.sort is sort]


def resolve(names: Names) -> Scope:
    """The scope of expressions, without records; faults are noted with the readers, and names with one are broken."""
    aliases: dict[str, Instrument] = {}
    baskets: dict[str, Basket] = {}
    universes: dict[str, Universe] = {}
    scope = Scope(aliases, baskets, universes)
    for definition in names.of(Sort.ALIAS):
        _keep(aliases, definition.name, _alias(definition, names), scope)
    for definition in names.of(Sort.BASKET):
        _keep(baskets, definition.name, _basket(definition, scope, names), scope)
    for definition in names.of(Sort.UNIVERSE):
        if isinstance(definition.value, ListNode):
            _keep(universes, definition.name, _universe(definition, scope, names), scope)
    for definition in names.of(Sort.UNIVERSE):
        if definition.name not in universes and definition.name not in scope.broken:
            copies, members = _copied(definition, scope, names)
            for name in copies:
                _keep(universes, name, None if members is None else Universe(name, members), scope)
    return scope


Resolved = TypeVar("Resolved", Instrument, Basket, Universe)


def _keep(kept: dict[str, Resolved], name: str, found: Resolved | None, scope: Scope) -> None:
    if found is None:
        scope.broken.add(name)
    else:
        kept[name] = found


# --- one definition


def _alias(definition: Definition, names: Names) -> Instrument | None:
    reader = definition.reader
    scalar = reader.text(definition.value, definition.name, "an alias names one symbol, such as small_caps: IWM")
    if scalar is None:
        return None
    other = None if scalar.style else names.defined.get(scalar.text)
    if other is not None and scalar.text != definition.name:
        reader.wrong(scalar, f"`{definition.name}` has to name a symbol, and `{scalar.text}` is {other.sort}")
        return None
    return _symbol(reader, scalar, names, ())


def _basket(definition: Definition, scope: Scope, names: Names) -> Basket | None:
    reader, value = definition.reader, definition.value
    if isinstance(value, ListNode):
        items: list[tuple[ScalarNode, float | None]] = [
            (scalar, 1 / len(value.items))
            for item in reader.items(value, definition.name, "[AAPL, MSFT]")
            if (scalar := reader.text(item, definition.name)) is not None
        ]
        whole = bool(items) and len(items) == len(value.items)
    elif isinstance(value, MappingNode):
        reader.known_keys(value, ["weights"], "a basket", {})
        weights = value.get("weights")
        if weights is None:
            reader.wrong(value, f"`{definition.name}` has no weights", "such as {weights: {MU: 40%, TSM: 60%}}")
            return None
        given = reader.mapping(weights, "weights", "{MU: 40%, TSM: 60%}")
        items = [(symbol, _weight(reader, weight)) for symbol, weight in given.entries] if given else []
        whole = bool(items)
        if given and not items:
            reader.wrong(weights, "`weights` is empty")
    else:
        reader.wrong(
            value,
            f"`{definition.name}` has to be a list or weights",
            "such as [AAPL, MSFT] or {weights: {MU: 40%, TSM: 60%}}",
        )
        return None
    members = [_member(reader, symbol, scope, names, baskets=False) for symbol, _ in items]
    found = [
        (member.symbol, weight)
        for member, (_, weight) in zip(members, items, strict=True)
        if isinstance(member, Instrument) and weight is not None
    ]
    if (
        not whole
        or len(found) < len(items)
        or not _once(reader, [(s, m) for (m, _), (s, _) in zip(found, items, strict=True)])
    ):
        return None
    total = math.fsum(weight for _, weight in found)
    if abs(total - 1) > WEIGHT_TOLERANCE:
        reader.wrong(items[0][0], f"the weights of `{definition.name}` add up to {total:.6g} and have to add up to 1")
        return None
    return Basket(definition.name, tuple(sorted((symbol, weight / total) for symbol, weight in found)))


def _weight(reader: FieldReader, node: Node) -> float | None:
    scalar = reader.text(node, "weight")
    if scalar is None:
        return None
    match = _WEIGHT.match(scalar.text)
    weight = float(match["number"]) / (100 if match["percent"] else 1) if match else 0.0
    if weight <= 0:
        reader.wrong(scalar, f"`{scalar.text}` cannot be a weight", "a weight is a number above 0, such as 0.4 or 40%")
        return None
    return weight


def _universe(definition: Definition, scope: Scope, names: Names) -> Universe | None:
    reader, value = definition.reader, definition.value
    given = list(reader.items(value, definition.name, "[XLB, XLC, XLE]"))
    scalars = [scalar for item in given if (scalar := reader.text(item, definition.name)) is not None]
    members = [_member(reader, scalar, scope, names, baskets=True) for scalar in scalars]
    found = [m for m in members if m is not None]
    if not given or len(found) < len(given):
        return None
    labels = [
        (scalar, m.symbol if isinstance(m, Instrument) else m.name) for scalar, m in zip(scalars, found, strict=True)
    ]
    if not _once(reader, labels):
        return None
    ordered = sorted(zip(labels, found, strict=True), key=lambda pair: pair[0][1])
    return Universe(definition.name, tuple(member for _, member in ordered))


Members = tuple[Instrument | Basket, ...]


def _copied(definition: Definition, scope: Scope, names: Names) -> tuple[list[str], Members | None]:
    """Members of a universe that is defined by a name, and the universes on the way to where they are listed."""
    way: dict[str, None] = {}
    here: Definition | None = definition
    while here is not None:
        way[here.name] = None
        scalar = here.reader.text(here.value, here.name, "write a list, or the name of a basket or universe")
        if scalar is None:
            break
        target = scalar.text
        if target in scope.baskets:
            return list(way), tuple(Instrument(symbol) for symbol, _ in scope.baskets[target].weights)
        if target in scope.universes:
            return list(way), scope.universes[target].members
        here = _next_on_the_way(here, target, way, names, scope)
    return list(way), None


def _next_on_the_way(
    here: Definition, target: str, way: Mapping[str, None], names: Names, scope: Scope
) -> Definition | None:
    if target in scope.broken:
        return None
    if target in way:
        circle = [*list(way)[list(way).index(target) :], target]
        here.reader.wrong(here.value, f"`{target}` is defined by itself: {' -> '.join(circle)}")
        return None
    other = names.defined.get(target)
    if other is None or other.sort is not Sort.UNIVERSE:
        similar = did_you_mean(target, [*scope.baskets, *scope.universes])
        what = f"`{target}` is {other.sort}" if other else f"nothing is named `{target}`{similar}"
        here.reader.wrong(here.value, f"`{here.name}` has to be a list, a basket or a universe, and {what}")
        return None
    return other


# --- members


def _member(
    reader: FieldReader, scalar: ScalarNode, scope: Scope, names: Names, *, baskets: bool
) -> Instrument | Basket | None:
    """What a member of a basket or a universe names."""
    other = None if scalar.style else names.defined.get(scalar.text)
    if other is None:
        return _symbol(reader, scalar, names, (Sort.ALIAS, Sort.BASKET) if baskets else (Sort.ALIAS,))
    if other.sort is Sort.ALIAS:
        return scope.aliases.get(scalar.text)
    if other.sort is Sort.BASKET and baskets:
        return scope.baskets.get(scalar.text)
    hint = "list its members" if other.sort in {Sort.BASKET, Sort.UNIVERSE} else ""
    reader.wrong(scalar, f"`{scalar.text}` is {other.sort} and cannot be a member here", hint)
    return None


def _symbol(reader: FieldReader, scalar: ScalarNode, names: Names, sorts: Sequence[Sort]) -> Instrument | None:
    """A symbol; `sorts` of names could have stood here too, and are suggested."""
    text = scalar.text.strip()
    if not scalar.style and WORD.match(text) and not is_plain_symbol(text):
        found = did_you_mean(text, [d.name for sort in sorts for d in names.of(sort)])
        hint = "" if found else f"a symbol is in capitals or quoted: {text.upper()}, '{text}'"
        reader.wrong(scalar, f"unknown name `{text}`{found}", hint)
        return None
    try:
        return Instrument(read_symbol(text, Span(0, len(text))))
    except ExpressionError as error:
        reader.wrong_inside(scalar, error.span, error.message, error.hint)
        return None


def _once(reader: FieldReader, labels: list[tuple[ScalarNode, str]]) -> bool:
    seen: set[str] = set()
    for scalar, name in labels:
        if name in seen:
            reader.wrong(scalar, f"`{name}` is a member twice")
            return False
        seen.add(name)
    return True
