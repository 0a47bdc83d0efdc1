"""The messages of Massive's stocks stream.

Protocol: https://massive.com/docs/websocket/stocks/trades, .../quotes, .../aggregates-per-minute, .../luld. Only the
fields that are used are declared: msgspec skips the others at a fraction of the cost. They stand in the vendor's order.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from connectors.message_lists import MessageLists

Integer = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Quote(Struct, tag="Q", tag_field="ev", gc=False):
    """The national best bid and offer; `t` milliseconds, `q` the number of the message."""

    sym: str
    bp: float
    bs: float
    ap: float
    ask_size: float = field(name="as")
    t: Integer
    q: Integer = 0


class Trade(Struct, tag="T", tag_field="ev", gc=False, kw_only=True):
    """One print; `c` its conditions, `t` milliseconds, `q` the message's number, of the instrument and the day."""

    sym: str
    p: float
    s: float
    c: tuple[int, ...] | None = None
    t: Integer
    q: Integer = 0


class MinuteBar(Struct, tag="AM", tag_field="ev", gc=False):
    """A minute: `s` its start and `e` its end, milliseconds."""

    sym: str
    v: float
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    s: Integer
    e: Integer


class SecondBar(MinuteBar, tag="A", tag_field="ev", gc=False):
    """A second."""


class LimitBand(Struct, tag="LULD", tag_field="ev", gc=False):
    """Limit up, limit down: the highest and lowest price, and what the band, or a halt, is about.

    The vendor documents `t` in milliseconds and shows nanoseconds; both are read.
    """

    T: str
    h: float
    l: float  # noqa: E741 - the vendor's name
    t: Integer
    i: list[int] = []


class Status(Struct, tag="status", tag_field="ev"):
    """An answer, or an error; `status` is its code."""

    status: str
    message: str = ""


class FairValue(Struct, tag="FMV", tag_field="ev", gc=False):
    """The vendor's own estimate of a price: no price anybody traded or quoted."""


class Imbalance(Struct, tag="NOI", tag_field="ev", gc=False):
    """Orders without a counterpart before an auction."""


UNUSED: Final[dict[type[Struct], str]] = {FairValue: "fair market value", Imbalance: "imbalance"}
"""Messages that are understood, but that no frame of a batch has a place for, and what they are counted as."""


@cache
def decoder() -> MessageLists:
    """Decodes frames of the stream; it keeps nothing, so one serves all."""
    union = Quote | Trade | MinuteBar | SecondBar | LimitBand | Status | FairValue | Imbalance
    return MessageLists(union, (Quote, Trade, MinuteBar, SecondBar, LimitBand, Status, *UNUSED))
