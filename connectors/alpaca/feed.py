"""Alpaca's v2 stock stream as a feed: connected -> credentials -> authenticated -> subscription -> data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from connectors.alpaca.columns import Times, to_batch
from connectors.alpaca.messages import decoder
from connectors.batch import Batch, Notice, NoticeKind
from connectors.feed import Address, Frame, Remedy
from connectors.message_lists import Encoding
from connectors.timestamps import msgpack_column, rfc3339_column

Source = Literal["iex", "sip", "delayed_sip", "test"]
"""One venue (free), all venues (paid), all venues 15 minutes late, or the vendor's test stream of FAKEPACA."""

Channel = Literal["trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds"]

LONGEST_REQUEST: Final = 16_000
"""Bytes of one request: the vendor closes the connection on more than 16,384."""

REMEDIES: Final[dict[int | str | None, Remedy]] = {
    400: Remedy.STOP,  # invalid syntax: the same request would be refused again
    401: Remedy.RECONNECT,  # not authenticated: something was asked before sign-in was through
    402: Remedy.STOP,  # auth failed
    403: Remedy.IGNORE,  # already authenticated
    404: Remedy.RECONNECT,  # auth timeout
    405: Remedy.STOP,  # symbol limit exceeded
    406: Remedy.WAIT,  # connection limit exceeded: another session, perhaps our own of a moment ago, holds the line
    407: Remedy.RECONNECT,  # slow client
    409: Remedy.STOP,  # insufficient subscription
    410: Remedy.STOP,  # invalid subscribe action for this feed
    412: Remedy.STOP,  # only in MessagePack
    413: Remedy.STOP,  # too many subscriptions
    500: Remedy.RECONNECT,  # internal error
}
"""What to do about the vendor's errors; one it invents later is a dropped line."""


class AlpacaFeed:
    """A connection to Alpaca's v2 stock stream; :class:`connectors.feed.Feed` without I/O.

    Minute bars are built from trades, so the channel ``bars`` is only for those who want the vendor's own. Corrections
    and cancels come with the trades. An updated bar is the minute again, with what came late.

    Args:
        name: What this feed is called in batches, counts and messages.
        key: The key's id.
        secret: The key's secret; it is in what :meth:`reply` returns and nowhere else.
        source: Which of the vendor's streams.
        url: Another address than the vendor's for `source`.
        channels: What to subscribe to, for every symbol.
        symbols: The wanted set to begin with; ``*`` is every instrument.
        encoding: ``msgpack`` is smaller, ``json`` can be read in a capture; they cost about the same to decode.
    """

    def __init__(
        self,
        name: str,
        *,
        key: str,
        secret: str,
        source: Source = "iex",
        url: str | None = None,
        channels: Sequence[Channel] = ("trades", "quotes"),
        symbols: Collection[str] = (),
        encoding: Encoding = "json",
    ) -> None:
        self.name = name
        self._key = key
        self._secret = secret
        self._url = url or f"wss://stream.data.alpaca.markets/v2/{source}"
        self._channels = tuple(channels)
        self._wanted = frozenset(symbols)
        self._encoding: Encoding = encoding
        self._decoder = decoder(encoding)
        self._times: Times = rfc3339_column if encoding == "json" else msgpack_column
        self._signed_in = False

    def address(self) -> Address:
        """The URL, and the header that asks for MessagePack."""
        headers = {"Content-Type": "application/msgpack"} if self._encoding == "msgpack" else {}
        return Address(self._url, headers, one_connection_per_key=self._key)

    def greeting(self) -> Sequence[Frame]:
        """A new connection: the vendor speaks first."""
        self._signed_in = False
        return ()

    def reply(self, notice: Notice) -> Sequence[Frame]:
        """Credentials once connected, the full subscription once signed in."""
        match notice.kind:
            case NoticeKind.CONNECTED:
                return [self._request({"action": "auth", "key": self._key, "secret": self._secret})]
            case NoticeKind.AUTHENTICATED:
                self._signed_in = True
                return list(self._requests("subscribe", self._wanted))
            case _:
                return ()

    def subscribe(self, symbols: Collection[str]) -> Sequence[Frame]:
        """Make `symbols` the wanted set; the requests for the difference, none before sign-in."""
        before, self._wanted = self._wanted, frozenset(symbols)
        if not self._signed_in:
            return ()
        # Leaving first keeps within a plan's limit of symbols.
        return [
            *self._requests("unsubscribe", before - self._wanted),
            *self._requests("subscribe", self._wanted - before),
        ]

    def parse(self, frames: Sequence[Frame], received_at: int) -> Batch:
        """The frames' content in columns; what cannot be read is counted in ``rejected``, and never raises."""
        rejected: Counter[str] = Counter()
        messages = self._decoder.decode(frames, rejected)
        return to_batch(self.name, received_at, messages, self._times, rejected)

    def remedy(self, notice: Notice) -> Remedy:
        """What to do about an error of the vendor's, by its code."""
        return REMEDIES.get(notice.code, Remedy.RECONNECT)

    def _requests(self, action: str, symbols: Collection[str]) -> Iterator[Frame]:
        """Requests for `symbols` on every channel, each short enough for the vendor."""
        part: list[str] = []
        room = 0
        for symbol in sorted(symbols):
            cost = (len(symbol.encode()) + 3) * len(self._channels)
            if cost > room:
                if part:
                    yield self._request({"action": action, **dict.fromkeys(self._channels, part)})
                part, room = [], LONGEST_REQUEST - 200  # for the action and the names of the channels
            part.append(symbol)
            room -= cost
        if part:
            yield self._request({"action": action, **dict.fromkeys(self._channels, part)})

    def _request(self, content: dict[str, Any]) -> Frame:
        return msgspec.json.encode(content).decode() if self._encoding == "json" else msgspec.msgpack.encode(content)
