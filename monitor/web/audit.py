"""The audit log: every change and every attempt at one, with who, when, what and how it ended.

A route says what it did with :func:`audit`; a change whose route says nothing is noted all the same, by its method and
path. An entry is a line in the log at once and an entry of the store's bounded stream ``audit`` as soon as the store
takes it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog
from starlette.requests import Request

from monitor import clock
from monitor.notify.values import utc
from monitor.store.base import Store, StoreError
from monitor.web.limits import network_of
from monitor.web.principals import NOBODY, Caller, Principal, caller

_LOG = structlog.get_logger(__name__)
_LONGEST: Final = 300
"""Characters kept of any text that came with a request."""
_WAITING: Final = 1_000
"""Entries kept while the store is away; the log has those that are lost."""
_OFTEN: Final = 60 * 1_000_000_000
"""Nanoseconds for which one entry stands for all alike, of what programs do all the time."""
_DOERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Note:
    """What a route says it did: `what` in few words, to `target`; one an interval stands for all where `often`."""

    what: str
    target: str = ""
    details: Mapping[str, str | float] = field(default_factory=dict)
    often: bool = False


def audit(request: Request, what: str, target: str = "", *, often: bool = False, **details: str | float) -> None:
    """Say what this request changes; how it ended is added once it is answered.

    Args:
        request: The request.
        what: In few words: ``silence added``, ``acknowledged``.
        target: What it was done to: an id, a name, a path.
        often: Programs do it all the time (data sent in): one entry a minute stands for all alike of one sender.
        details: Whatever else tells what was done. Never a secret.
    """
    caller(request).notes.append(Note(what, target, details, often))


class Audit:
    """Writes the audit log. Lives on the event loop."""

    def __init__(self, store: Store, now: Callable[[], int] = clock.wall_ns) -> None:
        self._store, self._now = store, now
        self._waiting: deque[dict[str, bytes]] = deque(maxlen=_WAITING)
        self._often: OrderedDict[tuple[str, ...], tuple[int, int]] = OrderedDict()

    def note(self, by: Caller, agent: str, status: int, default: str) -> None:
        """Log what a request's route has said, or `default` where it said nothing; the entries then wait to be kept."""
        who = by.who
        # Who has no token must not be able to push out of a bounded log what others did.
        for each in by.notes or [Note(default, often=who.name == NOBODY)]:
            if (times := self._times(who, each, status)) == 0:
                continue
            entry: dict[str, Any] = {
                "at": utc(self._now()),
                "who": who.name,
                "scope": who.scope.word,
                "address": who.address,
                "agent": _clipped(agent),
                "what": _clipped(each.what),
                "target": _clipped(each.target),
                "result": "done" if status < 400 else "refused" if status < 500 else "failed",  # noqa: PLR2004 - HTTP's
                "status": status,
                "details": {k: _clipped(v) if isinstance(v, str) else v for k, v in each.details.items()},
            }
            if times > 1:
                entry["times"] = times
            _LOG.info("audit", **entry)
            self._waiting.append({"entry": msgspec.json.encode(entry)})

    def _times(self, who: Principal, note: Note, status: int) -> int:
        """How many alike an entry stands for; 0 if the one before still does."""
        if not note.often:
            return 1
        about = () if who.name == NOBODY else (note.what, note.target)  # else a new path each time would be new
        key = (who.name, network_of(who.address), *about, str(status))
        since, times = self._often.pop(key, (0, 0))
        due = self._now() - since >= _OFTEN
        self._often[key] = (self._now(), 0) if due else (since, times + 1)
        if len(self._often) > _DOERS:
            self._often.popitem(last=False)
        return times + 1 if due else 0

    async def keep(self) -> None:
        """Give the store what waits. What it cannot take now waits for the next time."""
        while self._waiting:
            entries = list(self._waiting)
            self._waiting.clear()
            try:
                await self._store.add_audit(entries)
            except StoreError as error:
                self._waiting.extendleft(reversed(entries[: _WAITING - len(self._waiting)]))
                _LOG.warning("audit entries wait for the store", entries=len(self._waiting), error=str(error))
                return

    async def newest(self, limit: int) -> list[dict[str, Any]]:
        """The newest entries, newest first."""
        await self.keep()
        return [msgspec.json.decode(fields["entry"]) for _, fields in await self._store.audit(limit)]


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
