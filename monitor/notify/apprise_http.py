"""The web requests of apprise's services within bounds, and what their answers ask for.

apprise sends through ``requests`` and has no hook there. Left alone, that reads an answer whole, however long, and
waits for one that comes a byte at a time forever; and of ``Retry-After`` nobody hears. So the one function that all of
these requests pass is wrapped. What other parts of this process send, outside of :func:`bounded`, is as it was.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from monitor import clock
from monitor.notify.http_client import retry_after

LARGEST: Final = 1_048_576
"""Bytes of an answer that are read; those of the services have a few hundred."""
_CHUNK: Final = 16_384


@dataclass(slots=True)
class Exchange:
    """The requests of one attempt. `end`: by the monotonic clock; `retry_after`: seconds the service asked for."""

    end: float
    retry_after: float | None = None
    connection: socket.socket | None = None

    def cut(self) -> None:
        """From another thread: end whatever the attempt waits for."""
        if self.connection is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.connection, socket.SHUT_RDWR)


_current: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


@contextmanager
def bounded(seconds: float) -> Iterator[Exchange]:
    """The web requests of this thread end within `seconds`, all of them together."""
    exchange = Exchange(clock.monotonic() + seconds)
    token = _current.set(exchange)
    try:
        yield exchange
    finally:
        _current.reset(token)


class _Seen:
    """A connection whose socket the attempt knows, from before the answer on."""

    sock: socket.socket | None

    def getresponse(self) -> Any:  # noqa: ANN401 - the other base class has its type
        exchange = _current.get()
        if exchange is not None:
            exchange.connection = self.sock
        return super().getresponse()  # type: ignore[misc]


class _Connection(_Seen, HTTPConnection):
    pass


class _SecureConnection(_Seen, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_unbounded: Final = HTTPAdapter.send


def _send(self: HTTPAdapter, request: PreparedRequest, stream: bool = False, *args: Any, **named: Any) -> Response:  # noqa: FBT001, FBT002, ANN401 - as the function it stands for
    exchange = _current.get()
    if exchange is None:
        return _unbounded(self, request, stream, *args, **named)
    rest = exchange.end - clock.monotonic()
    if rest <= 0:
        raise ConnectTimeout("no time is left for this request", request=request)
    self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    timer = threading.Timer(rest, exchange.cut)
    timer.daemon = True
    timer.start()
    try:
        response = _unbounded(self, request, True, *args, **named)  # noqa: FBT003 - positional there
        asked = retry_after(response.status_code, response.headers.get("Retry-After"), clock.wall_ns())
        if asked is not None:
            exchange.retry_after = max(asked, exchange.retry_after or 0.0)
        _read(response)
    finally:
        timer.cancel()
        exchange.connection = None
    return response


def _read(response: Response) -> None:
    """The text that there is, up to its bound; the status counts also where the rest does not come."""
    text = bytearray()
    with suppress(HTTPError, OSError):
        for chunk in response.raw.stream(_CHUNK, decode_content=True):
            text += chunk
            if len(text) >= LARGEST:
                break
    response._content = bytes(text[:LARGEST])  # noqa: SLF001 - `content` reads it all
    response._content_consumed = True  # noqa: SLF001
    response.close()


HTTPAdapter.send = _send  # type: ignore[method-assign]
