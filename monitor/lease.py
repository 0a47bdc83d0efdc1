"""The right to decide and to tell, of which one daemon of all that share a store has it at a time.

The store fences: what was written under an older epoch is refused, whatever its writer believes. What reaches people
does not pass the store, so a daemon also asks itself, by its own clock, whether its lease still lasts before it sends.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from monitor import clock
from monitor.store.base import LEASE_MS, LeaseLost, Store, StoreError, StoreRewound

_LOG = structlog.get_logger(__name__)
_LASTS: Final = LEASE_MS / 1000
RENEW: Final = _LASTS / 5
"""Seconds between renewals: several may fail before the lease ends."""
CLAIM_EVERY: Final = _LASTS / 10
"""Seconds between a standby's claims."""


_MACHINES_OWN: Final = "pid:[4026531836]"
"""The space of process ids that is no container's (Linux, ``PROC_PID_INIT_INO``)."""


def owner_name() -> str:
    """This process, as the lease is signed: host and process id, in a container with the number of its id space."""
    return f"{_place()}:{os.getpid()}"


def _place() -> str:
    """Where a process id means this process: containers of one machine may have its name, and ids of their own."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        space = _MACHINES_OWN
    return socket.gethostname() + ("" if space == _MACHINES_OWN else f"/{space.strip('pid:[]')}")


class Lease:
    """One daemon's claim. `exclusive`: no other daemon can reach the store, so the lease lasts whatever happens."""

    def __init__(
        self, store: Store, owner: str, *, exclusive: bool = False, monotonic: Callable[[], float] = clock.monotonic
    ) -> None:
        self._store, self._owner, self._exclusive, self._monotonic = store, owner, exclusive, monotonic
        self._until = float("-inf")

    def lasts(self) -> bool:
        """Whether nobody else can have taken the lease by now."""
        return self._exclusive or self._monotonic() < self._until

    async def claim(self) -> str:
        """Take the lease unless somebody else's lasts; '' if it is ours now, otherwise the holder.

        A holder of this machine whose process is no more has died, and is not waited for.
        """
        asked = self._monotonic()
        holder = await self._store.claim(self._owner)
        if holder and not alive(holder.partition(":")[2]):
            await self._store.acquire(self._owner)
            holder = ""
        if not holder:
            self._until = asked + _LASTS
        return holder

    async def keep(self) -> None:
        """Renew for ever. Raises LeaseLost when another daemon has taken over."""
        while True:
            asked = self._monotonic()
            try:
                await self._store.renew()
            except StoreRewound:
                # The server lost what it had. Who writes next takes the lease anew, and writes the rest again.
                self._until = float("-inf")
            except LeaseLost:
                self._until = float("-inf")
                raise
            except StoreError as error:
                if asked < self._until <= self._monotonic() + RENEW:
                    _LOG.warning("the lease cannot be renewed; nobody is told of anything meanwhile", error=str(error))
            else:
                self._until = asked + _LASTS
            await asyncio.sleep(RENEW)

    async def release(self) -> None:
        """Let another take over at once; where the store is away, when the lease ends."""
        self._until = float("-inf")
        try:
            await self._store.release()
        except StoreError as error:
            _LOG.debug("the lease was not released", error=str(error))


def alive(owner: str) -> bool:
    """Whether the process may still run: one of another machine or container may."""
    host, _, number = owner.rpartition(":")
    if host != _place() or not number.isdigit():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
