"""Volumes by the minute: what clock windows, and the comparison with other days by the time of day, are made of.

Kept only where a rule asks for them, and only of the instruments that rules name. A *volume so far* is -0.0 until an
instrument has had a volume: then it is not known, and that is not 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from monitor.calendar import MINUTE, TradingCalendar
from monitor.state.columns import NO_VOLUME, Codes, Floats, Ints
from rules.view import Requirements

_FIRST_ROWS: Final = 64


def by_minute(requirements: Requirements) -> bool:
    """Whether anything asks for volumes by the minute: clock windows, the time of day, minutes of the past."""
    needs = requirements
    return bool(needs.volume_clock_ns or needs.profile_sessions or (needs.volume_sessions and needs.clock_ns))


Bars = tuple[Ints, Codes, Floats]
"""Of minute bars: the ends of the minutes, the instruments, the volumes; NaN is unknown."""


class MinuteVolumes:
    """The session's volume so far, of the instruments `codes` (ascending), at the end of each minute that had prices.

    A minute without a row is like the one before it in its session. `since`: when each instrument first had a volume,
    0 where it never did; `begin`: from when on the rows are complete; both in UTC nanoseconds.
    """

    def __init__(self, calendar: TradingCalendar, codes: Codes) -> None:
        self.codes = np.unique(codes)
        self.since: Ints = np.zeros(len(self.codes), dtype=np.int64)
        self.begin = 0
        self._calendar = calendar
        self._first = self._stop = 0
        self._ends: Ints = np.zeros(_FIRST_ROWS, dtype=np.int64)
        self._sums = np.full((_FIRST_ROWS, len(self.codes)), NO_VOLUME)

    def __len__(self) -> int:
        return self._stop - self._first

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, used or not."""
        return self._ends.nbytes + self._sums.nbytes + self.since.nbytes

    def places(self, codes: Codes) -> Codes:
        """Where instruments stand in a row; -1 for those that are not kept."""
        if not len(self.codes):
            return np.full(len(codes), -1)
        at = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[at] == codes, at, -1)

    def keep(self, codes: Codes) -> None:
        """Keep these instruments as well, from now on."""
        every = np.union1d(self.codes, codes)
        if len(every) == len(self.codes):
            return
        at = np.searchsorted(every, self.codes)
        sums, since = np.full((len(self._ends), len(every)), NO_VOLUME), np.zeros(len(every), dtype=np.int64)
        sums[:, at], since[at] = self._sums, self.since
        self.codes, self._sums, self.since = every, sums, since

    def append(self, end: int, session_volume: Floats) -> None:
        """A minute ended: the volume so far of every instrument there is."""
        if self._stop == len(self._ends):
            self._make_room()
        row = session_volume[self.codes]
        self.begin = self.begin or end - MINUTE
        self._ends[self._stop], self._sums[self._stop] = end, row
        self._stop += 1
        self.since[(self.since == 0) & ~np.signbit(row)] = end - MINUTE

    def scale(self, upto: int, code: int, factor: float) -> None:
        """Multiply an instrument's volumes up to a moment between two sessions."""
        place = int(self.places(np.array([code]))[0])
        if place >= 0:
            self._sums[self._first : self._after(upto), place] *= factor

    def add(self, session: int, ns: int, code: int, volume: float) -> None:
        """Count more, or less, of an instrument in the minute of a session that `ns` is in."""
        place = int(self.places(np.array([code]))[0])
        rows = slice(self._after(-(-ns // MINUTE) * MINUTE - 1), self._after(self._calendar.close_ns(session)))
        if place >= 0:
            self._sums[rows, place] = np.maximum(self._sums[rows, place] + volume, 0.0)

    def expire(self, upto: int) -> None:
        """Forget the minutes up to a session's close."""
        self._first = self._after(upto)
        self.begin = max(self.begin, upto) if self.begin else 0

    def so_far(self, session: int, ns: int) -> Floats:
        """Volume of a session up to the last whole minute at or before `ns`; the sign of 0 says nothing here."""
        row = self._after(ns) - 1
        if row < self._first or self._ends[row] <= self._calendar.close_ns(session - 1):
            return np.zeros(len(self.codes))
        sums: Floats = self._sums[row]
        return sums

    def between(self, start: int, session: int) -> Floats:
        """What is to be added to a volume so far of `session` to have that since `start`, up to the same moment."""
        first = self._calendar.session_at(start)
        total = -self.so_far(first, start)
        for past in range(first, session):
            total += self.so_far(past, self._calendar.close_ns(past))
        return total

    def profile(self, session: int, count: int, minutes: int) -> tuple[Floats, Floats]:
        """Volume so far, `minutes` after the open, of the `count` sessions before `session`, newest first.

        NaN where a session was not seen, from a fifth of it on at the latest, or had no volume. A session that is
        shorter counts whole from its close on. With it, the same a minute later; both of shape (count, codes).
        """
        calendar = self._calendar
        volumes = np.full((2, count, len(self.codes)), np.nan)
        for back in range(1, count + 1):
            past = session - back
            opened, closed = calendar.open_ns(past), calendar.close_ns(past)
            seen = (self.since > 0) & (self.since <= opened + (closed - opened) // 5)
            seen &= self.so_far(past, closed) > 0
            for later in (0, 1):
                at = self.so_far(past, min(opened + (minutes + later) * MINUTE, closed))
                volumes[later, back - 1] = np.where(seen, at, np.nan)
        return volumes[0], volumes[1]

    def restore(self, bars: Iterable[Bars], since: Ints, begin: int, oldest: int) -> None:
        """Rows from stored minute bars after `oldest`, a session's close; one that comes twice counts once.

        They are complete from `begin` on. Bars from before it are more than there was: their sessions are whole.
        """
        parts = list(bars)
        self.since, self.begin = since.copy(), begin
        if not parts:
            return
        every, codes, volumes = (np.concatenate(column) for column in zip(*parts, strict=True))
        places = self.places(codes)
        wanted = (every > oldest) & (places >= 0)
        if not wanted.any():
            return
        ends, rows = np.unique(every[wanted], return_inverse=True)
        sums = np.full((len(ends) + _FIRST_ROWS, len(self.codes)), NO_VOLUME)
        sums[rows, places[wanted]] = np.where(np.isnan(volumes[wanted]), NO_VOLUME, volumes[wanted])
        self._see_first(ends, sums[: len(ends)])
        sessions = np.searchsorted(self._calendar.closes, ends)
        for start, stop in _runs(sessions):
            np.add.accumulate(sums[start:stop], axis=0, out=sums[start:stop])
        self._ends, self._sums = np.concatenate([ends, np.zeros(_FIRST_ROWS, dtype=np.int64)]), sums
        self._first, self._stop = 0, len(ends)
        if not begin or ends[0] <= begin:
            self.begin = self._calendar.close_ns(int(sessions[0]) - 1)

    def _see_first(self, ends: Ints, volumes: Floats) -> None:
        known = ~np.signbit(volumes)
        first = np.where(known.any(axis=0), ends[known.argmax(axis=0)] - MINUTE, 0)
        both = (first > 0) & (self.since > 0)
        self.since = np.where(both, np.minimum(first, self.since), np.maximum(first, self.since))

    def _after(self, ns: int) -> int:
        """The first row that ended after `ns`."""
        return self._first + int(np.searchsorted(self._ends[self._first : self._stop], ns, side="right"))

    def _make_room(self) -> None:
        used = slice(self._first, self._stop)
        count = self._stop - self._first
        size = max(_FIRST_ROWS, count * 3 // 2)
        ends, sums = np.zeros(size, dtype=np.int64), np.empty((size, len(self.codes)))
        ends[:count], sums[:count] = self._ends[used], self._sums[used]
        self._ends, self._sums, self._first, self._stop = ends, sums, 0, count


def _runs(values: Ints) -> Sequence[tuple[int, int]]:
    """Where each run of equal values starts and stops."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return list(pairwise(edges))
