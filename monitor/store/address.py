"""The address of a server: a URL, checked before anything connects, and never printed with its password."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import RedisError

from monitor.store.base import StoreRefused

SCHEMES: Final = ("redis", "rediss", "unix")

TLS_OPTIONS: Final = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_ciphers",
        "ssl_keyfile",
        "ssl_password",
    }
)
FILES: Final = frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"})
OPTIONS: Final = frozenset({"db"})


def redacted(url: str) -> str:
    """The URL without user, password and options, for logs and errors.

    >>> redacted("rediss://monitor:secret@store.example.com:6380/2?ssl_cert_reqs=none")
    'rediss://store.example.com:6380/2'
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "the store's URL"
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def connection_options(url: str) -> dict[str, Any]:
    """Options of the driver's connections for a ``redis://``, ``rediss://`` or ``unix://`` URL.

    Raises StoreRefused where it is none, or carries an option other than those of :data:`OPTIONS` and, for rediss,
    :data:`TLS_OPTIONS`.
    """
    where = redacted(url)
    try:
        parts = urlsplit(url)
        options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        _ = parts.port
    except ValueError as fault:
        raise StoreRefused(f"{where}: not a URL: {fault}") from None
    if parts.scheme not in SCHEMES:
        raise StoreRefused(
            f"{where}: a store is `embedded`, or redis://HOST:PORT/DB, rediss://HOST:PORT/DB (TLS) or unix:///PATH/TO/SOCKET"
        )
    possible = OPTIONS | (TLS_OPTIONS if parts.scheme == "rediss" else frozenset())
    unknown = sorted(options.keys() - possible)
    if unknown:
        raise StoreRefused(f"{where}: unknown option `{unknown[0]}`; possible here: {', '.join(sorted(possible))}")
    for name in sorted(options.keys() & FILES):
        if not Path(options[name][0]).exists():
            raise StoreRefused(f"{where}: {name}: {options[name][0]} does not exist")
    if parts.scheme == "unix" and not parts.path:
        raise StoreRefused(f"{where}: the path of the socket is missing: unix:///run/valkey/valkey.sock")
    if parts.scheme != "unix":
        if not parts.hostname:
            raise StoreRefused(f"{where}: the host is missing: {parts.scheme}://HOST:PORT/DB")
        database = unquote(parts.path).strip("/")
        if database and not database.isdecimal():
            raise StoreRefused(
                f"{where}: `{database}` is no database: it is a number, such as {parts.scheme}://HOST:PORT/0"
            )
    try:
        parsed: dict[str, Any] = dict(parse_url(url))
        if parts.scheme == "rediss":
            # The driver reads certificates and ciphers when it connects; what is wrong with them shall be known before.
            SSLConnection(
                **{name: value for name, value in parsed.items() if name != "connection_class"}
            ).ssl_context.get()
    except (RedisError, OSError, ValueError) as fault:
        raise StoreRefused(f"{where}: {fault}") from None
    return parsed
