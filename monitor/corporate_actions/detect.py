"""Session closes that look like a split, or that are at another level than prices as traded."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from monitor.ingest.splits import JUMP, fitting_ratio
from monitor.ingest.values import Floats

TOLERANCE: Final = 0.02
"""How far two closes of a share may be apart: those of two vendors differ by a few basis points."""
_LEAST_OTHERS: Final = 3
_MOVES: Final = 60
"""Sessions whose moves say how an instrument usually moves, and how with the market."""
_ENOUGH: Final = 20
"""Moves from which that can be said."""
_USUAL: Final = 8.0
"""Median absolute moves that an instrument may make: five standard deviations, of moves that have such."""


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

    @property
    def text(self) -> str:
        """What was seen."""
        jump = f"{self.symbol} went from {self.before:g} to {self.after:g} on {self.date}"
        return f"{jump}, as by a split of {self.new}:{self.old}, and the market did not"

    def advice(self, place: str) -> str:
        """What to do; `place` is where actions are written."""
        return f"if it was a split, add the line `{self.line}` to {place}; if not, the same with 1:1"


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
    """Jumps from one close to where the next session opens that look like a split, and are not the market's.

    `bars`: ``ts`` (Date), ``symbol``, ``close`` and perhaps ``open``, without which the close stands for it. A jump is
    not suspected where the median instrument jumped along; where the instrument's beta to that median, of its moves in
    the :data:`_MOVES` sessions before, leaves too little of it (a leveraged or inverse product on the market's wildest
    day); or where it is within :data:`_USUAL` median absolute moves of the instrument itself.
    """
    opened = pl.coalesce("open", "close") if "open" in bars.columns else pl.col("close")
    moves = (
        bars.select("ts", pl.col("symbol").cast(pl.String), "close", opened=opened)
        .drop_nulls()
        .sort("symbol", "ts")
        .with_columns(before=pl.col("close").shift(1).over("symbol"), last=pl.col("ts").shift(1).over("symbol"))
        .filter(pl.col("before").is_not_null())
        .with_columns(move=(pl.col("close") / pl.col("before")).log(), jump=(pl.col("opened") / pl.col("before")).log())
        .with_columns(market=pl.col("move").median().over("ts"), others=pl.len().over("ts"))
    )
    jumps = moves.filter(
        (pl.col("jump").abs() > np.log(JUMP))
        # What is back at its level by the close was one print's error, or a day's fright.
        & (pl.col("move") * pl.col("jump").sign() > np.log(JUMP))
        & (pl.col("ts") - pl.col("last") < dt.timedelta(days=10))
        & ((pl.col("others") <= _LEAST_OTHERS) | (pl.col("market").abs() < np.log(JUMP) / 2))
    )
    found = []
    for ts, symbol, first, before in jumps.select("ts", "symbol", "opened", "before").sort("ts", "symbol").iter_rows():
        ratio = fitting_ratio(before, first)
        own = moves.filter((pl.col("symbol") == symbol) & (pl.col("ts") <= ts)).tail(_MOVES + 1)
        if ratio and not _explained(own["move"].to_numpy(), own["market"].to_numpy(), int(own["others"][-1])):
            found.append(SuspectedSplit(symbol, ts, *ratio, before, first))
    return found


def _explained(moves: Floats, market: Floats, others: int) -> bool:
    """Whether the last of an instrument's moves is one that it makes, or that the market made for it.

    `moves`, `market`: logarithms, ``(sessions,)``, the one in question last; `others`: how many make the market's.
    """
    past, jump = moves[:-1], float(moves[-1])
    if len(past) < _ENOUGH:
        return False
    if abs(jump) < _USUAL * float(np.median(np.abs(past))):
        return True
    spread = float(np.square(market[:-1]).sum())
    if others <= _LEAST_OTHERS or not spread:
        return False
    beta = float((past * market[:-1]).sum()) / spread
    return bool(abs(jump - beta * float(market[-1])) < np.log(JUMP))


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
