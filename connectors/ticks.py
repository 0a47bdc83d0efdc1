"""Quotes and trades as lists that grow, a message at a time, and the frames of a batch made of them at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from connectors.batch import QUOTES, TRADES, empty
from connectors.rows import possible_rows, volume_only
from connectors.timestamps import UNREADABLE, YEARS, Nanoseconds, rfc3339_column

MILLISECOND: Final = 1_000_000
_LATEST_MS: Final = (YEARS.stop - 1 - 1970) * 365 * 86_400_000
_NO_QUOTES, _NO_TRADES = empty(QUOTES), empty(TRADES)

Times = Callable[[Sequence[Any]], Nanoseconds]
"""Time stamps as a vendor writes them, to nanoseconds since 1970."""


class QuoteRows:
    """The columns of quotes."""

    def __init__(self) -> None:
        self.times: list[Any] = []
        self.symbols: list[str] = []
        self.numbers: dict[str, list[float]] = {"bid": [], "ask": [], "bid_size": [], "ask_size": []}

    def frame(self, times: Times, rejected: Counter[str]) -> pl.DataFrame:
        """The frame of :data:`~connectors.batch.QUOTES`; impossible rows are counted in `rejected` instead."""
        if not self.times:
            return _NO_QUOTES
        return possible_rows(times(self.times), self.symbols, self.numbers, rejected)


class TradeRows:
    """The columns of trades."""

    def __init__(self) -> None:
        self.times: list[Any] = []
        self.symbols: list[str] = []
        self.numbers: dict[str, list[float]] = {"price": [], "size": []}
        self.ids: list[int | None] = []
        self.volume: list[int] = []
        """The rows that are volume and no price."""

    def frame(self, times: Times, rejected: Counter[str]) -> pl.DataFrame:
        """The frame of :data:`~connectors.batch.TRADES`; impossible rows are counted in `rejected` instead."""
        if not self.times:
            return _NO_TRADES
        ids = pl.Series("id", self.ids, dtype=pl.Int64)
        if not self.volume:
            return possible_rows(times(self.times), self.symbols, self.numbers, rejected, [ids])
        priced = np.ones(len(self.times), dtype=np.bool_)
        priced[self.volume] = False
        others = [ids, pl.Series("priced", priced)]
        return volume_only(possible_rows(times(self.times), self.symbols, self.numbers, rejected, others))


def milliseconds_column(values: Sequence[int]) -> Nanoseconds:
    """Milliseconds since 1970 as nanoseconds; :data:`UNREADABLE` where they are beyond what an int64 holds.

    >>> milliseconds_column([1672515782136]).tolist()
    [1672515782136000000]
    """
    times = np.array(values, dtype=np.int64)
    inside = (times >= 0) & (times <= _LATEST_MS)
    return np.where(inside, np.where(inside, times, 0) * MILLISECOND, UNREADABLE)


def blank_is(received_at: int) -> Times:
    """RFC 3339 times of a vendor that does not always give one: where it does not, the time of arrival."""

    def times(texts: Sequence[str]) -> Nanoseconds:
        blank = np.array([not text for text in texts], dtype=np.bool_)
        if blank.all():
            return np.full(len(texts), received_at, dtype=np.int64)
        read = rfc3339_column(texts)
        read[blank] = received_at
        return read

    return times
