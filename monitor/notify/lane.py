"""One receiver's messages on their way: episodes beside each other, the messages of an episode one after the other."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from monitor.fault_points import fault
from monitor.notify.message import Notification
from monitor.notify.sender import Delivery, Sender, Verdict
from monitor.store.base import OutboxEntry

_FAILING_AFTER: Final = 3
"""Attempts in a row that must fail before a receiver counts as failing."""

_ASK_AGAIN: Final = 0.1
"""Seconds between looks at whether this process may send."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How messages are sent and how long they are tried. Times are seconds.

    The wait after the n-th failure is ``base * 2**(n-1)``, at most `cap`, of which a random part between a half and the
    whole is taken; where the service asked for a longer one (``Retry-After``), that is waited, though no longer than
    until the message's last attempt. A message is given up after `max_attempts`, when it was tried for `max_age`, after
    `refusals` refusals running (a service that is being set up again also says 403 or 404 for a moment), or at once
    where the service says that the message is wrong.

    `parallel`: messages of one receiver that are being sent at a time. `room`: messages held for one receiver; further
    ones stay in the outbox until there is room. `grace`: what attempts under way get when the daemon stops.
    """

    base: float = 1.0
    cap: float = 300.0
    max_attempts: int = 100
    max_age: float = 6 * 3600.0
    refusals: int = 3
    parallel: int = 4
    room: int = 1_000
    grace: float = 5.0

    def wait(self, attempts: int, chance: random.Random) -> float:
        """Seconds until the next attempt, after `attempts` that failed."""
        return min(self.cap, self.base * 2.0 ** min(attempts - 1, 60)) * chance.uniform(0.5, 1.0)

    def end(self, attempts: int, age: float, refused: int) -> str | None:
        """Why a message is given up now; None while it is worth trying."""
        if refused >= self.refusals:
            return f"refused {refused} times"
        if attempts >= self.max_attempts:
            return f"failed {attempts} times"
        if age >= self.max_age:
            return f"failed for {age / 3600:.1f} hours"
        return None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message for good; `detail` is what the service said last."""

    delivered: bool
    attempts: int
    detail: str


@dataclass(frozen=True, slots=True)
class Message:
    """A notification, and the outbox entry it is settled by; None for one that did not come through the store."""

    notification: Notification
    entry: OutboxEntry | None = None


OnFailing = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told what happens: `attempt` each attempt's receiver and verdict, `end` each message that is done with.

    `failing`: attempts have begun to fail (receiver, what the service said), or one worked again (receiver, None).
    """

    attempt: Callable[[str, Verdict], None]
    end: Callable[[Message, Outcome], None]
    failing: OnFailing


class Lane:
    """See the module, and :class:`DeliveryPolicy` for its limits."""

    def __init__(
        self,
        receiver: str,
        sender: Sender,
        policy: DeliveryPolicy,
        *,
        watch: Watch,
        chance: random.Random,
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        """`allowed`: whether what came through the store may be sent now, or waits."""
        self.receiver = receiver
        self.sender = sender
        self.parked: OrderedDict[str, None] = OrderedDict()
        """Ids of entries that found no room, oldest first; they are read again from the outbox."""
        self._policy = policy
        self._watch = watch
        self._chance = chance
        self._allowed = allowed
        self._room = policy.room
        self._slots = asyncio.Semaphore(policy.parallel)
        self._episodes: dict[str, deque[Message]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._nudge = asyncio.Event()
        self._failures = 0
        self._closing = asyncio.Event()
        self.held = 0

    @property
    def full(self) -> bool:
        """Whether the next message has to stay in the outbox."""
        return self.held >= self._room

    @property
    def roomy(self) -> bool:
        """Whether it is worth reading parked entries again."""
        return self.held <= self._room // 2

    @property
    def failing(self) -> bool:
        """Whether the last attempts failed."""
        return self._failures >= _FAILING_AFTER

    def add(self, message: Message) -> None:
        """Send the message when those of its episode before it are done with."""
        self.held += 1
        episode = message.notification.line
        waiting = self._episodes.get(episode)
        if waiting is not None:
            waiting.append(message)
            return
        self._episodes[episode] = deque([message])
        task = asyncio.create_task(self._deliver_episode(episode), name=f"notify {self.receiver} {episode}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Begin no attempt any more, give those under way their grace, and let go of the sender."""
        self._closing.set()
        self._retry_now()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=self._policy.grace)
        late = tuple(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self.sender.close()

    async def _deliver_episode(self, episode: str) -> None:
        waiting = self._episodes[episode]
        while waiting:
            outcome = await self._deliver(waiting[0])
            if outcome is None:
                return
            message = waiting.popleft()
            self.held -= 1
            self._watch.end(message, outcome)
        del self._episodes[episode]

    async def _deliver(self, message: Message) -> Outcome | None:
        """Try until it is delivered or given up; None when the lane closes first."""
        notification = message.notification
        loop = asyncio.get_running_loop()
        began, attempts, refused = loop.time(), 0, 0
        while not self._closing.is_set():
            nudge = self._nudge
            async with self._slots:
                while not (message.entry is None or self._allowed() or self._closing.is_set()):
                    await self._pause(self._nudge, _ASK_AGAIN)
                if self._closing.is_set():
                    break
                delivery = await self._attempt(notification)
            attempts += 1
            self._watch.attempt(self.receiver, delivery.verdict)
            self._note(delivery)
            if delivery.delivered:
                return Outcome(delivered=True, attempts=attempts, detail=delivery.detail)
            refused = refused + 1 if delivery.verdict is Verdict.FATAL else 0
            age = loop.time() - began
            rejected = delivery.verdict is Verdict.REJECTED
            end = "rejected" if rejected else self._policy.end(attempts, age, refused)
            if end is not None:
                return Outcome(delivered=False, attempts=attempts, detail=f"{end}; {delivery.detail}")
            wait = self._policy.wait(attempts, self._chance)
            asked = min(delivery.retry_after or 0.0, self._policy.max_age - age)
            wait = max(wait, asked)
            _log.warning(
                "notification not delivered",
                key=notification.key,
                attempt=attempts,
                reason=delivery.detail,
                retry_s=round(wait, 1),
            )
            # That the receiver is back for others cuts a back-off short, and not what the service itself asked for.
            await self._pause(self._closing if asked > 0 else nudge, wait)
        return None

    async def _attempt(self, notification: Notification) -> Delivery:
        fault("delivery.due")
        try:
            delivery = await self.sender.send(notification)
        except Exception as error:  # noqa: BLE001 - a sender must not raise; if one does, its message is tried again
            _log.exception("sender raised", receiver=self.receiver, key=notification.key)
            return Delivery(Verdict.TRANSIENT, f"{type(error).__name__}: {error}")
        fault("delivery.answered")
        return delivery

    def _note(self, delivery: Delivery) -> None:
        """Count failures; when the receiver is back, whoever waits tries at once, its back-off cut short."""
        if not delivery.delivered:
            self._failures += 1
            if self._failures == _FAILING_AFTER:
                self._watch.failing(self.receiver, delivery.detail)
            return
        failed, self._failures = self._failures, 0
        if failed:
            self._retry_now()
        if failed >= _FAILING_AFTER:
            self._watch.failing(self.receiver, None)

    def _retry_now(self) -> None:
        nudge, self._nudge = self._nudge, asyncio.Event()
        nudge.set()

    async def _pause(self, nudge: asyncio.Event, seconds: float) -> None:
        if self._closing.is_set():
            return
        try:
            async with asyncio.timeout(seconds):
                await nudge.wait()
        except TimeoutError:
            return
