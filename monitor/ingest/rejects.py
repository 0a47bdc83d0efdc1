"""What the truth filter refused, and why: counters for the metrics and a few examples for the page."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.clean_batch import EVENT_TIME

EXAMPLES: Final = 10
"""How many of the newest rejected rows are kept for each feed and cause."""
INSTRUMENTS: Final = 20_000
_LONGEST: Final = 64
"""Characters kept of a text in such a row."""


class Cause(StrEnum):
    """Why a row is not believed. A row is counted once, under the first cause that applies, in this order."""

    NON_FINITE = "non-finite"
    """A price that is missing, NaN or infinite; a row without a time or a symbol."""
    NON_POSITIVE = "non-positive"
    """A price that is zero or negative, a negative size or volume, a bar that ends before it starts."""
    ABSURD_SIZE = "absurd-size"
    """A size or volume of more units than any market has."""
    CROSSED = "crossed"
    """A bid above its ask (bid = ask, a locked market, is true); a bar whose high is below its low."""
    FUTURE = "future"
    """Stamped further ahead of the wall clock than clocks differ; where event time rules, of all that follows it."""
    LATE = "late"
    """Stamped further behind the feed's newest event than the lateness bound."""
    DUPLICATE = "duplicate"
    """The same message again."""
    OUTSIDE_BAND = "outside-band"
    """A trade at a price that the limit band in force did not allow."""
    SPLIT_SUSPECTED = "split-suspected"
    """A price of an instrument whose level changed overnight as a split changes it, until somebody says what it was."""
    SPIKE = "spike"
    """A single print, quote or bar, or a session's close, far from what came before by the instrument's usual moves."""


Verdict = npt.NDArray[np.uint8]
"""By row: 0 is good, otherwise the number of a cause, see :func:`number`."""

_NUMBERS: Final = {cause: n for n, cause in enumerate(Cause, start=1)}


def number(cause: Cause) -> int:
    """How a verdict writes `cause`."""
    return _NUMBERS[cause]


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected row, for showing. `event_time` is UTC nanoseconds, None where the row has no time."""

    feed: str
    cause: Cause
    kind: str
    event_time: int | None
    row: Mapping[str, Any]


class Rejects:
    """Counts by (feed, cause), and as `rows` by (kind, cause), for ever; of each feed and cause the newest few rows.

    `locked` counts, by feed, quotes whose bid is their ask: true, and worth knowing. `seen`: rows judged, by feed.
    `corrected`: prints that a feed took back or put right; `untraced`: those of them that are not known by their id.

    Written by one thread; others may read while it does, so the reading methods copy before they look.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, Cause]] = Counter()
        self.rows: Counter[tuple[str, Cause]] = Counter()
        self.locked: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.corrected: Counter[str] = Counter()
        self.untraced: Counter[str] = Counter()
        self.by_instrument: dict[str, dict[str, Counter[Cause]]] = {}
        """Counts by feed and symbol; of at most :data:`INSTRUMENTS` symbols a feed, since a feed may invent them."""
        self._examples: dict[tuple[str, Cause], deque[Reject]] = {}

    def add(self, feed: str, cause: Cause, kind: str, rows: pl.DataFrame) -> None:
        """Count `rows`, rejected for `cause`."""
        if not rows.height:
            return
        self.counts[feed, cause] += rows.height
        self.rows[kind, cause] += rows.height
        self._count_instruments(feed, cause, rows["symbol" if "symbol" in rows.columns else "series"])
        kept = self._examples.setdefault((feed, cause), deque(maxlen=EXAMPLES))
        newest = rows.tail(EXAMPLES)
        times = newest[EVENT_TIME[kind]].to_physical().to_list()
        columns = [c for c, dtype in newest.schema.items() if not dtype.is_temporal()]
        for time, row in zip(times, newest.select(columns).iter_rows(named=True), strict=True):
            short = {name: v[:_LONGEST] if isinstance(v, str) else v for name, v in row.items()}
            kept.append(Reject(feed, cause, kind, time, short))

    def refuse(self, feed: str, kind: str, frame: pl.DataFrame, verdict: Verdict) -> pl.DataFrame:
        """The rows that the verdict lets through; those it refuses are counted, those it holds are neither."""
        if not verdict.any():
            return frame
        for cause in Cause:
            refused = verdict == number(cause)
            if refused.any():
                self.add(feed, cause, kind, frame.filter(refused))
        return frame.filter(verdict == 0)

    def _count_instruments(self, feed: str, cause: Cause, symbols: pl.Series) -> None:
        own = self.by_instrument.setdefault(feed, {})
        for symbol, count in symbols.drop_nulls().value_counts(name="rows").iter_rows():
            if symbol in own or len(own) < INSTRUMENTS:
                own.setdefault(symbol, Counter())[cause] += count

    def examples(self, feed: str | None = None) -> list[Reject]:
        """The newest rejected rows (of a feed), by cause, oldest first."""
        kept = [rejects for (name, _), rejects in list(self._examples.items()) if feed in (None, name)]
        return [reject for rejects in kept for reject in list(rejects)]

    def worst(self, feed: str) -> Cause | None:
        """What most of a feed's refused rows were refused for."""
        own = Counter({cause: n for (name, cause), n in list(self.counts.items()) if name == feed})
        return own.most_common(1)[0][0] if own else None

    def total(self, cause: Cause) -> int:
        """Rows rejected for `cause`, over all feeds."""
        return sum(n for (_, counted), n in list(self.counts.items()) if counted is cause)
