"""Single closes in recorded history that the next session takes back: errors of whoever wrote them down.

Looked at with the session after in sight, so this is for history as it is taken in, not for what is played: a decision
of the past must not know what came later. A close is an error if it is away from the one before and from the one after
by more than

- 20 times the median move of the instrument around it, and 5 % at least,
- 6 times the median move of all instruments in that session (but a market's move explains no factor of 2),

and the move after it undoes four fifths of the one before, and more. Of the newest close nothing is known of what comes
after: it is left out only beyond what no market does, :data:`monitor.ingest.session_moves.MOST`, and taken in with the
session that confirms it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.corporate_actions.action import Action, Kind
from monitor.ingest.session_moves import ENOUGH, MOST, SCALES

LEAST: Final = 0.05
UNKNOWN: Final = 0.02
"""The median move of an instrument of which there are too few closes to say: that of a wild one."""
MARKET: Final = 6.0
MARKET_MOST: Final = math.log(2)
INSTRUMENTS: Final = 5
"""Instruments from which on there is a market."""
LEFT: Final = 0.2
"""Of a move, what may be left after the next session."""
_AROUND: Final = 65
_HOLE_DAYS: Final = 14


class Spike(NamedTuple):
    """A close that is not believed. `row`: in the frame, from 0; `after` is None where it is the newest."""

    row: int
    symbol: str
    date: dt.date
    before: float
    close: float
    after: float | None

    @property
    def text(self) -> str:
        """What is wrong with it, in words."""
        if self.after is None:
            return f"{self.symbol}: {self.before:g} to {self.close:g} on {self.date}, the newest close: not confirmed"
        return f"{self.symbol}: {self.before:g} to {self.close:g} on {self.date}, and back to {self.after:g}"


def spikes(closes: pl.DataFrame, actions: Iterable[Action] = ()) -> list[Spike]:
    """The closes that are not believed, in order of symbol and date.

    `closes`: ``ts`` (Date), ``symbol``, ``close``, positive numbers; `actions`: those that are known.
    """
    if not closes.height:
        return []
    frame = closes.select("ts", pl.col("symbol").cast(pl.String), pl.col("close").cast(pl.Float64)).with_row_index(
        "row"
    )
    frame = frame.sort("symbol", "ts")
    near = pl.col("ts").diff().dt.total_days().over("symbol") <= _HOLE_DAYS
    move = pl.when(near).then(pl.col("close").log().diff().over("symbol"))
    frame = frame.with_columns(move=move)
    size = pl.col("move").abs()
    # Where little trades most closes repeat the one before, which says nothing of how far one goes that does not.
    moved = pl.when(size > 0).then(size)
    scale = moved.rolling_median(_AROUND, min_samples=ENOUGH, center=True).over("symbol").fill_null(UNKNOWN)
    market = pl.when(size.count().over("ts") >= INSTRUMENTS).then(size.median().over("ts")).otherwise(0.0)
    # Between two errors a good close looks like one: its level is what most closes around it have.
    level = pl.col("close").log().rolling_median(7, min_samples=1, center=True).over("symbol")
    frame = frame.with_columns(
        back=pl.col("move").shift(-1).over("symbol"),
        before=pl.col("close").shift(1).over("symbol"),
        after=pl.col("close").shift(-1).over("symbol"),
        off=(pl.col("close").log() - level).abs(),
        bound=pl.max_horizontal(pl.lit(LEAST), SCALES * scale, pl.min_horizontal(MARKET * market, pl.lit(MARKET_MOST))),
    )
    away = pl.col("off") > pl.col("bound") / 2
    undone = (
        (size > pl.col("bound"))
        & (pl.col("back").abs() > pl.col("bound"))
        & ((pl.col("move") + pl.col("back")).abs() <= LEFT * size)
        & away
    )
    alone = (size > MOST) & away & pl.col("after").is_null()
    found = frame.filter(undone | alone).select("row", "symbol", "ts", "before", "close", "after")
    known = [(a.symbol, a.date) for a in actions if a.kind is Kind.SPLIT] if found.height else []
    return [
        spike
        for spike in map(Spike._make, found.rows())
        if spike.after is not None or not any(s == spike.symbol and abs((d - spike.date).days) <= 1 for s, d in known)
    ]


def contradicted(minutes: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Which closes of recorded minutes are errors, as of sessions; `minutes`: ``ts, symbol, close``, shape (rows,).

    An instrument's first and last minute have one side only: they are errors beyond a factor of 2 of the level there.
    """
    wrong = np.zeros(minutes.height, dtype=np.bool_)
    wrong[[spike.row for spike in spikes(minutes)]] = True
    level = pl.col("close").log().rolling_median(7, min_samples=1, center=True).over("symbol")
    edge = (pl.col("symbol") != pl.col("symbol").shift()) | (pl.col("symbol") != pl.col("symbol").shift(-1))
    ends = (
        minutes.select("ts", pl.col("symbol").cast(pl.String), "close")
        .with_row_index("row")
        .sort("symbol", "ts")
        .with_columns(edge=edge.fill_null(value=True), off=(pl.col("close").log() - level).abs())
        .filter(pl.col("edge"), pl.col("off") > MARKET_MOST)
    )
    wrong[ends["row"].to_numpy()] = True
    return wrong
