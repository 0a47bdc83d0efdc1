"""Rows of a batch as numpy arrays, cut where a step of time ends, in the order they arrived.

A row belongs to the step its event time lies in, ``(end - step, end]``, unless that step is over: a row of a later step
came before it, in this batch or an earlier one. It then counts into the step that is open, so that what was once said
of a closed minute stays true, and so that it does not matter how a stream is cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from monitor.state.columns import Bools, Codes, Floats, Ints

_TIME: Final = pl.Datetime("ns", "UTC")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one kind; all arrays of shape (rows,).

    `codes`: instruments. `ts`: event times, of a bar its end. `starts`: the same, but of a bar its start. `values`: the
    kind's own columns.
    """

    codes: Codes
    ts: Ints
    starts: Ints
    values: tuple[Floats, ...]

    def __len__(self) -> int:
        return len(self.ts)

    def pick(self, where: slice | Codes | Bools) -> Rows:
        """Some of the rows."""
        values = tuple(value[where] for value in self.values)
        return Rows(self.codes[where], self.ts[where], self.starts[where], values)


@dataclass(frozen=True, slots=True)
class Prints:
    """Prices made: a trade or a mid is its own open, high and low; a bar brings its own."""

    codes: Codes
    ts: Ints
    price: Floats
    open: Floats
    high: Floats
    low: Floats

    @staticmethod
    def of(codes: Codes, ts: Ints, price: Floats, bar: tuple[Floats, Floats, Floats] | None = None) -> Prints:
        """Prices that are positive numbers, others left out; `bar` is (open, high, low) where a price is a close."""
        open_, high, low = bar or (price, price, price)
        good = price > 0
        if good.all():
            return Prints(codes, ts, price, open_, high, low)
        return Prints(codes[good], ts[good], price[good], open_[good], high[good], low[good])


def times(column: pl.Series) -> Ints:
    """A column of times as nanoseconds UTC."""
    # Not `dt.epoch` or `to_physical`: each runs a lazy query, 40 us, a quarter of the cost of a small batch.
    nanoseconds = column if column.dtype == _TIME else column.cast(_TIME)
    return nanoseconds.to_numpy().view(np.int64)


def numbers(frame: pl.DataFrame, *names: str) -> tuple[Floats, ...]:
    """Columns as float64; null is NaN."""
    columns = (frame.get_column(name) for name in names)
    return tuple((c if c.dtype == pl.Float64 else c.cast(pl.Float64)).to_numpy() for c in columns)


def rows_of(frame: pl.DataFrame, codes_of: Callable[[pl.Series], Codes], ts: str, *names: str) -> Rows:
    """A frame as arrays; `ts` is the column of its event times, `codes_of` gives the instruments of symbols."""
    if not frame.height:
        nothing = np.empty(0, np.int64)
        return Rows(np.empty(0, np.intp), nothing, nothing, tuple(np.empty(0) for _ in names))
    at = times(frame[ts])
    starts = at if ts == "ts" else times(frame["ts"])
    return Rows(codes_of(frame["symbol"]), at, starts, numbers(frame, *names))


def cut(kinds: Sequence[Rows], open_end: int, step: int) -> Iterator[tuple[int, list[Rows]]]:
    """The rows of each kind by the step they count into, as (end of the step, rows), ascending.

    `open_end` is the end of the step that is open.
    """
    newest = max((int(rows.ts.max()) for rows in kinds if len(rows)), default=0)
    if newest <= open_end:
        yield open_end, list(kinds)
        return
    ends = [np.maximum.accumulate(np.maximum(-(-rows.ts // step) * step, open_end)) for rows in kinds]
    for end in np.unique(np.concatenate(ends)):
        yield (
            int(end),
            [rows.pick(slice(*np.searchsorted(own, (end, end + 1)))) for rows, own in zip(kinds, ends, strict=True)],
        )


def newest(codes: Codes, ts: Ints, last: Ints) -> slice | Codes:
    """The rows that are not older than what came before them, ascending in time, so that the last one written wins."""
    if (ts[1:] >= ts[:-1]).all():
        fresh = ts >= last[codes]
        return slice(None) if fresh.all() else np.flatnonzero(fresh)
    order = np.argsort(ts, kind="stable")
    return order[ts[order] >= last[codes[order]]]
