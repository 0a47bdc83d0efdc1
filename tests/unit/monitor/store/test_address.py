from __future__ import annotations

import pytest

from monitor.store.address import connection_options, redacted
from monitor.store.base import StoreRefused


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", "redis://: the host is missing: redis://HOST:PORT/DB"),
        ("redis://:pw@h:99999", "redis://h:99999: not a URL: Port out of range 0-65535"),
        ("redis://:pw@h:port", "redis://h:port: not a URL: Port could not be cast to integer value as 'port'"),
        ("http://u:pw@h", "http://h: a store is `embedded`, or redis://HOST:PORT/DB, rediss://HOST:PORT/DB (TLS)"),
        ("localhost", "the store's URL: a store is `embedded`, or"),
        ("redis://h/one", "redis://h/one: `one` is no database: it is a number, such as redis://HOST:PORT/0"),
        ("redis://u:pw@h?socket_timeout=1", "redis://h: unknown option `socket_timeout`; possible here: db"),
        ("redis://h?ssl_ca_certs=x", "redis://h: unknown option `ssl_ca_certs`; possible here: db"),
        ("redis://h?db", "redis://h: not a URL: bad query field: 'db'"),
        ("redis://h?db=x", "redis://h: Invalid value for 'db' in connection URL."),
        ("rediss://h?ssl_cert_reqs=maybe", "rediss://h: Invalid SSL Certificate Requirements Flag: maybe"),
        (
            f"rediss://h?ssl_ca_certs={__file__}",
            "rediss://h: [X509: NO_CERTIFICATE_OR_CRL_FOUND] no certificate or crl found",
        ),
        ("rediss://h?ssl_ciphers=none+such", "rediss://h: ('No cipher can be selected.',)"),
        ("rediss://h?ssl_ca_certs=/no/such", "rediss://h: ssl_ca_certs: /no/such does not exist"),
        ("unix://", "unix://: the path of the socket is missing: unix:///run/valkey/valkey.sock"),
    ],
)
def test_a_wrong_address_says_what_to_write(url: str, expected: str):
    with pytest.raises(StoreRefused) as refused:
        connection_options(url)
    assert str(refused.value).startswith(expected)
    assert "pw" not in str(refused.value)


def test_right_addresses():
    assert connection_options("redis://me:p%40ss@h:7000/3") == {
        "username": "me",
        "password": "p@ss",
        "host": "h",
        "port": 7000,
        "db": 3,
    }
    assert connection_options("redis://[::1]:7000")["host"] == "::1"
    assert connection_options("unix:///run/a.sock?db=2").items() >= {"path": "/run/a.sock", "db": 2}.items()
    assert connection_options("rediss://h?ssl_cert_reqs=none")["ssl_cert_reqs"] == "none"


def test_no_secret_is_printed():
    assert redacted("unix://me:pw@/run/a.sock?db=1") == "unix:///run/a.sock"
    assert redacted("rediss://me:p@w@h:1/2?ssl_password=pw") == "rediss://h:1/2"
    assert redacted("me:pw@h") == "the store's URL"
