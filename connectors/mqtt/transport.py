"""A broker as the supervisor wants a line: everything that has arrived, at once, acknowledged when it is told to.

aiomqtt 2.5 hands out messages one await at a time, acknowledges them before anybody has seen them, and drops the newest
when its queue is full. Its queue is replaced here, and paho's manual acknowledgement is switched on below it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, NoReturn
from urllib.parse import urlsplit

import aiomqtt
import msgspec
from aiomqtt import Message, MqttError
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from connectors.batch import Receipt
from connectors.feed import Address, Frame
from connectors.mqtt.envelope import CONFLATED, CONNECTION, SUBSCRIPTION, Answer, Granted, Wanted, pack
from connectors.websocket import Disconnected

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_VERSIONS: Final = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """Who we are to a broker, and how much of it we take in.

    ``session``: seconds for which the broker keeps what comes while we are away (MQTT 5; before, it decides itself);
    with a stable ``client_id`` nothing of quality 1 is lost across restarts. None begins afresh each time.
    ``waiting``: bytes received and not taken, above which quotes are conflated, and then the socket is not read.
    """

    client_id: str
    username: str | None = None
    password: str | None = None
    ca: str | None = None
    protocol: Literal["3.1.1", "5"] = "5"
    session: int | None = None
    keepalive: int = 20
    open_timeout: float = 10.0
    close_timeout: float = 1.0
    waiting: int = 8 * 2**20
    chunk: int = 256 * 2**10

    def __repr__(self) -> str:
        return f"MqttOptions(client_id={self.client_id!r}, protocol={self.protocol!r})"


def opener(
    options: MqttOptions, newest_only: Callable[[str], bool] = lambda _: False
) -> Callable[[Address], Awaitable[BrokerLine]]:
    """What opens a line to a broker.

    `newest_only` tells the topics of which only the newest message that waits matters.
    """
    return partial(_open, options=options, newest_only=newest_only)


async def _open(address: Address, *, options: MqttOptions, newest_only: Callable[[str], bool]) -> BrokerLine:
    """Connect to ``mqtt[s]://HOST[:PORT]``; raises Disconnected, but a refusal is the first message of the line."""
    parts = urlsplit(address.url)
    shown = f"{parts.scheme}://{parts.hostname}:{parts.port or PORTS[parts.scheme]}"
    try:
        # Its certificates are read from disk, which the loop need not wait for.
        context = (
            await asyncio.to_thread(ssl.create_default_context, cafile=options.ca) if parts.scheme == "mqtts" else None
        )
    except OSError as error:
        raise Disconnected(f"{shown}: the certificates of `ca` cannot be read: {error}") from error
    line = BrokerLine(options, newest_only)
    client = aiomqtt.Client(
        hostname=parts.hostname or "localhost",
        port=parts.port or PORTS[parts.scheme],
        username=options.username,
        password=options.password,
        identifier=options.client_id,
        protocol=_VERSIONS[options.protocol],
        queue_type=line.queue,  # type: ignore[arg-type] # called like the class it is asked for
        timeout=options.open_timeout,
        keepalive=options.keepalive,
        tls_context=context,
        **_session(options),
    )
    client._client.manual_ack_set(on=True)  # noqa: SLF001 - aiomqtt offers no acknowledgement of its own
    try:
        await client.__aenter__()
    except MqttConnectError as error:
        code = error.rc.value if isinstance(error.rc, ReasonCode) else int(error.rc or 0)
        line.refused(code, f"{shown}: {error.rc}")
        return line
    except MqttError as error:
        raise Disconnected(f"{shown}: {error}") from error
    line.opened(client)
    return line


def _session(options: MqttOptions) -> dict[str, Any]:
    """Whether the broker keeps the session, in the words of each version of the protocol."""
    if options.protocol == "3.1.1":
        return {"clean_session": options.session is None}
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho does not say
    properties.SessionExpiryInterval = options.session or 0
    return {"clean_start": options.session is None, "properties": properties}


@dataclass(slots=True)
class _Arrived:
    topic: str
    frame: bytes
    mid: int
    """To acknowledge it by; 0 where nothing is to be acknowledged."""


class BrokerLine:
    """An open line to a broker; :class:`connectors.websocket.Connection`."""

    def __init__(self, options: MqttOptions, newest_only: Callable[[str], bool]) -> None:
        self._options = options
        self._newest_only = newest_only
        self._client: aiomqtt.Client | None = None
        self._ended: asyncio.Task[None] | None = None
        self._why = "refused by the broker"
        self._waiting: deque[_Arrived] = deque()
        self._size = self._conflated = 0
        self._conflate_above = options.waiting
        self._unacknowledged: list[int] = []
        self._paused: int | None = None
        """The socket that is not read."""
        self._news = asyncio.Event()

    def queue(self, maxsize: int = 0) -> asyncio.Queue[Message]:  # noqa: ARG002 - as aiomqtt calls it
        """The queue into which aiomqtt puts messages."""
        return _Bypass(self._arrived)

    def opened(self, client: aiomqtt.Client) -> None:
        """The broker has taken us in."""
        self._client = client
        self._ended = asyncio.create_task(self._watch(client))

    def refused(self, code: int, text: str) -> None:
        """The broker has not: a message that says so, and then the end."""
        self._tell(CONNECTION, Answer(code, text))

    @property
    def more(self) -> bool:
        """Whether messages wait already."""
        return bool(self._waiting)

    async def receive(self) -> Sequence[bytes]:
        """All messages that wait, at least one, at most about a chunk; raises Disconnected after the last."""
        while not self._waiting:
            if self._ended is None or self._ended.done():
                raise Disconnected(self._why)
            self._news.clear()
            await self._news.wait()
        if self._conflated:
            self._tell(CONFLATED, self._conflated)
            self._conflated = 0
        frames: list[bytes] = []
        size = 0
        while self._waiting and size < self._options.chunk:
            arrived = self._waiting.popleft()
            frames.append(arrived.frame)
            size += len(arrived.frame)
            if arrived.mid:
                self._unacknowledged.append(arrived.mid)
        self._size -= size
        if self._size <= self._options.waiting // 2:
            self._conflate_above = self._options.waiting
            self._resume()
        return frames

    def receipt(self) -> Receipt | None:
        """Acknowledges the messages of quality 1 that were received since the last call."""
        mids, self._unacknowledged = self._unacknowledged, []
        return partial(self._acknowledge, mids) if mids else None

    async def send(self, frame: Frame) -> None:
        """Subscribe; the broker's answer is a message. Raises Disconnected."""
        if self._client is None:
            return
        wanted = msgspec.json.decode(frame, type=Wanted)
        try:
            answer: Iterable[Any] = await self._client.subscribe([(topic, wanted.qos) for topic in wanted.topics])
        except MqttError as error:
            raise Disconnected(str(error)) from error
        codes = [code.value if isinstance(code, ReasonCode) else int(code) for code in answer]
        self._tell(SUBSCRIPTION, [Granted(t, c) for t, c in zip(wanted.topics, codes, strict=True)])

    async def close(self) -> None:
        """Say good-bye, so that no last will is sent, and close the socket."""
        self._resume()
        if self._client is None:
            return
        client, self._client = self._client, None
        with contextlib.suppress(MqttError, TimeoutError):
            async with asyncio.timeout(self._options.close_timeout):
                await client.__aexit__(None, None, None)
        if self._ended is not None:
            self._ended.cancel()
            await asyncio.wait([self._ended])

    def _acknowledge(self, mids: Sequence[int]) -> None:
        """Tell the broker that these are kept; a line that is gone is told nothing, and the broker sends them again."""
        if self._client is not None and self._ended is not None and not self._ended.done():
            for mid in mids:
                self._client._client.ack(mid, 1)  # noqa: SLF001 - aiomqtt offers no acknowledgement of its own

    def _arrived(self, message: Message) -> None:
        topic = str(message.topic)
        frame = pack(topic, message.payload)
        self._waiting.append(_Arrived(topic, frame, message.mid if message.qos else 0))
        self._size += len(frame)
        self._news.set()
        if self._size > self._conflate_above:
            self._conflate()

    def _tell(self, topic: str, content: object) -> None:
        frame = pack(topic, msgspec.json.encode(content))
        self._waiting.append(_Arrived(topic, frame, 0))
        self._size += len(frame)
        self._news.set()

    def _conflate(self) -> None:
        """Keep the newest quote of each topic, where none of them has to be acknowledged; else read no further."""
        kept: dict[object, _Arrived] = {}
        for number, arrived in enumerate(self._waiting):
            one = not arrived.mid and self._newest_only(arrived.topic)
            key: object = arrived.topic if one else number
            kept.pop(key, None)  # the newest stands where it arrived
            kept[key] = arrived
        self._conflated += len(self._waiting) - len(kept)
        self._waiting = deque(kept.values())
        self._size = sum(len(arrived.frame) for arrived in self._waiting)
        # What is left cannot be conflated further: again only when half as much has come, or every message would pay.
        self._conflate_above = max(self._options.waiting, self._size + self._size // 2)
        if self._size > self._options.waiting:
            self._pause()

    def _pause(self) -> None:
        """Read nothing from the socket, so that the broker is held back."""
        socket = self._client._client.socket() if self._client else None  # noqa: SLF001
        if self._paused is None and socket is not None:
            self._paused = socket.fileno()
            asyncio.get_running_loop().remove_reader(self._paused)

    def _resume(self) -> None:
        paused, self._paused = self._paused, None
        socket = self._client._client.socket() if self._client else None  # noqa: SLF001
        if paused is not None and socket is not None and socket.fileno() == paused:
            asyncio.get_running_loop().add_reader(paused, self._read)

    def _read(self) -> None:
        """As aiomqtt reads, whose own callback went with the pause; paho ends the line on an error."""
        paho = self._client._client if self._client else None  # noqa: SLF001
        while paho is not None:
            paho.loop_read()
            socket = paho.socket()
            if not isinstance(socket, ssl.SSLSocket) or not socket.pending():
                return

    async def _watch(self, client: aiomqtt.Client) -> None:
        """Ends when the line does."""
        try:
            async for _ in client.messages:
                raise AssertionError("the queue gives nothing out")
        except MqttError as error:
            self._why = " ".join(str(error.__cause__ or error).split())
        finally:
            self._news.set()


class _Bypass(asyncio.Queue[Message]):
    """What aiomqtt takes for its queue: hands messages on at once, and gives none out."""

    def __init__(self, arrived: Callable[[Message], None]) -> None:
        super().__init__()
        self._hand_on = arrived

    def put_nowait(self, item: Message) -> None:
        """A message arrived."""
        self._hand_on(item)

    async def get(self) -> NoReturn:
        """Never."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody sets it")
