"""From the store's outbox to the receivers: each notification is delivered at least once, or kept among the dead.

A message carries its idempotency key, and is not sent again once the store has its outcome. Between the service's
answer and the store's note of it lies the only moment in which a crash makes a message arrive twice.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from monitor import clock
from monitor.fault_points import fault
from monitor.notify import values
from monitor.notify.lane import DeliveryPolicy, Lane, Message, OnFailing, Outcome, Watch
from monitor.notify.message import Notification
from monitor.notify.sender import Delivery, Sender, Verdict
from monitor.notify.trial import trial
from monitor.store.base import LeaseLost, OutboxEntry, Store, StoreError, StoreRewound

_PAGE: Final = 500
_BLOCK_MS: Final = 5_000
_REMEMBERED: Final = 10_000
_STORE_WAIT: Final = (0.1, 2.0)
"""Seconds between tries while the store is away: the first, and the most."""

_POLICY: Final = DeliveryPolicy()

_AFTER_START: Final = (0.5,) * (2 * _BLOCK_MS // 500)
"""Seconds between looks for strays, while a read of a former leader may last."""
_SELDOM: Final = 30.0
_DEPTH_EVERY: Final = 1.0
"""Seconds between looks at how many messages wait, and were given up."""

_OUTCOMES: Final = {Verdict.DELIVERED: "delivered", Verdict.FATAL: "refused", Verdict.REJECTED: "refused"}

_DEAD: Final = "dead"

_log = structlog.get_logger(__name__)

OnOutcome = Callable[[str, str], None]
"""Told of each attempt and end: receiver, and ``delivered``, ``failed``, ``refused``, ``dead`` or ``skipped``."""


class _End(msgspec.Struct):
    outcome: str = ""


class Notifier:
    """Delivers the outbox.

    `consumer` names this process in the consumer group. `on_failing`: a receiver's attempts have begun to fail (name,
    what it said), or one worked again (name, None). `now`: UTC nanoseconds, for the record of an outcome. `allowed`:
    whether this process is still the one to send what is in the outbox. `linked` puts in links, as it is sent.
    """

    def __init__(  # noqa: PLR0913 - what it is given, each with a default
        self,
        store: Store,
        senders: Mapping[str, Sender],
        *,
        consumer: str = "notifier",
        policy: DeliveryPolicy = _POLICY,
        on_outcome: OnOutcome = lambda _receiver, _outcome: None,
        on_failing: OnFailing = lambda _receiver, _reason: None,
        now: Callable[[], int] = clock.wall_ns,
        allowed: Callable[[], bool] = lambda: True,
        linked: Callable[[Notification], Notification] = lambda notification: notification,
    ) -> None:
        self._store = store
        self._linked = linked
        self._consumer = consumer
        self._on_outcome = on_outcome
        self._now = now
        self._grace = policy.grace
        self._lanes = {
            receiver: Lane(
                receiver,
                sender,
                policy,
                watch=Watch(self._attempted, self._ended, on_failing),
                chance=random.Random(),
                allowed=allowed,
            )
            for receiver, sender in senders.items()
        }
        self.depth: tuple[int, int] | None = None
        """Messages in the outbox, and among the dead, of a moment ago; None before the store has said."""
        self._mine: set[str] = set()
        """Ids of entries being delivered or waiting to be settled: a second copy of one is passed over."""
        self._flying: set[str] = set()
        """Idempotency keys of messages in a lane."""
        self._ends: OrderedDict[str, bytes] = OrderedDict()
        """Outcomes by idempotency key: no message is sent twice by this process, whatever the store remembers."""
        self._unsettled: deque[tuple[OutboxEntry, str, bytes, bool]] = deque()
        self._to_settle = asyncio.Event()
        self._sweep = asyncio.Event()
        """Entries handed out before are to be read again: at the start, after an error, when parked ones find room."""
        self._sweep.set()

    async def run(self) -> None:
        """Deliver until cancelled; survives the store being away. Raises LeaseLost when another daemon took over."""
        settling = asyncio.create_task(self._settle(), name="notify settle")
        intake = asyncio.create_task(self._intake(), name="notify intake")
        looking = [
            asyncio.create_task(work, name="notify looks") for work in (self._look_for_strays(), self._look_at_depth())
        ]
        try:
            done, _ = await asyncio.wait((settling, intake), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            intake.cancel()
            for task in looking:
                task.cancel()
            await asyncio.gather(*(lane.close() for lane in self._lanes.values()))
            settling.cancel()
            await asyncio.gather(intake, *looking, settling, return_exceptions=True)
            await self._settle_rest()

    async def deliver_now(self, notifications: Sequence[Notification]) -> None:
        """Hand messages to their lanes without the outbox, for what must be told while the store is away.

        Each is sent once by this process, and tried as any other; it is lost in a crash.
        """
        for notification in notifications:
            lane = self._lanes.get(notification.receiver)
            if lane is None:
                _log.error("no such receiver", receiver=notification.receiver, key=notification.key)
            elif notification.key not in self._ends and notification.key not in self._flying:
                self._flying.add(notification.key)
                lane.add(Message(notification))

    def forget(self, keys: Iterable[str]) -> set[str]:
        """Let go of the outcomes of these idempotency keys, so that their messages can be delivered anew.

        Returns those of which it did: a message on its way, or whose end is still being noted, keeps its own.
        """
        busy = self._flying | {key for _, key, _, _ in self._unsettled}
        free = set(keys) - busy
        for key in free:
            self._ends.pop(key, None)
        return free

    async def try_out(self, receiver: str, by: str) -> Delivery:
        """Send a receiver a test message, now and once; what came of it. Raises KeyError where there is none."""
        return await self._lanes[receiver].sender.send(trial(receiver, by, self._now()))

    @property
    def targets(self) -> dict[str, str]:
        """Where each receiver's messages go, without secrets."""
        return {name: lane.sender.target for name, lane in self._lanes.items()}

    @property
    def held(self) -> int:
        """Messages in this process that are not done with."""
        return sum(lane.held for lane in self._lanes.values())

    def failing(self) -> dict[str, str]:
        """Receivers whose last attempts failed, with where they send to."""
        return {name: lane.sender.target for name, lane in self._lanes.items() if lane.failing}

    # Reading the outbox

    async def _intake(self) -> None:
        """What an earlier process left comes first: it is older than anything new."""
        reading: set[asyncio.Task[list[OutboxEntry]]] = set()
        wait = _STORE_WAIT[0]
        try:
            while True:
                try:
                    if self._sweep.is_set():
                        self._sweep.clear()
                        await self._read_again()
                    reading = reading or {asyncio.create_task(self._read())}
                    await self._accept_when_read(reading)
                    wait = _STORE_WAIT[0]
                except LeaseLost:
                    raise
                except StoreError as error:
                    # An answer lost on the way leaves entries that are ours and that we know nothing of.
                    self._sweep.set()
                    _log.warning("outbox cannot be read", reason=str(error), retry_s=wait)
                    await asyncio.sleep(wait)
                    wait = min(_STORE_WAIT[1], wait * 2)
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    async def _look_for_strays(self) -> None:
        """Read again what was handed out: a read that a former leader left waiting may still take new entries."""
        for pause in itertools.chain(_AFTER_START, itertools.repeat(_SELDOM)):
            await asyncio.sleep(pause)
            self._sweep.set()

    async def _look_at_depth(self) -> None:
        """Keep count of what waits and what was given up."""
        while True:
            try:
                self.depth = await self._store.outbox_depth()
            except StoreError as error:  # whoever needs the store more says so
                _log.debug("the outbox cannot be counted", reason=str(error))
            await asyncio.sleep(_DEPTH_EVERY)

    async def _read(self) -> list[OutboxEntry]:
        return await self._store.take_outbox(self._consumer, _PAGE, _BLOCK_MS)

    async def _accept_when_read(self, reading: set[asyncio.Task[list[OutboxEntry]]]) -> None:
        """Wait for new entries, or for room for those that found none; the read goes on meanwhile."""
        room = asyncio.create_task(self._sweep.wait())
        try:
            done, _ = await asyncio.wait({room, *reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            room.cancel()
        for task in reading & done:
            reading.discard(task)
            await self._accept(task.result())

    async def _read_again(self) -> None:
        """Go through all that was handed out and not settled: entries of a crash, and those that found no room."""
        count = _PAGE
        while len(page := await self._store.pending_outbox(self._consumer, count, 0)) == count:
            count *= 4  # the contract has no cursor
        await self._accept(page)
        there = {entry.id for entry in page}
        for lane in self._lanes.values():
            lane.parked = OrderedDict.fromkeys(stream_id for stream_id in lane.parked if stream_id in there)

    async def _accept(self, entries: Sequence[OutboxEntry]) -> None:
        """Hand each entry to its receiver's lane, in order, except what is delivered already."""
        fresh = [entry for entry in entries if entry.id not in self._mine]
        if fresh:
            fault("outbox.read")
        known = await self._outcomes(
            [entry.fields["key"].decode(errors="replace") for entry in fresh if "key" in entry.fields]
        )
        for entry in fresh:
            try:
                notification = self._linked(Notification.decode(entry.fields))
            except (KeyError, msgspec.MsgspecError, UnicodeDecodeError) as error:
                key = entry.fields.get("key", b"").decode(errors="replace") or f"undecodable:{entry.id}"
                self._bury(entry, key, "", f"not a notification: {type(error).__name__}: {error}")
                continue
            if notification.key in known:
                self._on_outcome(notification.receiver, "skipped")
                self._mine.add(entry.id)
                # Its letter may be gone with a server's data; one that is there twice is sent again once.
                end = known[notification.key]
                self._to_be_settled(entry, notification.key, end, dead=_is_dead(end))
            elif notification.key not in self._flying:  # a second copy is looked at again when the first has an outcome
                self._place(entry, notification)

    async def _outcomes(self, keys: Sequence[str]) -> dict[str, bytes]:
        if not keys:
            return {}
        return {**await self._store.notified(keys), **{key: self._ends[key] for key in keys if key in self._ends}}

    def _place(self, entry: OutboxEntry, notification: Notification) -> None:
        lane = self._lanes.get(notification.receiver)
        if lane is None:
            known = ", ".join(sorted(self._lanes)) or "none"
            self._bury(
                entry,
                notification.key,
                notification.receiver,
                f"no receiver of this name is configured; there are: {known}",
            )
            return
        turn = next(iter(lane.parked), entry.id)
        if lane.full or turn != entry.id:
            lane.parked[entry.id] = None
            return
        lane.parked.pop(entry.id, None)
        self._mine.add(entry.id)
        self._flying.add(notification.key)
        lane.add(Message(notification, entry))

    # What became of them

    def _attempted(self, receiver: str, verdict: Verdict) -> None:
        self._on_outcome(receiver, _OUTCOMES.get(verdict, "failed"))

    def _ended(self, message: Message, outcome: Outcome) -> None:
        notification = message.notification
        lane = self._lanes[notification.receiver]
        if lane.parked and lane.roomy:
            self._sweep.set()
        if outcome.delivered:
            _log.info("notification delivered", key=notification.key, to=outcome.detail, attempts=outcome.attempts)
        else:
            self._on_outcome(notification.receiver, "dead")
            _log.error("notification given up", key=notification.key, reason=outcome.detail, attempts=outcome.attempts)
        record = self._record("delivered" if outcome.delivered else _DEAD, outcome.attempts, outcome.detail)
        self._flying.discard(notification.key)
        self._remember(notification.key, record)
        if message.entry is not None:
            self._to_be_settled(message.entry, notification.key, record, dead=not outcome.delivered)

    def _bury(self, entry: OutboxEntry, key: str, receiver: str, reason: str) -> None:
        """What can never be delivered goes to the dead at once."""
        self._on_outcome(receiver, "dead")
        _log.error("notification given up", key=key, reason=reason, attempts=0)
        self._mine.add(entry.id)
        self._to_be_settled(entry, key, self._record(_DEAD, 0, reason), dead=True)

    def _record(self, outcome: str, attempts: int, detail: str) -> bytes:
        return msgspec.json.encode(
            {"outcome": outcome, "at": values.utc(self._now()), "attempts": attempts, "detail": detail}
        )

    def _remember(self, key: str, record: bytes) -> None:
        self._ends[key] = record
        while len(self._ends) > _REMEMBERED:
            self._ends.popitem(last=False)

    def _to_be_settled(self, entry: OutboxEntry, key: str, record: bytes, *, dead: bool) -> None:
        self._unsettled.append((entry, key, record, dead))
        self._to_settle.set()

    async def _settle(self) -> None:
        """Tell the store, in order, however long it is away."""
        wait = _STORE_WAIT[0]
        while True:
            if not self._unsettled:
                self._to_settle.clear()
                await self._to_settle.wait()
            try:
                await self._settle_next()
                wait = _STORE_WAIT[0]
            except StoreError as error:
                # A server that was emptied is given back what it lacks, with the lease, by who commits.
                if isinstance(error, LeaseLost) and not isinstance(error, StoreRewound):
                    raise
                _log.warning("outcome cannot be noted", waiting=len(self._unsettled), reason=str(error), retry_s=wait)
                await asyncio.sleep(wait)
                wait = min(_STORE_WAIT[1], wait * 2)

    async def _settle_next(self) -> None:
        entry, key, record, dead = self._unsettled[0]
        fault("settle.due")
        await self._store.settle_outbox(entry, key, record, dead=dead)
        fault("settle.written")
        if self._unsettled and self._unsettled[0][0] is entry:
            self._unsettled.popleft()
        self._mine.discard(entry.id)

    async def _settle_rest(self) -> None:
        """At the end, what can be told within the grace; the rest is delivered again by the next process."""
        try:
            async with asyncio.timeout(self._grace):
                while self._unsettled:
                    await self._settle_next()
        except (StoreError, TimeoutError) as error:
            _log.warning("outcomes not noted, messages may come twice", waiting=len(self._unsettled), reason=str(error))


def _is_dead(record: bytes) -> bool:
    """Whether a message's end was that it was given up."""
    try:
        return msgspec.json.decode(record, type=_End).outcome == _DEAD
    except msgspec.MsgspecError:
        return False
