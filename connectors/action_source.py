"""What companies did that changes what their prices mean, as vendors have it.

A source gives frames of :data:`ACTIONS`: a row an action, with `ts` its ex-date, the first session at the new level.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Final, Protocol

import polars as pl

ACTIONS: Final = pl.Schema(
    {
        "ts": pl.Date(),
        "symbol": pl.String(),
        "kind": pl.String(),
        "ratio": pl.Float64(),
        "amount": pl.Float64(),
        "new": pl.String(),
    }
)
"""`kind`: ``split`` with `ratio`, new shares for an old one; ``dividend`` with `amount`, a share; ``symbol``: `new`."""

Row = tuple[dt.date, str, str, float, float, str]


class ActionSource(Protocol):
    """Where splits, dividends and new symbols can be asked for."""

    def actions(self, symbols: Collection[str], first: dt.date, last: dt.date) -> AsyncIterator[pl.DataFrame]:
        """Actions of `symbols` with ex-dates from `first` to `last`, both included; a frame a page.

        Raises:
            RestError: The vendor refuses, or answers what cannot be read.
        """
        ...


def frame(rows: Iterable[Row]) -> pl.DataFrame:
    """The rows as a frame of :data:`ACTIONS`."""
    return pl.DataFrame(list(rows), schema=ACTIONS, orient="row")


def split(day: dt.date, symbol: str, new: float, old: float) -> Row:
    """`new` shares for `old` ones."""
    return day, symbol, "split", new / old, 0.0, ""


def dividend(day: dt.date, symbol: str, amount: float) -> Row:
    """`amount` a share."""
    return day, symbol, "dividend", 1.0, amount, ""


def renamed(day: dt.date, symbol: str, new: str) -> Row:
    """What was `symbol` is `new`."""
    return day, symbol, "symbol", 1.0, 0.0, new
