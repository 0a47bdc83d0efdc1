"""The messages of Alpaca's v2 stock stream, and frames of bytes to lists of them.

Protocol: https://docs.alpaca.markets/docs/streaming-market-data and .../docs/real-time-stock-pricing-data. Only the
fields that are used are declared: msgspec skips the others at a fraction of the cost. They stand in the vendor's
order, which msgspec tries first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field
from msgspec.msgpack import Ext

from connectors.feed import Frame

Encoding = Literal["json", "msgpack"]

Stamp = TypeVar("Stamp")
"""How a time is written: RFC 3339 text in JSON, an extension in MessagePack."""

TradeId = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Quote(Struct, Generic[Stamp], tag="q", tag_field="T", gc=False):
    """Best bid and ask: price and size."""

    S: str
    bp: float
    bs: float
    ap: float
    ask_size: float = field(name="as")
    t: Stamp = field()


class Trade(Struct, Generic[Stamp], tag="t", tag_field="T", gc=False):
    """One print."""

    S: str
    p: float
    s: float
    t: Stamp
    i: TradeId | None = None


class Bar(Struct, Generic[Stamp], tag="b", tag_field="T", gc=False):
    """A minute bar, sent at its end."""

    S: str
    o: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    c: float
    v: float
    t: Stamp


class UpdatedBar(Bar[Stamp], Generic[Stamp], tag="u", tag_field="T", gc=False):
    """A minute bar again, with trades that came late."""


class Status(Struct, Generic[Stamp], tag="s", tag_field="T", gc=False):
    """A trading halt or resumption; its codes are those of the tape the instrument is on."""

    S: str
    sc: str
    t: Stamp
    sm: str = ""
    rc: str = ""
    rm: str = ""


class DailyBar(Struct, tag="d", tag_field="T", gc=False):
    """The day so far, every minute: no bar in our sense, which is final at its end, so only its arrival is counted."""


class LimitBand(Struct, tag="l", tag_field="T", gc=False):
    """Limit up, limit down: the band a price may trade in."""


class Correction(Struct, tag="c", tag_field="T", gc=False):
    """A trade that was corrected afterwards."""


class Cancel(Struct, tag="x", tag_field="T", gc=False):
    """A trade that was cancelled, or was an error."""


class Success(Struct, tag="success", tag_field="T"):
    """A step of signing in is done."""

    msg: str = ""


class Subscription(Struct, tag="subscription", tag_field="T"):
    """What this connection is now subscribed to, in full."""

    trades: Sequence[str] = ()
    quotes: Sequence[str] = ()
    bars: Sequence[str] = ()
    updated_bars: Sequence[str] = field(default=(), name="updatedBars")
    statuses: Sequence[str] = ()


class Error(Struct, tag="error", tag_field="T"):
    """A request, or the connection, is refused."""

    code: int
    msg: str = ""


Control = Success | Subscription | Error
UNUSED: Final[dict[type[Struct], str]] = {
    DailyBar: "daily bar",
    LimitBand: "limit band",
    Correction: "correction",
    Cancel: "cancel",
}
"""Messages that are understood, but that no frame of a batch has a place for, and what they are counted as."""

_TEXT = (
    Quote[str]
    | Trade[str]
    | Bar[str]
    | UpdatedBar[str]
    | Status[str]
    | DailyBar
    | LimitBand
    | Correction
    | Cancel
    | Success
    | Subscription
    | Error
)
_PACKED = (
    Quote[Ext]
    | Trade[Ext]
    | Bar[Ext]
    | UpdatedBar[Ext]
    | Status[Ext]
    | DailyBar
    | LimitBand
    | Correction
    | Cancel
    | Success
    | Subscription
    | Error
)
_KINDS: Final[tuple[type[Struct], ...]] = (Quote, Trade, Bar, UpdatedBar, Status, *UNUSED, Success, Subscription, Error)
_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    str(kind.__struct_config__.tag): tuple(f.encode_name for f in msgspec.structs.fields(kind) if f.required)
    for kind in _KINDS
}

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""All that decoding hostile bytes can raise."""


Decode = Callable[[bytes], Any]


class Decoder:
    """Frames of one encoding to messages; what cannot be read is counted by cause, message by message."""

    def __init__(self, encoding: Encoding) -> None:
        if encoding == "json":
            self._frame: Decode = msgspec.json.Decoder(list[_TEXT]).decode
            self._raws: Decode = msgspec.json.Decoder(list[msgspec.Raw]).decode
            self._message: Decode = msgspec.json.Decoder(_TEXT).decode
            self._anything: Decode = msgspec.json.Decoder().decode
        else:
            self._frame = msgspec.msgpack.Decoder(list[_PACKED]).decode
            self._raws = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
            self._message = msgspec.msgpack.Decoder(_PACKED).decode
            self._anything = msgspec.msgpack.Decoder().decode

    def decode(self, frames: Sequence[Frame], rejected: Counter[str]) -> Iterator[list[Any]]:
        """The messages of each frame, in order; causes are added to `rejected`."""
        decode = self._frame
        for frame in frames:
            try:
                messages = decode(frame if isinstance(frame, bytes) else _encoded(frame))
            except _UNREADABLE:
                messages = self._salvage(frame, rejected)
            yield messages

    def _salvage(self, frame: Frame, rejected: Counter[str]) -> list[Any]:
        """The good messages of a frame that is not good as a whole."""
        try:
            raws = self._raws(_encoded(frame))
        except msgspec.ValidationError:
            rejected["not a list"] += 1
            return []
        except _UNREADABLE:
            rejected["malformed"] += 1
            return []
        messages = []
        for raw in raws:
            try:
                messages.append(self._message(raw))
            except _UNREADABLE:
                rejected[self._cause(raw)] += 1
        return messages

    def _cause(self, raw: msgspec.Raw) -> str:
        """Why a message could not be read."""
        try:
            content = self._anything(raw)
        except _UNREADABLE:
            return "malformed"
        kind = content.get("T") if isinstance(content, dict) else None
        if not isinstance(kind, str) or kind not in _REQUIRED:
            return "unknown message"
        if any(name not in content for name in _REQUIRED[kind]):
            return "missing field"
        return "wrong type"


def _encoded(frame: Frame) -> bytes:
    """The bytes of a frame; half a surrogate pair, which no encoding has, becomes a question mark."""
    return frame.encode(errors="replace") if isinstance(frame, str) else frame
