"""Who may ask: credentials, requests that other web pages make a browser send, limits, headers of answers.

Everything goes through :class:`Access` before a route sees it. :mod:`monitor.web.scopes` has the table of who may what.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from secrets import compare_digest
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from monitor.settings.web import WebSettings
from monitor.web.audit import Audit
from monitor.web.limits import Attempts, Requests
from monitor.web.principals import NOBODY, Caller, Keyring, Principal, introduce, origin_of, token_of
from monitor.web.problems import HEADERS, Problem
from monitor.web.scopes import READING, Needs, Scope, needed
from monitor.web.sessions import Session, Sessions, key_of

BODY_TIME: Final = 30.0
"""Seconds in which a request's body must be there."""
_HSTS: Final = "max-age=31536000"
_SAFE_SITES: Final = frozenset({"same-origin", "none", ""})


class Guard:
    """What is known of who may ask: tokens, sessions, attempts and rates. One for each application."""

    def __init__(self, web: WebSettings, audit: Audit) -> None:
        self.web, self.audit = web, audit
        self.keyring, self.sessions, self.attempts = Keyring(web), Sessions(), Attempts()
        self.requests = Requests(web.requests_per_second)
        self.proxies = web.proxies
        # Browsers send one host's cookies to all its ports.
        self.cookie = f"rotation-session-{web.port}"

    def sign_in(self, token: bytes, address: str) -> Principal | Response:
        """Who has that token, or why nobody is let in."""
        found = self.keyring.find(token)
        if wait := self.attempts.wait(address, found[0] if found else None):
            return _later(wait, "too many wrong tokens came from this address")
        if found is None:
            self.attempts.failed(address)
            return Problem(401, "the token is not known here", {"WWW-Authenticate": "Bearer"})
        self.attempts.succeeded(address, found[0])
        return Principal(*found, address)

    def session_of(self, headers: Headers) -> tuple[str, Session] | None:
        """The session of a request's cookie, and its key."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return None
        key = key_of(cookie.value) if cookie else ""
        session = self.sessions.use(key) if cookie else None
        return (key, session) if session else None


class _Ended(Exception):
    """The answer is over, whatever its route still wants to send."""


class Access:
    """Middleware in front of everything.

    Where there are tokens, every request that needs more than `public` carries one, or the cookie of a session. Where
    there is none only this machine can connect, yet a web page open in its browser can send requests too: by a name
    that its owner points here (DNS rebinding), which the Host header shows, or from another origin, which must not
    change anything.
    """

    def __init__(self, app: ASGIApp, *, guard: Guard, routes: Iterable[BaseRoute]) -> None:
        self._app, self._guard, self._routes = app, guard, routes

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        connection: Connection = {**scope, "method": "GET"} if head else dict(scope)
        headers = Headers(scope=scope)
        address, scheme = origin_of(connection, self._guard.proxies)
        connection["scheme"], connection["root_path"] = scheme, self._guard.web.path
        needs = needed(self._routes, connection)
        who, refusal = self._identify(headers, address)
        caller = introduce(connection, who)
        if self._guard.web.path and scope["path"] == self._guard.web.path:
            refusal = RedirectResponse(self._guard.web.path + "/")  # what the page refers to is relative to it
        refusal = self._misdirected(headers) or refusal or self._refusal(connection, headers, who, needs)
        exchange = _Exchange(receive, send, needs, secure=scheme == "https", head=head, lasts=self._lasts(who))
        try:
            await (refusal or self._app)(connection, exchange.receive, exchange.send)
        except _Ended:
            await exchange.end()
        finally:
            await self._note(connection, headers, caller, exchange.status, refused=refusal is not None)

    def _identify(self, headers: Headers, address: str) -> tuple[Principal, Response | None]:
        """Who asks; and why not to listen, where what was shown is wrong."""
        nobody = Principal(NOBODY, Scope.PUBLIC, address)
        if not self._guard.keyring:
            return Principal("local", Scope.ADMIN, address), None
        if authorization := headers.get("authorization", ""):
            # Header bytes are decoded as Latin-1; a token in UTF-8 is compared as the bytes it was sent as.
            token = token_of(authorization.encode("latin-1"))
            found = self._guard.sign_in(token, address) if token else None
            return (found, None) if isinstance(found, Principal) else (nobody, found)
        if session := self._guard.session_of(headers):
            key, known = session
            return Principal(known.name, known.scope, address, key), None
        return nobody, None

    def _misdirected(self, headers: Headers) -> Response | None:
        """Why a monitor without a token does not answer: only this machine, by its own name, may ask it."""
        if self._guard.keyring:
            return None
        host = headers.get("host", "")
        if not _is_loopback(host):
            return Problem(
                421, f"this monitor has no token and answers as 127.0.0.1 or localhost only, not as {host[:100]!r}"
            )
        if "x-forwarded-for" in headers or "forwarded" in headers:
            return Problem(421, "this monitor has no token, so it answers to no proxy: set `web.token`")
        return None

    def _refusal(self, connection: Connection, headers: Headers, who: Principal, needs: Needs) -> Response | None:
        if wait := self._guard.requests.wait(who.name, who.address):
            return _later(wait, f"more than {self._guard.web.requests_per_second:g} requests a second")
        if connection["method"] not in READING and (foreign := self._foreign(headers, who)):
            return foreign
        if who.scope >= needs.scope:
            length = headers.get("content-length", "")
            return _too_large(needs.body) if length.isdigit() and int(length) > needs.body else None
        if who.scope is Scope.PUBLIC:
            return Problem(
                401, "a token is needed: send the header `Authorization: Bearer TOKEN`", {"WWW-Authenticate": "Bearer"}
            )
        return Problem(403, f"this needs the scope {needs.scope.word}, and the token {who.name!r} has {who.scope.word}")

    def _foreign(self, headers: Headers, who: Principal) -> Response | None:
        """Why a change is refused that another site's page may have asked for."""
        origin = headers.get("origin")
        if origin is not None and not self._own(origin, headers.get("host", "")):
            return Problem(403, f"a page of {origin[:100]!r} may not change anything here")
        if headers.get("sec-fetch-site", "") not in _SAFE_SITES:
            return Problem(403, "a page of another site may not change anything here")
        if who.session is None:
            return None
        session = self._guard.sessions.use(who.session)
        given = headers.get("x-csrf-token", "")
        if origin is None or session is None or not compare_digest(given.encode(), session.csrf.encode()):
            return Problem(403, "a change needs the header X-CSRF-Token of this session: sign in again")
        return None

    def _own(self, origin: str, host: str) -> bool:
        """Whether an origin is our own page's, as asked for or as people reach it."""
        external = self._guard.web.external_url
        return _host_of(origin) in {host.lower(), *([urlsplit(external).netloc.lower()] if external else [])}

    def _lasts(self, who: Principal) -> Any:  # noqa: ANN401 - a callable, or nothing to ask
        return (lambda: self._guard.sessions.lasts(who.session)) if who.session is not None else None

    async def _note(
        self, connection: Connection, headers: Headers, caller: Caller, status: int, *, refused: bool
    ) -> None:
        """Put changes and refused attempts into the audit log."""
        changes = connection["method"] not in READING
        attempt = status in {401, 403} and (changes or "authorization" in headers)
        if status == 429 or (refused and not attempt):  # noqa: PLR2004 - the log must not grow with a flood
            return
        if changes or attempt:
            default = f"{connection['method']} {connection['path']}"
            self._guard.audit.note(caller, headers.get("user-agent", ""), status, default)
            await self._guard.audit.keep()


class _Exchange:
    """One request and its answer, within their limits."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        needs: Needs,
        *,
        secure: bool,
        head: bool,
        lasts: Any,  # noqa: ANN401
    ) -> None:
        self._receive, self._send, self._most = receive, send, needs.body
        self._secure, self._head, self._lasts = secure, head, lasts
        self._bytes, self._complete, self._started_at = 0, False, asyncio.get_running_loop().time()
        self.status = 500

    async def receive(self) -> Message:
        """The next part of the body. Raises HTTPException where it is too large or too slow."""
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._started_at + BODY_TIME):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"the body was not here within {BODY_TIME:g} s") from None
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._bytes > self._most:
                raise HTTPException(413, _too_large_text(self._most))
        else:
            self._complete = True
        return message

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer, with our headers; to HEAD, and once a session has ended, nothing more."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if self._secure:
                headers["Strict-Transport-Security"] = _HSTS
            headers.setdefault("Cache-Control", "no-store")
        elif self._head or (self._lasts is not None and message.get("more_body") and not self._lasts()):
            raise _Ended
        await self._send(message)

    async def end(self) -> None:
        """End the answer here."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _later(seconds: float, why: str) -> Response:
    wait = math.ceil(seconds)
    return Problem(429, f"{why}: try again in {wait} s", {"Retry-After": str(wait)})


def _too_large(most: int) -> Response:
    return Problem(413, _too_large_text(most))


def _too_large_text(most: int) -> str:
    return f"the body is larger than {most:,} bytes"


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
