"""Notifications that were given up: what they were and why, and their way back into the outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from monitor.notify import values
from monitor.notify.message import Notification
from monitor.store.base import DeadLetter, JournalId, Store

_PAGE: Final = 200
"""Letters read at a time: with its evidence one may have tens of kilobytes."""
_STEP: Final = 100
"""Letters that go back in one step of the store, during which it does nothing else."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter in words. Of one that is no notification, all but `id`, `key`, `given_up_at` and `error` is empty.

    `at` and `given_up_at` are RFC 3339: by the daemon's clock, and by the machine's.
    """

    id: str
    key: str
    receiver: str
    alert: str
    member: str
    episode: str
    kind: str
    severity: str
    summary: str
    at: str | None
    given_up_at: str
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class Requeued:
    """Ids of letters that went back, and of those asked for that did not: there is no such letter (any more)."""

    requeued: list[str]
    left: list[str]


class _Outcome(msgspec.Struct):
    at: str = ""
    attempts: int = 0
    detail: str = ""


class DeadLetters:
    """The dead letters of a store.

    `forget` is the notifier's: it lets go of the outcomes it remembers of these idempotency keys, and says of which it
    did; a message whose end is still being noted keeps its own.
    """

    def __init__(self, store: Store, forget: Callable[[Iterable[str]], set[str]]) -> None:
        self._store, self._forget = store, forget

    async def newest(self, limit: int, before: str = "", receiver: str = "") -> list[Letter]:
        """Letters given up before an id ('': the newest), newest first; of one receiver only where given."""
        found: list[Letter] = []
        async for letter in self._letters(before, receiver):
            found.append(read(letter))
            if len(found) == limit:
                break
        return found

    async def requeue(self, ids: Sequence[str]) -> Requeued:
        """Put these back. Raises LeaseLost where another daemon leads."""
        there = []
        for each in dict.fromkeys(ids):
            place = JournalId.parse(each)
            newest = await self._store.dead_letters(1, str(JournalId(place.ms, place.sequence + 1)))
            there += [(letter.id, _key(letter)) for letter in newest if letter.id == each]
        return await self._put_back(there, list(dict.fromkeys(ids)))

    async def requeue_all(self, receiver: str = "") -> Requeued:
        """Put all that there are now back, oldest first; of one receiver only where given."""
        there = [(letter.id, _key(letter)) async for letter in self._letters("", receiver)][::-1]
        return await self._put_back(there, [stream_id for stream_id, _ in there])

    async def _put_back(self, there: Sequence[tuple[str, str]], asked: Sequence[str]) -> Requeued:
        back: list[str] = []
        for start in range(0, len(there), _STEP):
            step = there[start : start + _STEP]
            free = self._forget(key for _, key in step)
            back += await self._store.requeue([stream_id for stream_id, key in step if key in free])
        done = set(back)
        return Requeued(back, [each for each in asked if each not in done])

    async def _letters(self, before: str, receiver: str) -> AsyncIterator[DeadLetter]:
        wanted = receiver.encode()
        while True:
            page = await self._store.dead_letters(_PAGE, before)
            for letter in page:
                if not wanted or letter.fields.get("receiver") == wanted:
                    yield letter
            if len(page) < _PAGE:
                return
            before = page[-1].id


def read(letter: DeadLetter) -> Letter:
    """A dead letter in words."""
    try:
        outcome = msgspec.json.decode(letter.outcome, type=_Outcome)
    except msgspec.MsgspecError:
        outcome = _Outcome(detail=letter.outcome.decode(errors="replace"))
    told = _notification(letter)
    return Letter(
        id=letter.id,
        key=_key(letter),
        receiver=told.receiver if told else letter.fields.get("receiver", b"").decode(errors="replace"),
        alert=told.alert if told else "",
        member=told.member if told else "",
        episode=told.episode if told else "",
        kind=str(told.kind) if told else "",
        severity=told.severity if told else "",
        summary=told.summary if told else "",
        at=values.utc(told.at) if told else None,
        given_up_at=outcome.at or values.utc(JournalId.parse(letter.id).ms * 1_000_000),
        attempts=outcome.attempts,
        error=outcome.detail,
    )


def _notification(letter: DeadLetter) -> Notification | None:
    """None where it is none, which is why it was given up."""
    try:
        return Notification.decode(letter.fields)
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _key(letter: DeadLetter) -> str:
    return letter.fields.get("key", b"").decode(errors="replace")
