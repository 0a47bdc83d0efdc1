"""Messages of Massive's stream to the columns of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from connectors.batch import BANDS, BARS, STATUSES, TIME, Batch, Notice, NoticeKind, empty
from connectors.massive.messages import UNUSED, LimitBand, MinuteBar, Quote, SecondBar, Status, Trade
from connectors.massive.order import Numbered, in_order
from connectors.rows import possible_rows
from connectors.ticks import QuoteRows, TradeRows, milliseconds_column
from connectors.timestamps import UNREADABLE, Nanoseconds

_NO_BARS, _NO_STATUSES, _NO_BANDS = empty(BARS), empty(STATUSES), empty(BANDS)

_HALTS: Final = {17: ("H", "limit band: trading halted"), 18: ("T", "limit band: trading resumed")}
"""Indicators of the limit band messages that halt and resume; only for Nasdaq's listings, so in that tape's codes."""

_FIRST_NANOSECONDS: Final = 10**16
"""As milliseconds beyond what an int64 of nanoseconds holds, as nanoseconds in 1970: above, a time is nanoseconds."""

_PROGRESS: Final = {
    "connected": NoticeKind.CONNECTED,
    "auth_success": NoticeKind.AUTHENTICATED,
    "success": NoticeKind.SUBSCRIBED,
}


class Columns:
    """Makes batches; keeps only the newest number of each instrument."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._quotes = Numbered()
        self._trades = Numbered()

    def batch(self, received_at: int, frames: Iterable[Sequence[Any]], rejected: Counter[str]) -> Batch:
        """The batch of the messages of `frames`; what is impossible is counted in `rejected`."""
        quotes, trades = QuoteRows(), TradeRows()
        numbers: list[int] = []
        others: list[Any] = []
        q_symbol, q_time, q_number = quotes.symbols.append, quotes.times.append, numbers.append
        bid, ask, bid_size, ask_size = (column.append for column in quotes.numbers.values())
        t_symbol, t_time, t_id = trades.symbols.append, trades.times.append, trades.ids.append
        price, size = (column.append for column in trades.numbers.values())
        for messages in frames:
            for message in messages:
                kind = type(message)
                if kind is Quote:
                    q_symbol(message.sym)
                    q_time(message.t)
                    bid(message.bp)
                    ask(message.ap)
                    bid_size(message.bs)
                    ask_size(message.ask_size)
                    q_number(message.q)
                elif kind is Trade:
                    t_symbol(message.sym)
                    t_time(message.t)
                    price(message.p)
                    size(message.s)
                    t_id(message.q)
                else:
                    others.append(message)
        unused = Counter(UNUSED[type(m)] for m in others if type(m) in UNUSED)
        self._newest_quotes(quotes, numbers, unused)
        self._each_trade_once(trades, unused)
        bands = [m for m in others if type(m) is LimitBand]
        return Batch(
            feed=self._name,
            received_at=received_at,
            quotes=quotes.frame(milliseconds_column, rejected),
            trades=trades.frame(milliseconds_column, rejected),
            bars=_bars([m for m in others if type(m) in (MinuteBar, SecondBar)], rejected),
            statuses=_halts(bands),
            bands=_bands(bands, rejected),
            notices=tuple(_notice(m) for m in others if type(m) is Status),
            rejected=rejected,
            unused=unused,
        )

    def _newest_quotes(self, quotes: QuoteRows, numbers: list[int], unused: Counter[str]) -> None:
        """Take out the quotes that a newer one has replaced already."""
        if not numbers:
            return
        order = self._quotes.judge(quotes.symbols, quotes.times, numbers)
        if order.repeated or order.late:
            unused["duplicate quote"] += len(order.repeated)
            unused["late quote"] += len(order.late)
            refused = {*order.repeated, *order.late}
            _take([row for row in range(len(numbers)) if row not in refused], quotes)

    def _each_trade_once(self, trades: TradeRows, unused: Counter[str]) -> None:
        """Take out what comes twice in a row, and order the others as the vendor did; a late one is a trade still."""
        if not trades.ids:
            return
        numbers = [number or 0 for number in trades.ids]
        order = self._trades.judge(trades.symbols, trades.times, numbers)
        if order.repeated:
            unused["duplicate trade"] += len(order.repeated)
            refused = set(order.repeated)
            _take([row for row in range(len(numbers)) if row not in refused], trades)
        if order.late:
            _take(in_order(trades.symbols, [number or 0 for number in trades.ids]), trades)


def _take(rows: Sequence[int], columns: QuoteRows | TradeRows) -> None:
    """Only these rows, in this order."""
    lists = [columns.times, columns.symbols, *columns.numbers.values()]
    if isinstance(columns, TradeRows):
        lists.append(columns.ids)
    for values in lists:
        values[:] = [values[row] for row in rows]


def _bars(rows: Sequence[MinuteBar], rejected: Counter[str]) -> pl.DataFrame:
    if not rows:
        return _NO_BARS
    starts, stops = milliseconds_column([b.s for b in rows]), milliseconds_column([b.e for b in rows])
    numbers = {
        "open": [b.o for b in rows],
        "high": [b.h for b in rows],
        "low": [b.l for b in rows],
        "close": [b.c for b in rows],
        "volume": [b.v for b in rows],
    }
    end = pl.Series("end", stops).cast(TIME)
    starts = np.where(stops > starts, starts, UNREADABLE)  # a bar without an end, or that ends before it starts
    return possible_rows(starts, [b.sym for b in rows], numbers, rejected, [end]).select(BARS.names())


def _bands(rows: Sequence[LimitBand], rejected: Counter[str]) -> pl.DataFrame:
    if not rows:
        return _NO_BANDS
    indicators = [pl.Series("indicator", [",".join(map(str, b.i)) for b in rows], dtype=pl.String)]
    numbers = {"lower": [b.l for b in rows], "upper": [b.h for b in rows]}
    return possible_rows(_band_times([b.t for b in rows]), [b.T for b in rows], numbers, rejected, indicators)


def _halts(rows: Sequence[LimitBand]) -> pl.DataFrame:
    """Halts and resumptions among the bands; an unreadable time is counted with the bands."""
    halts = [(b.t, b.T, *_HALTS[i]) for b in rows for i in b.i if i in _HALTS]
    if not halts:
        return _NO_STATUSES
    times, symbols, codes, reasons = (list(column) for column in zip(*halts, strict=True))
    others = [pl.Series("code", codes, dtype=pl.String), pl.Series("reason", reasons, dtype=pl.String)]
    return possible_rows(_band_times(times), symbols, {}, Counter(), others)


def _band_times(values: Sequence[int]) -> Nanoseconds:
    """Times that are milliseconds, as documented, or nanoseconds, as sent."""
    times = np.array(values, dtype=np.int64)
    return np.where(times >= _FIRST_NANOSECONDS, times, milliseconds_column(values))


def _notice(status: Status) -> Notice:
    kind = _PROGRESS.get(status.status)
    if kind is not None:
        return Notice(kind, status.message)
    return Notice(NoticeKind.ERROR, status.message.strip(), status.status)
