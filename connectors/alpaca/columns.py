"""Messages of Alpaca's stream to the columns of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
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
from connectors.rows import Floats, ends, named, packed, possible_rows, volume_only
from connectors.sale_conditions import Verdict, Verdicts, is_volume, verdict
from connectors.timestamps import SECOND, Nanoseconds

MINUTE: Final = 60 * SECOND
_NO_QUOTES, _NO_TRADES, _NO_BARS, _NO_STATUSES, _NO_BANDS, _NO_CORRECTIONS = (
    empty(schema) for schema in (QUOTES, TRADES, BARS, STATUSES, BANDS, CORRECTIONS)
)
"""Frames are never changed, so that all batches can share the empty ones."""

_AT_ONCE: Final = 1_000
"""Messages that go into the columns together: enough that each costs little, few enough to be in the cache still."""

Times = Callable[[Sequence[Any]], Nanoseconds]
"""Time stamps as the encoding writes them, to nanoseconds since 1970."""


def to_batch(
    name: str, received_at: int, frames: Iterable[Sequence[Any]], times: Times, rejected: Counter[str]
) -> Batch:
    """The batch of the messages of `frames`; rows that no market can have said are counted in `rejected` instead."""
    quotes, trades = _Quotes(), _Trades()
    others: list[Any] = []
    waiting: list[Any] = []
    for messages in frames:
        waiting += messages
        if len(waiting) >= _AT_ONCE:
            _sort(waiting, quotes, trades, others)
            waiting = []
    _sort(waiting, quotes, trades, others)
    unused = Counter(UNUSED[type(m)] for m in others if type(m) in UNUSED)
    if trades.repeated:
        unused["official open or close"] = trades.repeated
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


def _sort(messages: list[Any], quotes: _Quotes, trades: _Trades, others: list[Any]) -> None:
    """Put messages into the columns of their kind."""
    kinds = set(map(type, messages))
    alone = len(kinds) == 1
    if Quote in kinds:
        quotes.take(messages if alone else [m for m in messages if type(m) is Quote])
    if Trade in kinds:
        trades.take(messages if alone else [m for m in messages if type(m) is Trade])
    if kinds - {Quote, Trade}:
        others += [m for m in messages if type(m) is not Quote and type(m) is not Trade]


class _Quotes:
    """The columns of quotes, which grow by some messages at a time."""

    def __init__(self) -> None:
        self._symbols: list[pl.Series] = []
        self._times: list[Any] = []
        self._numbers: list[Floats] = []

    def take(self, rows: Sequence[Quote[Any]]) -> None:
        self._symbols.append(pl.Series("symbol", [q.S for q in rows], dtype=pl.String))
        self._times += [q.t for q in rows]
        columns = [q.bp for q in rows], [q.ap for q in rows], [q.bs for q in rows], [q.ask_size for q in rows]
        self._numbers.append(packed(*columns))

    def frame(self, times: Times, rejected: Counter[str]) -> pl.DataFrame:
        if not self._times:
            return _NO_QUOTES
        numbers = named(("bid", "ask", "bid_size", "ask_size"), self._numbers)
        return possible_rows(times(self._times), pl.concat(self._symbols, rechunk=True), numbers, rejected)


class _Trades:
    """The columns of trades, which grow by some messages at a time."""

    def __init__(self) -> None:
        self.repeated = 0
        """Messages that say again what was counted."""
        self._symbols: list[pl.Series] = []
        self._times: list[Any] = []
        self._numbers: list[Floats] = []
        self._ids: list[int | None] = []
        self._verdicts = bytearray()

    def take(self, rows: Sequence[Trade[Any]]) -> None:
        verdicts = bytes([_VERDICTS[t.c] for t in rows])
        if Verdict.BY_TAPE in verdicts:
            verdicts = bytes(map(_by_tape, verdicts, rows))
        if Verdict.NOTHING in verdicts:
            rows = [t for t, found in zip(rows, verdicts, strict=True) if found != Verdict.NOTHING]
            self.repeated += len(verdicts) - len(rows)
            verdicts = verdicts.replace(bytes([Verdict.NOTHING]), b"")
            if not rows:
                return
        self._verdicts += verdicts
        self._symbols.append(pl.Series("symbol", [t.S for t in rows], dtype=pl.String))
        self._times += [t.t for t in rows]
        self._numbers.append(packed([t.p for t in rows], [t.s for t in rows]))
        self._ids += [t.i for t in rows]

    def frame(self, times: Times, rejected: Counter[str]) -> pl.DataFrame:
        if not self._times:
            return _NO_TRADES
        numbers = named(("price", "size"), self._numbers)
        symbols = pl.concat(self._symbols, rechunk=True)
        others = [pl.Series("id", self._ids, dtype=pl.Int64)]
        if Verdict.VOLUME not in self._verdicts:
            return possible_rows(times(self._times), symbols, numbers, rejected, others)
        others.append(pl.Series("priced", np.frombuffer(self._verdicts, np.uint8) == Verdict.PRICE))
        return volume_only(possible_rows(times(self._times), symbols, numbers, rejected, others))


_VERDICTS: Final = Verdicts[str](verdict)


def _by_tape(found: int, trade: Trade[Any]) -> int:
    if found != Verdict.BY_TAPE:
        return found
    return Verdict.VOLUME if is_volume(trade.c or (), trade.z) else Verdict.PRICE


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
