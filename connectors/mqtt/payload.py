"""Payloads to rows: one object or a list of them, JSON or MessagePack, told apart by the first byte."""

from __future__ import annotations

import contextlib
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from msgspec.msgpack import Ext

from connectors.mqtt.layout import ForeignLayout, Kind, Unit
from connectors.rows import Floats, packed
from connectors.timestamps import UNREADABLE, Nanoseconds, msgpack_column, rfc3339_column

NAN: Final = float("nan")
Payload = bytes | memoryview
Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Stamp = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | str | None
PackedStamp = Stamp | Ext
_NS: Final[dict[Unit, int]] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1, "rfc3339": 1}
_JSON_STARTS: Final = b"{[ \t\r\n"
"""No MessagePack object or list begins with one of these bytes."""
_LAST_SHORT_MAP: Final = b"\x8f"
"""The first byte of a MessagePack object of fifteen fields; those of fewer begin with the bytes before."""


class Row(Struct, gc=False):
    """What every row of the layout of our own has.

    ``ts`` is RFC 3339 text or a whole number of nanoseconds since 1970; in MessagePack a time stamp too.
    ``symbol`` goes before that of the topic.
    """

    ts: Stamp
    symbol: str = ""


class QuoteRow(Row, gc=False):
    """Best bid and ask; a size that is left out is unknown."""

    bid: float = NAN
    ask: float = NAN
    bid_size: float = NAN
    ask_size: float = NAN


class TradeRow(Row, gc=False):
    """One print."""

    price: float = NAN
    size: float = NAN
    id: Id | None = None


class BarRow(Row, gc=False):
    """A bar from ``ts`` to ``end``, of a minute where it has no end."""

    end: Stamp = None
    open: float = NAN
    high: float = NAN
    low: float = NAN
    close: float = NAN
    volume: float = NAN


class StatusRow(Row, gc=False):
    """A halt or a resumption."""

    code: str = ""
    reason: str = ""


class PackedQuoteRow(QuoteRow, gc=False):
    """The same with a time as MessagePack can have it besides, as are those that follow."""

    ts: PackedStamp  # type: ignore[assignment] # wider


class PackedTradeRow(TradeRow, gc=False):
    """See above."""

    ts: PackedStamp  # type: ignore[assignment] # wider


class PackedBarRow(BarRow, gc=False):
    """See above."""

    ts: PackedStamp  # type: ignore[assignment] # wider
    end: PackedStamp = None  # type: ignore[assignment]


class PackedStatusRow(StatusRow, gc=False):
    """See above."""

    ts: PackedStamp  # type: ignore[assignment] # wider


class _Decoders:
    """What reads the rows of one kind in one encoding: all at once, as raw bytes, and one."""

    def __init__(self, codec: Any, row: Any) -> None:  # noqa: ANN401 - a module, and a struct or a union
        self.rows = codec.Decoder(list[row] | row).decode
        self.raws = codec.Decoder(list[msgspec.Raw]).decode
        self.row = codec.Decoder(row).decode


_JSON: Final[dict[Kind, _Decoders]] = {
    "quotes": _Decoders(msgspec.json, QuoteRow),
    "trades": _Decoders(msgspec.json, TradeRow),
    "bars": _Decoders(msgspec.json, BarRow),
    "statuses": _Decoders(msgspec.json, StatusRow),
}
_PACKED: Final[dict[Kind, _Decoders]] = {
    "quotes": _Decoders(msgspec.msgpack, PackedQuoteRow),
    "trades": _Decoders(msgspec.msgpack, PackedTradeRow),
    "bars": _Decoders(msgspec.msgpack, PackedBarRow),
    "statuses": _Decoders(msgspec.msgpack, PackedStatusRow),
}


def _quote_numbers(rows: Sequence[Any]) -> Floats:
    return packed(
        [row.bid for row in rows],
        [row.ask for row in rows],
        [row.bid_size for row in rows],
        [row.ask_size for row in rows],
    )


def _trade_numbers(rows: Sequence[Any]) -> Floats:
    return packed([row.price for row in rows], [row.size for row in rows])


def _bar_numbers(rows: Sequence[Any]) -> Floats:
    return packed(
        [row.open for row in rows],
        [row.high for row in rows],
        [row.low for row in rows],
        [row.close for row in rows],
        [row.volume for row in rows],
    )


def _status_numbers(rows: Sequence[Any]) -> Floats:
    return np.empty((0, len(rows)))


NUMBERS: Final[dict[Kind, Callable[[Sequence[Any]], Floats]]] = {
    "quotes": _quote_numbers,
    "trades": _trade_numbers,
    "bars": _bar_numbers,
    "statuses": _status_numbers,
}
"""By kind, the numbers of rows as an array of (columns, rows), in the order of its fields.

Written out, because the interpreter reads an attribute that is named in the code in half the time of `attrgetter`.
"""

UNREADABLE_PAYLOAD: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)


def rows(payload: Payload, kind: Kind, rejected: Counter[str]) -> Sequence[Any]:
    """The rows of a payload of our own layout; those that cannot be read are counted by cause."""
    decoders = (_JSON if payload[:1] in _JSON_STARTS else _PACKED)[kind]
    try:
        found = decoders.rows(payload)
    except UNREADABLE_PAYLOAD as error:
        return _salvaged(payload, decoders, error, rejected)
    return found if type(found) is list else (found,)


def rows_of(
    payloads: Sequence[Payload], kind: Kind, rejected: Counter[str], unused: Counter[str]
) -> tuple[list[Any], list[int] | None]:
    """The rows of payloads of our own layout, in order, and how many each has; None where each has one.

    All of them are read as what the first one looks like, which costs least, and where that does not do for all of them
    one by one. No payload of one encoding is taken by the decoder of the other, so both ways give the same.
    """
    first = bytes(payloads[0][:1])
    json = first in _JSON_STARTS
    decoders = (_JSON if json else _PACKED)[kind]
    with contextlib.suppress(*UNREADABLE_PAYLOAD):  # which payload it is, is found below
        if first == b"{" or (not json and first <= _LAST_SHORT_MAP):
            return list(map(decoders.row, payloads)), None
        lists = list(map(decoders.rows, payloads))
        if all(type(found) is list and found for found in lists):
            return list(chain.from_iterable(lists)), list(map(len, lists))
    lists = []
    for payload in payloads:
        before = rejected.total()
        found = rows(payload, kind, rejected)
        if not found and rejected.total() == before:
            unused["empty message"] += 1
        lists.append(found)
    return list(chain.from_iterable(lists)), list(map(len, lists))


def anything(payload: bytes) -> Any:  # noqa: ANN401 - whatever somebody else writes
    """The content of a foreign payload; raises one of :data:`UNREADABLE_PAYLOAD`."""
    if payload[:1] in _JSON_STARTS:
        return msgspec.json.decode(payload)
    return msgspec.msgpack.decode(payload)


def foreign_rows(payload: bytes, layout: ForeignLayout, rejected: Counter[str]) -> Sequence[dict[str, Any]]:
    """The rows of a foreign payload; what is none is counted by cause."""
    try:
        content = anything(payload)
    except UNREADABLE_PAYLOAD:
        rejected["malformed"] += 1
        return ()
    if layout.rows:
        content = at(content, tuple(layout.rows.split(".")))
    found = content if isinstance(content, list) else [content]
    good = [row for row in found if isinstance(row, dict)]
    if len(good) < len(found):
        rejected["wrong type"] += len(found) - len(good)
    return good


def at(content: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever somebody else writes
    """The value that the keys of `path` lead to, a number being a place in a list; None where there is none."""
    for key in path:
        if isinstance(content, dict):
            content = content.get(key)
        elif isinstance(content, list) and key.isdecimal() and int(key) < len(content):
            content = content[int(key)]
        else:
            return None
    return content


def number(value: Any) -> float:  # noqa: ANN401 - whatever somebody else writes
    """A number, written as one or as text; NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return NAN
    try:
        return float(value)
    except (ValueError, OverflowError):
        return NAN


def own_times(values: Sequence[Any]) -> Nanoseconds:
    """Times as rows of our own layout have them; :data:`UNREADABLE` where one is none."""
    with contextlib.suppress(struct.error):  # not all of them are whole numbers
        return np.frombuffer(struct.pack(f"{len(values)}q", *values), dtype=np.int64)
    read = np.full(len(values), UNREADABLE, dtype=np.int64)
    kinds = list(map(type, values))
    for kind, reader in _READERS.items():
        if kinds.count(kind) == len(kinds):
            return reader(values)
        rows = [row for row, other in enumerate(kinds) if other is kind]
        if rows:
            read[rows] = reader([values[row] for row in rows])
    return read


def times(values: Sequence[Any], unit: Unit, received_at: int) -> Nanoseconds:
    """Times in any of the forms a payload can have; :data:`UNREADABLE` where one is none."""
    if unit == "received":
        return np.full(len(values), received_at, dtype=np.int64)
    kinds = set(map(type, values))
    if kinds == {str}:
        return rfc3339_column(values)
    if kinds == {int} and unit in ("ns", "rfc3339"):
        with contextlib.suppress(OverflowError):  # one of them is none
            return np.array(values, dtype=np.int64)
    return np.array([_time(value, unit) for value in values], dtype=np.int64)


def _whole(values: Sequence[int]) -> Nanoseconds:
    return np.array(values, dtype=np.int64)


_READERS: Final[Mapping[type, Callable[[Any], Nanoseconds]]] = {
    int: _whole,
    str: rfc3339_column,
    Ext: msgpack_column,
}


def _time(value: Any, unit: Unit) -> int:  # noqa: ANN401 - whatever somebody else writes
    if isinstance(value, str):
        return int(rfc3339_column([value])[0])
    if isinstance(value, Ext):
        return int(msgpack_column([value])[0])
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 2**63:  # noqa: PLR0124 - NaN
        return UNREADABLE
    # A float is taken apart first: as nanoseconds it would have lost its last digits.
    ns = value * _NS[unit] if isinstance(value, int) else int(value) * _NS[unit] + round((value % 1) * _NS[unit])
    return ns if -(2**63) < ns < 2**63 else UNREADABLE


def _salvaged(payload: Payload, decoders: _Decoders, error: Exception, rejected: Counter[str]) -> list[Row]:
    """The good rows of a list that has bad ones."""
    try:
        raws = decoders.raws(payload)
    except UNREADABLE_PAYLOAD:
        rejected[_cause(error)] += 1
        return []
    good = []
    for raw in raws:
        try:
            good.append(decoders.row(raw))
        except UNREADABLE_PAYLOAD as bad:
            rejected[_cause(bad)] += 1
    return good


def _cause(error: Exception) -> str:
    if not isinstance(error, msgspec.ValidationError):
        return "malformed"
    return "missing field" if "missing required field" in str(error) else "wrong type"
