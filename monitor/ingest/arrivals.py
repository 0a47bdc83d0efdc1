"""What came of each instrument on each feed: counted in columns as it comes, and looked at from time to time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.ingest.instruments import LONG_AGO, Codes

Times = npt.NDArray[np.int64]
_ROOM: Final = 256


class FeedArrivals:
    """Columns of one feed, by the instrument's code; they grow with the instruments, never with time.

    `rows`: rows that were sound and in time, shadowed and odd ones included; `last`: event time of the newest of them,
    `received`: when it was received, both UTC ns, :data:`~monitor.ingest.instruments.LONG_AGO` before the first.
    `newest`: the newest event time of any instrument.
    """

    def __init__(self) -> None:
        self.rows: Times = np.zeros(_ROOM, dtype=np.int64)
        self.last: Times = np.full(_ROOM, LONG_AGO)
        self.received: Times = np.full(_ROOM, LONG_AGO)
        self.newest = LONG_AGO

    def saw(self, codes: Codes, times: Times, received_at: int) -> None:
        """Take in rows in arrival order: two scatters and a count, some nanoseconds a row."""
        size, needed = len(self.rows), int(codes.max()) + 1
        if needed > size:
            more = max(needed, 2 * size) - size
            self.rows = np.pad(self.rows, (0, more))
            self.last = np.pad(self.last, (0, more), constant_values=LONG_AGO)
            self.received = np.pad(self.received, (0, more), constant_values=LONG_AGO)
        # Of rows out of order the one that came last counts: it is at most the lateness bound older than the newest.
        places = codes.astype(np.intp)  # once: each use of other integers would convert them
        self.last[places] = times
        self.received[places] = received_at
        if len(places) * 8 < size:
            np.add.at(self.rows, places, 1)
        else:
            self.rows += np.bincount(places, minlength=len(self.rows))
        self.newest = max(self.newest, int(times.max()))


class Arrivals:
    """One for all feeds of a filter; used from its thread."""

    def __init__(self) -> None:
        self.feeds: dict[str, FeedArrivals] = {}

    def saw(self, feed: str, received_at: int, kinds: Iterable[tuple[Codes, Times]]) -> None:
        """Rows of a feed by kind: instruments and event times, at least one of each."""
        for codes, times in kinds:
            own = self.feeds.get(feed)
            if own is None:
                own = self.feeds[feed] = FeedArrivals()
            own.saw(codes, times, received_at)
