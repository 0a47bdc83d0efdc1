"""How far back expressions look: what a view must be able to tell for them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final
from typing import Literal as Choice

from rules.ast import Clock, Sessions, Since, Window, Word

Resolution = Choice["session", "minute"]

MINUTE: Final = 60_000_000_000
WORD_SESSIONS: Final = {Word.OPEN: 0, Word.WTD: 5, Word.MTD: 23, Word.QTD: 66, Word.YTD: 254}
"""How many sessions before the current one a word's window can start, at most."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Sessions before the current one, trading time in ns, the earliest date; the same for volumes.

    The fields are those of :class:`rules.view.Requirements`.
    """

    sessions: int = 0
    clock_ns: int = 0
    shortest_clock_ns: int = 0
    since: dt.date | None = None
    volume_sessions: int = 0
    volume_clock_ns: int = 0
    profile_sessions: int = 0

    def join(self, other: Reach) -> Reach:
        """The further of both."""
        if other is self:  # so it is for most slots: those of a universe's members share theirs
            return self
        clocks = [c for c in (self.shortest_clock_ns, other.shortest_clock_ns) if c]
        dates = [d for d in (self.since, other.since) if d]
        return Reach(
            sessions=max(self.sessions, other.sessions),
            clock_ns=max(self.clock_ns, other.clock_ns),
            shortest_clock_ns=min(clocks, default=0),
            since=min(dates, default=None),
            volume_sessions=max(self.volume_sessions, other.volume_sessions),
            volume_clock_ns=max(self.volume_clock_ns, other.volume_clock_ns),
            profile_sessions=max(self.profile_sessions, other.profile_sessions),
        )

    def further(self, resolution: Resolution, samples: int, session_ns: int) -> Reach:
        """What a window of samples over something needs, given what the something needs."""
        minutes = resolution == "minute"
        span = samples * (MINUTE if minutes else session_ns)
        crossed = -(-span // session_ns)

        def longer(asked: int, by: int) -> int:
            return asked + by if asked else 0

        return replace(
            self,
            sessions=self.sessions + crossed,
            clock_ns=self.clock_ns + span if minutes else longer(self.clock_ns, span),
            volume_sessions=longer(self.volume_sessions, crossed),
            volume_clock_ns=longer(self.volume_clock_ns, span),
            profile_sessions=longer(self.profile_sessions, crossed),
        )


NOWHERE: Final = Reach()


def furthest(reaches: Iterable[Reach]) -> Reach:
    """The furthest of all."""
    whole = NOWHERE
    for reach in reaches:
        whole = whole.join(reach)
    return whole


@lru_cache(maxsize=1024)
def of_price(window: Window) -> Reach:
    """What the price that a window starts from needs."""
    match window:
        case Sessions(count=count):
            return Reach(sessions=count)
        case Clock(ns=ns):
            return Reach(sessions=1, clock_ns=ns, shortest_clock_ns=ns)
        case Word():
            return Reach(sessions=WORD_SESSIONS[window])
        case Since(date=date):
            return Reach(since=date)


@lru_cache(maxsize=1024)
def of_volume(window: Window) -> Reach:
    """What the volume since a window's start needs."""
    match window:
        case Sessions(count=count):
            return Reach(sessions=count, volume_sessions=count)
        case Clock(ns=ns):
            return Reach(sessions=1, volume_sessions=1, volume_clock_ns=ns)
        case Word():
            return Reach(sessions=WORD_SESSIONS[window], volume_sessions=WORD_SESSIONS[window] + 1)
        case Since(date=date):
            return Reach(since=date, volume_sessions=1)


@lru_cache(maxsize=1024)
def of_profile(sessions: int) -> Reach:
    """What volume compared by the time of day needs: at a close it is compared by whole sessions."""
    return Reach(sessions=sessions, volume_sessions=sessions + 1, profile_sessions=sessions)
