"""Messages of one kind to the columns of a batch: many payloads at once, in the order in which they arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import polars as pl

from connectors.batch import BARS, TIME
from connectors.mqtt import payload
from connectors.mqtt.layout import Kind, Route, symbol_of
from connectors.rows import Floats, named, possible_rows
from connectors.timestamps import SECOND, UNREADABLE, Nanoseconds

REQUIRED: Final[dict[Kind, tuple[str, ...]]] = {
    "quotes": ("bid", "ask"),
    "trades": ("price",),
    "bars": ("open", "high", "low", "close"),
    "statuses": (),
}
UNKNOWN_ALLOWED: Final[dict[Kind, tuple[str, ...]]] = {
    "quotes": ("bid_size", "ask_size"),
    "trades": ("size",),
    "bars": ("volume",),
    "statuses": (),
}
MINUTE: Final = 60.0
"""Seconds of a bar of our own layout that does not say when it ends."""


class Columns:
    """The columns of one kind, which grow by some payloads at a time.

    Args:
        kind: What all of the messages are.
        received_at: The time of rows of a foreign layout that have none.
    """

    def __init__(self, kind: Kind, received_at: int) -> None:
        self._kind = kind
        self._received_at = received_at
        self._symbols: list[pl.Series] = []
        self._times: list[Nanoseconds] = []
        self._numbers: list[Floats] = []
        """Arrays of (columns, rows)."""
        self._ends: list[Nanoseconds] = []
        self._ids: list[int | None] = []
        self._texts: dict[str, list[str]] = {"code": [], "reason": []}

    def take(
        self, payloads: Sequence[payload.Payload], symbols: list[str], rejected: Counter[str], unused: Counter[str]
    ) -> None:
        """Payloads of our own layout, and the instrument of each one's topic."""
        rows, counts = payload.rows_of(payloads, self._kind, rejected, unused)
        if not rows:
            return
        names = [row.symbol for row in rows]
        if not all(names):
            if counts is not None:
                symbols = list(chain.from_iterable(map(_repeated, symbols, counts)))
            names = [name or symbol for name, symbol in zip(names, symbols, strict=True)] if any(names) else symbols
        # All is made of the rows at once, while the processor has them at hand.
        self._symbols.append(pl.Series("symbol", names, dtype=pl.String))
        self._times.append(payload.own_times([row.ts for row in rows]))
        self._numbers.append(payload.NUMBERS[self._kind](rows))
        if self._kind == "trades":
            self._ids += [row.id for row in rows]
        elif self._kind == "bars":
            self._ends.append(_bar_ends(self._times[-1], [row.end for row in rows]))
        elif self._kind == "statuses":
            self._texts["code"] += [row.code for row in rows]
            self._texts["reason"] += [row.reason for row in rows]

    def take_foreign(self, rows: Sequence[dict[str, Any]], route: Route, rejected: Counter[str]) -> None:
        """Rows of a foreign layout."""
        layout = route.layout
        if layout is None:
            return
        paths = layout.paths()
        time = tuple(layout.time.split("."))
        names = (*REQUIRED[self._kind], *UNKNOWN_ALLOWED[self._kind])
        symbols: list[str] = []
        times: list[Any] = []
        numbers: list[list[float]] = []
        for row in rows:
            symbol = symbol_of(route, row)
            if not symbol:
                rejected["no symbol"] += 1
                continue
            symbols.append(symbol)
            times.append(payload.at(row, time))
            numbers.append([payload.number(payload.at(row, paths[name])) for name in names])
            if self._kind == "trades":
                number = payload.at(row, paths["id"])
                inside = type(number) is int and -(2**63) <= number < 2**63
                self._ids.append(number if inside else None)
            elif self._kind == "statuses":
                for name, texts in self._texts.items():
                    value = payload.at(row, paths[name])
                    texts.append(value if isinstance(value, str) else "")
        if not symbols:
            return
        self._symbols.append(pl.Series("symbol", symbols, dtype=pl.String))
        starts = payload.times(times, layout.unit, self._received_at)
        self._times.append(starts)
        self._ends.append(_after(starts, layout.bar))
        self._numbers.append(np.array(numbers, dtype=np.float64).reshape(len(numbers), len(names)).T)

    def __bool__(self) -> bool:
        """Whether there are rows."""
        return bool(self._symbols)

    def frame(self, rejected: Counter[str]) -> pl.DataFrame:
        """The frame of this kind, where there are rows; impossible ones are counted in `rejected` instead."""
        symbols = pl.concat(self._symbols, rechunk=True)
        times = np.concatenate(self._times)
        required, allowed = REQUIRED[self._kind], UNKNOWN_ALLOWED[self._kind]
        columns = named((*required, *allowed), self._numbers)
        numbers = {name: columns[name] for name in required}
        others = [_unknown_allowed(columns[name]) for name in allowed]
        if self._kind == "trades":
            others.append(pl.Series("id", self._ids, dtype=pl.Int64))
        elif self._kind == "statuses":
            others += [pl.Series(name, texts, dtype=pl.String) for name, texts in self._texts.items()]
        elif self._kind == "bars":
            ends = np.concatenate(self._ends)
            times = np.where(ends == UNREADABLE, UNREADABLE, times)
            others.append(pl.Series("end", np.where(times == UNREADABLE, UNREADABLE, ends)).cast(TIME))
            return possible_rows(times, symbols, numbers, rejected, others).select(BARS.names())
        return possible_rows(times, symbols, numbers, rejected, others)


def _after(starts: Nanoseconds, seconds: float) -> Nanoseconds:
    """When bars end that last so many seconds; unreadable where their start is."""
    return np.where(starts == UNREADABLE, UNREADABLE, starts + int(seconds * SECOND))


def _repeated(symbol: str, count: int) -> list[str]:
    return [symbol] * count


def _bar_ends(starts: Nanoseconds, written: Sequence[Any]) -> Nanoseconds:
    """When bars of our own layout end, as they say; of a minute where they do not."""
    ends = _after(starts, MINUTE)
    given = np.array([end is not None for end in written], dtype=np.bool_)
    if given.any():
        ends[given] = payload.own_times([end for end in written if end is not None])
    return ends


def _unknown_allowed(column: pl.Series) -> pl.Series:
    """A column in which NaN means unknown; what is no size is that too."""
    values = column.to_numpy()
    if values.min() >= 0 and values.max() < np.inf:
        return column
    return pl.Series(column.name, np.where((values >= 0) & (values < np.inf), values, np.nan))
