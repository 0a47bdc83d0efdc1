"""Binance's spot streams: best bid and ask, and trades, free and without a key.

Protocol: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams. The same is spoken by
Binance.US under another address. Instruments are written BASE/QUOTE, which the vendor joins: BTC/USDT is BTCUSDT.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
import polars as pl
from msgspec import Meta, Struct, field

from connectors.batch import Batch, Notice, NoticeKind
from connectors.feed import Address, Frame, Remedy
from connectors.json_frames import decoded, decoder
from connectors.sequence import RESTART, Consecutive
from connectors.ticks import QuoteRows, TradeRows, milliseconds_column

Channel = Literal["quotes", "trades"]

STREAMS: Final[dict[Channel, str]] = {"quotes": "bookTicker", "trades": "trade"}
MOST_STREAMS: Final = 1024
"""Of one line; more are refused here, with a word, rather than by a closed line."""
PER_REQUEST: Final = 200
LIFETIME: Final = 23.5 * 3600
"""Seconds: the vendor ends a line after 24 hours."""
PACE: Final = 0.25
"""Seconds: the vendor drops whoever sends more than 5 messages a second, pongs among them."""

_NAN: Final = float("nan")
_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Data(Struct, gc=False):
    """What a stream says; which fields there are depends on the stream.

    They stand in the order of a book ticker, the most frequent, as decoding looks for the next field first.
    """

    u: _Number = 0
    s: str = ""
    b: float = _NAN
    bid_size: float = field(default=_NAN, name="B")
    a: float = _NAN
    ask_size: float = field(default=_NAN, name="A")
    e: str = "bookTicker"
    """The kind of event; a book ticker says none."""
    t: _Number | None = None
    p: float = _NAN
    q: float = _NAN
    time: _Number = field(default=2**63 - 1, name="T")


class Message(Struct, gc=False):
    """A frame of a combined stream, an answer to a request, or an event of the connection."""

    data: Data | None = None
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: Answer | None = None
    event: Data | None = None
    e: str = ""


class Answer(Struct, gc=False):
    """Why a request was refused."""

    code: int = 0
    msg: str = ""


class BinanceFeed:
    """A connection to Binance's combined streams; :class:`connectors.feed.Feed` without I/O.

    A book ticker has no time stamp: its event time is when it was received; its update id orders it and shows what came
    before. Trade ids have no holes: one that is skipped is missing.

    Args:
        name: What this feed is called in batches, counts and messages.
        url: The address, ending in ``/stream``.
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
        self._url = url or "wss://stream.binance.com:9443/stream"
        self._channels = tuple(channels)
        self._decode = decoder(Message)
        self._symbols: dict[str, str] = {}
        self._wanted: frozenset[str] = frozenset()
        self._open = False
        self._requests = 0
        self._books: dict[str, int] = {}
        """By the vendor's word for an instrument, the update id of its newest best bid and ask."""
        self._trades = Consecutive()
        self.subscribe(symbols)

    def address(self) -> Address:
        """The URL, how long a line of it lives and how often it may be written to."""
        return Address(self._url, lifetime=LIFETIME, pace=PACE)

    def greeting(self) -> Sequence[Frame]:
        """The whole subscription: the vendor wants no sign-in."""
        self._open = False
        self._requests = 0
        requests = list(self._asking("SUBSCRIBE", self._wanted))
        if not requests:  # the vendor answers this too, and so shows that the line is good
            requests = [self._request("LIST_SUBSCRIPTIONS", None)]
        return requests

    def reply(self, notice: Notice) -> Sequence[Frame]:
        """Once the vendor has answered, subscriptions can be changed."""
        if notice.kind is NoticeKind.SUBSCRIBED:
            self._open = True
        return ()

    def subscribe(self, symbols: Collection[str]) -> Sequence[Frame]:
        """Make `symbols` the wanted set; the requests for the difference, none before the first one was answered."""
        pairs = sorted(symbol for symbol in symbols if "/" in symbol)[: MOST_STREAMS // len(self._channels)]
        self._symbols |= {_vendors(symbol): symbol for symbol in pairs}
        before, self._wanted = self._wanted, frozenset(pairs)
        if not self._open:
            return ()
        return [
            *self._asking("UNSUBSCRIBE", before - self._wanted),
            *self._asking("SUBSCRIBE", self._wanted - before),
        ]

    def parse(self, frames: Sequence[Frame], received_at: int) -> Batch:
        """The frames' content in columns; what cannot be read is counted in ``rejected``, and never raises."""
        rejected: Counter[str] = Counter()
        unused: Counter[str] = Counter()
        notices: list[Notice] = []
        quotes: list[Data] = []
        trades: list[Data] = []
        books, fresh_trade = self._books, self._trades.fresh
        for message in decoded(self._decode, frames, rejected):
            data = message.data
            if data is None:
                self._control(message, notices, rejected)
                continue
            kind, symbol = data.e, data.s
            if kind == "bookTicker" and symbol:
                newest = books.get(symbol, -1)
                if data.u > newest or newest - data.u > RESTART:
                    books[symbol] = data.u
                    quotes.append(data)
                else:
                    unused["duplicate quote"] += 1
            elif kind == "trade" and symbol:
                if data.t is None or fresh_trade(symbol, data.t):
                    trades.append(data)
                else:
                    unused["duplicate trade"] += 1
            elif kind == "serverShutdown":
                notices.append(Notice(NoticeKind.RENEW, "the vendor's server is about to shut down"))
            else:
                rejected["unknown message" if symbol else "missing field"] += 1
        notices += [
            Notice(NoticeKind.GAP, f"{symbol}: {count} trades are missing", missing=count, symbol=symbol)
            for symbol, count in ((self._symbols.get(s, s), n) for s, n in self._trades.taken().items())
        ]
        return Batch(
            feed=self.name,
            received_at=received_at,
            quotes=self._quotes(quotes, received_at, rejected),
            trades=self._prints(trades, rejected),
            notices=tuple(notices),
            rejected=rejected,
            unused=unused,
        )

    def remedy(self, notice: Notice) -> Remedy:
        """A request the vendor cannot read would be refused again; anything else is a dropped line."""
        return Remedy.STOP if notice.code in (0, 1, 2, 3) else Remedy.RECONNECT

    def _quotes(self, found: Sequence[Data], received_at: int, rejected: Counter[str]) -> pl.DataFrame:
        rows = QuoteRows()
        ours = self._symbols
        names = [data.s for data in found]
        rows.symbols = list(map(ours.get, names, names))
        rows.numbers = {
            "bid": [data.b for data in found],
            "ask": [data.a for data in found],
            "bid_size": [data.bid_size for data in found],
            "ask_size": [data.ask_size for data in found],
        }
        rows.times = rows.symbols  # as many
        return rows.frame(lambda every: np.full(len(every), received_at, dtype=np.int64), rejected)

    def _prints(self, found: Sequence[Data], rejected: Counter[str]) -> pl.DataFrame:
        rows = TradeRows()
        ours = self._symbols
        rows.symbols = [ours.get(data.s, data.s) for data in found]
        rows.numbers = {"price": [data.p for data in found], "size": [data.q for data in found]}
        rows.times = [data.time for data in found]
        rows.ids = [data.t for data in found]
        return rows.frame(milliseconds_column, rejected)

    @staticmethod
    def _control(message: Message, notices: list[Notice], rejected: Counter[str]) -> None:
        """What is no market data."""
        if message.error is not None or message.code is not None:
            code, text = (
                (message.code, message.msg) if message.error is None else (message.error.code, message.error.msg)
            )
            notices.append(Notice(NoticeKind.ERROR, text, code))
        elif message.id is not None:
            notices.append(Notice(NoticeKind.SUBSCRIBED, f"request {message.id} answered"))
        elif "serverShutdown" in (message.e, message.event.e if message.event else ""):
            notices.append(Notice(NoticeKind.RENEW, "the vendor's server is about to shut down"))
        else:
            rejected["unknown message"] += 1

    def _asking(self, method: str, symbols: Collection[str]) -> Iterator[Frame]:
        """Requests for the streams of `symbols`."""
        streams = [f"{_vendors(s).lower()}@{STREAMS[c]}" for s in sorted(symbols) for c in self._channels]
        for at in range(0, len(streams), PER_REQUEST):
            yield self._request(method, streams[at : at + PER_REQUEST])

    def _request(self, method: str, streams: list[str] | None) -> Frame:
        self._requests += 1
        content = {"method": method, **({"params": streams} if streams else {}), "id": self._requests}
        return msgspec.json.encode(content).decode()


def _vendors(symbol: str) -> str:
    """The vendor's word for an instrument.

    >>> _vendors("BTC/USDT")
    'BTCUSDT'
    """
    return symbol.replace("/", "").upper()
