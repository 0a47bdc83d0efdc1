"""Session closes that look like a split, or that are at another level than prices as traded."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from monitor.ingest.splits import JUMP, fitting_ratio

TOLERANCE: Final = 0.02
"""How far two closes of a share may be apart: those of two vendors differ by a few basis points."""
_LEAST_OTHERS: Final = 3


class SuspectedSplit(NamedTuple):
    """A close that is off the one before by a ratio at which companies split: `new` shares for `old` ones."""

    symbol: str
    date: dt.date
    new: int
    old: int
    before: float
    after: float

    @property
    def line(self) -> str:
        """What to write into a file of corporate actions, if it was one."""
        return f"{self.date},{self.symbol},split,{self.new}:{self.old}"


class Mismatch(NamedTuple):
    """One session's close of a symbol from two sources."""

    symbol: str
    date: dt.date
    imported: float
    traded: float

    @property
    def text(self) -> str:
        """What differs, and what to do."""
        return (
            f"{self.symbol}: the close of {self.date} is {self.imported:g} in the history and {self.traded:g} as "
            f"traded, {self.imported / self.traded - 1:+.1%}: adjusted history does not fit live prices. Import prices "
            "as traded, and name splits under `corporate_actions:`"
        )


def suspected_splits(bars: pl.DataFrame) -> list[SuspectedSplit]:
    """Jumps from close to close that look like a split, and that most others did not make.

    `bars`: ``ts`` (Date), ``symbol``, ``close``.
    """
    moves = (
        bars.select("ts", pl.col("symbol").cast(pl.String), "close")
        .sort("symbol", "ts")
        .with_columns(before=pl.col("close").shift(1).over("symbol"), last=pl.col("ts").shift(1).over("symbol"))
        .filter(pl.col("before").is_not_null())
        .with_columns(move=(pl.col("close") / pl.col("before")).log())
        .with_columns(market=pl.col("move").median().over("ts"), others=pl.len().over("ts"))
    )
    jumps = moves.filter(
        (pl.col("move").abs() > np.log(JUMP))
        & (pl.col("ts") - pl.col("last") < dt.timedelta(days=10))
        & ((pl.col("others") <= _LEAST_OTHERS) | (pl.col("market").abs() < np.log(JUMP) / 2))
    )
    found = []
    for ts, symbol, close, before in jumps.select("ts", "symbol", "close", "before").sort("ts", "symbol").iter_rows():
        if ratio := fitting_ratio(before, close):
            found.append(SuspectedSplit(symbol, ts, *ratio, before, close))
    return found


def level_mismatches(imported: pl.DataFrame, traded: pl.DataFrame) -> list[Mismatch]:
    """By symbol, the newest session that both know with closes further apart than :data:`TOLERANCE`.

    Both have ``ts`` (Date), ``symbol``, ``close``. Where only single sessions differ, and the newest does not, it is an
    error of that day, not another level.
    """
    columns = (pl.col("ts"), pl.col("symbol").cast(pl.String), pl.col("close"))
    both = (
        imported.select(columns)
        .join(traded.select(columns), on=["ts", "symbol"], suffix="_traded")
        .drop_nulls()
        .sort("ts")
        .group_by("symbol", maintain_order=True)
        .last()
    )
    off = both.filter((pl.col("close") / pl.col("close_traded")).log().abs() > np.log(1 + TOLERANCE))
    return [Mismatch(*row) for row in off.sort("symbol").select("symbol", "ts", "close", "close_traded").iter_rows()]
