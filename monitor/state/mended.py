"""What a print that was taken back changes in bars that are closed, be they still here or in the store already."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan
from typing import Final, NamedTuple

import polars as pl

from monitor.state.symbols import SymbolIndex

REVISIONS: Final = pl.Schema(
    {
        "resolution": pl.String(),
        "key": pl.Int64(),
        "symbol": pl.String(),
        "wrong": pl.Float64(),
        "right": pl.Float64(),
        "closed": pl.Boolean(),
        "close": pl.Float64(),
        "age_ms": pl.Int64(),
        "volume": pl.Float64(),
        "opens_at": pl.Int64(),
        "closes_at": pl.Int64(),
    }
)
"""Revisions of stored bars in the order they came, see :class:`Revision`; unknown numbers are NaN."""


class Bar(NamedTuple):
    """One closed bar; NaN is unknown. `age`: how old its close was at its end, ms; 0 of a session."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    age: int = 0


class Revision(NamedTuple):
    """What becomes of one closed bar.

    `resolution`: ``1m`` or ``1d``; `key`: a minute's start, UTC ns, or a session's date, days since 1970. `wrong`: the
    price that was taken back, NaN where another print had it too; `right`: what it is instead, NaN for nothing.
    `closed`: if it was the bar's close, that is `close` now, `age` ms old; where that is NaN the bar's open stands for
    it. `volume`: how much more, or less. `opens_at`, `closes_at`: of a session whose high and low are to be made again
    from its minutes, if one of them is `wrong` or that is NaN; UTC ns, 0 otherwise.
    """

    resolution: str
    key: int
    code: int
    wrong: float = nan
    right: float = nan
    closed: bool = False
    close: float = nan
    age: int = 0
    volume: float = 0.0
    opens_at: int = 0
    closes_at: int = 0

    def about(self, bar: Bar) -> bool:
        """Whether the bar's high or low is what was taken back."""
        return self.wrong != self.wrong or self.wrong in {bar.high, bar.low}

    def mend(self, bar: Bar) -> Bar:
        """The bar without what was taken back.

        Of a high or low that is gone the prints below are not kept: it is the furthest of what is known to be right.
        """
        close, age = (self.close, self.age) if self.closed and bar.close == self.wrong else (bar.close, bar.age)
        if not close > 0 and bar.open != self.wrong:
            close = bar.open
        opened = bar.open
        if opened == self.wrong:
            opened = self.right if self.right > 0 else close
        known = [price for price in (opened, close, self.right) if price > 0]
        high, low = (
            # A session without regular trading has no extremes, whatever its close is.
            extreme if not abs(extreme) < inf else furthest([*known, *([] if extreme == self.wrong else [extreme])])
            for extreme, furthest in ((bar.high, _highest), (bar.low, _lowest))
        )
        # NaN stays what it is: of a bar whose volume is not known it is not known what is left.
        return Bar(opened, high, low, close, max(bar.volume + self.volume, 0.0 * bar.volume), age)


def _highest(prices: Sequence[float]) -> float:
    return max(prices, default=nan)


def _lowest(prices: Sequence[float]) -> float:
    return min(prices, default=nan)


def revisions_frame(revisions: Sequence[Revision], index: SymbolIndex) -> pl.DataFrame:
    """Revisions as :data:`REVISIONS`."""
    symbols = index.symbols()
    rows = [
        (r.resolution, r.key, symbols[r.code], r.wrong, r.right, r.closed, r.close, r.age, r.volume, *r[-2:])
        for r in revisions
    ]
    return pl.DataFrame(rows, schema=REVISIONS, orient="row")
