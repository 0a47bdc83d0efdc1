"""The daily heartbeat: says that the monitor is there, so that silence is known to be silence.

It follows the machine's clock, as people do. Its date is noted in the step that puts it into the outbox, so that it is
told exactly once, whatever is restarted or takes over; one that nobody was there to send is told late.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast
from zoneinfo import ZoneInfo

import msgspec
import structlog

from monitor import clock, queries
from monitor.alerting.dispatcher import Dispatcher
from monitor.calendar import TradingCalendar
from monitor.compute import ComputeThread
from monitor.notify.message import Kind, Notification
from monitor.notify.templates import clipped
from monitor.settings.heartbeat import HeartbeatSettings
from monitor.store.base import TRANSITIONS, JournalId, Store, StoreError
from monitor.web.answers import AlertRule
from rules.transition import State

_LOG = structlog.get_logger(__name__)
_SECOND: Final = 1_000_000_000
_DAY: Final = 24 * 3_600 * _SECOND
_EVERY: Final = 1.0
"""Seconds after which the clock is looked at again."""
_LOOKED_BACK: Final = 15
"""Days without a session are fewer than these, everywhere."""
_PAGE: Final = 1_000
_NAMED: Final = 20
"""Rules and feeds that are named; the others are counted."""


class Daemon(Protocol):
    """What the heartbeat tells of."""

    compute: ComputeThread
    store: Store
    dispatcher: Dispatcher

    def feeds(self) -> list[dict[str, Any]]:
        """Every feed: `name` and `status`, among others."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told. `unknown`: rules with an instance whose condition is unknown. `fired`: episodes in 24 hours."""

    rules: int
    suspended: Sequence[str]
    unknown: Sequence[str]
    feeds: int
    down: Sequence[str]
    fired: int
    dead: int


class Heartbeat:
    """See the module. `zone` is that of the time of day; `wall` the machine's clock, UTC ns."""

    def __init__(
        self,
        config: HeartbeatSettings,
        daemon: Daemon,
        calendar: TradingCalendar,
        zone: ZoneInfo,
        wall: Callable[[], int] = clock.wall_ns,
    ) -> None:
        self._config, self._daemon, self._calendar, self._zone, self._wall = config, daemon, calendar, zone, wall

    async def run(self) -> None:
        """Tell every heartbeat when it is due, for ever."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                _LOG.warning("the heartbeat waits for the store", error=str(error))
            await asyncio.sleep(_EVERY)

    async def look(self) -> None:
        """Tell the newest heartbeat that is due, unless it was told. Raises StoreError where it cannot be made."""
        now, dispatcher = self._wall(), self._daemon.dispatcher
        day, last = str(self._last_due(now)), dispatcher.book.ledger.heartbeat
        if day <= last:
            if last > str(self._date(now + _DAY)):  # told by a clock that was days ahead: those days are told yet
                dispatcher.say([], day)
            return
        # Before the first there is nothing to catch up with: who starts a monitor at noon is not told of 08:30.
        notes = [self._message(receiver, day, now, await figures(self._daemon, now)) for receiver in self._config.to]
        dispatcher.say(notes if last else [], day)

    def _last_due(self, now: int) -> dt.date:
        """The date of the newest heartbeat that is not in the future."""
        today, time = self._date(now), dt.time.fromisoformat(self._config.at)
        days = [today - dt.timedelta(days=n) for n in range(_LOOKED_BACK)]
        past = [d for d in days if dt.datetime.combine(d, time, self._zone).timestamp() * _SECOND <= now]
        return next((d for d in past if self._config.days == "all" or self._is_session(d)), past[-1])

    def _date(self, ns: int) -> dt.date:
        return dt.datetime.fromtimestamp(ns / _SECOND, self._zone).date()

    def _is_session(self, day: dt.date) -> bool:
        return self._calendar.date(self._calendar.ordinal_on_or_before(day)) == day

    def _message(self, receiver: str, day: str, now: int, seen: Figures) -> Notification:
        lists = {"feeds_down": seen.down, "rules_unknown": seen.unknown, "rules_suspended": seen.suspended}
        return Notification(
            episode=f"heartbeat@{day}",
            kind=Kind.NOTE,
            sequence=1,
            receiver=receiver,
            alert="heartbeat",
            member="",
            severity="info",
            at=now,
            started_at=now,
            reason="daily",
            value=None,
            value_type="",
            summary=said(seen),
            annotations={name: _named(names) for name, names in lists.items() if names},
        )


def said(seen: Figures) -> str:
    """The figures in one line."""
    parts = [
        f"{seen.rules - len(seen.suspended)} of {seen.rules} rules evaluated",
        f"{seen.feeds - len(seen.down)} of {seen.feeds} feeds up",
        f"{seen.fired} alerts fired in 24 h",
        f"{len(seen.unknown)} rules unknown",
        f"{seen.dead} dead letters",
    ]
    return f"the monitor is there: {', '.join(parts)}"


async def figures(daemon: Daemon, now: int) -> Figures:
    """What there is to tell at a time, UTC ns. Raises StoreError."""
    listed = await daemon.compute.run(queries.rules)
    rules = [cast("AlertRule", each) for each in listed if "alert" in each]
    feeds = daemon.feeds()
    return Figures(
        rules=len(rules),
        suspended=[each["alert"] for each in rules if each["suspended"]],
        unknown=[each["alert"] for each in rules if each["verdicts"].get("unknown")],
        feeds=len(feeds),
        down=[each["name"] for each in feeds if each["status"] != "live"],
        fired=await _fired(daemon.store, now - _DAY),
        dead=(await daemon.store.outbox_depth())[1],
    )


async def _fired(store: Store, since: int) -> int:
    """Episodes that began to fire after a time, by the machine's clock."""
    episodes: set[str] = set()
    before = ""
    while page := await store.page(TRANSITIONS, before, _PAGE):
        for stream_id, fields in page:
            if JournalId.parse(stream_id).ms * 1_000_000 < since:
                return len(episodes)
            transition = msgspec.json.decode(fields["transition"])
            if transition["to"] == State.FIRING and transition["from"] != State.RECOVERING:
                episodes.add(transition["episode"])
        before = page[-1][0]
    return len(episodes)


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return clipped(", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else ""), 2_000)
