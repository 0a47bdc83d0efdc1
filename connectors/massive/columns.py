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
from connectors.sale_conditions import Verdict, Verdicts, verdict_of_codes
from connectors.ticks import QuoteRows, TradeRows, milliseconds_column
from connectors.timestamps import UNREADABLE, Nanoseconds

_NO_BARS, _NO_STATUSES, _NO_BANDS = empty(BARS), empty(STATUSES), empty(BANDS)

_HALTS: Final = {17: ("H", "limit band: trading halted"), 18: ("T", "limit band: trading resumed")}
"""Indicators of the limit band messages that halt and resume; only for Nasdaq's listings, so in that tape's codes."""

_FIRST_NANOSECONDS: Final = 10**16
"""As milliseconds beyond what an int64 of nanoseconds holds, as nanoseconds in 1970: above, a time is nanoseconds."""

_VERDICTS: Final = Verdicts[int](verdict_of_codes)

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

    def batch(  # noqa: C901, PLR0912, PLR0915 - one loop, with no call for each message
        self, received_at: int, frames: Iterable[Sequence[Any]], rejected: Counter[str]
    ) -> Batch:
        """The batch of the messages of `frames`; what is impossible is counted in `rejected`."""
        quotes, trades = QuoteRows(), TradeRows()
        others: list[Any] = []
        unused: Counter[str] = Counter()
        late = False
        q_symbol, q_time = quotes.symbols.append, quotes.times.append
        bid, ask, bid_size, ask_size = (column.append for column in quotes.numbers.values())
        t_symbol, t_time, t_id = trades.symbols.append, trades.times.append, trades.ids.append
        price, size = (column.append for column in trades.numbers.values())
        q_newest, t_newest = self._quotes.newest, self._trades.newest
        q_known, t_known = q_newest.get, t_newest.get
        volume, times = trades.volume.append, trades.times
        verdicts, nothing = _VERDICTS, int(Verdict.NOTHING)
        for messages in frames:
            for message in messages:
                kind = type(message)
                if kind is Quote:
                    symbol, number = message.sym, message.q
                    if number > q_known(symbol, 0):
                        q_newest[symbol] = number
                    elif number and self._quotes.old(symbol, number, message.t):
                        unused["duplicate quote" if number == q_known(symbol) else "late quote"] += 1
                        continue
                    q_symbol(symbol)
                    q_time(message.t)
                    bid(message.bp)
                    ask(message.ap)
                    bid_size(message.bs)
                    ask_size(message.ask_size)
                elif kind is Trade:
                    found = verdicts[message.c]
                    if found == nothing:
                        unused["official open or close"] += 1
                        continue
                    symbol, number = message.sym, message.q
                    if number > t_known(symbol, 0):
                        t_newest[symbol] = number
                    elif number and self._trades.old(symbol, number, message.t):
                        if number == t_known(symbol):
                            unused["duplicate trade"] += 1
                            continue
                        late = True  # a trade still, and in its place among those it came with
                    if found:
                        volume(len(times))
                    t_symbol(symbol)
                    t_time(message.t)
                    price(message.p)
                    size(message.s)
                    t_id(number or None)
                else:
                    others.append(message)
        if quotes.times:
            self._quotes.reached(quotes.times[-1])
        if trades.times:
            self._trades.reached(trades.times[-1])
        if late:
            _order(trades)
        unused.update(UNUSED[type(m)] for m in others if type(m) in UNUSED)
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


def _order(trades: TradeRows) -> None:
    """Put each instrument's trades in the order of their numbers."""
    rows = in_order(trades.symbols, [number or 0 for number in trades.ids])
    columns: list[list[Any]] = [trades.times, trades.symbols, trades.ids, *trades.numbers.values()]
    for values in columns:
        values[:] = [values[row] for row in rows]
    volume = set(trades.volume)
    trades.volume[:] = [place for place, row in enumerate(rows) if row in volume]


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
