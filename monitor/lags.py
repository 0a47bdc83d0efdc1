"""How long data are on their way: bounded histograms of which quantiles are read."""

from __future__ import annotations

import math
from typing import Final, TypedDict

import numpy as np
import numpy.typing as npt

from connectors.batch import Batch

_LOWEST: Final = 1_000
"""Nanoseconds: what is less counts as this."""
_STEPS: Final = 8
"""Buckets to a doubling: a quantile is right within 9 %."""
_DOUBLINGS: Final = 40
"""Up to 13 days."""
TURN_NS: Final = 300_000_000_000
"""Quantiles are of the last five to ten minutes."""
SAMPLED: Final = 16
"""Rows of a batch that are measured: enough for the distribution, and nothing beside reading them."""


class Quantiles(TypedDict):
    """The median and the worst of a hundred, seconds; None where there is nothing to tell."""

    p50_seconds: float | None
    p99_seconds: float | None


class Lags:
    """Durations in logarithmic buckets, of the last minutes."""

    def __init__(self) -> None:
        self._counts: npt.NDArray[np.int64] = np.zeros((2, _STEPS * _DOUBLINGS), dtype=np.int64)
        self._turned_at: int | None = None

    def add(self, durations: npt.NDArray[np.int64], now: int, weight: int = 1) -> None:
        """Durations, ns; one below zero, from clocks that differ, counts as none. `now`: the machine's clock, UTC ns.

        `weight`: how many rows each stands for.
        """
        self._turn(now)
        doublings = np.log2(np.maximum(durations, _LOWEST) / _LOWEST)
        buckets = np.minimum((doublings * _STEPS).astype(np.intp), self._counts.shape[1] - 1)
        np.add.at(self._counts[0], buckets, weight)

    def add_one(self, duration: int, now: int, weight: int = 1) -> None:
        """One duration: a tenth of what an array of one costs."""
        self._turn(now)
        bucket = int(math.log2(max(duration, _LOWEST) / _LOWEST) * _STEPS)
        self._counts[0, min(bucket, _STEPS * _DOUBLINGS - 1)] += weight

    def _turn(self, now: int) -> None:
        if self._turned_at is None:
            self._turned_at = now
        elif now - self._turned_at >= TURN_NS:
            self._counts[1] = self._counts[0]
            self._counts[0] = 0
            self._turned_at = now

    def quantile(self, share: float) -> float | None:
        """Seconds that this share of the durations does not exceed; None where there are none."""
        counts = self._counts.sum(axis=0)
        total = int(counts.sum())
        if not total:
            return None
        bucket = int(np.searchsorted(np.cumsum(counts), share * total))
        return float(_LOWEST * 2.0 ** ((bucket + 1) / _STEPS) / 1e9)

    def told(self) -> Quantiles:
        """The median and the worst of a hundred."""
        return {"p50_seconds": self.quantile(0.5), "p99_seconds": self.quantile(0.99)}


def on_the_way(batch: Batch) -> tuple[npt.NDArray[np.int64], int]:
    """From event to receipt of some of a batch's quotes, trades or bars, ns, and how many rows each stands for."""
    for frame, column in ((batch.quotes, "ts"), (batch.trades, "ts"), (batch.bars, "end")):
        if frame.height:
            step = -(-frame.height // SAMPLED)
            times = frame[column].gather_every(step).drop_nulls()
            return batch.received_at - times.to_numpy().view(np.int64), step
    return np.empty(0, dtype=np.int64), 1
