"""Who asks: a token, a session of the page, or whoever can reach a monitor that has no token."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from starlette.requests import Request
from starlette.types import Scope as Connection

from monitor.settings.web import Network, WebSettings
from monitor.web.scopes import Scope

_CALLER: Final = "caller"
_HOPS: Final = 20
"""Addresses of X-Forwarded-For that are looked at."""
NOBODY: Final = "nobody"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: the token's name, what it is good for, and from where; `session` tells a session of the page apart."""

    name: str
    scope: Scope
    address: str
    session: str | None = None


@dataclass(slots=True)
class Caller:
    """What a request carries of its sender: who it is, and what its route says it did."""

    who: Principal
    notes: list[Any] = field(default_factory=list)


def caller(request: Request) -> Caller:
    """Who sent this request, and what it did."""
    found: Caller = request.scope[_CALLER]
    return found


def principal(request: Request) -> Principal:
    """Who sent this request."""
    return caller(request).who


def introduce(connection: Connection, who: Principal) -> Caller:
    """Let :func:`caller` know."""
    connection[_CALLER] = found = Caller(who)
    return found


class Keyring:
    """All tokens. What is given is compared with every one of them, so that time tells nothing about any."""

    def __init__(self, web: WebSettings) -> None:
        tokens = web.named_tokens.items()
        self._tokens = [(name, _digest(t.token.get_secret_value()), Scope[t.scope.upper()]) for name, t in tokens]

    def __bool__(self) -> bool:
        """Whether any is set."""
        return bool(self._tokens)

    def find(self, token: bytes) -> tuple[str, Scope] | None:
        """The name and scope of a token; None if there is no such one."""
        given = hashlib.sha256(token).digest()
        found = None
        for name, known, scope in self._tokens:
            if secrets.compare_digest(given, known):
                found = (name, scope)
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.strip().encode()).digest()


def token_of(authorization: bytes) -> bytes | None:
    """The token of an Authorization header: ``Bearer TOKEN``, or the password of ``Basic``; None if it has none."""
    scheme, _, rest = authorization.strip().partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip() or None
        case b"basic":
            try:
                return base64.b64decode(rest.strip(), validate=True).partition(b":")[2].strip() or None
            except binascii.Error:
                return None
        case _:
            return None


def origin_of(connection: Connection, proxies: Sequence[Network]) -> tuple[str, str]:
    """The client's address and the scheme it used; a proxy's word is taken where it is one of `proxies`."""
    address, scheme = (connection["client"] or ("",))[0], connection["scheme"]
    if not _among(address, proxies):
        return address, scheme
    hops: list[str] = []
    for name, value in connection["headers"]:
        if name == b"x-forwarded-for":
            hops += (hop.strip() for hop in value.decode("latin-1").split(","))
        elif name == b"x-forwarded-proto":
            scheme = "https" if value.split(b",")[-1].strip().lower() == b"https" else "http"
    for hop in reversed(hops[-_HOPS:]):
        try:
            address = str(ip_address(hop))
        except ValueError:
            break  # what stands before it was written by who knows whom
        if not _among(address, proxies):
            break
    return address, scheme


def _among(address: str, networks: Sequence[Network]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks)
