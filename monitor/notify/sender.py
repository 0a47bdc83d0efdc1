"""The seam between the outbox and whatever carries a message."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from monitor.notify.message import Notification

_REMEMBERED: Final = 10_000
LONGEST_WAIT: Final = 3_600.0
"""Seconds for which a service may ask to be left alone; one that names more is asked after these."""


class Verdict(StrEnum):
    """What came of an attempt."""

    DELIVERED = "delivered"
    TRANSIENT = "transient"
    """Trying again may help: no answer, busy, over a limit."""
    FATAL = "fatal"
    """The service refused the address or the credentials; trying again is unlikely to help."""
    REJECTED = "rejected"
    """The service says that the message itself is wrong: the same again never helps."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An attempt's outcome; `detail` is what the service said, without secrets.

    `retry_after`: seconds for which the service asked to be left alone, where it did.
    """

    verdict: Verdict
    detail: str = ""
    retry_after: float | None = None

    @property
    def delivered(self) -> bool:
        """Whether the message arrived."""
        return self.verdict is Verdict.DELIVERED


def failure(outcomes: Sequence[Delivery], detail: str) -> Delivery:
    """What several failures are together: for good only if each is, and over when the first service may be asked."""
    verdicts = {outcome.verdict for outcome in outcomes}
    if Verdict.TRANSIENT in verdicts:
        waits = [outcome.retry_after for outcome in outcomes if outcome.verdict is Verdict.TRANSIENT]
        asked = [wait for wait in waits if wait is not None]
        return Delivery(Verdict.TRANSIENT, detail, min(asked) if len(asked) == len(waits) else None)
    return Delivery(Verdict.FATAL if Verdict.FATAL in verdicts else Verdict.REJECTED, detail)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is sent along with a message: a PNG, its file's name, and what it shows in words."""

    png: bytes
    name: str
    words: str


class Pictures(Protocol):
    """Where the pictures of messages come from."""

    async def of(self, notification: Notification) -> Picture | None:
        """The picture of a message, in time for it; None where there is none. Never raises."""

    def refused(self, notification: Notification, reason: str) -> None:
        """A service has the message, and did not take its picture."""


class Sender(Protocol):
    """Carries messages to one receiver."""

    @property
    def target(self) -> str:
        """Where messages go, without secrets: for logs and the page."""

    async def send(self, notification: Notification) -> Delivery:
        """Try once, within the sender's deadline. Never raises for what the service does."""

    async def close(self) -> None:
        """Let go of threads and connections; does not wait for attempts under way."""


class Considerate:
    """One target that is left alone for as long as it asks for (``Retry-After``), by all messages."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._not_before = 0.0
        """By the event loop's clock, seconds."""

    @property
    def target(self) -> str:
        """The target's."""
        return self._sender.target

    async def send(self, notification: Notification) -> Delivery:
        """Send, unless it is too early: then that is a failure that says how long to wait."""
        loop = asyncio.get_running_loop()
        rest = self._not_before - loop.time()
        if rest > 0:
            return Delivery(Verdict.TRANSIENT, f"{self.target}: asked to be left alone for {rest:.1f} s more", rest)
        outcome = await self._sender.send(notification)
        if outcome.retry_after is None:
            return outcome
        wait = min(outcome.retry_after, LONGEST_WAIT)
        self._not_before = max(self._not_before, loop.time() + wait)
        return Delivery(outcome.verdict, outcome.detail, wait)

    async def close(self) -> None:
        """Close the target."""
        await self._sender.close()


class FanOut:
    """One receiver with several targets: delivered when every target has it.

    A target that already has a message is not sent it again when another target's failure makes the outbox retry.
    """

    def __init__(self, senders: Sequence[Sender]) -> None:
        self._senders = tuple(senders)
        self._have: OrderedDict[str, set[int]] = OrderedDict()

    @property
    def target(self) -> str:
        """All targets."""
        return ", ".join(sender.target for sender in self._senders)

    async def send(self, notification: Notification) -> Delivery:
        """Send to every target that does not have the message yet. Fatal only if every failure is."""
        have = self._have.setdefault(notification.key, set())
        self._have.move_to_end(notification.key)
        while len(self._have) > _REMEMBERED:
            self._have.popitem(last=False)
        missing = [index for index in range(len(self._senders)) if index not in have]
        outcomes = await asyncio.gather(*(self._senders[index].send(notification) for index in missing))
        failed = [outcome for outcome in outcomes if not outcome.delivered]
        have.update(index for index, outcome in zip(missing, outcomes, strict=True) if outcome.delivered)
        detail = "; ".join(dict.fromkeys(outcome.detail for outcome in failed or outcomes if outcome.detail))
        if not failed:
            del self._have[notification.key]
            return Delivery(Verdict.DELIVERED, detail)
        return failure(failed, detail)

    async def close(self) -> None:
        """Close every target."""
        for sender in self._senders:
            await sender.close()
