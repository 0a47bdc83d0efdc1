"""One line a key, of all daemons that share a store, where a vendor gives a key no more than one.

Two daemons that connect with one key would have each other's line ended, or be refused, for ever. So before a line is
opened the key is leased; a daemon that does not get the lease waits, and takes over when it ends. What the store has is
a hash of address and key with a salt of its own; the key itself is nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog

from connectors.batch import Receipt
from connectors.feed import Address, Frame
from connectors.supervisor import Connect
from connectors.websocket import Connection, Disconnected
from monitor.lease import alive, owner_name
from monitor.store.base import Store, StoreError

_LOG = structlog.get_logger(__name__)
LASTS: Final = 6.0
"""Seconds a lease lasts that is not prolonged; it is, five times as often."""


class KeyLeases:
    """Where the feeds of this daemon lease their keys; they wait until it is open."""

    def __init__(self, owner: str = "", lasts: float = LASTS) -> None:
        self.owner = owner or owner_name()
        self.lasts = lasts
        self._opened = asyncio.Event()
        self._store: Store | None = None
        self._salt = b""

    async def open(self, store: Store) -> None:
        """Begin to serve. Raises StoreError."""
        self._salt = await store.salt()
        self._store = store
        self._opened.set()

    async def hold(self, address: Address, feed: str, seconds: float) -> str:
        """Take, prolong or let go (0) the line of `address` for `feed`; '' if done, otherwise who holds it.

        A holder of this machine whose process is no more is not waited for. Raises StoreError.
        """
        await self._opened.wait()
        assert self._store is not None  # noqa: S101 - open
        named = f"{address.url}\0{address.one_connection_per_key}".encode()
        line = hashlib.blake2b(named, key=self._salt[:64], digest_size=16).hexdigest()
        mine, ms = f"{self.owner} {feed}", round(seconds * 1000)
        holder = await self._store.hold_line(line, mine, ms)
        if holder and not alive(holder.partition(" ")[0]):
            holder = await self._store.hold_line(line, mine, ms, holder)
        return holder


class KeyLease:
    """One feed's lease of its key."""

    def __init__(self, leases: KeyLeases, feed: str) -> None:
        self.holder = ""
        """Who has the key, while this feed waits for it: ``host:pid feed``."""
        self.taken_by = ""
        """Who took it while this feed believed to have it."""
        self._leases, self._feed = leases, feed
        self._held: Address | None = None

    def before(self, connect: Connect) -> Connect:
        """Opens lines as `connect` does, once the key is this feed's."""

        async def connected(address: Address) -> Connection:
            if not address.one_connection_per_key:
                return await connect(address)
            await self._take(address)
            return _Held(await connect(address), self)

        return connected

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Prolong the lease meanwhile, if there is one, and let it go at the end."""
        keeping = asyncio.create_task(self._keep(), name=f"key of {self._feed}")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            held, self._held = self._held, None
            if held is not None:
                try:
                    await self._leases.hold(held, self._feed, 0)
                except StoreError as error:
                    _LOG.debug("the key was not let go, and is free when its lease ends", error=str(error))

    async def _take(self, address: Address) -> None:
        """Wait for the key. While the store is away, one that was held is held on: nobody else can take it there."""
        try:
            while True:
                try:
                    holder = await self._leases.hold(address, self._feed, self._leases.lasts)
                except StoreError as error:
                    if self._held == address:
                        return
                    holder = f"nobody knows whom, as long as the store is away: {error}"
                if not holder:
                    break
                if not self.holder:
                    _LOG.warning("the key is in use; waiting for it", feed=self._feed, holder=holder)
                self.holder = holder
                await asyncio.sleep(self._leases.lasts / 10)
        finally:
            self.holder = ""
        self._held, self.taken_by = address, ""

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._leases.lasts / 5)
            if self._held is None:
                continue
            try:
                holder = await self._leases.hold(self._held, self._feed, self._leases.lasts)
            except StoreError as error:
                _LOG.debug("the lease of a key was not prolonged", feed=self._feed, error=str(error))
                continue
            if holder:  # this process stood still for so long that its lease ended
                self._held, self.taken_by = None, holder
                _LOG.warning("the key was taken over meanwhile", feed=self._feed, holder=holder)


class _Held:
    """A line that ends when its key is somebody else's."""

    def __init__(self, line: Connection, lease: KeyLease) -> None:
        self._line, self._lease = line, lease

    @property
    def more(self) -> bool:
        return self._line.more

    async def receive(self) -> Sequence[bytes]:
        if self._lease.taken_by:
            raise Disconnected(f"the key was taken over by {self._lease.taken_by}")
        return await self._line.receive()

    def receipt(self) -> Receipt | None:
        return self._line.receipt()

    async def send(self, frame: Frame) -> None:
        await self._line.send(frame)

    async def close(self) -> None:
        await self._line.close()
