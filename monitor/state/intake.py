"""Counting the rows of one step of time into the columns: last quote and trade, price, minute and session so far."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from monitor.state.columns import NO_VOLUME, Bools, Codes, Columns, Floats, Ints
from monitor.state.rows import Prints, Rows, newest


class PriceSource(StrEnum):
    """What sets the price: trades where the instrument has them and quotes otherwise, or always one of the two."""

    AUTO = "auto"
    LAST = "last"
    MID = "mid"


@dataclass(slots=True)
class Intake:
    """Writes rows into `columns`.

    `session_open` and `minute_start` are of the open session and minute, UTC nanoseconds. `touched`: a price was set
    since that was last made false.
    """

    columns: Columns
    price: PriceSource
    session_open: int = 0
    minute_start: int = 0
    touched: bool = False

    def take(self, trades: Rows, bars: Rows, quotes: Rows) -> None:
        """Take in rows, in arrival order within each kind. Quotes come last: whether they count depends on trades."""
        if len(trades):
            self._take_trades(trades)
        if len(bars):
            self._take_bars(bars)
        if len(quotes):
            self._take_quotes(quotes)

    def _take_quotes(self, rows: Rows) -> None:
        c = self.columns
        kept = rows.pick(newest(rows.codes, rows.ts, c.quote_ts))
        c.quote_ts[kept.codes] = kept.ts
        c.bid[kept.codes], c.ask[kept.codes], c.bid_size[kept.codes], c.ask_size[kept.codes] = kept.values
        if self.price is PriceSource.LAST:
            return
        if self.price is PriceSource.AUTO:
            without_trades = c.last_ts[rows.codes] == 0
            if not without_trades.any():
                return
            if not without_trades.all():
                rows = rows.pick(without_trades)
        bid, ask = rows.values[:2]
        self._print(Prints.of(rows.codes, rows.ts, (bid + ask) / 2), c.price_ts, c.price_ts_before)

    def _take_trades(self, rows: Rows) -> None:
        c = self.columns
        price, size = rows.values
        self._add_volume(rows.codes, size)
        priced = ~np.isnan(price)
        if not priced.all():  # what sets no price is volume alone
            rows = rows.pick(priced)
            price, size = rows.values
        kept = rows.pick(newest(rows.codes, rows.ts, c.trade_ts))
        c.trade_ts[kept.codes] = kept.ts
        c.trade_price[kept.codes], c.trade_size[kept.codes] = kept.values
        if self.price is not PriceSource.MID:
            self._print(Prints.of(rows.codes, rows.ts, price), c.last_ts, c.last_ts_before)

    def _take_bars(self, rows: Rows) -> None:
        c = self.columns
        open_, high, low, close, volume = rows.values
        # A feed may send trades and the bars made of them: then the bar only confirms the price.
        traded = c.trade_ts[rows.codes] >= rows.starts
        if traded.any():
            open_, high, low = (np.where(traded, close, v) for v in (open_, high, low))
            volume = np.where(traded, np.nan, volume)
        self._add_volume(rows.codes, self._new_volume(rows, volume))
        if self.price is not PriceSource.MID:
            prints = Prints.of(rows.codes, rows.ts, close, (open_, high, low))
            self._print(prints, c.last_ts, c.last_ts_before, opening=1)

    def _add_volume(self, codes: Codes, volume: Floats) -> None:
        np.add.at(self.columns.minute_volume, codes, np.where(np.isnan(volume), NO_VOLUME, volume))

    def _new_volume(self, rows: Rows, volume: Floats) -> Floats:
        """The bars' volumes, but of an instrument's last bar that is sent again only what is new in it."""
        c = self.columns
        order = np.argsort(rows.codes, kind="stable")
        codes, starts, counted = rows.codes[order], rows.starts[order], np.nan_to_num(volume[order])
        first = np.ones(len(codes), dtype=np.bool_)
        np.not_equal(codes[1:], codes[:-1], out=first[1:])
        again = starts == np.where(first, c.bar_start[codes], np.roll(starts, 1))
        before = np.where(first, c.bar_volume[codes], np.roll(counted, 1))
        new = volume.copy()
        new[order[again]] -= before[again]
        c.bar_start[codes], c.bar_volume[codes] = starts, counted
        return np.maximum(new, 0.0)

    def _print(self, prints: Prints, last: Ints, last_before: Ints, opening: int = 0) -> None:
        """Count prices into the minute and the session, and set the price from those that are not older than `last`.

        `opening` is how long after the open a price must be made to be one of regular trading: a bar that ends at the
        open is not.
        """
        c = self.columns
        codes, ts = prints.codes, prints.ts
        if not len(ts):
            return
        _widen(prints, ts >= self.session_open + opening, c.session_open, c.session_high, c.session_low)
        # A price of a minute that is over counts here if it sets the price. That is judged by what was known as this
        # minute began, so that it does not matter what came before it in the same batch.
        counted = (ts > self.minute_start) | (ts >= last_before[codes])
        _widen(prints, counted, c.minute_open, c.minute_high, c.minute_low)
        c.printed[codes[counted]] = True
        kept = newest(codes, ts, last)
        codes, ts = codes[kept], ts[kept]
        if len(ts):
            last[codes] = ts
            c.price_ts[codes] = ts
            c.price[codes] = prints.price[kept]
            self.touched = True


def _widen(prints: Prints, where: Bools, opens: Floats, highs: Floats, lows: Floats) -> None:
    """Count the prices `where` into opens, highs and lows."""
    if not where.any():
        return
    codes, open_, high, low = prints.codes, prints.open, prints.high, prints.low
    if not where.all():
        codes, open_, high, low = codes[where], open_[where], high[where], low[where]
    first = np.flatnonzero(np.isnan(opens[codes]))[::-1]  # reversed, so that the first of several stays
    opens[codes[first]] = open_[first]
    np.fmax.at(highs, codes, high)
    np.fmin.at(lows, codes, low)
