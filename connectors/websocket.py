"""A websocket as the supervisor wants it: everything that has arrived, at once.

``ClientConnection.recv()`` costs an await a message. At 25,000 messages a second that is a third of the cost of
receiving (measured on loopback, 20 quotes a message: 6.2 us a message, 3.9 us here), and it hides how much is
waiting, which is what batching needs to know.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import DATA_OPCODES
from websockets.frames import Frame as WebSocketFrame
from websockets.protocol import Event

from connectors.batch import Receipt
from connectors.feed import Address, Frame, Remedy


class Disconnected(Exception):
    """The line is gone, or could not be opened; the text says why, in one line, and `remedy` what follows."""

    def __init__(self, text: str, remedy: Remedy = Remedy.RECONNECT) -> None:
        super().__init__(text)
        self.remedy = remedy


_REFUSALS: Final = {401: Remedy.STOP, 403: Remedy.STOP, 429: Remedy.WAIT, 451: Remedy.STOP}
"""HTTP status codes of the opening handshake that speak of key, plan, rate and country; others are a dropped line."""


class Connection(Protocol):
    """An open line to a vendor, of any transport."""

    @property
    def more(self) -> bool:
        """Whether messages wait already."""

    async def receive(self) -> Sequence[bytes]:
        """All messages that wait, at least one, at most about a chunk; raises :class:`Disconnected` after the last."""

    def receipt(self) -> Receipt | None:
        """Acknowledges what the last :meth:`receive` gave; None where the transport knows no such thing."""

    async def send(self, frame: Frame) -> None:
        """Send one message; raises :class:`Disconnected`."""

    async def close(self) -> None:
        """End the line, in a second or so, whatever the other side does; never raises."""


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """How a line is opened and kept; times in seconds."""

    open_timeout: float = 10.0
    """From the first packet to the end of the opening handshake."""
    close_timeout: float = 1.0
    """For the closing handshake, after which the socket is closed without it."""
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    compression: bool = False
    """Off: inflating costs more than it saves on a line that carries its own vendor's rate."""
    longest_message: int = 4 * 2**20
    """Bytes; a longer message ends the connection."""
    waiting: int = 4 * 2**20
    """Bytes received and not yet taken, above which nothing is read from the socket: back-pressure to the vendor."""
    chunk: int = 256 * 2**10
    """Bytes handed out at once: about 2,000 quotes, a millisecond of decoding."""


DEFAULT: Final = WebSocketOptions()

_LOGGER: Final = logging.getLogger(__name__)


async def open_websocket(address: Address, options: WebSocketOptions = DEFAULT) -> WebSocket:
    """Connect to `address`; raises :class:`Disconnected` with the reason when that fails."""
    try:
        line = await connect(
            address.target(),
            additional_headers=address.headers,
            compression="deflate" if options.compression else None,
            open_timeout=options.open_timeout,
            close_timeout=options.close_timeout,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_timeout,
            max_size=options.longest_message,
            logger=_LOGGER,
            create_connection=partial(_Gathering, options),  # type: ignore[arg-type] # any callable will do
        )
    except TimeoutError:
        raise Disconnected(f"{_shown(address)}: no connection within {options.open_timeout:g} s") from None
    except (OSError, EOFError, ValueError, WebSocketException) as error:  # ValueError: what is wrong with the address
        shown = _shown(address)
        text = _one_line(error).replace(address.target(), shown).replace(address.url, shown)
        status = error.response.status_code if isinstance(error, InvalidStatus) else 0
        raise Disconnected(f"{shown}: {text}", _REFUSALS.get(status, Remedy.RECONNECT)) from error
    return WebSocket(cast("_Gathering", line))


def _shown(address: Address) -> str:
    """The address without user, password, path and parameters: they can be secrets, and errors are shown to many.

    >>> _shown(Address("wss://user:secret@example.com:8443/secret/v2?token=secret", {}))
    'wss://example.com:8443'
    """
    scheme, separator, rest = address.url.partition("://")
    host = rest.partition("?")[0].partition("#")[0].partition("/")[0]
    return f"{scheme}{separator}{host.rpartition('@')[2]}"


def _ending(error: ConnectionClosed) -> str:
    """How a line ended, which without a closing frame is by being cut."""
    cut = error.rcvd is None and error.sent is None
    return "the line was cut, without a closing frame" if cut else f"the line was closed: {_one_line(error)}"


class WebSocket:
    """An open websocket; :class:`Connection`."""

    def __init__(self, line: _Gathering) -> None:
        self._line = line

    @property
    def more(self) -> bool:
        """Whether messages wait already."""
        return self._line.more

    async def receive(self) -> Sequence[bytes]:
        """All messages that wait, at least one, at most about a chunk; raises :class:`Disconnected` after the last."""
        return await self._line.gathered()

    def receipt(self) -> None:
        """A websocket acknowledges nothing."""

    async def send(self, frame: Frame) -> None:
        """Send one message, text or binary as the type of `frame`; raises :class:`Disconnected`."""
        try:
            await self._line.send(frame)
        except ConnectionClosed as error:
            raise Disconnected(_ending(error)) from error

    async def close(self) -> None:
        """Tell the vendor, who then frees the line for the next connection, and close the socket."""
        self._line.resume()  # its answer is behind what was not read yet
        await self._line.close()


class _Gathering(ClientConnection):
    """A connection that keeps complete messages for :meth:`gathered`; ``recv()`` gets none.

    ``create_connection`` is websockets' documented way to customise a connection. Pings, closing and the handshake stay
    with it; only data frames are taken before they reach its queue.
    """

    def __init__(self, limits: WebSocketOptions, protocol: ClientProtocol, **options: Any) -> None:  # noqa: ANN401
        super().__init__(protocol, **options)
        self._limits = limits
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._fragments: list[bytes] = []
        self._reading = True
        self._lost = False
        self._news: asyncio.Future[None] | None = None

    @property
    def more(self) -> bool:
        """Whether :meth:`gathered` would return at once."""
        return bool(self._messages)

    async def gathered(self) -> list[bytes]:
        """See :meth:`WebSocket.receive`."""
        while not self._messages:
            if self._lost:
                raise Disconnected(_ending(self.close_exc)) from self.close_exc
            self._news = self.loop.create_future()
            try:
                await self._news
            finally:
                self._news = None
        if self._size <= self._limits.chunk and not self._fragments:
            taken, self._size = list(self._messages), 0
            self._messages.clear()
        else:
            taken, size = [], 0
            while self._messages and size < self._limits.chunk:
                taken.append(self._messages.popleft())
                size += len(taken[-1])
            self._size -= size
        if self._size <= self._limits.waiting // 2:
            self.resume()
        return taken

    def process_event(self, event: Event) -> None:
        """Keep the content of a data frame."""
        if not isinstance(event, WebSocketFrame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        data = bytes(event.data)
        self._size += len(data)
        if not event.fin or self._fragments:
            self._fragments.append(data)
            if not event.fin:
                return
            data = b"".join(self._fragments)
            self._fragments.clear()
        self._messages.append(data)

    def data_received(self, data: bytes) -> None:
        """Parse what the socket delivered, and wake the reader once for all of it."""
        super().data_received(data)
        if self._messages:
            self._wake()
        if self._reading and self._messages and self._size > self._limits.waiting and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the reader have what is left, then the reason."""
        super().connection_lost(exc)
        self._lost = True
        self._wake()

    def resume(self) -> None:
        """Read from the socket again."""
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
