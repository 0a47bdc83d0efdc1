"""Market data for the API: frames as JSON, and the stored bars of one instrument."""

from __future__ import annotations

import asyncio
import datetime as dt
from bisect import bisect_left
from collections.abc import Collection, Sequence
from typing import Final

import polars as pl

from monitor.recovery import read_frame
from monitor.store.base import BarChunk, Store

_AT_ONCE: Final = 32
"""Chunks read and searched together: bounds memory where a chunk holds thousands of instruments."""


def as_json(frame: pl.DataFrame) -> bytes:
    """The rows as a JSON list of objects; times RFC 3339 in UTC, unknown numbers null."""
    times = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    return frame.with_columns(pl.col(times).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")).write_json().encode()


def of_symbols(frame: pl.DataFrame, symbols: Collection[str]) -> pl.DataFrame:
    """The rows of those symbols."""
    return frame.filter(pl.col("symbol").cast(pl.String).is_in(list(symbols)))


async def stored_bars(store: Store, resolution: str, symbol: str, since: dt.date | None, limit: int) -> pl.DataFrame:
    """The newest `limit` stored closed bars of one instrument from a date (UTC) on, oldest first."""
    names = await store.bar_chunks(resolution)
    # Chunks are named by their first bar's time: the one before `since` may reach into it.
    first = max(0, bisect_left(names, since.isoformat()) - 1) if since else 0
    found: list[pl.DataFrame] = []
    while len(names) > first and sum(frame.height for frame in found) < limit:
        start = max(first, len(names) - _AT_ONCE)
        chunks = await store.load_bars(resolution, names[start:])
        found[:0] = await asyncio.to_thread(_bars_of, chunks, symbol, since)
        del names[start:]
    return pl.concat(found).tail(limit) if found else pl.DataFrame()


def _bars_of(chunks: Sequence[BarChunk], symbol: str, since: dt.date | None) -> list[pl.DataFrame]:
    bars = []
    for chunk in chunks:
        rows = of_symbols(read_frame(chunk.data), [symbol])
        if since is not None:
            rows = rows.filter(pl.col("ts").dt.date() >= since)
        if rows.height:
            bars.append(rows.select("ts", "open", "high", "low", "close", "volume"))
    return bars
