"""Finnhub: the stream of trades, and last prices over REST to begin with.

Protocol: https://finnhub.io/docs/api/websocket-trades and .../quote. The key is a parameter of the address, so a wrong
one is refused in the opening handshake. The vendor pings as a message of its own, says what is wrong in words without a
code, and never confirms a subscription; the free plan has one connection and 50 instruments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from connectors.batch import Batch, Notice, NoticeKind
from connectors.feed import Address, Frame, Remedy
from connectors.json_frames import UNREADABLE_FRAME, count_unreadable, encoded
from connectors.rest import Rest
from connectors.sale_conditions import Verdict, Verdicts, verdict_of_finnhub
from connectors.ticks import TradeRows, milliseconds_column

Integer = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Print(Struct, gc=False):
    """One print, or a price update of a market that has none (its volume is 0); `c` its conditions, of US shares."""

    p: float
    s: str
    t: Integer
    v: float
    c: tuple[str, ...] | None = None


class Message(Struct):
    """A frame: prints, a ping, or an error in words."""

    type: str
    data: list[Print] = []
    msg: str = ""


class Unread(Struct):
    """A frame whose prints are looked at one by one, since one of them is bad."""

    type: str
    data: list[msgspec.Raw] = []


class LastPrice(Struct):
    """The answer of the quote endpoint: the last price and its time in seconds; zeros for what it does not know."""

    c: float
    t: Annotated[int, Meta(ge=0, le=2**40)]


REST: Final = "https://finnhub.io/api/v1"
PER_MINUTE: Final = 60.0
"""Requests a minute over REST on the free plan."""
PACE: Final = 0.05
"""Seconds between two subscriptions: thousands at once are cut off."""

_VERDICTS: Final = Verdicts[str](verdict_of_finnhub)

_OF_THE_KEY: Final = ("api key", "token", "plan", "premium")
"""In the text of an error: nothing will come on this connection, and trying again cannot help."""
_TOO_MANY: Final = "too many symbols"
_OF_ONE_REQUEST: Final = ("symbol", _TOO_MANY, "already")
"""In the text of an error: one instrument is refused, or beyond the plan's number of them; the others go on."""


class FinnhubFeed:
    """A connection to Finnhub's stream; :class:`connectors.feed.Feed` without I/O.

    Prints have no id, and their times are milliseconds. At night the vendor only pings, which is no silence.

    Args:
        name: What this feed is called in batches, counts and messages.
        key: The key; it is among the secrets of :meth:`address` and nowhere else.
        url: Another address of the same protocol.
        symbols: The wanted set to begin with.
    """

    def __init__(self, name: str, *, key: str, url: str | None = None, symbols: Collection[str] = ()) -> None:
        self.name = name
        self._key = key
        self._url = url or "wss://ws.finnhub.io"
        self._wanted = frozenset(symbols)
        self._open = False
        self._refused = False
        self._decode = msgspec.json.Decoder(Message).decode
        self._decode_unread = msgspec.json.Decoder(Unread).decode
        self._decode_print = msgspec.json.Decoder(Print).decode

    def address(self) -> Address:
        """The URL; the key is among its secrets."""
        return Address(
            self._url, pace=PACE, consents=False, one_connection_per_key=self._key, secrets={"token": self._key}
        )

    def greeting(self) -> Sequence[Frame]:
        """The vendor says nothing to begin with: the full subscription at once."""
        self._open, self._refused = True, False
        return [_request("subscribe", symbol) for symbol in sorted(self._wanted)]

    def reply(self, notice: Notice) -> Sequence[Frame]:  # noqa: ARG002 - of the seam
        """Nothing is asked of us."""
        return ()

    def subscribe(self, symbols: Collection[str]) -> Sequence[Frame]:
        """Make `symbols` the wanted set; the requests for the difference, none before the line is open."""
        before, self._wanted = self._wanted, frozenset(symbols)
        if not self._open:
            return ()
        # Leaving first keeps within a plan's number of instruments. The vendor does not name what was beyond it, so
        # where there is room now, all are asked for again.
        left, again = before - self._wanted, self._refused
        self._refused = self._refused and not left
        asked = self._wanted if left and again else self._wanted - before
        return [
            *(_request("unsubscribe", symbol) for symbol in sorted(left)),
            *(_request("subscribe", symbol) for symbol in sorted(asked)),
        ]

    def parse(self, frames: Sequence[Frame], received_at: int) -> Batch:
        """The frames' content in columns; what cannot be read is counted in ``rejected``, and never raises."""
        rejected: Counter[str] = Counter()
        unused: Counter[str] = Counter()
        notices: list[Notice] = []
        trades = TradeRows()
        symbol, time = trades.symbols.append, trades.times.append
        price, size = (column.append for column in trades.numbers.values())
        decode = self._decode
        volume, times = trades.volume.append, trades.times
        verdicts, nothing = _VERDICTS, int(Verdict.NOTHING)
        for frame in frames:
            try:
                message = decode(frame if isinstance(frame, bytes) else encoded(frame))
            except UNREADABLE_FRAME as error:
                message = self._salvage(frame, error, rejected)
            for row in message.data:
                found = verdicts[row.c]
                if found:
                    if found == nothing:
                        unused["official open or close"] += 1
                        continue
                    volume(len(times))
                symbol(row.s)
                time(row.t)
                price(row.p)
                size(row.v)
            if message.type != "trade":
                self._heed(message, notices, unused, rejected)
        trades.ids = [None] * len(trades.symbols)
        return Batch(
            feed=self.name,
            received_at=received_at,
            trades=trades.frame(milliseconds_column, rejected),
            notices=tuple(notices),
            rejected=rejected,
            unused=unused,
        )

    def remedy(self, notice: Notice) -> Remedy:
        """What to do about an error of the vendor's, by its words."""
        text = notice.text.lower()
        if any(words in text for words in _OF_ONE_REQUEST):
            return Remedy.IGNORE
        return Remedy.STOP if any(words in text for words in _OF_THE_KEY) else Remedy.RECONNECT

    def _salvage(self, frame: Frame, error: Exception, rejected: Counter[str]) -> Message:
        """The good prints of a frame that is not good as a whole."""
        try:
            unread = self._decode_unread(encoded(frame))
        except UNREADABLE_FRAME:
            count_unreadable(error, rejected)
            return Message("trade")
        good = []
        for raw in unread.data:
            try:
                good.append(self._decode_print(raw))
            except UNREADABLE_FRAME as problem:
                count_unreadable(problem, rejected)
        if not unread.data:  # what is wrong is not a print
            count_unreadable(error, rejected)
            return Message("trade")
        return Message(unread.type, good)

    def _heed(self, message: Message, notices: list[Notice], unused: Counter[str], rejected: Counter[str]) -> None:
        """What is no prints."""
        if message.type == "ping":
            notices.append(Notice(NoticeKind.HEARTBEAT))
        elif message.type == "error":
            self._refused = self._refused or _TOO_MANY in message.msg.lower()
            notices.append(Notice(NoticeKind.ERROR, message.msg))
        elif message.type in {"news", "pr"}:
            unused["news"] += 1
        else:
            rejected["unknown message"] += 1


class LastPrices:
    """Last prices of instruments over REST: what the stream, which only brings what trades next, does not say.

    Args:
        name: The feed's name, in batches.
        rest: A client with :data:`REST`, :func:`headers` and the plan's rate.
        now_ns: This machine's time, nanoseconds UTC.
    """

    def __init__(self, name: str, rest: Rest, now_ns: Callable[[], int]) -> None:
        self._name = name
        self._rest = rest
        self._now_ns = now_ns
        self._decode = msgspec.json.Decoder(LastPrice).decode

    async def of(self, symbols: Collection[str]) -> AsyncIterator[Batch]:
        """A batch an instrument, with its last print (of unknown size, 0); none for what the vendor does not know.

        Raises:
            RestError: The vendor refuses, or cannot be reached.
        """
        for symbol in sorted(symbols):
            answer = await self._rest.get("/quote", {"symbol": symbol})
            rejected: Counter[str] = Counter()
            try:
                last = self._decode(answer)
            except UNREADABLE_FRAME as error:
                count_unreadable(error, rejected)
                last = LastPrice(0.0, 0)
            trades = TradeRows()
            if last.t and last.c:
                trades.symbols.append(symbol)
                trades.times.append(last.t * 1_000)
                trades.ids.append(None)
                trades.numbers["price"].append(last.c)
                trades.numbers["size"].append(0.0)
            frame = trades.frame(milliseconds_column, rejected)
            yield Batch(feed=self._name, received_at=self._now_ns(), trades=frame, rejected=rejected)


def headers(key: str) -> dict[str, str]:
    """What signs a request over REST."""
    return {"X-Finnhub-Token": key}


def _request(kind: str, symbol: str) -> Frame:
    return msgspec.json.encode({"type": kind, "symbol": symbol}).decode()
