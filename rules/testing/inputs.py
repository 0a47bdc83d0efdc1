"""What the market does in a test: earlier sessions, prices, quotes, volumes and external series."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

from rules.ast import Basket, Instrument, Span, Universe
from rules.diagnostics import Level, did_you_mean
from rules.document import MappingNode, Node, ScalarNode
from rules.fields import FieldReader
from rules.scope import Scope
from rules.symbols import WORD, is_plain_symbol, read_symbol
from rules.syntax import ExpressionError
from rules.testing.cases import Inputs, Quotes
from rules.testing.values import read_values
from rules.view import Requirements

INPUT_KEYS: Final = ("history", "volume_history", "prices", "quotes", "volumes", "series")
_EXAMPLE: Final = "{IWM: 240 252x4, SPY: 680x5}"
_QUOTES: Final = "{IWM: {bid: 239.99x5, ask: 240.01x5}}"

Read = TypeVar("Read")
Values = tuple[float, ...]


class InputReader:
    """Reads the inputs of the tests of a file. `scope` and `needs`: of the rules, None where they are wrong."""

    def __init__(self, reader: FieldReader, scope: Scope | None, needs: Requirements | None) -> None:
        self._reader, self._scope, self._needs = reader, scope, needs

    def read(self, test: MappingNode) -> Inputs:
        """All inputs of a test; what cannot be read is noted and left out."""
        before = len(self._reader.problems)
        series = self._given(test, "series", lambda n, k: read_values(self._reader, n, k, positive=False), self._series)
        external = {*series, *(self._needs.series if self._needs else ())}

        def past_series(name: ScalarNode) -> bool:
            return name.text in external and not (self._needs and name.text in self._needs.instruments)

        closes = self._given(test, "history", self._prices, self._symbols, unless=past_series)
        past = self._given(
            test,
            "history",
            lambda n, k: read_values(self._reader, n, k, positive=False),
            self._series,
            unless=lambda name: not past_series(name),
        )
        prices = self._given(test, "prices", self._prices, self._symbols)
        volumes = self._given(test, "volumes", self._volumes, self._symbols)
        past_volumes = self._given(test, "volume_history", self._volumes, self._symbols)
        if not any(p.severity is Level.ERROR for p in self._reader.problems[before:]):
            self._refuse_volume_without_price(test, volumes, prices)
            self._refuse_volumes_without_closes(test, past_volumes, closes)
        return Inputs(
            closes=closes,
            past_volumes=past_volumes,
            past_series=past,
            prices=prices,
            volumes=volumes,
            quotes=self._given(test, "quotes", self._quotes, self._symbols),
            series=series,
        )

    def _given(
        self,
        test: MappingNode,
        key: str,
        read: Callable[[Node, str], Read | None],
        names: Callable[[ScalarNode], tuple[str, ...]],
        unless: Callable[[ScalarNode], bool] = lambda _: False,
    ) -> dict[str, Read]:
        """What stands under a key, by the names that its names mean: a symbol's own before its basket's."""
        node = test.get(key)
        mapping = None if node is None else self._reader.mapping(node, key, _QUOTES if key == "quotes" else _EXAMPLE)
        own: dict[str, Read] = {}
        shared: dict[str, Read] = {}
        for name, value in mapping.entries if mapping else ():
            if unless(name):
                continue
            meant, found = names(name), read(value, name.text)
            if found is None:
                continue
            into = shared if self._is_several(name) else own
            for symbol in meant:
                if symbol in into:
                    self._reader.wrong(name, f"`{symbol}` has `{key}` twice", "give each instrument's once")
                into[symbol] = found
        return {**shared, **own}

    def _is_several(self, name: ScalarNode) -> bool:
        scope = self._scope
        return not name.style and scope is not None and (name.text in scope.baskets or name.text in scope.universes)

    # --- names

    def _symbols(self, name: ScalarNode) -> tuple[str, ...]:
        """The symbols that a symbol, an alias, a basket or a universe stands for."""
        text, scope = name.text.strip(), self._scope
        if scope is not None and not name.style:
            if (alias := scope.aliases.get(text)) is not None:
                return (alias.symbol,)
            if (several := scope.baskets.get(text) or scope.universes.get(text)) is not None:
                return tuple(dict.fromkeys(_members(several)))
            if WORD.match(text) and not is_plain_symbol(text):
                known = [*scope.aliases, *scope.baskets, *scope.universes]
                hint = f"a symbol is in capitals or quoted: {text.upper()}, '{text}'"
                self._reader.wrong(name, f"unknown name `{text}`{did_you_mean(text, known)}", hint)
                return ()
        try:
            symbol = read_symbol(text, Span(0, len(text)))
        except ExpressionError as error:
            self._reader.wrong_inside(name, error.span.start, error.message, error.hint)
            return ()
        if self._needs is not None and symbol not in self._needs.instruments:
            found = did_you_mean(symbol, self._needs.instruments)
            self._reader.wrong(name, f"no rule looks at `{symbol}`{found}", level=Level.WARNING)
        return (symbol,)

    def _series(self, name: ScalarNode) -> tuple[str, ...]:
        if self._needs is not None and name.text not in self._needs.series:
            found = did_you_mean(name.text, self._needs.series)
            self._reader.wrong(name, f"no rule looks at the series `{name.text}`{found}", level=Level.WARNING)
        return (name.text,)

    # --- values

    def _prices(self, node: Node, name: str) -> Values | None:
        return read_values(self._reader, node, name, positive=True)

    def _volumes(self, node: Node, name: str) -> Values | None:
        values = read_values(self._reader, node, name, positive=False)
        if values is not None and any(v < 0 for v in values):
            self._reader.wrong(node, f"`{name}`: a volume below 0", "write how much is traded in each step: 1000x5")
            return None
        return values

    def _quotes(self, node: Node, name: str) -> Quotes | None:
        mapping = self._reader.mapping(node, name, _QUOTES)
        if mapping is None:
            return None
        self._reader.known_keys(mapping, ("bid", "ask"), "a quote", {})
        sides = []
        for side in ("bid", "ask"):
            value = mapping.get(side)
            if value is None:
                self._reader.wrong(mapping, f"`{name}` has no `{side}`", f"such as {_QUOTES}")
            else:
                sides.append(self._prices(value, side))
        bids, asks = sides if len(sides) == 2 else (None, None)  # noqa: PLR2004 - both sides
        if bids is None or asks is None:
            return None
        if len(bids) != len(asks):
            self._reader.wrong(mapping, f"`{name}` has {len(bids)} bids and {len(asks)} asks", "one of each a step")
            return None
        if any(math.isnan(b) != math.isnan(a) for b, a in zip(bids, asks, strict=True)):
            self._reader.wrong(mapping, f"`{name}`: a quote has a bid and an ask", "where one is _, so is the other")
            return None
        return Quotes(bids, asks)

    def _refuse_volumes_without_closes(
        self, test: MappingNode, volumes: Mapping[str, Values], closes: Mapping[str, Values]
    ) -> None:
        node = test.get("volume_history")
        for symbol in volumes if node is not None else ():
            if symbol not in closes:
                message = f"`{symbol}` has volumes of earlier sessions and no closes"
                self._reader.wrong(node or test, message, "give as many closes in `history`")

    def _refuse_volume_without_price(
        self, test: MappingNode, volumes: Mapping[str, Values], prices: Mapping[str, Values]
    ) -> None:
        node = test.get("volumes")
        for symbol, amounts in volumes.items():
            at = prices.get(symbol, ())
            lonely = next(
                (i for i, v in enumerate(amounts) if v > 0 and (i >= len(at) or math.isnan(at[i]))),
                None,
            )
            if lonely is not None and node is not None:
                message = f"`{symbol}` has a volume and no price at step {lonely + 1}"
                self._reader.wrong(node, message, "what is traded has a price: give one in `prices`, or _ here")


def _members(several: Basket | Universe) -> Iterator[str]:
    if isinstance(several, Basket):
        yield from (symbol for symbol, _ in several.weights)
        return
    for member in several.members:
        if isinstance(member, Instrument):
            yield member.symbol
        else:
            yield from _members(member)
