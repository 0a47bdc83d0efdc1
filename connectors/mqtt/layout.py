"""What a topic says about the message on it: the kind of data and the instrument.

The layout of our own is ``md/v1/{source}/{shard}/{symbol}/{q|t|b|s}`` for quotes, trades, bars and statuses; a slash
or another character that a topic cannot have is percent-encoded in the symbol (``BTC%2FUSD``). On
``md/v1/{source}/status`` stands ``online`` or ``offline``, the latter as a publisher's last will. Foreign layouts are
patterns with named parts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import unquote

Kind = Literal["quotes", "trades", "bars", "statuses"]
Unit = Literal["rfc3339", "s", "ms", "us", "ns", "received"]

KINDS: Final[dict[str, Kind]] = {"q": "quotes", "t": "trades", "b": "bars", "s": "statuses"}
FIELDS: Final[dict[Kind, tuple[str, ...]]] = {
    "quotes": ("bid", "ask", "bid_size", "ask_size"),
    "trades": ("price", "size", "id"),
    "bars": ("open", "high", "low", "close", "volume"),
    "statuses": ("code", "reason"),
}
"""By kind, the fields beside time and symbol."""

_OWN: Final = re.compile(r"md/v1/(?P<source>[^/]+)/(?:(?P<status>status)|[^/]+/(?P<symbol>[^/]+)/(?P<kind>[qtbs]))")
_LONG: Final = 256
_PART: Final = re.compile(r"\{(\w+)\}")


class LayoutError(ValueError):
    """A mapping of a foreign layout makes no sense; the text names what, and what to write."""


@dataclass(frozen=True, slots=True)
class ForeignLayout:
    """How somebody else writes prices.

    Args:
        topic: A pattern with named parts, ``ticks/{venue}/{symbol}``; ``+`` is any one part, a final ``#`` any more.
        kind: What its messages are.
        symbol: The instrument, of named parts of the topic and fields of the row: ``{symbol}``, ``{base}/{quote}``.
        time: The path of the time in a row; `unit` is how it is written, ``received`` where there is none.
        rows: The path of the list of rows in a message; empty where the message is a row, or a list of them.
        fields: Paths in a row by our names (:data:`FIELDS`), ``{bid: best.bid}``; a name that is left out is its own.
        bar: Seconds that a bar covers from its time on.
    """

    topic: str
    kind: Kind
    symbol: str = "{symbol}"
    time: str = "ts"
    unit: Unit = "rfc3339"
    rows: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    bar: float = 60.0

    def __post_init__(self) -> None:
        unknown = sorted(set(self.fields) - set(FIELDS[self.kind]))
        if unknown:
            raise LayoutError(f"`{unknown[0]}` is no field of {self.kind}: write {', '.join(FIELDS[self.kind])}")
        if not self.symbol:
            raise LayoutError("`symbol` is empty: write a pattern such as {symbol}")
        if set(_PART.sub("", self.symbol)) & set("{}"):
            raise LayoutError(f"symbol `{self.symbol}`: braces are around names, as in {{base}}/{{quote}}")
        pattern(self.topic)

    def paths(self) -> dict[str, tuple[str, ...]]:
        """By our names, the keys that lead to a value in a row."""
        return {name: tuple(self.fields.get(name, name).split(".")) for name in FIELDS[self.kind]}


@dataclass(frozen=True, slots=True)
class Route:
    """What a topic says: `kind` is ``status`` for the state of a source, None for a topic nobody described."""

    kind: Kind | Literal["status"] | None
    symbol: str = ""
    source: str = ""
    layout: ForeignLayout | None = None
    parts: Mapping[str, str] = field(default_factory=dict)


def pattern(topic: str) -> re.Pattern[str]:
    """The topics that a pattern with named parts stands for; raises LayoutError where it is none."""
    pieces = []
    levels = topic.split("/")
    for at, level in enumerate(levels):
        if level == "#" and at == len(levels) - 1:
            pieces.append(".*")
        elif level == "+":
            pieces.append("[^/]+")
        elif "#" in level or "+" in level:
            raise LayoutError(f"topic `{topic}`: `+` stands for a whole part, and `#` for the last")
        else:
            pieces.append(_PART.sub(r"(?P<\1>[^/]+?)", re.escape(level).replace(r"\{", "{").replace(r"\}", "}")))
    try:
        return re.compile("/".join(pieces))
    except re.error as error:
        raise LayoutError(f"topic `{topic}`: each part has a name of its own ({error})") from error


class Router:
    """Topics to routes; what is found is remembered, for as many topics as a market has instruments."""

    _MOST: Final = 100_000

    def __init__(self, layouts: Sequence[ForeignLayout] = ()) -> None:
        self._layouts = [(pattern(layout.topic), layout) for layout in layouts]
        self._routes: dict[str, Route] = {}
        self._routed: dict[bytes, Route] = {}
        self.known: dict[bytes, Route] = {}
        """Of topics of our own layout that were met, by how a frame begins: a byte that is 0, the topic's length, the
        topic. So a frame whose second byte is not the length of a topic begins with none of them."""

    def route(self, topic: str) -> Route:
        """What `topic` says."""
        route = self._routes.get(topic)
        if route is None:
            if len(self._routes) >= self._MOST:
                self._routes.clear()
            route = self._routes[topic] = self._find(topic)
        return route

    def routed(self, topic: bytes) -> Route:
        """The same of a topic as it came; raises UnicodeError where it is no text."""
        route = self._routed.get(topic)
        if route is None:
            route = self.route(topic.decode())
            if len(self._routed) >= self._MOST:
                self._routed.clear()
                self.known.clear()
            self._routed[topic] = route
            if route.layout is None and route.kind in FIELDS and len(topic) < _LONG:
                self.known[bytes((0, len(topic))) + topic] = route
        return route

    def newest_only(self, topic: str) -> bool:
        """Whether of the messages on `topic` that wait only the newest matters: quotes of one instrument."""
        route = self.route(topic)
        return route.kind == "quotes" and bool(route.symbol) and (route.layout is None or not route.layout.rows)

    def _find(self, topic: str) -> Route:
        for compiled, layout in self._layouts:
            if match := compiled.fullmatch(topic):
                parts = {name: unquote(text) for name, text in match.groupdict().items()}
                named = set(_PART.findall(layout.symbol))
                symbol = layout.symbol.format_map(parts) if named <= set(parts) else ""
                return Route(layout.kind, symbol, layout=layout, parts=parts)
        if match := _OWN.fullmatch(topic):
            if match["status"]:
                return Route("status", source=match["source"])
            return Route(KINDS[match["kind"]], unquote(match["symbol"]), match["source"])
        return Route(None)


def symbol_of(route: Route, row: Mapping[str, Any]) -> str:
    """The instrument of a foreign row, where its topic alone does not say it; empty where the row does not either."""
    if route.symbol or route.layout is None:
        return route.symbol
    named = _PART.findall(route.layout.symbol)
    values = {name: str(route.parts.get(name, row.get(name, ""))) for name in named}
    return _PART.sub(lambda match: values[match[1]], route.layout.symbol) if all(values.values()) else ""
