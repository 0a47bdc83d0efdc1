"""One feed's connection, kept alive: sign-in, batches, liveness, and what follows each kind of failure."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from connectors.batch import Batch, Notice, NoticeKind
from connectors.feed import Address, Feed, FeedStatus, Frame, Remedy
from connectors.feed_health import FeedHealth
from connectors.websocket import Connection, Disconnected, open_websocket

Sink = Callable[[Batch], Awaitable[None]]
"""Takes batches with rows; may wait, which holds the vendor back."""

Connect = Callable[[Address], Awaitable[Connection]]

SIGNED_IN: Final = frozenset({NoticeKind.AUTHENTICATED, NoticeKind.SUBSCRIBED})


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """All times in seconds."""

    silence: float = 30.0
    """Connected, but no market data for so long: a fault."""
    sign_in: float = 15.0
    """From the open line to the vendor's consent."""
    backoff: float = 0.5
    """Before the first attempt after a drop, at most; doubles with each attempt that brought no market data ..."""
    longest_backoff: float = 60.0
    """... up to this. The pause is drawn between nothing and that bound ("full jitter"), so that clients spread out."""
    wait: float = 10.0
    """Before the first attempt after a limit that frees itself; doubles likewise ..."""
    longest_wait: float = 60.0
    overlap: float = 1.0
    """For which a line that is replaced is still read, after its successor brought market data."""
    gather: float = 0.004
    """Batches are at least so far apart; a message after a longer pause is passed on at once."""


DEFAULT: Final = SupervisorSettings()


class Recorder(Protocol):
    """Keeps what arrived, for replay."""

    def opened(self, received_at: int) -> None:
        """A line was opened at `received_at`, nanoseconds UTC."""

    def received(self, received_at: int, frames: Sequence[bytes]) -> None:
        """These frames were received together."""


class _Ended(Exception):
    """The connection is over; `remedy` says what follows, the text why."""

    def __init__(self, remedy: Remedy, text: str) -> None:
        super().__init__(text)
        self.remedy = remedy


class Supervisor:
    """Runs one feed's connection until cancelled.

    Args:
        feed: The vendor's protocol.
        sink: Where batches with rows or a receipt go; what is only counted is in :attr:`health`.
        monotonic: Seconds of a clock that never jumps.
        now_ns: This machine's time, nanoseconds UTC: what batches are stamped with.
        settings: Times.
        expects_data: Whether market data should be coming; while not, silence is no fault (night, no instruments).
        on_status: Told after every change of the status.
        connect: How a line is opened.
        recorder: Keeps the raw frames, if they are wanted.
    """

    def __init__(  # noqa: PLR0913 - the feed's whole environment, named
        self,
        feed: Feed,
        sink: Sink,
        *,
        monotonic: Callable[[], float],
        now_ns: Callable[[], int],
        settings: SupervisorSettings = DEFAULT,
        expects_data: Callable[[], bool] = lambda: True,
        on_status: Callable[[FeedHealth], None] = lambda _: None,
        connect: Connect = open_websocket,
        recorder: Recorder | None = None,
    ) -> None:
        self.health = FeedHealth(feed.name, since=now_ns())
        self._feed = feed
        self._sink = sink
        self._monotonic = monotonic
        self._now_ns = now_ns
        self._settings = settings
        self._expects_data = expects_data
        self._on_status = on_status
        self._connect = connect
        self._recorder = recorder
        self._connection: Connection | None = None
        self._renewal: asyncio.Task[Connection] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()
        self._pace = self._sent_at = self._renew_after = 0.0
        self._consents = True
        self._fruitless = 0
        self._restart = asyncio.Event()
        self._random = random.Random()

    async def run(self) -> None:
        """Connect, and again after every failure; ends only by cancellation, which closes the line."""
        while True:
            self._restart.clear()
            self._status(FeedStatus.CONNECTING)
            try:
                await self._session()
            except _Ended as end:
                self.health.last_error = str(end)
                await self._pause(end.remedy)
            self.health.reconnects += 1

    async def subscribe(self, symbols: Collection[str]) -> None:
        """Make `symbols` the wanted set: now if the line is up, else when it is; a stopped feed starts again."""
        frames = self._feed.subscribe(symbols)
        if self.health.status is FeedStatus.STOPPED:
            self.restart()
        if self._connection is not None:
            await self._send(self._connection, frames)

    def restart(self) -> None:
        """End a pause or a stop: connect now. Does nothing to a line that is up."""
        self._fruitless = 0
        if self.health.status in (FeedStatus.STOPPED, FeedStatus.BACKING_OFF):
            self._restart.set()

    async def _session(self) -> None:
        """One connection from opening to its end, which is always an :class:`_Ended`."""
        address = self._feed.address()
        self._pace, self._consents = address.pace, address.consents
        try:
            self._connection = await self._connect(address)
        except Disconnected as error:
            raise _Ended(error.remedy, str(error)) from error
        try:
            await self._begin(self._connection)
            await self._read(address.lifetime)
        except Disconnected as error:
            raise _Ended(Remedy.RECONNECT, str(error)) from error
        finally:
            connection, self._connection = self._connection, None
            await self._forget_others()
            await connection.close()

    async def _begin(self, connection: Connection) -> None:
        self.health.connections += 1
        self._connection = connection
        self.health.offline.clear()
        self._record(None)
        await self._send(connection, self._feed.greeting())
        if not self._consents and self.health.status is FeedStatus.CONNECTING:
            self._status(FeedStatus.LIVE)

    async def _read(self, lifetime: float | None) -> None:
        """Frames to batches to the sink, until the line ends or has to be ended; a line of old age is replaced."""
        began = quiet_since = self._monotonic()
        signed_in, renew = not self._consents, False
        fresh = asyncio.Event()
        while connection := self._connection:
            renew = renew or (lifetime is not None and self._monotonic() - began > lifetime)
            try:
                async with asyncio.timeout(self._settings.silence / 4 if signed_in else self._settings.sign_in / 4):
                    frames = await connection.receive()
            except TimeoutError:
                frames = ()
            taken_at = self._monotonic()
            if frames:
                batch = self._parse(frames, connection)
                signed_in = signed_in or batch.rows > 0 or any(n.kind in SIGNED_IN for n in batch.notices)
                await self._deliver(batch)
                if batch.rows:
                    fresh.set()
                if batch.rows or any(n.kind is NoticeKind.HEARTBEAT for n in batch.notices):
                    quiet_since = self._monotonic()  # waiting for the sink is no silence of the vendor
                for notice in batch.notices:
                    await self._heed(connection, notice)
                    renew = renew or notice.kind is NoticeKind.RENEW
            if not signed_in:
                if self._monotonic() - began > self._settings.sign_in:
                    raise _Ended(Remedy.RECONNECT, f"sign-in not done within {self._settings.sign_in:g} s")
            elif not self._expects_data():
                quiet_since = self._monotonic()
            elif self._monotonic() - quiet_since > self._settings.silence:
                self._silent()
            if renew and (successor := self._successor()) is not None:
                fresh = asyncio.Event()
                self._retire(connection, fresh)
                await self._begin(successor)
                began = quiet_since = self._monotonic()
                signed_in, renew = not self._consents, False
                continue
            # A turn of the loop for the others; more while little comes, so that batches are worth their fixed cost.
            pause = 0.0 if connection.more else taken_at + self._settings.gather - self._monotonic()
            await asyncio.sleep(max(0.0, pause))

    def _successor(self) -> Connection | None:
        """The line that is to replace the present one, once it is open; until then, another attempt at it."""
        if self._renewal is None:
            if self._monotonic() >= self._renew_after:
                self._renewal = asyncio.create_task(self._open_successor())
        elif self._renewal.done():
            renewal, self._renewal = self._renewal, None
            try:
                connection = renewal.result()
            except Disconnected as error:
                self.health.last_error = f"the line could not be replaced yet: {error}"
                self._renew_after = self._monotonic() + self._settings.sign_in
            else:
                self.health.renewals += 1
                return connection
        return None

    async def _open_successor(self) -> Connection:
        return await self._connect(self._feed.address())

    def _retire(self, connection: Connection, fresh: asyncio.Event) -> None:
        """Read a line that has been replaced until its successor serves, so that nothing falls between them."""
        task = asyncio.create_task(self._read_out(connection, fresh))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _read_out(self, connection: Connection, fresh: asyncio.Event) -> None:
        async def served() -> None:
            await fresh.wait()
            await asyncio.sleep(self._settings.overlap)

        end = asyncio.create_task(served())
        try:
            async with asyncio.timeout(self._settings.sign_in):
                while not end.done():
                    receiving = asyncio.create_task(connection.receive())
                    try:
                        await asyncio.wait({receiving, end}, return_when=asyncio.FIRST_COMPLETED)
                        if receiving.done():
                            await self._deliver(self._parse(receiving.result(), connection))
                    finally:
                        receiving.cancel()
        except (TimeoutError, Disconnected):
            return
        finally:
            end.cancel()
            await connection.close()

    async def _forget_others(self) -> None:
        """Close what was before the present line, and what was to come after it."""
        renewal, self._renewal = self._renewal, None
        tasks = [*self._retiring, *([renewal] if renewal else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if renewal and not renewal.cancelled() and renewal.exception() is None:
            await renewal.result().close()

    def _parse(self, frames: Sequence[bytes], connection: Connection) -> Batch:
        """The frames' batch, counted and recorded, with what acknowledges it."""
        batch = self._feed.parse(frames, self._record(frames))
        health = self.health
        health.frames += len(frames)
        health.bytes += sum(map(len, frames))
        health.rows += batch.rows
        health.rejected.update(batch.rejected)
        health.unreadable.saw(frames, batch.received_at, batch.rejected)
        health.unused.update(batch.unused)
        for notice in batch.notices:
            health.gaps += notice.missing
            if notice.missing and notice.symbol:
                health.gaps_of[notice.symbol] += notice.missing
        receipt = connection.receipt()
        return batch if receipt is None else replace(batch, receipts=(receipt,))

    async def _deliver(self, batch: Batch) -> None:
        """Hand on market data, which prove the line good: the next failure is a first one again.

        Of what has none the receipt alone: given at once, it would speak for what came before it and is not kept yet.
        """
        if not batch.rows:
            if batch.receipts:
                await self._sink(batch)
            return
        self._fruitless = 0
        self.health.last_data_at = batch.received_at
        if self.health.status is not FeedStatus.LIVE:
            self._status(FeedStatus.LIVE)
        await self._sink(batch)

    async def _heed(self, connection: Connection, notice: Notice) -> None:
        """Answer a control message, or end the session by it."""
        if notice.kind is NoticeKind.ERROR:
            text = f"{notice.code} {notice.text}" if notice.code is not None else notice.text
            self.health.errors[str(notice.code)] += 1
            self.health.last_error = text
            remedy = self._feed.remedy(notice)
            if remedy is not Remedy.IGNORE:
                raise _Ended(remedy, text)
            return
        if notice.kind is NoticeKind.GAP:
            self.health.last_error = notice.text
        elif notice.kind is NoticeKind.OFFLINE:
            self.health.offline.add(notice.text)
        elif notice.kind is NoticeKind.ONLINE:
            self.health.offline.discard(notice.text)
        if notice.kind is NoticeKind.SUBSCRIBED and self.health.status is FeedStatus.CONNECTING:
            self._status(FeedStatus.LIVE)
        await self._send(connection, self._feed.reply(notice))

    def _silent(self) -> None:
        self.health.silences += 1
        self._status(FeedStatus.SILENT)
        raise _Ended(Remedy.RECONNECT, f"connected, but no market data for {self._settings.silence:g} s")

    async def _pause(self, remedy: Remedy) -> None:
        """As long as the failure asks for, or until :meth:`restart`."""
        settings = self._settings
        if remedy is Remedy.STOP:
            self._status(FeedStatus.STOPPED)
            await self._restart.wait()
            return
        self._status(FeedStatus.BACKING_OFF)
        doubled = 2.0 ** min(self._fruitless, 30)  # beyond, both bounds are long reached
        self._fruitless += 1
        if remedy is Remedy.WAIT:
            pause = min(settings.longest_wait, settings.wait * doubled)
        else:
            pause = self._random.uniform(0.0, min(settings.longest_backoff, settings.backoff * doubled))
        try:
            async with asyncio.timeout(pause):
                await self._restart.wait()
        except TimeoutError:
            return

    def _status(self, status: FeedStatus) -> None:
        self.health.status = status
        self.health.since = self._now_ns()
        self._on_status(self.health)

    def _record(self, frames: Sequence[bytes] | None) -> int:
        """Record that `frames` arrived, or that a line was opened; the time that both recording and batch carry."""
        now = self._now_ns()
        if self._recorder is not None:
            try:
                if frames is None:
                    self._recorder.opened(now)
                else:
                    self._recorder.received(now, frames)
            except OSError as error:  # a full disk must not cost the feed
                self._recorder = None
                self.health.last_error = f"capture stopped: {error}"
        return now

    async def _send(self, connection: Connection, frames: Sequence[Frame]) -> None:
        """Send, if the line still is: its end is found by `receive`, after what the vendor said before it went."""
        with contextlib.suppress(Disconnected):
            for frame in frames:
                async with self._sending:
                    if self._pace:
                        await asyncio.sleep(max(0.0, self._sent_at + self._pace - self._monotonic()))
                        self._sent_at = self._monotonic()
                    await connection.send(frame)
