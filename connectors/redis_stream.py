"""A stream of somebody else's in Redis or Valkey: read from where it was left, its entries as frames.

An entry becomes a message of :mod:`connectors.mqtt.envelope` on the topic ``stream``: either the field that holds JSON
or MessagePack, or all fields as one JSON object of texts. So the parser, mappings and all, is that of a broker. The
parser is told no position: it travels as the receipt, so that whoever opened the line can remember it in the very step
that makes the data durable. redis-py is known here and in the store only.

What was trimmed or deleted before it was read is a gap. The server counts the entries it ever added (``entries-added``
of XINFO STREAM, https://redis.io/docs/latest/commands/xinfo-stream/), so a place in the stream has a number; where
that of the entry read last falls behind the server's, the difference is missing. A server that does not count (before
Redis 7) or a login that may not ask shows no gaps.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
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
from connectors.mqtt.envelope import GAP, Missing, pack
from connectors.mqtt.feed import MqttFeed
from connectors.mqtt.layout import ForeignLayout
from connectors.websocket import Disconnected

TOPIC: Final = "stream"
ENTRIES: Final = 2_000
"""Entries asked for at once."""
_BLOCK_MS: Final = 1_000
_LOOK: Final = 1.0
"""Seconds from one question what the server has to the next, at least."""
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
    where to start as long as no position is remembered. `position` tells the :class:`Place` of the last entry that the
    journal has, as text; `receipt` makes what keeps one, and `start` keeps where the very first line begins.
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


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of a stream by its id, and the how manieth it is of all that were ever added, where that is known.

    >>> Place.read(str(Place("1769180850000-1", 40)))
    Place(entry='1769180850000-1', number=40)
    >>> Place.read("1769180850000-1")
    Place(entry='1769180850000-1', number=None)
    """

    entry: str
    number: int | None

    def __str__(self) -> str:
        return self.entry if self.number is None else f"{self.entry}/{self.number}"

    @classmethod
    def read(cls, text: str) -> Place:
        """From its text."""
        entry, _, number = text.partition("/")
        return cls(entry, int(number) if number else None)


_BEFORE_ALL: Final = "0-0"


def _order(entry: str) -> tuple[int, ...]:
    """Ids in the order of a stream: milliseconds, then a number."""
    return tuple(map(int, entry.split("-")))


@dataclass(slots=True)
class _Taken:
    """The last entry that was handed on by a line of this process, whose receipt may not be given yet."""

    last: Place | None = None


async def _open(options: StreamOptions, taken: _Taken, _: Address) -> StreamLine:
    """Connect and find the place to read from; raises Disconnected."""
    client = Redis.from_url(
        options.url, protocol=2, socket_connect_timeout=_PATIENCE, socket_timeout=_PATIENCE, client_name="rotation-feed"
    )
    try:
        kept = await options.position()
        after = taken.last or (Place.read(kept) if kept is not None else None)
        if after is None:
            new = options.begin == "new"
            after = await _newest(client, options.stream) if new else Place(_BEFORE_ALL, None)
            options.start(str(after))  # else what comes before the first receipt is lost where the process ends
        await client.ping()
    except (RedisError, OSError, ValueError) as error:
        await client.aclose()
        raise _disconnected(options, error) from error
    return StreamLine(client, options, taken, after)


async def _newest(client: Redis, stream: str) -> Place:
    """That of the newest entry, so that what comes next is the first."""
    if (newest := await _end(client, stream)) is not None:
        return newest
    entries: Any = await client.xrevrange(stream, count=1)
    return Place(entries[0][0].decode() if entries else _BEFORE_ALL, None)


async def _end(client: Redis, stream: str) -> Place | None:
    """The entry that was added last, whether it is still there or not; None where the server does not tell."""
    try:
        said: Any = await client.xinfo_stream(stream)
        return Place(said["last-generated-id"].decode(), said["entries-added"])
    except ResponseError as error:
        return Place(_BEFORE_ALL, 0) if "no such key" in str(error) else None
    except KeyError:
        return None


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

    def __init__(self, client: Redis, options: StreamOptions, taken: _Taken, after: Place) -> None:
        self._client, self._options, self._taken = client, options, taken
        self._after = taken.last = self._told = after
        self._end: Place | None = None
        """What the server had last when it was asked, as long as not all up to it was read."""
        self._asked = float("-inf")
        self._waiting: list[bytes] = []
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
        frames, self._waiting = self._waiting, []
        self._taken.last = self._after
        self._wanted.set()
        return frames

    def receipt(self) -> Receipt | None:
        """Keeps the position behind what was received last."""
        if (last := self._taken.last) is None or last == self._told:
            return None
        self._told = last
        return self._options.receipt(str(last))

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
                    await self._look()
                    answer: Any = await self._client.xread(
                        {self._options.stream: self._after.entry}, count=ENTRIES, block=_BLOCK_MS
                    )
                except (RedisError, OSError) as error:
                    raise _disconnected(self._options, error) from error
                self._take(answer[0][1] if answer else ())
                if self._waiting:
                    self._wanted.clear()
                    self._news.set()
        finally:
            self._news.set()

    async def _look(self) -> None:
        """Ask, once a second, what the server has."""
        now = asyncio.get_running_loop().time()
        if self._end is not None or now - self._asked < _LOOK:
            return
        self._asked = now
        end = await _end(self._client, self._options.stream)
        if end is None or end.number == 0:  # nobody counts, or there is no stream at the moment
            return
        self._end = end
        if _order(end.entry) < _order(self._after.entry):
            self._after = Place(_BEFORE_ALL, 0)
            self._gap(0, "the stream was deleted and begun anew: read from its beginning")

    def _take(self, entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> None:
        """What comes next, or nothing."""
        if self._end is None:
            self._add(entries)
            return
        end = _order(self._end.entry)
        if entries and _order(entries[-1][0].decode()) < end:
            self._add(entries)
            return
        upto = bisect_right(entries, end, key=lambda entry: _order(entry[0].decode()))
        self._add(entries[:upto])
        self._reached(self._end)
        self._add(entries[upto:])

    def _add(self, entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> None:
        if entries:
            number = self._after.number
            self._after = Place(entries[-1][0].decode(), None if number is None else number + len(entries))
            self._waiting += [pack(TOPIC, self._payload(fields or {})) for _, fields in entries]

    def _reached(self, end: Place) -> None:
        """All that is left up to `end` is read, so what the server had added by then and was not read is missing."""
        number, there, self._end = self._after.number, end.number, None
        self._after = Place(self._after.entry, there)
        if number is None or there is None or number == there:
            return
        if number < there:
            self._gap(there - number, f"{there - number} entries were trimmed or deleted before they were read")
        else:
            self._gap(0, "the stream was deleted and begun anew: what it had before and was not read is missing")

    def _gap(self, missing: int, text: str) -> None:
        self._waiting.append(pack(GAP, msgspec.json.encode(Missing(missing, text))))

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
