"""The messages of Alpaca's v2 stock stream.

Protocol: https://docs.alpaca.markets/docs/streaming-market-data and .../docs/real-time-stock-pricing-data. Only the
fields that are used are declared: msgspec skips the others at a fraction of the cost. They stand in the vendor's
order, which msgspec tries first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Generic, TypeVar

from msgspec import Meta, Struct, field
from msgspec.msgpack import Ext

from connectors.message_lists import Encoding, MessageLists

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


class Trade(Struct, Generic[Stamp], tag="t", tag_field="T", gc=False, kw_only=True):
    """One print; `c` its conditions, `z` the tape."""

    i: TradeId | None = None
    S: str
    p: float
    s: float
    t: Stamp
    c: tuple[str, ...] | None = None
    z: str = ""


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


class DailyBar(Bar[Stamp], Generic[Stamp], tag="d", tag_field="T", gc=False):
    """The day so far, sent every minute: no bar in our sense, which is final at its end, so only its arrival counts."""


class LimitBand(Struct, Generic[Stamp], tag="l", tag_field="T", gc=False):
    """Limit up, limit down: the band a price may trade in."""

    S: str
    u: float
    d: float
    t: Stamp
    i: str = ""


class Correction(Struct, Generic[Stamp], tag="c", tag_field="T", gc=False):
    """A print that was corrected afterwards: the original, and what stands in its place."""

    S: str
    op: float
    os: float
    cp: float
    cs: float
    t: Stamp
    oi: TradeId | None = None
    ci: TradeId | None = None


class Cancel(Struct, Generic[Stamp], tag="x", tag_field="T", gc=False):
    """A print that was cancelled; its action is ``E`` where it was an error."""

    S: str
    p: float
    s: float
    t: Stamp
    i: TradeId | None = None
    a: str = "C"


class Success(Struct, tag="success", tag_field="T"):
    """A step of signing in is done."""

    msg: str = ""


class Subscription(Struct, tag="subscription", tag_field="T"):
    """What this connection is now subscribed to, in full."""

    trades: Sequence[str] = ()
    quotes: Sequence[str] = ()
    bars: Sequence[str] = ()
    updated_bars: Sequence[str] = field(default=(), name="updatedBars")
    daily_bars: Sequence[str] = field(default=(), name="dailyBars")
    statuses: Sequence[str] = ()
    lulds: Sequence[str] = ()


class Error(Struct, tag="error", tag_field="T"):
    """A request, or the connection, is refused."""

    code: int
    msg: str = ""


Control = Success | Subscription | Error
UNUSED: Final[dict[type[Struct], str]] = {DailyBar: "daily bar"}
"""Messages that are understood, but that no frame of a batch has a place for, and what they are counted as."""

_TEXT = (
    Quote[str]
    | Trade[str]
    | Bar[str]
    | UpdatedBar[str]
    | Status[str]
    | DailyBar[str]
    | LimitBand[str]
    | Correction[str]
    | Cancel[str]
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
    | DailyBar[Ext]
    | LimitBand[Ext]
    | Correction[Ext]
    | Cancel[Ext]
    | Success
    | Subscription
    | Error
)
_KINDS: Final[tuple[type[Struct], ...]] = (
    Quote,
    Trade,
    Bar,
    UpdatedBar,
    Status,
    DailyBar,
    LimitBand,
    Correction,
    Cancel,
    Success,
    Subscription,
    Error,
)


def decoder(encoding: Encoding) -> MessageLists:
    """Decodes frames of the stream."""
    return MessageLists(_TEXT if encoding == "json" else _PACKED, _KINDS, encoding)
