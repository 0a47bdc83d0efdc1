"""The event stream: every change encoded once for all who listen, and nothing computed when nobody does.

A listener gets ``transition`` events as they are committed, ``silence`` and ``ack`` as people speak, and, once a
second, a ``snapshot`` that stands for all that came before it. One that reads too slowly loses the oldest transitions
and is told how many in a ``missed`` event, after which it asks the API for them; of snapshots it only ever gets the
newest. So a listener costs bounded memory and delays nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Final

import msgspec
import structlog

from monitor import queries

_LOG = structlog.get_logger(__name__)
SNAPSHOT_EVERY: Final = 1.0
"""Seconds between snapshots."""
HEARTBEAT_AFTER: Final = 15.0
"""Seconds of silence after which a comment shows that the line is good; proxies close silent ones."""
QUEUE: Final = 256
"""Transitions that wait for one slow listener."""
MOST_LISTENERS: Final = 100
"""Each holds a connection; more is a mistake or an attack."""

_HEARTBEAT: Final = b": still here\n\n"


class TooManyListeners(Exception):
    """As many programs listen as are allowed: try again later."""


class EventStream:
    """All listeners of the daemon. Lives on the event loop; nothing here is thread-safe."""

    def __init__(self) -> None:
        self.most = MOST_LISTENERS
        self._listeners: set[_Listener] = set()
        self._joined = asyncio.Event()
        self._newest = b""
        self._closed = False

    @property
    def listening(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def transitions(self, stored: Iterable[bytes]) -> None:
        """Tell of committed transitions, given as they are stored. Costs nothing when nobody listens."""
        if not self._listeners:
            return
        for data in stored:
            event = _event("transition", msgspec.json.encode(queries.stored_transition(data)))
            for listener in self._listeners:
                listener.add(event)

    def tell(self, name: str, change: object) -> None:
        """Tell of what somebody did: ``silence`` or ``ack``, and what it is now."""
        if self._listeners:
            event = _event(name, msgspec.json.encode(change))
            for listener in self._listeners:
                listener.add(event)

    async def run(self, snapshot: Callable[[], Awaitable[bytes]]) -> None:
        """Take a snapshot (JSON) every second while somebody listens; when cancelled, end all streams."""
        try:
            while True:
                await self._joined.wait()
                try:
                    event = _event("snapshot", await snapshot())
                except Exception:  # noqa: BLE001 - a mistake in what is shown must not stop what is watched
                    _LOG.exception("no snapshot for the page; trying again")
                else:
                    self._newest = event if self._listeners else b""
                    for listener in self._listeners:
                        listener.show(event)
                await asyncio.sleep(SNAPSHOT_EVERY)
        finally:
            self._closed = True
            for listener in self._listeners:
                listener.end()

    def subscribe(self) -> AsyncGenerator[bytes, None]:
        """A new listener's events as bytes of ``text/event-stream``, until :meth:`run` ends or the iterator is closed.

        It listens from its first iteration on. Raises TooManyListeners.
        """
        if len(self._listeners) >= self.most:
            raise TooManyListeners(f"{self.most} programs listen already; try again later")
        return self._events()

    async def _events(self) -> AsyncGenerator[bytes, None]:
        listener = _Listener()
        if self._closed:
            return
        self._listeners.add(listener)
        listener.show(self._newest)
        self._joined.set()
        try:
            while (events := await listener.take()) is not None:
                yield events
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                self._joined.clear()
                self._newest = b""  # it would be old when somebody comes


class _Listener:
    """What waits for one listener: transitions up to a bound, and the newest snapshot."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._missed = 0
        self._snapshot = b""
        self._ended = False
        self._changed = asyncio.Event()

    def add(self, event: bytes) -> None:
        """Queue a transition, in place of the oldest if there is no room."""
        if len(self._waiting) == QUEUE:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(event)
        self._changed.set()

    def show(self, snapshot: bytes) -> None:
        """Let this be the snapshot that is sent next, if there is one."""
        if snapshot:
            self._snapshot = snapshot
            self._changed.set()

    def end(self) -> None:
        """No more events."""
        self._ended = True
        self._changed.set()

    async def take(self) -> bytes | None:
        """All that waits, once something does; a heartbeat after a silence; None at the end."""
        try:
            async with asyncio.timeout(HEARTBEAT_AFTER):
                await self._changed.wait()
        except TimeoutError:
            return _HEARTBEAT
        if self._ended:
            return None
        missed = [_event("missed", msgspec.json.encode({"transitions": self._missed}))] if self._missed else []
        events = b"".join([*missed, *self._waiting, self._snapshot])
        self._waiting.clear()
        self._missed, self._snapshot = 0, b""
        self._changed.clear()
        return events


def _event(name: str, json: bytes) -> bytes:
    """One event. JSON as msgspec writes it has no line breaks, so it is one line of data."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), json)
