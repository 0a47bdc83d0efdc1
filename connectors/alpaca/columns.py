"""Messages of Alpaca's stream to the columns of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import polars as pl

from connectors.alpaca.messages import (
    UNUSED,
    Bar,
    Cancel,
    Control,
    Correction,
    Error,
    LimitBand,
    Quote,
    Status,
    Subscription,
    Success,
    Trade,
    UpdatedBar,
)
from connectors.batch import (
    BANDS,
    BARS,
    CORRECTIONS,
    QUOTES,
    STATUSES,
    TRADES,
    Batch,
    Notice,
    NoticeKind,
    empty,
)
from connectors.rows import ends, possible_rows
from connectors.sale_conditions import SPECIAL, is_nothing, is_volume
from connectors.ticks import TradeRows
from connectors.timestamps import SECOND, Nanoseconds

MINUTE: Final = 60 * SECOND
_NO_QUOTES, _NO_TRADES, _NO_BARS, _NO_STATUSES, _NO_BANDS, _NO_CORRECTIONS = (
    empty(schema) for schema in (QUOTES, TRADES, BARS, STATUSES, BANDS, CORRECTIONS)
)
"""Frames are never changed, so that all batches can share the empty ones."""

_REGULAR: Final = ["@"]
"""The conditions of nearly every print."""

Times = Callable[[Sequence[Any]], Nanoseconds]
"""Time stamps as the encoding writes them, to nanoseconds since 1970."""


def to_batch(
    name: str, received_at: int, frames: Iterable[Sequence[Any]], times: Times, rejected: Counter[str]
) -> Batch:
    """The batch of the messages of `frames`; rows with an impossible number or time are counted in `rejected` instead.

    Quotes and trades, nearly all there is, go into columns one by one while the processor has them at hand. Measured
    with 5,000 quotes: 75 ns each, against 90 to 250 for gathering the messages first and then each column.
    """
    quotes, trades = _Quotes(), TradeRows()
    others: list[Any] = []
    repeated, ordinary = 0, SPECIAL.isdisjoint
    q_symbol, q_time = quotes.symbols.append, quotes.times.append
    bid, ask, bid_size, ask_size = (column.append for column in quotes.numbers.values())
    t_symbol, t_time, t_id = trades.symbols.append, trades.times.append, trades.ids.append
    price, size = (column.append for column in trades.numbers.values())
    for messages in frames:
        for message in messages:
            kind = type(message)
            if kind is Quote:
                q_symbol(message.S)
                q_time(message.t)
                bid(message.bp)
                ask(message.ap)
                bid_size(message.bs)
                ask_size(message.ask_size)
            elif kind is Trade:
                conditions = message.c
                if conditions and conditions != _REGULAR and not ordinary(conditions):
                    if is_nothing(conditions):
                        repeated += 1
                        continue
                    if is_volume(conditions, message.z):
                        trades.volume.append(len(trades.times))
                t_symbol(message.S)
                t_time(message.t)
                price(message.p)
                size(message.s)
                t_id(message.i)
            else:
                others.append(message)
    unused = Counter(UNUSED[type(m)] for m in others if type(m) in UNUSED)
    if repeated:
        unused["official open or close"] = repeated
    return Batch(
        feed=name,
        received_at=received_at,
        quotes=quotes.frame(times, rejected),
        trades=trades.frame(times, rejected),
        bars=_bars([m for m in others if type(m) in (Bar, UpdatedBar)], times, rejected),
        statuses=_statuses([m for m in others if type(m) is Status], times, rejected),
        bands=_bands([m for m in others if type(m) is LimitBand], times, rejected),
        corrections=_corrections([m for m in others if isinstance(m, Correction | Cancel)], times, rejected),
        notices=tuple(_notice(m) for m in others if isinstance(m, Control)),
        rejected=rejected,
        unused=unused,
    )


class _Quotes:
    """The columns of quotes, as lists that grow."""

    def __init__(self) -> None:
        self.times: list[Any] = []
        self.symbols: list[str] = []
        self.numbers: dict[str, list[float]] = {"bid": [], "ask": [], "bid_size": [], "ask_size": []}

    def frame(self, times: Times, rejected: Counter[str]) -> pl.DataFrame:
        if not self.times:
            return _NO_QUOTES
        return possible_rows(times(self.times), self.symbols, self.numbers, rejected)


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
    return possible_rows(starts, [b.S for b in rows], numbers, rejected, [ends(starts, MINUTE)]).select(BARS.names())


def _bands(rows: Sequence[LimitBand[Any]], times: Times, rejected: Counter[str]) -> pl.DataFrame:
    if not rows:
        return _NO_BANDS
    indicators = [pl.Series("indicator", [b.i for b in rows], dtype=pl.String)]
    numbers = {"lower": [b.d for b in rows], "upper": [b.u for b in rows]}
    return possible_rows(times([b.t for b in rows]), [b.S for b in rows], numbers, rejected, indicators)


def _corrections(rows: Sequence[Correction[Any] | Cancel[Any]], times: Times, rejected: Counter[str]) -> pl.DataFrame:
    """Corrections and cancels in arrival order; one whose new numbers are impossible is refused with the others."""
    if not rows:
        return _NO_CORRECTIONS
    # A cancelled print has nothing in its place: tested as zeros, which pass, and written as unknown.
    prints = [
        (r.op, r.os, r.cp, r.cs, "correction", r.oi, r.ci)
        if isinstance(r, Correction)
        else (r.p, r.s, 0.0, 0.0, _CANCELS.get(r.a, "cancel"), r.i, None)
        for r in rows
    ]
    *columns, kinds, ids, new_ids = (list(column) for column in zip(*prints, strict=True))
    numbers = dict(zip(("price", "size", "new_price", "new_size"), columns, strict=True))
    frame = possible_rows(
        times([r.t for r in rows]),
        [r.S for r in rows],
        numbers,
        rejected,
        [
            pl.Series("kind", kinds, dtype=pl.String),
            pl.Series("id", ids, dtype=pl.Int64),
            pl.Series("new_id", new_ids, dtype=pl.Int64),
        ],
    )
    replaced = pl.col("kind") == "correction"
    unknown = pl.lit(float("nan"))
    return frame.with_columns(
        pl.when(replaced).then(pl.col(name)).otherwise(unknown).alias(name) for name in ("new_price", "new_size")
    ).select(CORRECTIONS.names())


def _statuses(rows: Sequence[Status[Any]], times: Times, rejected: Counter[str]) -> pl.DataFrame:
    if not rows:
        return _NO_STATUSES
    texts = [
        pl.Series("code", [s.sc for s in rows], dtype=pl.String),
        pl.Series("reason", [": ".join(filter(None, (s.rc, s.rm or s.sm))) for s in rows], dtype=pl.String),
    ]
    return possible_rows(times([s.t for s in rows]), [s.S for s in rows], {}, rejected, texts)


_CANCELS: Final = {"C": "cancel", "E": "error"}
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
        "daily bars": len(message.daily_bars),
        "statuses": len(message.statuses),
        "limit bands": len(message.lulds),
    }
    return Notice(NoticeKind.SUBSCRIBED, ", ".join(f"{name} {count}" for name, count in counts.items() if count))
