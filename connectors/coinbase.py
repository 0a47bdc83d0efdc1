"""Coinbase's market data (Advanced Trade): best bid and ask, and trades, free and without a key.

Protocol: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels. Instruments are
written BASE/QUOTE, which the vendor writes with a dash: BTC/USD is BTC-USD.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from connectors.batch import Batch, Notice, NoticeKind
from connectors.feed import Address, Frame, Remedy
from connectors.json_frames import UNREADABLE_FRAME, count_unreadable, decoder, encoded
from connectors.sequence import Consecutive
from connectors.ticks import QuoteRows, TradeRows
from connectors.timestamps import rfc3339_column

Channel = Literal["quotes", "trades"]

CHANNELS: Final[dict[Channel, str]] = {"quotes": "ticker", "trades": "market_trades"}
HEARTBEATS: Final = "heartbeats"
"""Sent every second; without it the vendor closes channels on which nothing happens for a minute."""
PER_REQUEST: Final = 100
PACE: Final = 0.15
"""Seconds: 8 requests a second an address."""
REFUSED: Final = "refused"
"""Our word for an error about products that the vendor does not know; it gives no codes itself."""
OTHER: Final = "error"
PAST: Final = "past"
"""Marks trades of a past line as missing, which no new subscription brings back."""

_NAN: Final = float("nan")
_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_PRODUCT: Final = re.compile(r"\b[A-Z0-9]{1,20}-[A-Z0-9]{2,10}\b")


class Ticker(Struct, gc=False):
    """Best bid and ask of a product, after a trade of it."""

    product_id: str
    best_bid: float = _NAN
    best_bid_quantity: float = _NAN
    best_ask: float = _NAN
    best_ask_quantity: float = _NAN


class Trade(Struct, gc=False):
    """One print."""

    trade_id: _Number
    product_id: str
    price: float
    size: float
    time: str


class Event(Struct, gc=False):
    """What one event of a channel says."""

    tickers: list[Ticker] = []
    trades: list[Trade] = []
    subscriptions: dict[str, list[str]] = {}


_NOTHING: Final = [Event()]


class UnreadEvent(Struct, gc=False):
    """An event whose rows are looked at one by one, since one of them is bad."""

    tickers: list[msgspec.Raw] = []
    trades: list[msgspec.Raw] = []
    subscriptions: dict[str, list[str]] = {}


class Message(Struct, gc=False):
    """A frame."""

    channel: str = ""
    timestamp: str = ""
    sequence: _Number | None = field(default=None, name="sequence_num")
    events: list[Event] = []
    type: str = ""
    message: str = ""


class UnreadMessage(Message, gc=False):
    """A frame with a bad row."""

    events: list[UnreadEvent] = []  # type: ignore[assignment] # read instead of those of a good frame


class CoinbaseFeed:
    """A connection to Coinbase's market data; :class:`connectors.feed.Feed` without I/O.

    The vendor numbers the messages of a line: a number that is skipped is a gap, after which everything is asked for
    again, and the answer begins with the present. One product it does not know has it refuse a whole request, so that
    one is left out, named, and the others are asked for again.

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
        self._url = url or "wss://advanced-trade-ws.coinbase.com"
        self._channels = [CHANNELS[channel] for channel in channels]
        self._decode = decoder(Message)
        self._decode_unread = decoder(UnreadMessage)
        self._decode_row = {"tickers": decoder(Ticker), "trades": decoder(Trade)}
        self._wanted = _products(symbols)
        self._unknown: set[str] = set()
        self._open = False
        self._next: int | None = None
        self._trades = Consecutive()

    def address(self) -> Address:
        """The URL."""
        return Address(self._url, pace=PACE)

    def greeting(self) -> Sequence[Frame]:
        """The whole subscription, within the five seconds the vendor waits for it; the heartbeats answer for it."""
        self._open = False
        self._next = None
        self._unknown.clear()
        return [_request("subscribe", HEARTBEATS, []), *self._requests("subscribe", self._wanted)]

    def reply(self, notice: Notice) -> Sequence[Frame]:
        """After a gap, and after a refusal, everything again that the vendor knows."""
        match notice.kind:
            case NoticeKind.SUBSCRIBED:
                self._open = True
                return ()
            case NoticeKind.GAP if notice.code == REFUSED:
                return list(self._requests("subscribe", self._wanted))
            case NoticeKind.GAP if notice.code != PAST:
                return [*self._requests("unsubscribe", self._wanted), *self._requests("subscribe", self._wanted)]
            case _:
                return ()

    def subscribe(self, symbols: Collection[str]) -> Sequence[Frame]:
        """Make `symbols` the wanted set; the requests for the difference, none before the first one was answered."""
        before, self._wanted = self._wanted, _products(symbols)
        if not self._open:
            return ()
        return [
            *self._requests("unsubscribe", before - self._wanted),
            *self._requests("subscribe", self._wanted - before),
        ]

    def parse(  # noqa: C901, PLR0912 - calls for each of many messages would cost more than decoding
        self, frames: Sequence[Frame], received_at: int
    ) -> Batch:
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
                salvaged = self._salvaged(frame, error, rejected)
                if salvaged is None:
                    continue
                message = salvaged
            if message.sequence is not None:
                self._number(message.sequence, notices)
            channel = message.channel
            if channel == "ticker":
                for event in message.events or _NOTHING:
                    if not event.tickers:
                        unused["empty message"] += 1
                    for row in event.tickers:
                        q_symbol(_symbol(row.product_id))
                        q_time(message.timestamp)
                        bid(row.best_bid)
                        ask(row.best_ask)
                        bid_size(row.best_bid_quantity)
                        ask_size(row.best_ask_quantity)
            elif channel == "market_trades":
                for event in message.events or _NOTHING:
                    if not event.trades:
                        unused["empty message"] += 1
                    # The vendor gives the newest of several first.
                    for print_ in sorted(event.trades, key=_trade_id) if len(event.trades) > 1 else event.trades:
                        symbol = _symbol(print_.product_id)
                        if fresh(symbol, print_.trade_id):
                            t_symbol(symbol)
                            t_time(print_.time)
                            price(print_.price)
                            size(print_.size)
                            t_id(print_.trade_id)
                        else:
                            unused["duplicate trade"] += 1
            else:
                self._heed(message, notices, rejected)
        lost = self._trades.taken()
        if lost and not any(notice.kind is NoticeKind.GAP for notice in notices):  # counted once, as messages
            notices += [
                Notice(NoticeKind.GAP, f"{symbol}: {count} trades are missing", PAST, missing=count, symbol=symbol)
                for symbol, count in lost.items()
            ]
        return Batch(
            feed=self.name,
            received_at=received_at,
            quotes=quotes.frame(rfc3339_column, rejected),
            trades=trades.frame(rfc3339_column, rejected),
            notices=tuple(notices),
            rejected=rejected,
            unused=unused,
        )

    def remedy(self, notice: Notice) -> Remedy:
        """A product that is refused takes no other with it."""
        return Remedy.IGNORE if notice.code == REFUSED else Remedy.RECONNECT

    def _number(self, sequence: int, notices: list[Notice]) -> None:
        """Notice what is missing before a message of this number."""
        expected, self._next = self._next, sequence + 1
        if expected is not None and sequence > expected:
            missing = sequence - expected
            notices.append(Notice(NoticeKind.GAP, f"{missing} messages are missing", missing=missing))

    def _heed(self, message: Message, notices: list[Notice], rejected: Counter[str]) -> None:
        """What is no market data."""
        if message.channel == HEARTBEATS:
            notices.append(Notice(NoticeKind.HEARTBEAT, "heartbeat"))
        elif message.channel == "subscriptions":
            counts = {name: len(ids) for event in message.events for name, ids in event.subscriptions.items()}
            notices.append(Notice(NoticeKind.SUBSCRIBED, ", ".join(f"{name} {n}" for name, n in counts.items())))
        elif message.type == "error":
            unknown = set(_PRODUCT.findall(message.message)) & self._wanted
            notices.append(Notice(NoticeKind.ERROR, message.message, REFUSED if unknown else OTHER))
            if not unknown <= self._unknown:
                self._unknown |= unknown
                left_out = f"asked again without {', '.join(sorted(unknown))}: {message.message}"
                notices.append(Notice(NoticeKind.GAP, left_out, REFUSED))
        else:
            rejected["unknown message"] += 1

    def _salvaged(self, frame: Frame, error: Exception, rejected: Counter[str]) -> Message | None:
        """A frame with the rows that are good; None where it cannot be read at all, and is counted."""
        try:
            unread: UnreadMessage = self._decode_unread(encoded(frame))
        except UNREADABLE_FRAME:
            count_unreadable(error, rejected)
            return None
        events = []
        for event in unread.events:
            good: dict[str, list[Ticker | Trade]] = {"tickers": [], "trades": []}
            for name, decode in self._decode_row.items():
                for raw in getattr(event, name):
                    try:
                        good[name].append(decode(raw))
                    except UNREADABLE_FRAME as bad:
                        count_unreadable(bad, rejected)
            events.append(Event(**good, subscriptions=event.subscriptions))  # type: ignore[arg-type] # by name
        return Message(unread.channel, unread.timestamp, unread.sequence, events, unread.type, unread.message)

    def _requests(self, kind: str, products: Collection[str]) -> Iterator[Frame]:
        """Requests for `products` on every channel, without those that the vendor does not know."""
        ordered = sorted(set(products) - self._unknown)
        for channel in self._channels:
            for at in range(0, len(ordered), PER_REQUEST):
                yield _request(kind, channel, ordered[at : at + PER_REQUEST])


def _trade_id(trade: Trade) -> int:
    return trade.trade_id


def _request(kind: str, channel: str, products: list[str]) -> Frame:
    return msgspec.json.encode({"type": kind, "channel": channel, "product_ids": products}).decode()


def _products(symbols: Collection[str]) -> frozenset[str]:
    """The vendor's words for those of the instruments that can be its own."""
    return frozenset(symbol.replace("/", "-").upper() for symbol in symbols if "/" in symbol)


@lru_cache(maxsize=4096)
def _symbol(product: str) -> str:
    """Our word for an instrument.

    >>> _symbol("BTC-USD")
    'BTC/USD'
    """
    return product.replace("-", "/")
