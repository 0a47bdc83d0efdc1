"""A stream of somebody else's in Redis or Valkey: read from where it was left, its entries as frames.

An entry becomes a message of :mod:`connectors.mqtt.envelope` on the topic ``stream``: either the field that holds JSON
or MessagePack, or all fields as one JSON object of texts. So the parser, mappings and all, is that of a broker. The
parser is told no position: it travels as the receipt, so that whoever opened the line can remember it in the very step
that makes the data durable. redis-py is known here and in the store only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from connectors.batch import Receipt
from connectors.feed import Address, Frame, Remedy
from connectors.mqtt.envelope import pack
from connectors.mqtt.feed import MqttFeed
from connectors.mqtt.layout import ForeignLayout
from connectors.websocket import Disconnected

TOPIC: Final = "stream"
ENTRIES: Final = 2_000
"""Entries asked for at once."""
_BLOCK_MS: Final = 1_000
_AGAIN: Final = 0.1
_PATIENCE: Final = 10.0
"""Seconds for an answer, beyond the time that the server is asked to wait."""


class RedisFeed(MqttFeed):
    """A stream as a feed: entries by the mapping of `layout`, whose topic is :data:`TOPIC`."""

    def __init__(self, name: str, *, shown: str, layout: ForeignLayout) -> None:
        """`shown`: the server's address without a login."""
        super().__init__(name, url=shown, topics=(), layouts=[layout])

    def address(self) -> Address:
        """The server; an open line is good without its consent."""
        return Address(super().address().url, consents=False)

    def greeting(self) -> Sequence[Frame]:
        """Nothing: reading is asking."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What is read, and from where.

    `url` may have a password. `payload`: the field that holds the message, None where the fields are the row. `begin`:
    where to start as long as no position is remembered. `position` tells the id of the last entry that the journal
    has; `receipt` makes what keeps one, and `start` keeps where the very first line begins.
    """

    url: str
    stream: str
    payload: str | None = None
    begin: Literal["new", "oldest"] = "new"
    position: Callable[[], Awaitable[str | None]]
    receipt: Callable[[str], Receipt]
    start: Callable[[str], None]

    def __repr__(self) -> str:
        return f"StreamOptions({shown(self.url)}, stream={self.stream!r})"


def shown(url: str) -> str:
    """The address without user, password and options.

    >>> shown("redis://:secret@prices.example.com:6379/1")
    'redis://prices.example.com:6379/1'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def opener(options: StreamOptions) -> Callable[[Address], Awaitable[StreamLine]]:
    """What opens a line to the stream; a later one goes on where the one before it was left."""
    return partial(_open, options, _Taken())


@dataclass(slots=True)
class _Taken:
    """The last entry that was handed on by a line of this process, whose receipt may not be given yet."""

    last: str | None = None


async def _open(options: StreamOptions, taken: _Taken, _: Address) -> StreamLine:
    """Connect and find the place to read from; raises Disconnected."""
    client = Redis.from_url(
        options.url, protocol=2, socket_connect_timeout=_PATIENCE, socket_timeout=_PATIENCE, client_name="rotation-feed"
    )
    try:
        after = taken.last or await options.position()
        if after is None:
            after = await _newest(client, options.stream) if options.begin == "new" else "0-0"
            options.start(after)  # else what comes before the first receipt is lost where the process ends meanwhile
        await client.ping()
    except (RedisError, OSError, ValueError) as error:
        await client.aclose()
        raise _disconnected(options, error) from error
    return StreamLine(client, options, taken, after)


async def _newest(client: Redis, stream: str) -> str:
    """The id of the newest entry, so that what comes next is the first."""
    newest: Any = await client.xrevrange(stream, count=1)
    return newest[0][0].decode() if newest else "0-0"


def _disconnected(options: StreamOptions, error: Exception) -> Disconnected:
    """What follows an error: a wrong login or key of another type is not tried again."""
    text = " ".join(str(error).split()) or type(error).__name__
    lasting = isinstance(error, AuthenticationError | NoPermissionError) or (
        isinstance(error, ResponseError) and str(error).startswith(("WRONGTYPE", "WRONGPASS", "NOAUTH", "NOPERM"))
    )
    return Disconnected(
        f"{shown(options.url)}, stream {options.stream}: {text}", Remedy.STOP if lasting else Remedy.RECONNECT
    )


class StreamLine:
    """An open line to a stream; :class:`connectors.websocket.Connection`.

    Entries are read in the background, one request ahead of what was taken: who is slow is not sent more.
    """

    def __init__(self, client: Redis, options: StreamOptions, taken: _Taken, after: str) -> None:
        self._client, self._options, self._taken = client, options, taken
        self._after = taken.last = self._told = after
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._wanted, self._news = asyncio.Event(), asyncio.Event()
        self._wanted.set()
        self._reading = asyncio.create_task(self._read())

    @property
    def more(self) -> bool:
        """Whether entries wait already."""
        return bool(self._waiting)

    async def receive(self) -> Sequence[bytes]:
        """All entries that wait, at least one; raises Disconnected after the last."""
        while not self._waiting:
            if self._reading.done():
                error = self._reading.exception()
                raise error if isinstance(error, Disconnected) else Disconnected("the line was closed")
            self._news.clear()
            await self._news.wait()
        frames = [frame for _, frame in self._waiting]
        self._taken.last = self._waiting[-1][0]
        self._waiting.clear()
        self._wanted.set()
        return frames

    def receipt(self) -> Receipt | None:
        """Keeps the position behind what was received last."""
        if (last := self._taken.last) is None or last == self._told:
            return None
        self._told = last
        return self._options.receipt(last)

    async def send(self, frame: Frame) -> None:
        """Nothing is ever sent."""

    async def close(self) -> None:
        """End the line."""
        while not self._reading.done():
            # Again and again: a cancellation that comes while the client ends a request is lost in it.
            self._reading.cancel()
            await asyncio.wait([self._reading], timeout=_AGAIN)
        self._news.set()
        with contextlib.suppress(RedisError, OSError):
            await self._client.aclose()

    async def _read(self) -> None:
        """Ask for what comes after the last entry, for ever; ends with Disconnected."""
        try:
            while True:
                await self._wanted.wait()
                try:
                    answer: Any = await self._client.xread(
                        {self._options.stream: self._after}, count=ENTRIES, block=_BLOCK_MS
                    )
                except (RedisError, OSError) as error:
                    raise _disconnected(self._options, error) from error
                for _, entries in answer or ():
                    for number, fields in entries:
                        self._after = number.decode()
                        self._waiting.append((self._after, pack(TOPIC, self._payload(fields or {}))))
                if self._waiting:
                    self._wanted.clear()
                    self._news.set()
        finally:
            self._news.set()

    def _payload(self, fields: Mapping[bytes, bytes]) -> bytes:
        """The message of an entry; without the field that should hold it, one that the parser counts as malformed."""
        if self._options.payload is not None:
            return fields.get(self._options.payload.encode(), b"")
        texts = {_text(name): _text(value) for name, value in fields.items()}
        return msgspec.json.encode({name: _number(value) for name, value in texts.items()})


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _number(text: str) -> int | str:
    """Whole numbers as such, so that times and trade ids are read; any other text as it is, which prices may be."""
    return int(text) if text.lstrip("-").isdecimal() and len(text) < 20 and text.isascii() else text  # noqa: PLR2004 - 64 bits
