"""Payloads to rows: one object or a list of them, JSON or MessagePack, told apart by the first byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from msgspec.msgpack import Ext

from connectors.mqtt.layout import ForeignLayout, Unit
from connectors.timestamps import UNREADABLE, Nanoseconds, msgpack_column, rfc3339_column

NAN: Final = float("nan")
Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Stamp = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | str | None
_NS: Final[dict[Unit, int]] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1, "rfc3339": 1}
_JSON_STARTS: Final = b"{[ \t\r\n"
"""No MessagePack object or list begins with one of these bytes."""


class Row(Struct, gc=False):
    """A row of the layout of our own; which fields there are depends on the topic.

    ``ts`` is RFC 3339 text or a whole number of nanoseconds since 1970, ``end`` (of bars) likewise; in MessagePack a
    time stamp of its own kind too. A size that is left out is unknown. ``symbol`` goes before that of the topic.
    """

    ts: Stamp
    symbol: str = ""
    bid: float = NAN
    ask: float = NAN
    bid_size: float = NAN
    ask_size: float = NAN
    price: float = NAN
    size: float = NAN
    id: Id | None = None
    end: Stamp = None
    open: float = NAN
    high: float = NAN
    low: float = NAN
    close: float = NAN
    volume: float = NAN
    code: str = ""
    reason: str = ""


class PackedRow(Row, gc=False):
    """The same with times as MessagePack can have them besides."""

    ts: Any
    end: Any = None


_json_rows: Final = msgspec.json.Decoder(list[Row] | Row).decode
_packed_rows: Final = msgspec.msgpack.Decoder(list[PackedRow] | PackedRow).decode
_json_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_packed_list: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_json_row: Final = msgspec.json.Decoder(Row).decode
_packed_row: Final = msgspec.msgpack.Decoder(PackedRow).decode

UNREADABLE_PAYLOAD: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)


def rows(payload: bytes, rejected: Counter[str]) -> Sequence[Row]:
    """The rows of a payload of our own layout; those that cannot be read are counted by cause."""
    is_json = payload[:1] in _JSON_STARTS
    try:
        found = _json_rows(payload) if is_json else _packed_rows(payload)
    except UNREADABLE_PAYLOAD as error:
        return _salvaged(payload, error, rejected, is_json=is_json)
    return found if isinstance(found, list) else (found,)


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


def times(values: Sequence[Any], unit: Unit, received_at: int) -> Nanoseconds:
    """Times in any of the forms a payload can have; :data:`UNREADABLE` where one is none."""
    if unit == "received":
        return np.full(len(values), received_at, dtype=np.int64)
    if all(type(value) is str for value in values):
        return rfc3339_column(values)
    if unit in ("ns", "rfc3339") and all(type(value) is int for value in values):
        return np.array([value if -(2**63) <= value < 2**63 else UNREADABLE for value in values], dtype=np.int64)
    return np.array([_time(value, unit) for value in values], dtype=np.int64)


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


def _salvaged(payload: bytes, error: Exception, rejected: Counter[str], *, is_json: bool) -> list[Row]:
    """The good rows of a list that has bad ones."""
    try:
        raws = _json_list(payload) if is_json else _packed_list(payload)
    except UNREADABLE_PAYLOAD:
        rejected[_cause(error)] += 1
        return []
    good = []
    for raw in raws:
        try:
            good.append(_json_row(raw) if is_json else _packed_row(raw))
        except UNREADABLE_PAYLOAD as bad:
            rejected[_cause(bad)] += 1
    return good


def _cause(error: Exception) -> str:
    if not isinstance(error, msgspec.ValidationError):
        return "malformed"
    return "missing field" if "missing required field" in str(error) else "wrong type"
