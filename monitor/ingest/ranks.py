"""Several feeds of one instrument: the better one is used, as long as it is fresh.

The rank is the order of the configuration, or, where that is not known, the order in which feeds were first seen. A
feed's rows of an instrument are used if no better feed had one in the last while, by event time; others are *shadowed*:
not wrong, and not used. They are compared with what is used, and tell where two feeds say different things for long.
Where there is a clock, so are rows of a better feed that are as much older than what is used: one delayed by its plan,
or whose clock is behind, would else change places with the feed that is up to date at every row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.ingest.instruments import Codes
from monitor.ingest.values import Floats, Mask

FRESH_NS: Final = 10_000_000_000
"""A feed without a row of an instrument for longer gives way to the next one."""
APART: Final = 0.005
"""How far, relative to each other, prices of two feeds may be."""
FOR_NS: Final = 30_000_000_000
"""How long they may be further apart."""
_NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two feeds that say different things of some instruments."""

    used: str
    other: str
    symbols: tuple[str, ...]
    apart: float

    @property
    def text(self) -> str:
        """In words."""
        more = f" and {len(self.symbols) - 3} more" if len(self.symbols) > 3 else ""  # noqa: PLR2004 - three are shown
        return (
            f"{self.used} is used, and {self.other} has said otherwise for {FOR_NS // 10**9} s, by up to "
            f"{self.apart * 1e4:.0f} bp: {', '.join(self.symbols[:3])}{more}"
        )


class Ranks:
    """Which feed is used of each instrument, by code. With one feed it does, and costs, nothing."""

    def __init__(self, feeds: Sequence[str] = ()) -> None:
        self._order = list(feeds)
        self._seen: set[str] = set()
        self._source = np.full(256, _NOBODY, dtype=np.int64)
        self._at = np.zeros(256, dtype=np.int64)
        self._price = np.full(256, np.nan)
        self._since: dict[str, npt.NDArray[np.int64]] = {}
        self._gap: dict[str, Floats] = {}
        self.shadowed: Counter[str] = Counter()
        """Rows that were not used since a better feed was fresh, by feed."""
        self.switches: Counter[str] = Counter()
        """How often an instrument changed over to a feed."""
        self._symbols: list[str] = []

    def alone(self, feed: str) -> bool:
        """Whether there is no other feed: one that is configured may have its first row while this one is fresh."""
        if feed not in self._seen:
            self._seen.add(feed)
            if feed not in self._order:
                self._order.append(feed)
        return len(self._order) == 1

    def uses(self, feed: str, size: int) -> Mask:
        """By code, of so many instruments: whether the feed is the one that is used."""
        if feed not in self._seen or len(self._seen) == 1:
            return np.full(size, feed in self._seen)
        self._cover(size)
        used: Mask = self._source[:size] == self._order.index(feed)
        return used

    def shadow(
        self,
        feed: str,
        codes: Codes,
        times: npt.NDArray[np.int64],
        prices: Floats,
        symbols: Sequence[str],
        *,
        clocked: bool = False,
    ) -> Mask | None:
        """Which rows of a feed are not used; None where all are.

        `clocked`: no row can be of the future. Elsewhere a row that is far ahead may be a wrong stamp, and makes no
        other too old.
        """
        if self.alone(feed):
            return None
        self._symbols = list(symbols)
        self._cover(len(symbols))
        rank = self._order.index(feed)
        source, at = self._source[codes], self._at[codes]
        worse: Mask = (source != _NOBODY) & (source < rank) & (times - at <= FRESH_NS)
        old: Mask = (source != _NOBODY) & (source != rank) & (at - times > FRESH_NS) & clocked
        shadowed = worse | old
        used = ~shadowed
        if used.any():
            taken = codes[used]
            changed = np.unique(taken[(source[used] != rank) & (source[used] != _NOBODY)])
            self.switches[feed] += len(changed)
            self._source[taken], self._at[taken], self._price[taken] = rank, times[used], prices[used]
        if not shadowed.any():
            return None
        self.shadowed[feed] += int(shadowed.sum())
        compared = worse & ~old  # prices of different times may well differ
        self._compare(feed, codes[compared], times[compared], prices[compared])
        return shadowed

    def disagreements(self) -> list[Disagreement]:
        """Which feeds differ, and have for long."""
        found = []
        for feed, since in self._since.items():
            long = np.flatnonzero((since > 0) & (self._at[: len(since)] - since >= FOR_NS))
            for rank in np.unique(self._source[long]).tolist():
                codes = long[self._source[long] == rank]
                names = tuple(self._symbols[code] for code in codes.tolist())
                found.append(Disagreement(self._order[rank], feed, names, float(self._gap[feed][codes].max())))
        return found

    def _compare(self, feed: str, codes: Codes, times: npt.NDArray[np.int64], prices: Floats) -> None:
        since = self._since.setdefault(feed, np.zeros(len(self._at), dtype=np.int64))
        gaps = self._gap.setdefault(feed, np.zeros(len(self._at)))
        if len(since) < len(self._at):
            since = self._since[feed] = np.pad(since, (0, len(self._at) - len(since)))
            gaps = self._gap[feed] = np.pad(gaps, (0, len(self._at) - len(gaps)))
        gap = np.abs(prices / self._price[codes] - 1)
        since[codes] = np.where(gap > APART, np.where(since[codes] > 0, since[codes], times), 0)
        gaps[codes] = gap

    def _cover(self, size: int) -> None:
        more = size - len(self._source)
        if more > 0:
            more += size
            self._source = np.pad(self._source, (0, more), constant_values=_NOBODY)
            self._at = np.pad(self._at, (0, more))
            self._price = np.pad(self._price, (0, more), constant_values=np.nan)
