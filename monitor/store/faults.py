"""Whether a fault of the server or the line is worth another try: the one place that decides it."""

from __future__ import annotations

import re
import ssl
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as LineError
from redis.exceptions import TimeoutError as LineTimeout

from monitor.store.base import LeaseLost, StoreError, StoreRefused, StoreRewound, StoreUnavailable

PASSING: Final = frozenset({"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "TRYAGAIN"})
"""Refusals that end by themselves, or when an operator frees a disk or starts a replica."""

_LASTING: Final = frozenset({"NOAUTH", "NOPERM", "OOM", "READONLY", "WRONGPASS", "WRONGTYPE"})
_CODE: Final = re.compile(r"\b(" + "|".join(sorted(PASSING | _LASTING)) + r")\b")
_MEANING: Final = {
    "CLUSTERDOWN": "the cluster has lost nodes: start them",
    "MISCONF": "the server cannot save to its disk: its log says why; free the disk, or give it one it may write to",
    "NOAUTH": "the server asks for a password: put it into the store's URL",
    "NOPERM": "the user of the store's URL may not do this",
    "NOREPLICAS": "the server lacks replicas: start them, or lower its `min-replicas-to-write`",
    "OOM": "the server is at its memory limit: raise `maxmemory`",
    "READONLY": "the server is a read-only replica: point the store's URL at the primary",
    "WRONGPASS": "the user or the password in the store's URL is wrong",
    "WRONGTYPE": "another program uses this key",
}


def store_error(fault: Exception, where: str) -> StoreError:
    """The error to raise for `fault`, an exception of the driver or the socket; `where` names the server."""
    if isinstance(fault, StoreError):
        return fault
    if isinstance(fault, (ResponseError, AuthenticationError)):
        return _refusal(fault, where)
    if isinstance(fault, (BusyLoadingError, ClusterDownError, MasterDownError, TryAgainError)):
        return StoreUnavailable(f"{where}: {fault}")
    certificate = _certificate_fault(fault)
    if certificate is not None:
        return StoreRefused(f"{where}: the server's certificate is not accepted: {certificate.verify_message}")
    if isinstance(fault, (LineTimeout, TimeoutError)):
        return StoreUnavailable(f"{where}: no answer in time")
    if isinstance(fault, (LineError, OSError)):
        return StoreUnavailable(f"{where}: {fault}")
    return StoreRefused(f"{where}: {fault}")


def _refusal(fault: RedisError, where: str) -> StoreError:
    """The error for an answer that says no."""
    text = str(fault)
    # The driver cuts off the codes it knows; inside a script, servers before 7 put theirs into the middle of the text.
    code = fault.status_code or text.partition(" ")[0]
    if code == "LEASELOST":
        # A lease that is gone was not taken by anybody: the server has lost it, with whatever else.
        text = text.removeprefix("LEASELOST ")
        if "the lease is gone" in text:
            return StoreRewound(f"{where}: {text}")
        return LeaseLost(f"{where}: another monitor has taken this store; stop one of them ({text})")
    if code == "GAP":
        return StoreRewound(f"{where}: {text.removeprefix('GAP ')}")
    if code not in PASSING | _LASTING and (inner := _CODE.search(text)):
        code = inner.group(1)
    if isinstance(fault, AuthenticationWrongNumberOfArgsError):
        code = "WRONGPASS"
    meaning = _MEANING.get(code)
    said = f"{where}: {text} ({meaning})" if meaning else f"{where}: {text}"
    return StoreUnavailable(said) if code in PASSING else StoreRefused(said)


def _certificate_fault(fault: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The refused certificate behind a fault of the line, if it was that."""
    while fault is not None:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return fault
        fault = fault.__cause__ or fault.__context__
    return None
