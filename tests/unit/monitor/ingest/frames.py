"""Small frames of market data for the tests of ingest."""

from __future__ import annotations

from typing import Any

import polars as pl

from connectors.batch import BARS, QUOTES, TIME, TRADES, Batch

Row = tuple[Any, ...]

SECOND = 1_000_000_000
T0 = 1_769_000_000 * SECOND
"""21 January 2026, in trading hours."""


def frame(schema: pl.Schema, rows: list[Row]) -> pl.DataFrame:
    """Rows in the order of the schema's columns; times are seconds after T0."""
    times = [c for c, dtype in schema.items() if dtype == TIME]
    plain = pl.Schema({c: pl.Int64 if c in times else dtype for c, dtype in schema.items()})
    placed = [
        tuple(at(v) if c in times and v is not None else v for c, v in zip(schema, row, strict=True)) for row in rows
    ]
    return pl.DataFrame(placed, schema=plain, orient="row").with_columns(pl.col(times).cast(TIME))


def at(seconds: float) -> int:
    """Nanoseconds UTC."""
    return T0 + round(seconds * SECOND)


def quotes(*rows: Row) -> pl.DataFrame:
    """Rows of (seconds, symbol, bid, ask), sizes 100 unless given."""
    return frame(QUOTES, [(*row, 100.0, 100.0)[:6] for row in rows])


def trades(*rows: Row) -> pl.DataFrame:
    """Rows of (seconds, symbol, price[, size[, id]]); ids are all different unless given."""
    filled = [(*row, *(100.0, 1_000_000 + n)[len(row) - 3 :]) for n, row in enumerate(rows)]
    return frame(TRADES, filled)


def bars(*rows: Row) -> pl.DataFrame:
    """Rows of (start, end, symbol, close), or with open, high, low, close and volume."""
    filled = [(*row[:3], row[3], row[3], row[3], row[3], 10.0) if len(row) == 4 else row for row in rows]
    return frame(BARS, filled)


def batch(feed: str = "iex", **frames: pl.DataFrame) -> Batch:
    """A batch of one feed."""
    return Batch(feed, 0, **frames)
