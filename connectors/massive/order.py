"""The numbers Massive gives its messages: what comes again, and what comes late.

They rise for each instrument and kind of message, are unique, skip (1, 2, 6, 9), and start again before the next day's
trading. So they order and tell repetitions; a number that is missing means nothing. Source:
https://massive.com/docs/websocket/stocks/trades, field ``q``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

_DAY_MS: Final = 86_400_000
_NIGHT_MS: Final = 6 * 3_600_000
"""06:00 UTC, between two trading days of New York in winter and in summer: where one day's numbers end."""
_NUMBER_BITS: Final = 40
_LAST_NUMBER: Final = 2**_NUMBER_BITS - 1
_LAST_DAY: Final = 2**22 - 1
"""A number and its day together make an int64."""
_MOST: Final = 100_000
"""Instruments, several times those there are: with more, names are nonsense, and all are forgotten."""


class Order(NamedTuple):
    """Rows that are not simply the next of their instrument."""

    repeated: list[int]
    """The newest number again."""
    late: list[int]
    """A number below the newest: sent before it, or again."""


class Numbered:
    """The newest number of each instrument, for one kind of message."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def judge(self, symbols: Sequence[str], times: Sequence[int], numbers: Sequence[int]) -> Order:
        """Which rows are repeated or late; one without a number (0) is neither. `times` are milliseconds since 1970."""
        days = (np.asarray(times, dtype=np.int64) - _NIGHT_MS) // _DAY_MS
        keys = (days.clip(0, _LAST_DAY) << _NUMBER_BITS) + np.asarray(numbers, dtype=np.int64).clip(0, _LAST_NUMBER)
        order = Order([], [])
        newest = self._newest
        if len(newest) > _MOST:
            newest.clear()
        known = newest.get
        for row, (symbol, key) in enumerate(zip(symbols, keys.tolist(), strict=True)):
            before = known(symbol, -1)
            if key > before:
                newest[symbol] = key
            elif numbers[row]:
                (order.repeated if key == before else order.late).append(row)
        return order


def in_order(symbols: Sequence[str], numbers: Sequence[int]) -> list[int]:
    """The rows so that each instrument's numbers rise, every instrument on the places it had.

    >>> in_order(["A", "B", "A"], [7, 5, 6])
    [2, 1, 0]
    """
    places: dict[str, list[int]] = {}
    for row, symbol in enumerate(symbols):
        places.setdefault(symbol, []).append(row)
    rows = [0] * len(symbols)
    for own in places.values():
        for place, row in zip(own, sorted(own, key=lambda row: numbers[row]), strict=True):
            rows[place] = row
    return rows
