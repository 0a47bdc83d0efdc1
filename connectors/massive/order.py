"""The numbers Massive gives its messages: what comes again, and what comes late.

They rise for each instrument and kind of message, are unique, skip (1, 2, 6, 9), and start again before the next day's
trading. So they order and tell repetitions; a number that is missing means nothing. Source:
https://massive.com/docs/websocket/stocks/trades, field ``q``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_DAY_MS: Final = 86_400_000
_NIGHT_MS: Final = 6 * 3_600_000
"""06:00 UTC, between two trading days of New York in winter and in summer: where one day's numbers end."""
_MOST: Final = 100_000
"""Instruments, several times those there are: with more, names are nonsense, and all are forgotten."""


class Numbered:
    """The newest number of each instrument, for one kind of message and one day.

    A number above :attr:`newest` is written there by who reads the message, which costs a look-up and no call; for any
    other, :meth:`old` decides.
    """

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}
        self._day: int | None = None

    def old(self, symbol: str, number: int, time: int) -> bool:
        """Whether a number that is not above the newest is old: it is the first one of its day otherwise.

        `time` is the message's, milliseconds since 1970. Any other day will do: one wrong time must not keep the
        numbers of a day that is over.
        """
        if self._day is None or _day(time) == self._day:
            return True
        self._begin(_day(time))
        self.newest[symbol] = number
        return False

    def reached(self, time: int) -> None:
        """Messages up to `time` have been read, milliseconds since 1970."""
        day = _day(time)
        if self._day is None:
            self._day = day
        elif day != self._day or len(self.newest) > _MOST:
            self._begin(day)

    def _begin(self, day: int) -> None:
        """A new day: the numbers start again."""
        self._day = day
        self.newest.clear()


def _day(time: int) -> int:
    return (time - _NIGHT_MS) // _DAY_MS


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
