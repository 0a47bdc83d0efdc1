"""Bars of the past, of vendors and files: those that no market can have made are left out, counted and shown."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
import polars as pl

from connectors.batch import TIME
from monitor.ingest.rejects import Cause, number
from monitor.ingest.values import Mask, incomplete, screen

NOT_ASKED: Final = "not-asked-for"
"""A bar of another instrument or time than the vendor was asked for."""

_PRICES: Final = ("open", "high", "low", "close")


class Refused:
    """Bars that were left out: `counts` by cause, as in :class:`Cause` and in words of who read them.

    `examples`: the first of each cause, in words.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def possible(self, bars: pl.DataFrame) -> pl.DataFrame:
        """The bars whose own values can be true.

        `bars`: ``ts``, ``symbol``, ``close``, and perhaps the other prices, a ``volume`` and an ``end``. Where one of
        those is null it says nothing.
        """
        if not bars.height:
            return bars
        whole = _whole(bars)
        nameless = incomplete("bars", whole)
        if nameless is not None:
            self.refuse(Cause.NON_FINITE, bars, nameless.to_numpy())
            bars, whole = bars.filter(~nameless), whole.filter(~nameless)
        verdict = screen("bars", whole)
        if verdict is None:
            return bars
        for cause in Cause:
            self.refuse(cause, bars, verdict == number(cause))
        return bars.filter(verdict == 0)

    def refuse(self, cause: str, bars: pl.DataFrame, wrong: Mask) -> pl.DataFrame:
        """Count the bars that are `wrong`; the others."""
        if not wrong.any():
            return bars
        self.counts[str(cause)] += int(np.count_nonzero(wrong))
        row = bars.row(int(wrong.argmax()), named=True)
        numbers = ", ".join(f"{n} {_text(row[n])}" for n in (*_PRICES, "volume") if n in row)
        self.examples.setdefault(str(cause), f"{row['symbol']} {row['ts']}: {numbers}")
        return bars.filter(~wrong)

    @property
    def lines(self) -> list[str]:
        """One a cause, in words."""
        lines = []
        for cause, count in sorted(self.counts.items()):
            example = f", such as {self.examples[cause]}" if cause in self.examples else ""
            lines.append(f"{count} bar{'s' if count > 1 else ''} left out: {cause}{example}")
        return lines


def _whole(bars: pl.DataFrame) -> pl.DataFrame:
    """The bars with every column that a bar of a feed has."""
    known = {name: pl.col(name).cast(pl.Float64) for name in (*_PRICES, "volume") if name in bars.columns}
    close = known["close"]
    opened = pl.coalesce(known.get("open", close), close)
    begins = pl.col("ts").cast(TIME)
    return bars.select(
        symbol="symbol",
        ts=begins,
        end=pl.col("end").cast(TIME) if "end" in bars.columns else begins + pl.duration(days=1, time_unit="ns"),
        open=opened,
        high=pl.coalesce(known.get("high", close), pl.max_horizontal(opened, close)),
        low=pl.coalesce(known.get("low", close), pl.min_horizontal(opened, close)),
        close=close,
        volume=known.get("volume", pl.lit(None, pl.Float64)),
    )


def _text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"
