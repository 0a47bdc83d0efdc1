"""Where readers stand in what they read: a file's batch, a stream's entry; kept in the store.

A position is set once the journal has all that is before it, so that a restart reads again what might be missing and
nothing more. One that comes as the receipt of a batch (:class:`Place`) is kept in the very step that makes the last of
that batch durable: a crash makes nothing of it come twice. (A batch whose rows are evaluated at several moments is
several steps; one in the middle of which the machine ends comes again whole.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from connectors.batch import Receipt
from monitor.store.base import POSITIONS, LeaseLost, Store, StoreError, StoreRewound

_PAUSE: Final = 0.5
"""Seconds between two writes: what a crash makes read again."""

_LOG = structlog.get_logger(__name__)


def _nothing() -> None:
    """Nobody waits."""


@dataclass(frozen=True, slots=True)
class Place:
    """A batch's receipt that says where its reader stands after it; `then` is called once the store has it."""

    positions: Positions
    name: str
    text: str
    then: Callable[[], None] = _nothing

    def __call__(self) -> None:
        """It is kept."""
        self.positions.keeps(self.name, self.text)
        self.then()


def places(receipts: Iterable[Receipt]) -> dict[str, bytes]:
    """The positions among receipts, as the store keeps them."""
    return {receipt.name: receipt.text.encode() for receipt in receipts if isinstance(receipt, Place)}


class Positions:
    """By a name of the reader's choice, text. For one event loop; reading needs :meth:`open`."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._kept: dict[str, bytes] = {}
        self._changed: dict[str, bytes | None] = {}
        self._news = asyncio.Event()

    async def open(self, store: Store) -> None:
        """Read what is kept."""
        self._kept = await store.records(POSITIONS)
        self._store = store

    def of(self, name: str) -> str | None:
        """Where that reader stands."""
        found = self._kept.get(name)
        return None if found is None else found.decode()

    def below(self, prefix: str) -> dict[str, str]:
        """The positions whose names begin so, by the rest of the name."""
        return {name[len(prefix) :]: data.decode() for name, data in self._kept.items() if name.startswith(prefix)}

    def set(self, name: str, position: str) -> None:
        """The reader stands here now."""
        self._kept[name] = self._changed[name] = position.encode()
        self._news.set()

    def keeps(self, name: str, position: str) -> None:
        """The reader stands here, and the store knows it already."""
        self._kept[name] = position.encode()
        self._changed.pop(name, None)

    def forget(self, name: str) -> None:
        """The reader is not needed any more."""
        if self._kept.pop(name, None) is not None:
            self._changed[name] = None
            self._news.set()

    async def keep(self) -> None:
        """Write what changed. Raises StoreError; what could not be written waits for the next time."""
        changed, self._changed = self._changed, {}
        if not changed or self._store is None:
            return
        try:
            await self._store.keep_records(POSITIONS, changed)
        except StoreError:
            self._changed = changed | self._changed
            raise

    async def run(self) -> None:
        """Keep them, for ever. A lost lease is for others to tell."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.keep()
            except StoreError as error:
                if isinstance(error, LeaseLost) and not isinstance(error, StoreRewound):
                    return
                _LOG.warning("positions of feeds are not kept yet", error=str(error))
                self._news.set()
            await asyncio.sleep(_PAUSE)
