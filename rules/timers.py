"""Timers of many alert instances in columns, counting trading time.

A timer remembers what it had accumulated when it last stopped and, while it runs, the market clock at its start. The
*market clock* is trading time in ns since the engine started, so reading a thousand timers is one subtraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Timers:
    """`accumulated`, `start` (market clock, ns) and `since` (event time, UTC ns; 0.

    Stopped), one of each an instance.
    """

    accumulated: Ints
    start: Ints
    since: Ints

    @staticmethod
    def stopped(count: int) -> Timers:
        """Timers at zero."""
        return Timers(np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64))

    @property
    def running(self) -> Bools:
        """Which do not stand still."""
        running: Bools = self.since != 0
        return running

    def elapsed(self, clock: Ints) -> Ints:
        """Trading time on every timer, at the market clock of every timer's hours."""
        return self.accumulated + np.where(self.running, clock - self.start, 0)

    def elapsed_of(self, i: int, clock: Ints) -> int:
        """Trading time on one timer."""
        return int(self.accumulated[i]) + (int(clock[i] - self.start[i]) if self.since[i] else 0)

    def run(self, which: Ints | int, clock: Ints, now: int) -> None:
        """Start those that stand still; `now` is event time."""
        self.start[which] = clock[which]
        self.since[which] = now

    def stop(self, which: Ints | int, clock: Ints) -> None:
        """Keep what has accumulated and stand still."""
        passed = np.where(self.since[which] != 0, clock[which] - self.start[which], 0)
        self.accumulated[which] += passed
        self.since[which] = 0

    def clear(self, which: Ints | int) -> None:
        """Back to zero, standing still."""
        self.accumulated[which] = 0
        self.since[which] = 0
