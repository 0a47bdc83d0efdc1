"""One line a key, of all daemons that share a store, where a vendor gives a key no more than one.

Two daemons that connect with one key would have each other's line ended, or be refused, for ever. So before a line is
opened the key is leased; a daemon that does not get the lease waits, and takes over when it ends. What the store has is
a hash of address and key with a salt of its own; the key itself is nowhere.

A holder writes a new beat again and again. It has ended when who waits has seen the same beat for a while, by its own
clock and without losing sight of the store: so no clock of another machine counts, and a store that was away, for
however long, gives the key to nobody. A holder that may have been taken for ended asks before it passes on anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog

from connectors.batch import Receipt
from connectors.feed import Address, Frame
from connectors.supervisor import Connect
from connectors.websocket import Connection, Disconnected
from monitor import clock
from monitor.lease import alive, owner_name
from monitor.store.base import Store, StoreError

_LOG = structlog.get_logger(__name__)
LASTS: Final = 6.0
"""Seconds without a beat after which a holder has ended; there are five in this time."""


class KeyLeases:
    """Where the feeds of this daemon lease their keys; they wait until it is open."""

    def __init__(self, owner: str = "", lasts: float = LASTS) -> None:
        self.owner = owner or owner_name()
        self.lasts = lasts
        self._mark = secrets.token_hex(8)
        """Tells this process from another of the same name: two containers may both be ``host:1``."""
        self._opened = asyncio.Event()
        self._store: Store | None = None
        self._salt = b""
        self._beats = 0

    async def open(self, store: Store) -> None:
        """Begin to serve. Raises StoreError."""
        self._salt = await store.salt()
        self._store = store
        self._opened.set()

    async def hold(self, address: Address, feed: str, ended: str = "") -> str:
        """Take the line of `address` for `feed`, or keep it; '' if done, otherwise who holds it, and its beat.

        `ended`: the answer that showed a holder that has ended. Raises StoreError.
        """
        self._beats += 1
        return await self._ask(address, feed, str(self._beats), ended)

    async def let_go(self, address: Address, feed: str) -> None:
        """Give the line back. Raises StoreError."""
        await self._ask(address, feed, "")

    async def reach(self) -> None:
        """Return if the store is there. Raises StoreError."""
        await self._opened.wait()
        assert self._store is not None  # noqa: S101 - open
        await self._store.salt()

    async def _ask(self, address: Address, feed: str, beat: str, ended: str = "") -> str:
        await self._opened.wait()
        assert self._store is not None  # noqa: S101 - open
        named = f"{address.url}\0{address.one_connection_per_key}".encode()
        line = hashlib.blake2b(named, key=self._salt[:64], digest_size=16).hexdigest()
        return await self._store.hold_line(line, f"{self.owner} {feed}\n{self._mark}", beat, ended)


class KeyLease:
    """One feed's lease of its key."""

    def __init__(self, leases: KeyLeases, feed: str) -> None:
        self.holder = ""
        """Who has the key, while this feed waits for it: ``host:pid feed``."""
        self.taken_by = ""
        """Who took it while this feed believed to have it."""
        self._leases, self._feed = leases, feed
        self._held: Address | None = None
        self._until = float("-inf")
        """Monotonic seconds until which nobody can have taken this feed for ended."""
        self._away = False
        """The last time it was asked, the store was away."""
        self._asking = asyncio.Lock()
        self._lines: set[_Held] = set()

    def before(self, connect: Connect) -> Connect:
        """Opens lines as `connect` does, once the key is this feed's."""

        async def connected(address: Address) -> Connection:
            if not address.one_connection_per_key:
                return await connect(address)
            await self._take(address)
            line = _Held(await connect(address), self)
            self._lines.add(line)
            return line

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
                    await self._leases.let_go(held, self._feed)
                except StoreError as error:
                    _LOG.debug("the key was not let go, and is free when its beat was still", error=str(error))

    async def sure(self) -> None:
        """Return if the key is still this feed's; asks where another may have it. Raises Disconnected.

        While the store is away a line is held on: who cannot reach it either cannot take the key.
        """
        if not self.taken_by and clock.monotonic() >= self._until and not self._away and self._held is not None:
            await self._prolong(self._held)
        if self.taken_by:
            raise Disconnected(f"the key was taken over by {self.taken_by}")

    def forget(self, line: _Held) -> None:
        """A line is closed."""
        self._lines.discard(line)

    async def _take(self, address: Address) -> None:
        """Wait for the key. While the store is away, one that nobody can have taken is still this feed's."""
        lasts, pause = self._leases.lasts, self._leases.lasts / 10
        seen, since, looked = "", 0.0, 0.0
        away = False
        try:
            while True:
                asked = clock.monotonic()
                try:
                    if away:  # it may have lost who had the key, and who had it comes first
                        await self._leases.reach()
                        away = False
                        await asyncio.sleep(2 * lasts / 5)
                        asked = clock.monotonic()
                    # What was out of sight for long has not been seen to stand still.
                    still = seen and asked - since >= lasts and asked - looked < lasts / 2
                    ended = bool(seen) and (still or not alive(seen.partition(" ")[0]))
                    held = await self._leases.hold(address, self._feed, seen if ended else "")
                except StoreError as error:
                    if self._held == address and clock.monotonic() < self._until:
                        return
                    held, away = "", True
                    holder = f"nobody knows whom, as long as the store is away: {error}"
                else:
                    if not held:
                        break
                    holder = held.partition("\n")[0]
                if not self.holder:
                    _LOG.warning("the key is in use; waiting for it", feed=self._feed, holder=holder)
                self.holder = holder
                now = clock.monotonic()
                if held != seen or now - looked >= lasts / 2:
                    seen, since = held, now
                looked = now
                if alive(holder.partition(" ")[0]):
                    await asyncio.sleep(pause)
        finally:
            self.holder = ""
        self._held, self.taken_by, self._away, self._until = address, "", False, asked + lasts

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._leases.lasts / 5)
            if self._held is None:
                continue
            await self._prolong(self._held)
            if self.taken_by:
                for line in tuple(self._lines):
                    await line.close()

    async def _prolong(self, held: Address) -> None:
        """Give a sign of life, or learn who has the key now."""
        async with self._asking:
            asked = clock.monotonic()
            try:
                holder = await self._leases.hold(held, self._feed)
            except StoreError as error:
                self._away = True
                _LOG.debug("the lease of a key was not prolonged", feed=self._feed, error=str(error))
                return
            self._away = False
            if holder:  # this process stood still for so long that it was taken for ended
                self._held, self.taken_by = None, holder.partition("\n")[0]
                _LOG.warning("the key was taken over meanwhile", feed=self._feed, holder=self.taken_by)
            else:
                self._until = asked + self._leases.lasts


class _Held:
    """A line that ends when its key is somebody else's."""

    def __init__(self, line: Connection, lease: KeyLease) -> None:
        self._line, self._lease = line, lease
        self._frames: Sequence[bytes] = ()
        """Received; they wait for the lease to be sure."""

    @property
    def more(self) -> bool:
        return bool(self._frames) or self._line.more

    async def receive(self) -> Sequence[bytes]:
        if not self._frames:
            try:
                self._frames = await self._line.receive()
            except Disconnected:
                await self._lease.sure()  # or else this is the reason
                raise
        await self._lease.sure()
        frames, self._frames = self._frames, ()
        return frames

    def receipt(self) -> Receipt | None:
        return self._line.receipt()

    async def send(self, frame: Frame) -> None:
        await self._line.send(frame)

    async def close(self) -> None:
        self._lease.forget(self)
        await self._line.close()
