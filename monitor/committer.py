"""Writes results to the store in order, and keeps them while the store is away.

The queue is bounded by bytes. When the store stays away long enough to fill it, `put` waits, so the pipeline stops
taking data and the feeds' backlog conflates quotes; nothing decided is lost and, since commits are idempotent, nothing
is written twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

import structlog

from monitor import clock
from monitor.fault_points import fault
from monitor.pipeline import Result
from monitor.revised_bars import with_revisions
from monitor.store.base import (
    Checkpoint,
    Commit,
    LeaseLost,
    Store,
    StoreError,
    StoreRefused,
    StoreRewound,
    StoreUnavailable,
)

_LOG = structlog.get_logger(__name__)
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_AT_ONCE: Final = 64
_RECENT_BYTES: Final = 32 * 2**20
"""Of commits kept after they were written, for a server that loses the end of what it had acknowledged."""

Item = Result | Checkpoint


class Committer:
    """An ordered, byte-bounded queue in front of :meth:`Store.commit`.

    `on_done(results, seconds)` is told of each group that became durable; `on_trouble(text)` of a store that does not
    take writes, and with None once it does again. `owner` signs the lease; `instances()` gives every alert instance as
    it is stored: both are wanted when the server has lost data it had acknowledged, and is given again what it lacks.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_bytes: int,
        owner: str,
        instances: Callable[[], Awaitable[Mapping[str, bytes]]],
        on_done: Callable[[list[Result], float], None],
        on_trouble: Callable[[str | None], None],
    ) -> None:
        self._store, self._max_bytes = store, max_bytes
        self._on_done, self._on_trouble = on_done, on_trouble
        self._queue: deque[Item] = deque()
        self._bytes = 0
        self._changed = asyncio.Condition()
        self._owner, self._instances = owner, instances
        self._in_trouble = False
        self._recent: deque[Commit] = deque()
        self._recent_bytes = 0
        self._quotes: dict[str, Mapping[str, str]] = {}

    @property
    def waiting_bytes(self) -> int:
        """Bytes decided and not yet durable."""
        return self._bytes

    async def put(self, *items: Item) -> None:
        """Queue items; waits while the queue is full."""
        async with self._changed:
            for item in items:
                await self._changed.wait_for(lambda: self._bytes < self._max_bytes)
                self._queue.append(item)
                self._bytes += _size(item)
                self._changed.notify_all()

    async def drained(self) -> None:
        """Return when everything queued is durable."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._queue)

    async def run(self) -> None:
        """Write for ever. Raises LeaseLost when another daemon has taken over."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._queue))
                group = self._next_group()
            began = clock.monotonic()
            await self._write(group)
            if isinstance(group, list):
                self._on_done(group, clock.monotonic() - began)
                fault("commit.told")
                for receipt in (receipt for result in group for receipt in result.receipts):
                    receipt()
            async with self._changed:
                for _ in range(len(group) if isinstance(group, list) else 1):
                    self._bytes -= _size(self._queue.popleft())
                self._changed.notify_all()

    def _next_group(self) -> list[Result] | Checkpoint:
        """The results up to the next checkpoint, or that checkpoint. They stay queued until they are durable."""
        if isinstance(first := self._queue[0], Checkpoint):
            return first
        group: list[Result] = []
        for item in self._queue:
            if isinstance(item, Checkpoint) or len(group) == _AT_ONCE:
                break
            group.append(item)
        return group

    async def _write(self, group: list[Result] | Checkpoint) -> None:
        """Try until it is written."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if isinstance(group, Checkpoint):
                    fault("checkpoint.taken")
                    # Once: an attempt that looks failed may have been written, and volumes are not taken off twice.
                    group = await with_revisions(self._store, group)
                    await self._store.save_checkpoint(group)
                    fault("checkpoint.written")
                else:
                    fault("commit.taken")
                    await self._store.commit([r.commit for r in group])
                    fault("commit.written")
            except StoreRewound as error:
                _LOG.error("the store has lost data; writing again what it lacks", error=str(error))
                await self._write_again()
                continue
            except LeaseLost:
                raise
            except (StoreUnavailable, StoreRefused) as error:
                self._trouble(error)
            else:
                self._trouble(None)
                self._remember(group)
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _remember(self, group: list[Result] | Checkpoint) -> None:
        """Keep what was written of late, for a server that loses it."""
        for result in group if isinstance(group, list) else ():
            # Of quotes the last of each instrument is enough; with a busy feed they would be most of it.
            self._quotes.update(result.commit.quotes)
            commit = replace(result.commit, quotes={})
            self._recent.append(commit)
            self._recent_bytes += commit.size
        while self._recent_bytes > _RECENT_BYTES:
            self._recent_bytes -= self._recent.popleft().size

    async def _write_again(self) -> None:
        """Take the lease anew and repeat the commits that the server lacks, the first with all alert instances."""
        try:
            if holder := await self._store.claim(self._owner):
                raise LeaseLost(f"the lease is {holder}")
            last = await self._store.last_journal_id()
            missing = [c for c in self._recent if last is None or c.entry.id > last]
            if missing:
                whole = {**await self._instances(), **missing[0].instances}
                await self._store.commit([replace(missing[0], instances=whole, quotes=self._quotes), *missing[1:]])
        except (StoreUnavailable, StoreRefused, StoreRewound) as error:
            self._trouble(error)
            await asyncio.sleep(_FIRST_PAUSE)

    def _trouble(self, error: StoreError | None) -> None:
        if error is not None and not self._in_trouble:
            _LOG.error("store does not take writes; keeping them", error=str(error))
        elif error is None and self._in_trouble:
            _LOG.info("store takes writes again", waiting_bytes=self._bytes)
        if error is not None or self._in_trouble:
            self._on_trouble(None if error is None else str(error))
        self._in_trouble = error is not None


def _size(item: Item) -> int:
    if isinstance(item, Checkpoint):
        return sum(map(len, item.frames.values())) + sum(len(c.data) for c in item.bars)
    return item.commit.size
