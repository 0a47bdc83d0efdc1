"""A recording played as if it happened now: the feed of ``type: replay``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final

from connectors.batch import Batch
from connectors.feed import FeedStatus

HOUR_NS: Final = 3_600_000_000_000


class Replay:
    """Plays batches into `sink` in the order and at the distances of their event times.

    A night or a weekend is not waited for: of a gap between two batches that is longer than `longest_gap_ns`, only so
    much is played. A sink that is slow delays what follows; the tape then goes on faster until it has caught up.

    Args:
        name: Of the feed, stamped on every batch.
        tape: (event time in UTC nanoseconds, batch), in order of time; read one at a time.
        sink: Takes the batches; may wait.
        speed: Event seconds a second; 0 is as fast as `sink` takes them.
        now_ns: This machine's time, UTC nanoseconds, stamped on every batch as ``received_at``.
        monotonic: Seconds of a clock that only goes forward.
        longest_gap_ns: Event time, nanoseconds.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        name: str,
        tape: Iterable[tuple[int, Batch]],
        sink: Callable[[Batch], Awaitable[None]],
        *,
        speed: float,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
        longest_gap_ns: int = HOUR_NS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if not 0 <= speed < float("inf"):
            raise ValueError(f"speed {speed} of feed {name}: event seconds a second, or 0 for as fast as possible")
        self.name = name
        self.status = FeedStatus.CONNECTING
        """Live while it plays, stopped at the end of the tape."""
        self.event_time: int | None = None
        """Of the batch handed on last."""
        self.batches = 0
        self.rows = 0
        """How much has been handed on."""
        self._tape = tape
        self._sink = sink
        self._speed = speed
        self._now_ns = now_ns
        self._monotonic = monotonic
        self._longest_gap_ns = longest_gap_ns
        self._sleep = sleep

    async def run(self) -> None:
        """Play the tape to its end."""
        began = self._monotonic()
        played_ns = 0
        before: int | None = None
        for event_time, batch in self._tape:
            played_ns += min(max(event_time - before, 0), self._longest_gap_ns) if before is not None else 0
            before = event_time
            due = began + played_ns / 1e9 / self._speed if self._speed else 0.0
            # At least a turn of the event loop: a sink with room does not wait, and others want to run.
            await self._sleep(max(0.0, due - self._monotonic()))
            self.status = FeedStatus.LIVE
            await self._sink(replace(batch, feed=self.name, received_at=self._now_ns()))
            self.event_time = event_time
            self.batches += 1
            self.rows += batch.rows
        self.status = FeedStatus.STOPPED
