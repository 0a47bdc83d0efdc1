"""Messages of Alpaca's stream to the columns of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.alpaca.messages import (
    UNUSED,
    Bar,
    Control,
    Error,
    Quote,
    Status,
    Subscription,
    Success,
    Trade,
)
from connectors.batch import BARS, QUOTES, STATUSES, TIME, TRADES, Batch, Notice, NoticeKind, empty
from connectors.timestamps import SECOND, UNREADABLE, Nanoseconds

MINUTE: Final = 60 * SECOND
_NO_QUOTES, _NO_TRADES, _NO_BARS, _NO_STATUSES = (empty(schema) for schema in (QUOTES, TRADES, BARS, STATUSES))
"""Frames are never changed, so that all batches can share the empty ones."""

Times = Callable[[Sequence[Any]], Nanoseconds]
"""Time stamps as the encoding writes them, to nanoseconds since 1970."""


def to_batch(name: str, received_at: int, messages: list[Any], times: Times, rejected: Counter[str]) -> Batch:
    """The batch of decoded `messages`; rows with an impossible number or time are counted in `rejected` instead."""
    quotes = [m for m in messages if type(m) is Quote]
    if len(quotes) == len(messages):
        return Batch(
            feed=name,
            received_at=received_at,
            quotes=_quotes(quotes, times, rejected),
            trades=_NO_TRADES,
            bars=_NO_BARS,
            statuses=_NO_STATUSES,
            rejected=rejected,
        )
    trades = [m for m in messages if type(m) is Trade]
    others = [m for m in messages if type(m) is not Quote and type(m) is not Trade]
    unused = Counter(UNUSED[type(m)] for m in others if type(m) in UNUSED)
    return Batch(
        feed=name,
        received_at=received_at,
        quotes=_quotes(quotes, times, rejected),
        trades=_trades(trades, times, rejected),
        bars=_bars([m for m in others if isinstance(m, Bar)], times, rejected),
        statuses=_statuses([m for m in others if type(m) is Status], times, rejected),
        notices=tuple(_notice(m) for m in others if isinstance(m, Control)),
        rejected=rejected,
        unused=unused,
    )


def _quotes(rows: Sequence[Quote[Any]], times: Times, rejected: Counter[str]) -> pl.DataFrame:
    if not rows:
        return _NO_QUOTES
    numbers = {
        "bid": [q.bp for q in rows],
        "ask": [q.ap for q in rows],
        "bid_size": [q.bs for q in rows],
        "ask_size": [q.ask_size for q in rows],
    }
    return _frame(times([q.t for q in rows]), [q.S for q in rows], numbers, rejected)


def _trades(rows: Sequence[Trade[Any]], times: Times, rejected: Counter[str]) -> pl.DataFrame:
    if not rows:
        return _NO_TRADES
    numbers = {"price": [t.p for t in rows], "size": [t.s for t in rows]}
    ids = pl.Series("id", [t.i for t in rows], dtype=pl.Int64)
    return _frame(times([t.t for t in rows]), [t.S for t in rows], numbers, rejected, [ids])


def _bars(rows: Sequence[Bar[Any]], times: Times, rejected: Counter[str]) -> pl.DataFrame:
    if not rows:
        return _NO_BARS
    numbers = {
        "open": [b.o for b in rows],
        "high": [b.h for b in rows],
        "low": [b.l for b in rows],
        "close": [b.c for b in rows],
        "volume": [b.v for b in rows],
    }
    starts = times([b.t for b in rows])
    ends = pl.Series("end", np.where(starts == UNREADABLE, UNREADABLE, starts + MINUTE)).cast(TIME)
    return _frame(starts, [b.S for b in rows], numbers, rejected, [ends]).select(BARS.names())


def _statuses(rows: Sequence[Status[Any]], times: Times, rejected: Counter[str]) -> pl.DataFrame:
    if not rows:
        return _NO_STATUSES
    texts = [
        pl.Series("code", [s.sc for s in rows], dtype=pl.String),
        pl.Series("reason", [": ".join(filter(None, (s.rc, s.rm or s.sm))) for s in rows], dtype=pl.String),
    ]
    return _frame(times([s.t for s in rows]), [s.S for s in rows], {}, rejected, texts)


def _frame(
    times: Nanoseconds,
    symbols: list[str],
    numbers: Mapping[str, list[float]],
    rejected: Counter[str],
    others: Sequence[pl.Series] = (),
) -> pl.DataFrame:
    """One frame of the columns, without the rows that have no time or a number that is negative or none."""
    columns = [pl.Series(name, values, dtype=pl.Float64) for name, values in numbers.items()]
    frame = pl.DataFrame(
        [pl.Series("ts", times).cast(TIME), pl.Series("symbol", symbols, dtype=pl.String), *columns, *others]
    )
    arrays = [column.to_numpy() for column in columns]
    # A minimum of numpy, unlike one of polars, is NaN if any value is, so this one comparison finds both.
    if times.min() != UNREADABLE and all(a.min() >= 0 and a.max() < np.inf for a in arrays):
        return frame
    return frame.filter(pl.Series(_good(times, arrays, rejected)))


def _good(
    times: Nanoseconds, numbers: Sequence[npt.NDArray[np.float64]], rejected: Counter[str]
) -> npt.NDArray[np.bool_]:
    """Which rows are possible; the others are counted in `rejected`, each once."""
    good: npt.NDArray[np.bool_] = times != UNREADABLE
    rejected["unreadable time"] += int((~good).sum())
    for cause, test in (("not a number", np.isfinite), ("negative number", lambda values: values >= 0)):
        for values in numbers:
            fine = test(values)
            rejected[cause] += int((good & ~fine).sum())
            good &= fine
    for cause in [cause for cause, count in rejected.items() if not count]:
        del rejected[cause]
    return good


_PROGRESS: Final = {"connected": NoticeKind.CONNECTED, "authenticated": NoticeKind.AUTHENTICATED}


def _notice(message: Success | Subscription | Error) -> Notice:
    if isinstance(message, Error):
        return Notice(NoticeKind.ERROR, message.msg, message.code)
    if isinstance(message, Success):
        return Notice(_PROGRESS.get(message.msg, NoticeKind.HEARTBEAT), message.msg)
    counts = {
        "trades": len(message.trades),
        "quotes": len(message.quotes),
        "bars": len(message.bars),
        "updated bars": len(message.updated_bars),
        "statuses": len(message.statuses),
    }
    return Notice(NoticeKind.SUBSCRIBED, ", ".join(f"{name} {count}" for name, count in counts.items() if count))
