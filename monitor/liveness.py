"""Whether market data should be coming: silence during a session is a fault, silence at night is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from connectors.supervisor import DEFAULT as SILENCE
from monitor.cadence import ENOUGH, MERGED_NS, Cadence
from monitor.calendar import TradingCalendar
from rules.ruleset import Hours

_SECOND: Final = 1_000_000_000
_PLACE: Final = np.array([0])
_FALSE_ALARM: Final = 0.01
"""In a session: it costs a connection, not a night's sleep, and a dead line is found the sooner."""
_MEMORY: Final = 0.9
_PATIENCE: Final = 600 * _SECOND


class WallLiveness:
    """Data are expected while the market is open by the machine's clock."""

    def __init__(self, calendar: TradingCalendar, now: Callable[[], int]) -> None:
        self._calendar, self._now = calendar, now

    def saw(self, event_time: int) -> None:
        """Event time is not needed: it follows the clock."""

    def expects_data(self) -> bool:
        """Whether silence is a fault now."""
        return self._calendar.is_open(self._now(), Hours.REGULAR)

    def of_feed(self) -> FeedLiveness:
        """For one feed, which has a cadence of its own."""
        return LearntLiveness(self._calendar, self._now)


class LearntLiveness:
    """One feed's data are expected while the market is open, and not before its own cadence says so.

    A feed of a few thin instruments may rightly be silent for minutes: it would else be connected anew twice a minute.
    Until enough gaps are known, and after each restart, it is judged as any other.
    """

    def __init__(self, calendar: TradingCalendar, now: Callable[[], int]) -> None:
        self._calendar, self._now = calendar, now
        self._cadence = Cadence(calendar.session_ns, _FALSE_ALARM)
        self._cadence.cover(1)
        self._heard_at = 0

    def came(self) -> None:
        """Data came."""
        now = self._now()
        if now - self._heard_at >= MERGED_NS:  # most batches follow within milliseconds, and pay nothing
            self._heard_at = now
            self._cadence.hear(_PLACE, self._calendar.trading_clock(np.array([now])))

    def expects_data(self) -> bool:
        """Whether silence of :data:`connectors.supervisor.DEFAULT`'s length, from now on, is a fault."""
        now = self._now()
        if not self._calendar.is_open(now, Hours.REGULAR):
            return False
        if self._cadence.known[0] < ENOUGH:
            return True
        patience = float(self._cadence.patience(0)[0]) - SILENCE.silence * _SECOND
        return self._calendar.trading_time(self._heard_at, now, Hours.REGULAR) >= patience


class EventLiveness:
    """Data are expected while the market is open by the time that the data themselves would have reached.

    A replay runs at a speed that is learnt from what it has played: trading time by the seconds it took. Silence that
    would by now have lasted ten minutes of trading time (or, in a slow replay, half a minute of the machine's) is a
    fault.
    """

    def __init__(self, calendar: TradingCalendar, monotonic: Callable[[], float]) -> None:
        self._calendar, self._monotonic = calendar, monotonic
        self._event_time, self._at = 0, 0.0
        self._played, self._took = 0.0, 0.0

    def saw(self, event_time: int) -> None:
        """Data have brought event time to `event_time`, UTC ns."""
        at = self._monotonic()
        if self._event_time and event_time > self._event_time:
            passed = self._calendar.trading_time(self._event_time, event_time, Hours.REGULAR)
            self._played = _MEMORY * self._played + passed
            self._took = _MEMORY * self._took + at - self._at
        if event_time > self._event_time:
            self._event_time, self._at = event_time, at

    def of_feed(self) -> FeedLiveness:
        """For one feed: a replay has one cadence."""
        return self

    def came(self) -> None:
        """Data came: told by their time."""

    def expects_data(self) -> bool:
        """Whether silence is a fault now."""
        if not self._event_time or not self._took:
            return True
        speed = self._played / self._took
        reached = self._event_time + int(speed * (self._monotonic() - self._at))
        last = self._calendar.closes[-1]
        missed = self._calendar.trading_time(self._event_time, min(reached, int(last)), Hours.REGULAR)
        return missed >= min(_PATIENCE, 30 * speed)


Liveness = WallLiveness | EventLiveness
FeedLiveness = LearntLiveness | EventLiveness
