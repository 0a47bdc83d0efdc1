"""An axis of many sessions whose last one, that of an alert, is as wide as the story it tells."""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.charts.times import Sessions, Tick, TimeAxis, Times
from monitor.charts.values import Floats

_SHARE: Final = 0.4
"""Of the axis, what the last session's hours get."""
_MOST: Final = 30.0
"""Times that a session is stretched, at the most: its first minutes are not to fill the picture."""
_NEVER: Final = 1e9
_JOINED: Final = 6.5
"""Sessions over which closes are joined, as on any axis of closes."""


class StretchedAxis(TimeAxis):
    """Closes of sessions, then the hours of the last one, stretched.

    `times`: (n,) UTC nanoseconds, ascending, the last in the session that is stretched.
    """

    def __init__(self, times: Times, sessions: Sessions) -> None:
        self._from, self._factor = _NEVER, 1.0
        super().__init__(times, sessions)
        last = int(self._ordinals(times[-1:])[0])
        before, within = last - self.low, self.high - last
        if before > 1 and within > 0:
            self._factor = min(max(_SHARE / (1 - _SHARE) * before / within, 1.0), _MOST)
            self._from = float(last)
            self.positions = self.position(times)
            self.high = float(self.positions[-1])
        self.longest_step = max(_JOINED, 0.5 * (self.high - last))

    def position(self, times: Times) -> Floats:
        """The position of any moments, (n,): sessions up to the last one, then parts of it, stretched."""
        plain = super().position(times)
        return np.where(plain > self._from, self._from + (plain - self._from) * self._factor, plain)

    def ticks(self, width: float) -> list[Tick]:
        """Dates of the sessions before, hours of the last."""
        if self._from == _NEVER:
            return super().ticks(width)
        scale, last = width / (self.high - self.low), int(self._from)
        first = int(self._ordinals(self.times[:1])[0])
        dates = [t for t in self._dates(first, last - 1, scale) if t.position < last - 30 / scale]
        hours = [t for t in self._hours(last, last, scale * self._factor) if t.position > last + 20 / scale]
        day = self._date(int(self.times[-1]))
        opened = Tick(self._from, f"{day.day} {day:%b}", "" if dates and dates[-1].context else str(day.year))
        return [*dates, opened, *(Tick(t.position, t.text) for t in hours)]
