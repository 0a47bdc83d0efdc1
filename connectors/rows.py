"""Columns of a vendor's values to a frame of a batch, without the rows that are none."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.batch import TIME
from connectors.timestamps import UNREADABLE, Nanoseconds

Floats = npt.NDArray[np.float64]

_NO_PRICE: Final = pl.Series("price", [None], dtype=pl.Float64)


def possible_rows(
    times: Nanoseconds,
    symbols: list[str] | pl.Series,
    numbers: Mapping[str, Sequence[float] | pl.Series],
    rejected: Counter[str],
    others: Sequence[pl.Series] = (),
) -> pl.DataFrame:
    """``ts, symbol``, `numbers` and `others` as one frame, without the rows that no market can have said.

    A series of `numbers` is one of float64, under its name.

    Those have no time (:data:`~connectors.timestamps.UNREADABLE`), or a number that is negative or not finite; they are
    counted in `rejected`, each once. Columns of `others` hold what needs no such test.
    """
    columns = [
        values if isinstance(values, pl.Series) else pl.Series(name, values, dtype=pl.Float64)
        for name, values in numbers.items()
    ]
    names = symbols if isinstance(symbols, pl.Series) else pl.Series("symbol", symbols, dtype=pl.String)
    frame = pl.DataFrame([pl.Series("ts", times).cast(TIME), names, *columns, *others])
    arrays = [column.to_numpy() for column in columns]
    # A minimum of numpy, unlike one of polars, is NaN if any value is, so this one comparison finds both.
    if times.min() != UNREADABLE and all(a.min() >= 0 and a.max() < np.inf for a in arrays):
        return frame
    return frame.filter(pl.Series(_good(times, arrays, rejected)))


def packed(*columns: list[float]) -> Floats:
    """Columns as an array of (columns, rows). `struct` takes 4 ns a number; numpy takes 14, and polars 6."""
    height = len(columns[0])
    values: list[float] = []
    for column in columns:
        values += column
    return np.frombuffer(struct.pack(f"{len(values)}d", *values), np.float64).reshape(-1, height)


def named(names: Sequence[str], parts: Sequence[Floats]) -> dict[str, pl.Series]:
    """Arrays of (columns, rows), one after the other, as a series a column: slices of one, which costs half."""
    columns = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    height = columns.shape[1]
    every = pl.Series(columns.ravel())
    return {name: every.slice(number * height, height).alias(name) for number, name in enumerate(names)}


def volume_only(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame`, changed: with no price in the rows where its column ``priced`` is false, and without that column."""
    priced = frame.drop_in_place("priced")
    return frame.replace_column(frame.get_column_index("price"), frame["price"].zip_with(priced, _NO_PRICE))


def ends(starts: Nanoseconds, length: int) -> pl.Series:
    """The column ``end`` of bars that start at `starts` and last `length` nanoseconds; unreadable where those are."""
    return pl.Series("end", np.where(starts == UNREADABLE, UNREADABLE, starts + length)).cast(TIME)


def _good(times: Nanoseconds, numbers: Sequence[Floats], rejected: Counter[str]) -> npt.NDArray[np.bool_]:
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
