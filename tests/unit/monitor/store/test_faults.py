from __future__ import annotations

import ssl

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as LineError
from redis.exceptions import TimeoutError as LineTimeout

from monitor.store.base import LeaseLost, StoreError, StoreRefused, StoreRewound, StoreUnavailable
from monitor.store.faults import store_error


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("LOADING Valkey is loading the dataset in memory", StoreUnavailable),
        ("BUSY Redis is busy running a script.", StoreUnavailable),
        ("MISCONF Errors writing to the AOF file: No space left on device", StoreUnavailable),
        ("NOREPLICAS Not enough good replicas to write.", StoreUnavailable),
        ("CLUSTERDOWN The cluster is down", StoreUnavailable),
        ("MASTERDOWN Link with MASTER is down", StoreUnavailable),
        ("ERR max number of clients reached", StoreUnavailable),
        ("OOM command not allowed when used memory > 'maxmemory'.", StoreRefused),
        ("READONLY You can't write against a read only replica.", StoreRefused),
        ("NOAUTH Authentication required.", StoreRefused),
        ("WRONGPASS invalid username-password pair", StoreRefused),
        ("NOPERM this user has no permissions", StoreRefused),
        ("WRONGTYPE Operation against a key", StoreRefused),
        ("ERR wrong number of arguments for 'auth' command", StoreRefused),
        ("ERR unknown command", StoreRefused),
        ("ERR Error running script: @user_script:5: -OOM command not allowed", StoreRefused),
        ("ERR Error running script: @user_script:5: -MISCONF Errors writing", StoreUnavailable),
        ("LEASELOST the lease is 2:b, not 1:a", LeaseLost),
        ("GAP the journal ends at 1-0", StoreRewound),
    ],
)
def test_answers(answer: str, kind: type[StoreError]):
    error = store_error(BaseParser.parse_error(answer), "redis://h")
    assert type(error) is kind
    assert str(error).startswith("redis://h: ")


def refused_certificate() -> Exception:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate"
    fault = LineError("Error 1 connecting")
    fault.__cause__ = cause
    return fault


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (LineTimeout("Timeout reading"), StoreUnavailable, "no answer in time"),
        (TimeoutError(), StoreUnavailable, "no answer in time"),
        (LineError("Connection closed by server."), StoreUnavailable, "Connection closed"),
        (ConnectionResetError(104, "reset"), StoreUnavailable, "reset"),
        (refused_certificate(), StoreRefused, "certificate is not accepted: self-signed certificate"),
    ],
)
def test_faults_of_the_line(fault: Exception, kind: type[StoreError], text: str):
    error = store_error(fault, "redis://h")
    assert type(error) is kind
    assert text in str(error)


def test_our_own_errors_stay_as_they_are():
    error = LeaseLost("taken")
    assert store_error(error, "redis://h") is error


@pytest.mark.parametrize(
    ("answer", "do"),
    [
        ("MISCONF Valkey is configured to save RDB snapshots", "free the disk"),
        ("NOREPLICAS Not enough good replicas to write.", "lower its `min-replicas-to-write`"),
        ("ERR Error running script: @user_script:5: -NOREPLICAS Not enough", "lower its `min-replicas-to-write`"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "raise `maxmemory`"),
    ],
)
def test_what_an_operator_must_do_is_said(answer: str, do: str):
    assert do in str(store_error(BaseParser.parse_error(answer), "redis://h"))
