"""What has been received and not yet been taken: bounded in bytes, and shed where shedding loses least."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import replace
from itertools import groupby

import polars as pl

from connectors.batch import Batch


class Backlog:
    """Batches of all feeds between their connections and the one who takes them, on one event loop.

    Above half of `max_bytes` the quotes that wait are conflated: of each feed and instrument only the last is kept, and
    the others are counted. Trades, bars and statuses are never dropped, and no quotes that have a receipt. Where that
    is not enough and more than `max_bytes` wait, :meth:`put` waits as well, so that the socket is no longer read and
    the vendor is held back.

    Args:
        max_bytes: Bound of what waits, as polars estimates the size of frames. One batch a feed may exceed it.
    """

    def __init__(self, max_bytes: int) -> None:
        self.conflated: Counter[str] = Counter()
        """Quotes that gave way to a newer one of the same instrument, by feed, since the start."""
        self.conflated_of: dict[str, Counter[str]] = {}
        """The same by feed and instrument."""
        self._max_bytes = max_bytes
        self._conflate_above = max_bytes // 2
        self._batches: deque[tuple[Batch, int]] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def bytes(self) -> int:
        """Bytes that wait."""
        return self._bytes

    @property
    def rows(self) -> int:
        """Rows that wait."""
        return sum(batch.rows for batch, _ in self._batches)

    async def put(self, batch: Batch) -> None:
        """Add a batch; returns when there is room for another, mostly at once. Cancelled meanwhile, it is in."""
        self._append(batch)
        self._filled.set()
        if self._bytes > self._conflate_above:
            self._conflate()
        await self._room.wait()

    async def take(self, max_rows: int) -> list[Batch]:
        """What waits, oldest first, merged to one batch a feed; waits for the first.

        At most `max_rows` rows, or a single batch of more: batches are not cut. Cancelled, it has taken nothing.
        """
        await self._filled.wait()
        taken: list[Batch] = []
        rows = 0
        while self._batches and (not taken or rows + self._batches[0][0].rows <= max_rows):
            batch, size = self._batches.popleft()
            self._bytes -= size
            rows += batch.rows
            taken.append(batch)
        if not self._batches:
            self._filled.clear()
            self._conflate_above = self._max_bytes // 2
        if self._bytes <= self._max_bytes:
            self._room.set()
        return _by_feed(taken)

    def _append(self, batch: Batch) -> None:
        size = sum(int(frame.estimated_size()) for frame in batch.frames().values() if frame.height)
        self._batches.append((batch, size))
        self._bytes += size
        if self._bytes > self._max_bytes:
            self._room.clear()

    def _conflate(self) -> None:
        """Keep the last quote of each feed and instrument."""
        waiting = [batch for batch, _ in self._batches]
        self._batches.clear()
        self._bytes = 0
        self._room.set()
        for batch in _by_feed(waiting):
            if batch.receipts:  # its sender waits for all of it to be kept, and holds itself back
                self._append(batch)
                continue
            quotes = batch.quotes.unique("symbol", keep="last", maintain_order=True)
            self.conflated[batch.feed] += batch.quotes.height - quotes.height
            own = self.conflated_of.setdefault(batch.feed, Counter())
            for symbol, count in batch.quotes["symbol"].value_counts().filter(pl.col("count") > 1).iter_rows():
                own[symbol] += count - 1
            self._append(replace(batch, quotes=quotes))
        # What is left cannot be conflated further: again only when half as much has come, or every batch would pay.
        self._conflate_above = max(self._max_bytes // 2, self._bytes + self._bytes // 2)


def _by_feed(batches: list[Batch]) -> list[Batch]:
    """The batches, merged to one a feed."""
    ordered = sorted(batches, key=lambda batch: batch.feed)  # stable: arrival order within a feed
    return [Batch.merge(list(group)) for _, group in groupby(ordered, key=lambda batch: batch.feed)]
