"""Kraken's spot stream, version 2: best bid and ask, and trades, free and without a key.

Protocol: https://docs.kraken.com/exchange/api-reference/spot-websocket-v2. Instruments are written as the vendor writes
them: BTC/USD, and AAPLx/USD for a share that is traded as a token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from connectors.batch import Batch, Notice, NoticeKind
from connectors.feed import Address, Frame, Remedy
from connectors.json_frames import UNREADABLE_FRAME, count_unreadable, decoder, encoded
from connectors.sequence import Consecutive
from connectors.ticks import QuoteRows, TradeRows, blank_is
from connectors.timestamps import rfc3339_column

Channel = Literal["quotes", "trades"]

CHANNELS: Final[dict[Channel, dict[str, Any]]] = {
    "quotes": {"channel": "ticker", "event_trigger": "bbo"},
    "trades": {"channel": "trade", "snapshot": True},  # the last 50 trades: what was missed while the line was down
}
PER_REQUEST: Final = 100
PACE: Final = 0.1
REFUSED: Final = "refused"
"""Our word for an error about one symbol, or one request; the vendor gives no codes."""
MAINTENANCE: Final = "maintenance"
"""Our word for a vendor that says it is not trading."""

_NAN: Final = float("nan")
_Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Row(Struct, gc=False):
    """A row of any channel; which fields there are depends on the channel."""

    symbol: str = ""
    bid: float = _NAN
    bid_qty: float = _NAN
    ask: float = _NAN
    ask_qty: float = _NAN
    price: float = _NAN
    qty: float = _NAN
    trade_id: _Id | None = None
    timestamp: str = ""
    system: str = ""


class Result(Struct, gc=False):
    """What was subscribed to."""

    channel: str = ""
    symbol: str = ""


class _Control(Struct, gc=False):
    """The fields of a frame but its rows."""

    channel: str = ""
    type: str = ""
    method: str = ""
    success: bool | None = None
    error: str = ""
    symbol: str = ""
    result: Result | None = None


class Message(_Control, gc=False):
    """A frame: rows of a channel, or the answer to a request."""

    data: list[Row] = []


class Unread(_Control, gc=False):
    """A frame whose rows are looked at one by one, since one of them is bad."""

    data: list[msgspec.Raw] = []


class KrakenFeed:
    """A connection to Kraken's stream; :class:`connectors.feed.Feed` without I/O.

    The vendor answers for every symbol by itself: those it refuses are counted and named, the others go on. It sends a
    heartbeat every second, so a line without trades, such as one of shares at night, is not silent.

    Args:
        name: What this feed is called in batches, counts and messages.
        url: Another address of the same protocol.
        channels: What to subscribe to, for every instrument.
        symbols: The wanted set to begin with, as BASE/QUOTE; other instruments are not this vendor's.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str | None = None,
        channels: Sequence[Channel] = ("quotes", "trades"),
        symbols: Collection[str] = (),
    ) -> None:
        self.name = name
        self._url = url or "wss://ws.kraken.com/v2"
        self._channels = tuple(channels)
        self._decode = decoder(Message)
        self._decode_unread = decoder(Unread)
        self._decode_row = decoder(Row)
        self._wanted = _pairs(symbols)
        self._open = False
        self._trades = Consecutive()

    def address(self) -> Address:
        """The URL."""
        return Address(self._url, pace=PACE)

    def greeting(self) -> Sequence[Frame]:
        """A new connection: the vendor speaks first."""
        self._open = False
        return ()

    def reply(self, notice: Notice) -> Sequence[Frame]:
        """The full subscription once the vendor says it is there."""
        if notice.kind is not NoticeKind.CONNECTED or self._open:
            return ()
        self._open = True
        return list(self._requests("subscribe", self._wanted)) or [_request({"method": "ping"})]

    def subscribe(self, symbols: Collection[str]) -> Sequence[Frame]:
        """Make `symbols` the wanted set; the requests for the difference, none before the vendor's greeting."""
        before, self._wanted = self._wanted, _pairs(symbols)
        if not self._open:
            return ()
        return [
            *self._requests("unsubscribe", before - self._wanted),
            *self._requests("subscribe", self._wanted - before),
        ]

    def parse(self, frames: Sequence[Frame], received_at: int) -> Batch:
        """The frames' content in columns; what cannot be read is counted in ``rejected``, and never raises."""
        rejected: Counter[str] = Counter()
        unused: Counter[str] = Counter()
        notices: list[Notice] = []
        quotes, trades = QuoteRows(), TradeRows()
        q_symbol, q_time = quotes.symbols.append, quotes.times.append
        bid, ask, bid_size, ask_size = (column.append for column in quotes.numbers.values())
        t_symbol, t_time, t_id = trades.symbols.append, trades.times.append, trades.ids.append
        price, size = (column.append for column in trades.numbers.values())
        decode, fresh = self._decode, self._trades.fresh
        for frame in frames:
            try:
                message = decode(frame if isinstance(frame, bytes) else encoded(frame))
            except UNREADABLE_FRAME as error:
                message = self._salvaged(frame, error, rejected)
            channel = message.channel
            if not message.data and channel in ("ticker", "trade"):
                unused["empty message"] += 1
            elif channel == "ticker":
                for row in message.data:
                    q_symbol(row.symbol)
                    q_time(row.timestamp)
                    bid(row.bid)
                    ask(row.ask)
                    bid_size(row.bid_qty)
                    ask_size(row.ask_qty)
            elif channel == "trade":
                for row in message.data:
                    if row.trade_id is None or fresh(row.symbol, row.trade_id):
                        t_symbol(row.symbol)
                        t_time(row.timestamp)
                        price(row.price)
                        size(row.qty)
                        t_id(row.trade_id)
                    else:
                        unused["duplicate trade"] += 1
            else:
                _heed(message, notices, rejected)
        notices += [
            Notice(NoticeKind.GAP, f"{symbol}: {count} trades are missing", missing=count, symbol=symbol)
            for symbol, count in self._trades.taken().items()
        ]
        return Batch(
            feed=self.name,
            received_at=received_at,
            quotes=quotes.frame(blank_is(received_at), rejected),
            trades=trades.frame(rfc3339_column, rejected),
            notices=tuple(notices),
            rejected=rejected,
            unused=unused,
        )

    def remedy(self, notice: Notice) -> Remedy:
        """A refused symbol takes no other with it; a vendor in maintenance is waited for."""
        if notice.code == REFUSED:
            return Remedy.IGNORE
        return Remedy.WAIT if notice.code == MAINTENANCE else Remedy.RECONNECT

    def _salvaged(self, frame: Frame, error: Exception, rejected: Counter[str]) -> Message:
        """The good rows of a frame that is not good as a whole."""
        try:
            unread = self._decode_unread(encoded(frame))
        except UNREADABLE_FRAME:
            count_unreadable(error, rejected)
            return _NOTHING
        rows = []
        for raw in unread.data:
            try:
                rows.append(self._decode_row(raw))
            except UNREADABLE_FRAME as bad:
                count_unreadable(bad, rejected)
        return Message(channel=unread.channel, data=rows) if rows else _NOTHING

    def _requests(self, method: str, symbols: Collection[str]) -> Iterator[Frame]:
        """Requests for `symbols` on every channel."""
        ordered = sorted(symbols)
        for channel in self._channels:
            for at in range(0, len(ordered), PER_REQUEST):
                options = CHANNELS[channel] | {"symbol": ordered[at : at + PER_REQUEST]}
                yield _request({"method": method, "params": options})


_COUNTED: Final = "counted"
_NOTHING: Final = Message(channel=_COUNTED)
"""Stands for a frame that was counted already."""


def _heed(message: Message, notices: list[Notice], rejected: Counter[str]) -> None:
    """What is no market data."""
    if message.channel == "heartbeat" or message.method == "pong":
        notices.append(Notice(NoticeKind.HEARTBEAT, "heartbeat"))
    elif message.channel == "status":
        for row in message.data or [Row()]:
            if row.system in ("online", "post_only", "limit_only", "cancel_only", ""):
                notices.append(Notice(NoticeKind.CONNECTED, row.system))
            else:
                notices.append(Notice(NoticeKind.ERROR, f"the vendor's system is in {row.system}", MAINTENANCE))
    elif message.error or message.success is False:
        about = f"{message.symbol}: " if message.symbol and message.symbol not in message.error else ""
        notices.append(Notice(NoticeKind.ERROR, f"{about}{message.error}", REFUSED))
    elif message.method in ("subscribe", "unsubscribe"):
        result = message.result or Result()
        notices.append(Notice(NoticeKind.SUBSCRIBED, f"{message.method}d: {result.channel} {result.symbol}"))
    elif message.channel != _COUNTED:
        rejected["unknown message"] += 1


def _pairs(symbols: Collection[str]) -> frozenset[str]:
    return frozenset(symbol for symbol in symbols if "/" in symbol)


def _request(content: dict[str, Any]) -> Frame:
    return msgspec.json.encode(content).decode()
