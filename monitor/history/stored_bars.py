"""History in the store, as ``rotation history`` reads and writes it.

Session bars are one chunk a session, named by its date; external series one chunk a series, named as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import polars as pl

from connectors.batch import TIME
from monitor.calendar import TradingCalendar
from monitor.pipeline import CHUNK_NAME, frame_bytes
from monitor.recovery import STORED_SERIES, read_frame
from monitor.state import MINUTE_BARS, SESSION_BARS
from monitor.store.base import BarChunk, Store

RESOLUTION: Final = "1d"
AT_ONCE: Final = 256
"""Chunks read or written in one go."""


async def add_sessions(store: Store, bars: pl.DataFrame) -> int:
    """Put session bars into the store, in place of those of the same symbol and session; how many sessions it were.

    `bars`: ``ts`` (Date), ``symbol``, ``close``, optionally ``open, high, low, volume``.
    """
    missing = [pl.lit(None, pl.Float64).alias(name) for name in SESSION_BARS if name not in bars.columns]
    by_date = {
        str(date): rows
        for (date,), rows in bars.with_columns(missing)
        .select(SESSION_BARS.names())
        .cast(SESSION_BARS)
        .sort("ts")
        .partition_by("ts", as_dict=True, maintain_order=True)
        .items()
    }
    stored = set(await store.bar_chunks(RESOLUTION))
    for names in _batched(by_date, AT_ONCE):
        present = await store.load_bars(RESOLUTION, [name for name in names if name in stored])
        merged = by_date | {chunk.name: _merged(read_frame(chunk.data), by_date[chunk.name]) for chunk in present}
        await store.save_bars([BarChunk(RESOLUTION, name, frame_bytes(merged[name])) for name in names])
    return len(by_date)


async def add_series(store: Store, series: pl.DataFrame) -> int:
    """Put values (:data:`connectors.batch.SERIES`) into the store, in place of those of equal times; how many series.

    The store keeps them apart from what comes with the data, which is in the journal and the checkpoint.
    """
    by_name = {str(name): rows for (name,), rows in series.partition_by("series", as_dict=True).items()}
    for chunk in await store.load_bars(STORED_SERIES, list(by_name)):
        both = pl.concat([read_frame(chunk.data), by_name[chunk.name]])
        by_name[chunk.name] = both.unique("ts", keep="last", maintain_order=True).sort("ts")
    await store.save_bars([BarChunk(STORED_SERIES, name, frame_bytes(rows)) for name, rows in by_name.items()])
    return len(by_name)


async def stored_series(store: Store) -> pl.DataFrame:
    """One row a series, in order of name: ``series, first, last`` (publications), ``values`` (how many)."""
    rows = []
    for some in _batched(await store.bar_chunks(STORED_SERIES), AT_ONCE):
        for chunk in await store.load_bars(STORED_SERIES, some):
            published = read_frame(chunk.data)["ts"]
            rows.append((chunk.name, published[0], published[-1], len(published)))
    columns = pl.Schema({"series": pl.String(), "first": TIME, "last": TIME, "values": pl.Int64()})
    return pl.DataFrame(rows, schema=columns, orient="row")


async def stored_sessions(store: Store, calendar: TradingCalendar) -> pl.DataFrame:
    """One row a symbol, in order of symbol: ``symbol, first, last`` (Date), ``sessions, missing`` (how many)."""
    names = await store.bar_chunks(RESOLUTION)
    frames = [pl.DataFrame(schema={"ts": pl.Date, "symbol": pl.String})]
    for some in _batched(names, AT_ONCE):
        chunks = await store.load_bars(RESOLUTION, some)
        frames += [read_frame(chunk.data).select("ts", pl.col("symbol").cast(pl.String)) for chunk in chunks]
    summary = (
        pl.concat(frames)
        .group_by("symbol")
        .agg(first=pl.col("ts").min(), last=pl.col("ts").max(), sessions=pl.len())
        .sort("symbol")
    )
    spans = [
        calendar.ordinal_on_or_before(row["last"]) - calendar.ordinal_on_or_before(row["first"]) + 1
        for row in summary.rows(named=True)
    ]
    return summary.with_columns(missing=pl.Series(spans, dtype=pl.Int64) - pl.col("sessions").cast(pl.Int64))


def _merged(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    kept = old.join(new, on="symbol", how="anti", maintain_order="left")
    return pl.concat([kept.cast(SESSION_BARS), new])


def _batched(names: Iterable[str], size: int) -> Iterator[Sequence[str]]:
    rest = iter(names)
    while some := list(islice(rest, size)):
        yield some


async def add_minutes(store: Store, bars: pl.DataFrame) -> int:
    """Put minute bars (:data:`connectors.batch.BARS`) beside those stored; minutes that are there stay. How many new.

    They go into chunks by UTC day, named by their first minute, as those of the monitor itself.
    """
    count = 0
    dated = bars.sort("ts").with_columns(day=pl.col("ts").dt.date())
    for (day,), rows in dated.partition_by("day", as_dict=True).items():
        # Unlike those seen live, they have no age of their last price: it was current at the minute's end.
        news = rows.with_columns(age_ms=pl.lit(0)).select(MINUTE_BARS.names()).cast(MINUTE_BARS)
        names = [name for name in await store.bar_chunks("1m", str(day)) if name.startswith(str(day))]
        stored = {chunk.name: read_frame(chunk.data) for chunk in await store.load_bars("1m", names)}
        for frame in stored.values():
            news = news.join(frame.select("ts", "symbol").cast({"symbol": pl.String}), on=["ts", "symbol"], how="anti")
        if not news.height:
            continue
        news = news.sort("ts", "symbol")
        name = news["ts"].dt.strftime(CHUNK_NAME)[0]
        if name in stored:
            news = pl.concat([stored[name].cast(MINUTE_BARS), news]).sort("ts", maintain_order=True)
        await store.save_bars([BarChunk("1m", name, frame_bytes(news))])
        count += news.height
    return count
