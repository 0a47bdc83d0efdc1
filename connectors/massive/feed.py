"""Massive's stocks stream as a feed: connected -> key -> auth_success -> subscription -> data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Final, Literal

import msgspec

from connectors.batch import Batch, Notice, NoticeKind
from connectors.feed import Address, Frame, Remedy
from connectors.massive.columns import Columns
from connectors.massive.messages import decoder

Source = Literal["real-time", "delayed"]
"""Now, or 15 minutes late: the plan says which address a key may use."""

Channel = Literal["quotes", "trades", "bars", "second_bars", "bands"]

CHANNELS: Final[dict[Channel, str]] = {
    "quotes": "Q",
    "trades": "T",
    "bars": "AM",
    "second_bars": "A",
    "bands": "LULD",
}
"""The vendor's prefix of each channel."""

_ADDRESSES: Final[dict[Source, str]] = {
    "real-time": "wss://socket.massive.com/stocks",
    "delayed": "wss://delayed.massive.com/stocks",
}

LONGEST_REQUEST: Final = 16_000
"""Bytes of the parameters of one request; the vendor names no limit, and this is far below any server's."""

_REMEDIES: Final = {
    "auth_failed": Remedy.STOP,
    "auth_timeout": Remedy.RECONNECT,
    "max_connections": Remedy.WAIT,  # another session of the key; said only after sign-in, before the line is cut
    "not_authorized": Remedy.STOP,
    "slow_consumer": Remedy.RECONNECT,
    "force_disconnect": Remedy.WAIT,  # by a newer session of the same key, or by the vendor
}
"""What to do about the vendor's statuses; one it invents later is a dropped line."""

_REFUSALS: Final = ("authenti", "authoriz", "entitle", "upgrade", "plan")
"""In the text of a status that says no more than ``error``: key or plan, where trying again cannot help."""


class MassiveFeed:
    """A connection to Massive's stocks stream; :class:`connectors.feed.Feed` without I/O.

    A trade's id is the number of its message: unique for the instrument and the day over all exchanges, which the
    vendor's own trade ids, texts by exchange, are not. Times are the tape's (SIP), to the millisecond.

    Args:
        name: What this feed is called in batches, counts and messages.
        key: The key; it is in what :meth:`reply` returns and nowhere else.
        source: Which of the vendor's streams.
        url: Another address than the vendor's for `source`.
        channels: What to subscribe to, for every symbol.
        symbols: The wanted set to begin with; ``*`` is every instrument.
    """

    def __init__(
        self,
        name: str,
        *,
        key: str,
        source: Source = "real-time",
        url: str | None = None,
        channels: Sequence[Channel] = ("quotes", "trades"),
        symbols: Collection[str] = (),
    ) -> None:
        self.name = name
        self._key = key
        self._url = url or _ADDRESSES[source]
        self._channels = tuple(CHANNELS[channel] for channel in channels)
        self._wanted = frozenset(symbols)
        self._decoder = decoder()
        self._columns = Columns(name)
        self._signed_in = False

    def address(self) -> Address:
        """The stream's URL."""
        return Address(self._url, one_connection_per_key=self._key)

    def greeting(self) -> Sequence[Frame]:
        """A new connection: the vendor speaks first."""
        self._signed_in = False
        return ()

    def reply(self, notice: Notice) -> Sequence[Frame]:
        """The key once connected, the full subscription once signed in."""
        match notice.kind:
            case NoticeKind.CONNECTED:
                return [_request("auth", self._key)]
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
        return [
            *self._requests("unsubscribe", before - self._wanted),
            *self._requests("subscribe", self._wanted - before),
        ]

    def parse(self, frames: Sequence[Frame], received_at: int) -> Batch:
        """The frames' content in columns; what cannot be read is counted in ``rejected``, and never raises."""
        rejected: Counter[str] = Counter()
        return self._columns.batch(received_at, self._decoder.decode(frames, rejected), rejected)

    def remedy(self, notice: Notice) -> Remedy:
        """What to do about an error of the vendor's, by its status; one channel refused leaves the others."""
        if notice.code == "error":
            refused = any(word in notice.text.lower() for word in _REFUSALS)
            return Remedy.STOP if refused else Remedy.IGNORE
        return _REMEDIES.get(str(notice.code), Remedy.RECONNECT)

    def _requests(self, action: str, symbols: Collection[str]) -> Iterator[Frame]:
        """Requests for `symbols` on every channel, of moderate length."""
        part: list[str] = []
        room = LONGEST_REQUEST
        for parameter in (f"{channel}.{symbol}" for symbol in sorted(symbols) for channel in self._channels):
            cost = len(parameter.encode()) + 1
            if cost > room and part:
                yield _request(action, ",".join(part))
                part, room = [], LONGEST_REQUEST
            part.append(parameter)
            room -= cost
        if part:
            yield _request(action, ",".join(part))


def _request(action: str, parameters: str) -> Frame:
    return msgspec.json.encode({"action": action, "params": parameters}).decode()
