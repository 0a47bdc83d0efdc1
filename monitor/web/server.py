"""Runs the HTTP application inside the daemon's event loop; the daemon keeps the signals."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import h11
import msgspec
import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from monitor.settings.web import TlsSettings
from monitor.web.problems import HEADERS, Problem

_LOG = structlog.get_logger(__name__)
CONNECTIONS: Final = 1_000
"""Connections at once; a request on one more is answered with 503."""
HEAD_BYTES: Final = 32 * 1024
"""Of a request's line and headers."""
HEAD_TIME: Final = 10.0
"""Seconds in which they must be there once a connection is open, or a request has begun."""
_STALLED: Final = 30_000
"""Milliseconds after which a client that takes nothing of what it was sent is let go."""
_RENEWAL: Final = 60.0
"""Seconds between looks at the certificate's files."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the daemon, which ends everything in its own order."""
        yield


class _Protocol(H11Protocol):
    """HTTP/1.1 that lets go of clients which open a connection, or begin a request, and say no more."""

    head_time, most = HEAD_TIME, CONNECTIONS
    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as the base class has it
        super().connection_made(transport)
        self._expect()
        if len(self.connections) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        idle = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr] # None at first
        if self.deadline is None and idle:
            self._expect()
        super().data_received(data)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """As the base class, which knows neither our form of errors nor our headers.

        Nor does it ask whether an answer has begun, as it has where a refused body turns out to be unreadable later on:
        then there is nothing more to be said.
        """
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()
            return
        detail = msgspec.json.encode({"detail": msg})
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(detail)),
            "Connection": "close",
            "Cache-Control": "no-store",
            **HEADERS,
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        for event in (h11.Response(status_code=400, headers=raw, reason=b"Bad Request"), h11.Data(detail)):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write(self.conn.send(h11.EndOfMessage()) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _make_room(self) -> None:
        """Let go of who has said nothing for the longest, so that silent connections keep nobody out."""
        others = [each for each in self.connections if isinstance(each, _Protocol) and each is not self]
        silent = [(each.deadline.when(), number) for number, each in enumerate(others) if each.deadline is not None]
        if silent:
            others[min(silent)[1]].give_up()

    def _expect(self) -> None:
        self.deadline = self.loop.call_later(self.head_time, self.give_up)

    def _stop_waiting(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def give_up(self) -> None:
        """End the connection."""
        self.deadline = None
        if not self.transport.is_closing():
            self.transport.abort()


class WebServer:
    """An HTTP server on a socket that is bound before the daemon starts, so that a taken port is known at once."""

    def __init__(self, app: ASGIApp, host: str, port: int, tls: TlsSettings | None = None) -> None:
        """Raises OSError, with the setting in its text, where the address or the certificate cannot be used."""
        self._app, self._tls = app, tls
        context = _context(tls) if tls else None
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            reason = (error.strerror or str(error)).partition(" (while")[0]
            raise OSError(f"`web.listen`: cannot listen on {host}:{port}: {reason}; choose another address") from error
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED)
        self._context = context
        self._server = _Server(
            uvicorn.Config(
                self._admit,
                http=_Protocol,
                interface="asgi3",
                h11_max_incomplete_event_size=HEAD_BYTES,
                ssl_context_factory=(lambda _config, _default: context) if context else None,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=2,
            )
        )

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self._server.server_state.connections) > _Protocol.most:
            later = {"Retry-After": "5", "Connection": "close", "Cache-Control": "no-store"}
            await Problem(503, f"more than {_Protocol.most:,} connections at once: try again", later)(
                scope, receive, send
            )
        else:
            await self._app(scope, receive, send)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._socket.getsockname()[1])

    async def run(self) -> None:
        """Serve until cancelled; requests under way get two seconds to end."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        renewing = asyncio.create_task(self._renew())
        try:
            await asyncio.shield(serving)
        finally:
            renewing.cancel()
            self._server.should_exit = True
            await serving
            self._socket.close()

    async def _renew(self) -> None:
        """Take up the certificate's files when they change: new connections get the new one."""
        if self._tls is None or self._context is None:
            return
        seen = _stamps(self._tls)
        while True:
            await asyncio.sleep(_RENEWAL)
            if (now := _stamps(self._tls)) != seen:
                seen = now
                self.renew()

    def renew(self) -> None:
        """Read the certificate again; the old one stays where the files cannot be used."""
        if self._tls is None or self._context is None:
            return
        try:
            _context(self._tls)  # a pair that does not fit must not reach the context in use
            self._context.load_cert_chain(self._tls.cert, self._tls.key)
        except OSError as error:
            _LOG.error("the certificate is not renewed; the old one stays", reason=str(error))
        else:
            _LOG.info("certificate renewed", cert=str(self._tls.cert))


def _context(tls: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.cert, tls.key, password=_no_password)
    except (OSError, ValueError) as error:  # of ssl, too
        raise OSError(f"`web.tls`: {tls.cert} and {tls.key} cannot be used: {error}") from error
    return context


def _no_password() -> str:
    """Asked for where the key has one; without this, OpenSSL would ask on the terminal."""
    raise ValueError("the key has a password; store it without one, readable by the monitor only")


def _stamps(tls: TlsSettings) -> list[int]:
    """When the files were last changed; 0 for one that is not there just now."""
    return [_stamp(tls.cert), _stamp(tls.key)]


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
