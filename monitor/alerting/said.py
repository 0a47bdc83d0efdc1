"""What people have said, kept in the store: silences and acknowledgements. What holds here is what the store has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final

import msgspec
import structlog

from monitor.alerting.acknowledgement import Ack, forgotten
from monitor.alerting.silences import Silence, Silences
from monitor.store.base import ACKS, SILENCES, Store, StoreError, StoreUnavailable

_LOG = structlog.get_logger(__name__)
_AGAIN: Final = 1.0
"""Seconds between tries to find out what the store has."""


class Said:
    """See the module. `on_change` hears of each change of what holds."""

    def __init__(self, store: Store, on_change: Callable[[], None]) -> None:
        self._store, self._on_change = store, on_change
        self.silences = Silences()
        self.acks: Mapping[str, Ack] = {}
        self._turn = asyncio.Lock()
        self._unsure = asyncio.Event()

    async def hear(self) -> None:
        """Read again what the store has. Raises StoreError."""
        async with self._turn:
            silences = await self._store.records(SILENCES)
            acks = await self._store.records(ACKS)
            self.silences = Silences(Silence.decode(data) for data in silences.values())
            self.acks = {episode: Ack.decode(data) for episode, data in acks.items()}
        self._on_change()

    async def keep_silences(self, changes: Mapping[str, Silence], wall: int) -> None:
        """Add and change these, and forget those that ended long before `wall`, UTC ns. Raises StoreError."""
        async with self._turn:
            gone = set(self.silences.forgotten(wall))
            await self._write(SILENCES, gone, {name: each.encode() for name, each in changes.items()})
            kept = {name: each for name, each in self.silences.by_id.items() if name not in gone}
            self.silences = Silences([*{**kept, **changes}.values()])
        self._on_change()

    async def keep_acks(self, changes: Mapping[str, Ack | None], alerts: Collection[str], wall: int) -> None:
        """Add these, remove those that are None, forget old ones of episodes not among `alerts`. Raises StoreError."""
        async with self._turn:
            after = {**self.acks, **changes}
            gone = {*forgotten(self.acks, alerts, wall), *(name for name, ack in changes.items() if ack is None)}
            await self._write(ACKS, gone, {name: ack.encode() for name, ack in changes.items() if ack is not None})
            self.acks = {name: ack for name, ack in after.items() if ack is not None and name not in gone}
        self._on_change()

    async def make_sure(self) -> None:
        """For ever: when an answer was lost on the way, find out whether the store has what was said."""
        while True:
            await self._unsure.wait()
            try:
                self._unsure.clear()
                await self.hear()
            except (StoreError, msgspec.MsgspecError) as error:
                self._unsure.set()
                _LOG.warning("what people said may be stored or not; asking the store again", error=str(error))
                await asyncio.sleep(_AGAIN)

    async def _write(self, name: str, gone: Collection[str], kept: Mapping[str, bytes]) -> None:
        try:
            await self._store.keep_records(name, {**dict.fromkeys(gone), **kept})
        except (StoreUnavailable, asyncio.CancelledError):
            self._unsure.set()  # it may have been done, and then the next leader would find what nobody here knows of
            raise
