"""How often something comes, learnt from how it came, and how long a silence is no chance any more.

Time here is *trading time*: nanoseconds of open market since the calendar's start, so that nights, holidays and the
afternoon of a half day do not pass.

Arrivals within a second of each other are one. The gap between two of them is learnt as its mean, its variance and the
longest of late. Were arrivals independent of each other (a Poisson process), a gap longer than ``s ((n/e)^(1/s) - 1)``
means, where the mean was learnt from `s` gaps and a session has `n`, would come with probability `e` a session: the
gaps to come of such a process follow a Lomax distribution. Real arrivals come in bursts, so a silence is also at least
three times the longest gap of late; and of what comes like clockwork, in which gaps hardly differ, less is waited for.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]

FLOOR_NS: Final = 120_000_000_000
"""Nothing is silent before: opening auctions take so long, and a feed that sends nothing at all is found sooner."""
MERGED_NS: Final = 1_000_000_000
FALSE_ALARM: Final = 1e-7
"""Of an instrument in a session, at a stable rate."""
ENOUGH: Final = 4
"""Gaps from which on there is a judgement."""
WEIGHED: Final = 64
"""Gaps, about, of which the mean is: the weights of older ones fall exponentially."""
BURSTS: Final = 3.0
NEVER: Final = -(2**63)


class Cadence:
    """Columns, one place each for what comes: an instrument on a feed. They grow with the places, never with time.

    `heard`: trading time of the last arrival, :data:`NEVER` before the first; `known`: gaps learnt; `mean`, `longest`:
    nanoseconds; `variance`: of the gaps.

    Args:
        session_ns: Length of a session, in which the promise about false alarms is made.
        false_alarm: The probability of one in a session, at a stable rate.
    """

    def __init__(self, session_ns: int, false_alarm: float = FALSE_ALARM) -> None:
        self._session, self._false_alarm = float(session_ns), false_alarm
        self.heard: Times = np.empty(0, dtype=np.int64)
        self._gap_from: Times = np.empty(0, dtype=np.int64)
        self.known: Times = np.empty(0, dtype=np.int64)
        self.mean: Floats = np.empty(0)
        self.variance: Floats = np.empty(0)
        self.longest: Floats = np.empty(0)

    def cover(self, size: int) -> None:
        """Make room for so many places."""
        more = size - len(self.heard)
        if more > 0:
            self.heard = np.pad(self.heard, (0, more), constant_values=NEVER)
            self._gap_from = np.pad(self._gap_from, (0, more), constant_values=NEVER)
            self.known = np.pad(self.known, (0, more))
            self.mean, self.variance, self.longest = (
                np.pad(column, (0, more)) for column in (self.mean, self.variance, self.longest)
            )

    def hear(self, places: Places, at: Times) -> None:
        """There were arrivals at `places`, each once, the last of them at `at`."""
        before = self._gap_from[places]
        new = (before == NEVER) | (at - before >= MERGED_NS)
        self.heard[places] = np.maximum(self.heard[places], at)
        places, at, before = places[new], at[new], before[new]
        self._gap_from[places] = at
        measured = before != NEVER
        if measured.any():
            self._learn(places[measured], (at[measured] - before[measured]).astype(np.float64))

    def pause(self, places: Places, at: int) -> None:
        """Nothing could come at `places` until `at`: that is no silence, and nothing is learnt from it."""
        known = places[self.heard[places] != NEVER]
        self.heard[known] = np.maximum(self.heard[known], at)
        self._gap_from[known] = np.maximum(self._gap_from[known], at)

    def patience(self, floor: int = FLOOR_NS) -> Floats:
        """Nanoseconds of silence that are no chance any more, by place; infinite where too little is known."""
        gaps = np.clip(self.known, 1, WEIGHED).astype(np.float64)
        mean = np.maximum(self.mean, 1.0)
        means = gaps * np.expm1(np.log(np.maximum(self._session / mean, 1.0) / self._false_alarm) / gaps)
        # Twice the estimate of the deviation, since 64 gaps tell it within an eighth.
        regular = np.where(self.known >= WEIGHED, np.minimum(1.0, 4.0 * self.variance / mean**2), 1.0)
        means = 1.0 + (means - 1.0) * regular
        patience = np.maximum(floor, np.maximum(means * self.mean, BURSTS * self.longest))
        return np.where(self.known >= ENOUGH, patience, np.inf)

    def silent(self, at: int) -> npt.NDArray[np.bool_]:
        """Which places have been silent at `at` for longer than they are by chance."""
        silent: npt.NDArray[np.bool_] = (self.heard != NEVER) & (at - self.heard > self.patience())
        return silent

    def _learn(self, places: Places, gaps: Floats) -> None:
        # A silence that was one says little of the usual: learnt whole, the next would be found much later.
        patience = self.patience()[places] if len(places) * 8 > len(self.heard) else self._of(places).patience()
        gaps = np.where(gaps > patience, patience / 2, gaps)
        known = self.known[places] + 1
        weight = np.maximum(1.0 / known, 1.0 / WEIGHED)
        off = gaps - self.mean[places]
        self.mean[places] += weight * off
        self.variance[places] = (1.0 - weight) * (self.variance[places] + weight * off**2)
        # The longest of late: what it was fades over two sessions.
        faded = self.longest[places] * np.exp(-gaps / (2.0 * self._session))
        self.longest[places] = np.maximum(faded, gaps)
        self.known[places] = known

    def _of(self, places: Places) -> Cadence:
        """Some places alone."""
        some = Cadence(int(self._session), self._false_alarm)
        some.heard, some.known, some.mean = self.heard[places], self.known[places], self.mean[places]
        some.variance, some.longest = self.variance[places], self.longest[places]
        return some
