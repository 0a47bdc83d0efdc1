"""Stored bars without the prints that were taken back, written in one step with the checkpoint that knows of it.

The state has forgotten most of what it stored, so what a correction changes is said as a revision of a bar
(:mod:`monitor.state.mended`), and made here: the chunk is read, changed, and becomes one of the checkpoint's own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from monitor.pipeline import CHUNK_NAME, frame_bytes
from monitor.recovery import read_frame
from monitor.state.mended import Bar, Revision
from monitor.store.base import BarChunk, Checkpoint, Store

_COLUMNS: Final = ("open", "high", "low", "close", "volume")
_DAY: Final = len("2026-01-23")

Key = tuple[int, str]
Chunks = dict[str, pl.DataFrame]


async def with_revisions(store: Store, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the stored chunks that its revisions change; those of bars that are not stored are nothing.

    Raises:
        StoreError: The store is away.
    """
    if not checkpoint.revisions:
        return checkpoint
    minutes, days = _revisions(read_frame(checkpoint.revisions))
    own = {(chunk.resolution, chunk.name): chunk for chunk in checkpoint.bars}
    changed = await _minutes(store, minutes)
    written = {("1m", name): frame for name, frame in changed.items()}
    for day in sorted({day for day, _ in days}):
        name = str(dt.date(1970, 1, 1) + dt.timedelta(day))
        chunks = [own["1d", name]] if ("1d", name) in own else await store.load_bars("1d", [name])
        its = {key: revisions for key, revisions in days.items() if key[0] == day}
        for chunk in chunks:
            ranges = await _ranges(store, its, {**written, **_frames(own)})
            frame = read_frame(chunk.data)
            if (mended := await asyncio.to_thread(_mended, frame, its, ranges)) is not None:
                written["1d", name] = mended.filter(pl.col("close").is_not_null())  # without a close there is no bar
    bars = [BarChunk(resolution, name, frame_bytes(frame)) for (resolution, name), frame in written.items()]
    kept = [chunk for chunk in checkpoint.bars if (chunk.resolution, chunk.name) not in written]
    return replace(checkpoint, bars=[*kept, *bars], revisions=b"")


def _revisions(frame: pl.DataFrame) -> tuple[dict[Key, list[Revision]], dict[Key, list[Revision]]]:
    """Revisions of minutes and of sessions, in order, by key and symbol."""
    found: dict[str, dict[Key, list[Revision]]] = {"1m": {}, "1d": {}}
    for resolution, key, symbol, *rest in frame.iter_rows():
        found[resolution].setdefault((key, symbol), []).append(Revision(resolution, key, -1, *rest))
    return found["1m"], found["1d"]


def _frames(own: Mapping[tuple[str, str], BarChunk]) -> dict[tuple[str, str], pl.DataFrame]:
    return {key: read_frame(chunk.data) for key, chunk in own.items() if key[0] == "1m"}


async def _minutes(store: Store, revisions: Mapping[Key, list[Revision]]) -> Chunks:
    """The chunks of minutes that are others now."""
    days: dict[str, list[int]] = {}
    for at, _ in revisions:
        days.setdefault(_name(at)[:_DAY], []).append(at)
    names = {name for starts in days.values() for name in await _names(store, min(starts), max(starts))}
    changed: Chunks = {}
    for name in sorted(names):
        for chunk in await store.load_bars("1m", [name]):
            mended = await asyncio.to_thread(_mended, read_frame(chunk.data), revisions)
            if mended is not None:
                changed[name] = mended
    return changed


async def _names(store: Store, first: int, last: int) -> list[str]:
    """The chunks that may have minutes which start from `first` to `last`, UTC ns.

    A chunk has the name of its first minute. Of those from before that day only the last may reach into it.
    """
    names = await store.bar_chunks("1m")
    before = [name for name in names if name < _name(first)[:_DAY]][-1:]
    return [*before, *(name for name in names if _name(first)[:_DAY] <= name <= _name(last))]


def _mended(
    frame: pl.DataFrame,
    revisions: Mapping[Key, list[Revision]],
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> pl.DataFrame | None:
    """Bars after the revisions, None where there are none of them; `ranges` as :func:`_ranges` has them."""
    rows = _rows(frame, revisions, ranges or {})
    return _after(frame, rows) if rows else None


def _rows(
    frame: pl.DataFrame, revisions: Mapping[Key, list[Revision]], ranges: Mapping[str, tuple[float, float]]
) -> dict[int, Bar]:
    """By row, the bars that are others now."""
    keys = pl.DataFrame([*revisions], schema={"key": pl.Int64, "symbol": pl.String}, orient="row")
    located = (
        frame.select(key=pl.col("ts").to_physical().cast(pl.Int64), symbol=pl.col("symbol").cast(pl.String))
        .with_row_index("row")
        .join(keys, on=["key", "symbol"], how="inner")
    )
    ages = frame["age_ms"] if "age_ms" in frame.columns else None
    found = {}
    for row, key, symbol in located.iter_rows():
        bar = Bar._make([*(_number(frame[name][row]) for name in _COLUMNS), 0 if ages is None else int(ages[row])])
        again = False
        for revision in revisions[key, symbol]:
            if revision.opens_at:
                again |= revision.about(bar)
            else:
                bar = revision.mend(bar)
        if again and symbol in ranges:
            known = [price for price in (bar.open, *ranges[symbol]) if price > 0]
            bar = bar._replace(high=max(known), low=min(known))
        found[row] = bar
    return found


def _after(frame: pl.DataFrame, rows: Mapping[int, Bar]) -> pl.DataFrame:
    """The frame with other bars in some rows."""
    places = list(rows)
    columns = []
    for name in _COLUMNS:
        values = frame[name].cast(pl.Float64).to_numpy().copy()
        values[places] = [getattr(bar, name) for bar in rows.values()]
        columns.append(pl.Series(name, values).fill_nan(None))
    if "age_ms" in frame.columns:
        ages = frame["age_ms"].to_numpy().copy()
        ages[places] = [bar.age for bar in rows.values()]
        columns.append(pl.Series("age_ms", ages))
    return frame.with_columns(columns)


async def _ranges(
    store: Store, revisions: Mapping[Key, list[Revision]], newer: Mapping[tuple[str, str], pl.DataFrame]
) -> dict[str, tuple[float, float]]:
    """By symbol, the lowest and highest price of the minutes of a session, where its extremes are to be made again."""
    wanted = {symbol: (r.opens_at, r.closes_at) for (_, symbol), its in revisions.items() for r in its if r.opens_at}
    if not wanted:
        return {}
    opens, closes = min(o for o, _ in wanted.values()), max(c for _, c in wanted.values())
    names = await _names(store, opens, closes)
    frames: list[pl.DataFrame] = []
    for name in names:
        if ("1m", name) not in newer:
            frames += [_within(read_frame(c.data), wanted, opens, closes) for c in await store.load_bars("1m", [name])]
    frames += [_within(frame, wanted, opens, closes) for (resolution, _), frame in newer.items() if resolution == "1m"]
    spans = pl.concat(frames).group_by("symbol").agg(pl.col("low").min(), pl.col("high").max()) if frames else None
    return {} if spans is None else {s: (low, high) for s, low, high in spans.iter_rows() if low is not None}


def _within(frame: pl.DataFrame, symbols: Iterable[str], opens: int, closes: int) -> pl.DataFrame:
    """Lows and highs of a session's minutes."""
    starts = pl.col("ts").to_physical()
    return frame.select(pl.col("symbol").cast(pl.String), "low", "high", "ts").filter(
        pl.col("symbol").is_in(list(symbols)), starts >= opens, starts < closes
    ).drop("ts")  # fmt: skip


def _number(value: float | None) -> float:
    return float(np.nan) if value is None else float(value)


def _name(ns: int) -> str:
    return dt.datetime.fromtimestamp(ns // 10**9, dt.UTC).strftime(CHUNK_NAME)
