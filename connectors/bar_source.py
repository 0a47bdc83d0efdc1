"""The seam to a vendor's history: bars of the past, a frame at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection
from typing import Final, Literal, Protocol

import polars as pl

Resolution = Literal["1m", "1d"]

LENGTHS: Final[dict[Resolution, int]] = {"1m": 60_000_000_000, "1d": 86_400_000_000_000}
"""Nanoseconds of a bar. A day's bar runs from midnight to midnight of the exchange's zone, on trading days always 24 h;
who keeps it moves its `end` to the close of that session."""


class BarSource(Protocol):
    """Where bars of the past come from. `rejected` counts bars that could not be read, by cause."""

    rejected: Counter[str]

    def bars(
        self, symbols: Collection[str], start: int, end: int, resolution: Resolution
    ) -> AsyncIterator[pl.DataFrame]:
        """Frames of :data:`~connectors.batch.BARS` with the bars that start in ``[start, end)``, nanoseconds UTC.

        Instruments come one after the other, sorted, and each one's bars in the order of time: who remembers the last
        row can go on from it, see :func:`resumed`. Instruments the vendor does not know have no rows.

        Raises:
            RestError: The vendor refuses, or cannot be reached; what was yielded before is good.
        """


async def resumed(
    source: BarSource, symbols: Collection[str], start: int, end: int, resolution: Resolution, after: tuple[str, int]
) -> AsyncIterator[pl.DataFrame]:
    """What `source` has left when the last row taken was that of instrument ``after[0]``, starting at ``after[1]``."""
    symbol, last = after
    if symbol in symbols:
        async for frame in source.bars([symbol], max(start, last + LENGTHS[resolution]), end, resolution):
            yield frame
    rest = [each for each in symbols if each > symbol]
    if rest:
        async for frame in source.bars(rest, start, end, resolution):
            yield frame
