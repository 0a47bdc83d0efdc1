"""What the state takes in."""

from __future__ import annotations

from typing import Protocol

import polars as pl


class MarketData(Protocol):
    """A clean batch: frames with the schemas of :mod:`connectors.batch`."""

    @property
    def quotes(self) -> pl.DataFrame:
        """``ts, symbol, bid, ask, bid_size, ask_size``."""

    @property
    def trades(self) -> pl.DataFrame:
        """``ts, symbol, price, size``."""

    @property
    def bars(self) -> pl.DataFrame:
        """``ts, end, symbol, open, high, low, close, volume``; ``[ts, end)``."""

    @property
    def statuses(self) -> pl.DataFrame:
        """``ts, symbol, code``: ``halt``, or something else, which ends one."""

    @property
    def corrections(self) -> pl.DataFrame:
        """``ts, symbol, price, new_price``: prints that are replaced, or were none where the new price is unknown."""

    @property
    def series(self) -> pl.DataFrame:
        """``ts, series, value``: external series, by when they were published."""
