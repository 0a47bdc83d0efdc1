"""Who may ask: the token, requests that other web pages make a browser send, and what browsers may do with answers."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BEARER: Final = "bearer "
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An error as JSON, in one sentence."""
    return Response(msgspec.json.encode({"detail": detail}), status, headers, "application/json")


class Access:
    """Middleware in front of everything.

    With a token, every request but those for `public` paths (the page itself, which holds no data and asks for the
    token) must carry it. Without one only this machine can connect, yet a web page open in its browser can send
    requests too: by a name that its owner points here (DNS rebinding), which the Host header shows, or from another
    origin, which must not change anything.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, public: Collection[str]) -> None:
        self._app, self._token, self._public = app, token, frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._refusal(scope) or self._app
        await answer(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        origin = headers.get("origin")
        if self._token is None and not _is_loopback(host):
            return problem(
                421, f"this monitor has no token and answers as 127.0.0.1 or localhost only, not as {host[:100]!r}"
            )
        if scope["method"] not in _READING and origin is not None and _host_of(origin) != host.lower():
            return problem(403, f"a page of {origin[:100]!r} may not change anything here")
        if self._token is not None and scope["path"] not in self._public and not self._has_token(headers):
            return problem(
                401, "a token is needed: send the header `Authorization: Bearer TOKEN`", {"WWW-Authenticate": "Bearer"}
            )
        return None

    def _has_token(self, headers: Headers) -> bool:
        given = headers.get("authorization", "")
        scheme, token = given[: len(_BEARER)], given[len(_BEARER) :]
        wanted = (self._token or "").encode()
        # Header bytes are decoded as Latin-1; a token in UTF-8 is compared as the bytes it was sent as.
        return scheme.lower() == _BEARER and secrets.compare_digest(token.strip().encode("latin-1"), wanted)


def _is_loopback(host: str) -> bool:
    """Whether a Host header names this machine as only itself can."""
    try:
        name = urlsplit(f"//{host}").hostname
        return name == "localhost" or ip_address(name or "").is_loopback
    except ValueError:
        return False


def _host_of(origin: str) -> str | None:
    """Host and port of an origin, in lower case; None where it has none."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
