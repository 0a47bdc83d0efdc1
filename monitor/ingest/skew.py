"""How far apart the clocks of each feed and of this machine are: the median of receipt minus event time."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from connectors.batch import Batch

SAMPLES: Final = 200
"""Batches, the newest, that the median is of."""
ENOUGH: Final = 20


class Skews:
    """One sample a batch: its oldest frame was received at `received_at`, and its first row is of that frame."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[int]] = {}

    def saw(self, batch: Batch) -> None:
        """Take in a batch's first quote, or its first trade."""
        frame = batch.quotes if batch.quotes.height else batch.trades
        if frame.height and frame["ts"].null_count() == 0:
            samples = self._samples.setdefault(batch.feed, deque(maxlen=SAMPLES))
            samples.append(batch.received_at - int(frame["ts"].to_numpy().view(np.int64)[0]))

    def medians(self) -> dict[str, int]:
        """Nanoseconds by feed, of those with enough samples; negative where a feed's clock is ahead."""
        return {feed: int(np.median(list(s))) for feed, s in self._samples.items() if len(s) >= ENOUGH}
