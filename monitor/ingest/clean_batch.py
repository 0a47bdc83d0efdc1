"""What the truth filter lets through: the only market data that state, journal and rules ever see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.batch import BARS, CORRECTIONS, QUOTES, SERIES, STATUSES, TRADES, empty

EVENT_TIME: Final = {
    "quotes": "ts",
    "trades": "ts",
    "bars": "end",
    "statuses": "ts",
    "bands": "ts",
    "corrections": "ts",
    "series": "ts",
}
"""By kind, the column that says when a row became known: a bar is known at its end."""

NO_QUOTES: Final = empty(QUOTES)
NO_TRADES: Final = empty(TRADES)
NO_BARS: Final = empty(BARS)
NO_STATUSES: Final = empty(STATUSES)
NO_CORRECTIONS: Final = empty(CORRECTIONS)
NO_SERIES: Final = empty(SERIES)


@dataclass(frozen=True, slots=True)
class CleanBatch:
    """Market data that passed the truth filter, in arrival order within each kind; schemas of :mod:`connectors.batch`.

    `event_time` is at least the latest event time among its rows (a bar's is its end), UTC nanoseconds; 0 where there
    are no rows. External series do not count: they come along, and are seen once their time has come. `statuses` have
    one of two codes, :data:`monitor.ingest.halts.HALT` and ``RESUME``. Bands end in the filter.
    A correction with an ``id`` has the time, price and size of its very print (:mod:`monitor.ingest.taken_back`);
    without one it says what the feed said.
    """

    quotes: pl.DataFrame = field(default_factory=lambda: NO_QUOTES)
    trades: pl.DataFrame = field(default_factory=lambda: NO_TRADES)
    bars: pl.DataFrame = field(default_factory=lambda: NO_BARS)
    statuses: pl.DataFrame = field(default_factory=lambda: NO_STATUSES)
    corrections: pl.DataFrame = field(default_factory=lambda: NO_CORRECTIONS)
    series: pl.DataFrame = field(default_factory=lambda: NO_SERIES)
    event_time: int = 0

    @staticmethod
    def of(frames: Mapping[str, pl.DataFrame]) -> CleanBatch:
        """The batch of some frames by kind, and the event time that they give it."""
        filled = {kind: frame for kind, frame in frames.items() if frame.height}
        newest = [int(event_times(kind, frame).max()) for kind, frame in filled.items() if kind != "series"]
        return CleanBatch(**filled, event_time=max(newest, default=0))

    @property
    def rows(self) -> int:
        """Rows of all kinds."""
        return sum(frame.height for frame in self.frames().values())

    def frames(self) -> dict[str, pl.DataFrame]:
        """The frames by kind."""
        return {
            "quotes": self.quotes,
            "trades": self.trades,
            "bars": self.bars,
            "statuses": self.statuses,
            "corrections": self.corrections,
            "series": self.series,
        }

    @staticmethod
    def merge(batches: Sequence[CleanBatch]) -> CleanBatch:
        """One batch of several, rows in order."""
        if len(batches) == 1:
            return batches[0]
        return CleanBatch(
            quotes=_stack([b.quotes for b in batches], NO_QUOTES),
            trades=_stack([b.trades for b in batches], NO_TRADES),
            bars=_stack([b.bars for b in batches], NO_BARS),
            statuses=_stack([b.statuses for b in batches], NO_STATUSES),
            corrections=_stack([b.corrections for b in batches], NO_CORRECTIONS),
            series=_stack([b.series for b in batches], NO_SERIES),
            event_time=max((b.event_time for b in batches), default=0),
        )


def event_times(kind: str, frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Event time of each row of a frame of that kind, UTC nanoseconds. The frame has no row without one."""
    return nanoseconds(frame[EVENT_TIME[kind]])


def nanoseconds(times: pl.Series) -> npt.NDArray[np.int64]:
    """A column of times, none of them null, as UTC nanoseconds."""
    # A twentieth of the cost of polars' to_physical, which runs a query.
    return times.to_numpy().view(np.int64)


def _stack(frames: Sequence[pl.DataFrame], without: pl.DataFrame) -> pl.DataFrame:
    filled = [f for f in frames if f.height]
    if not filled:
        return without
    return filled[0] if len(filled) == 1 else pl.concat(filled, rechunk=False)
