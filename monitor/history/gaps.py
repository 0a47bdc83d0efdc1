"""What the store has of the past, and what is missing by the calendar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import polars as pl

from monitor.calendar import TradingCalendar
from monitor.recovery import read_frame
from monitor.store.base import Store

DAYS: Final = pl.Schema({"ts": pl.Date, "symbol": pl.String})
_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Gap:
    """Sessions of an instrument that are missing one after the other, `first` and `last` included."""

    symbol: str
    first: dt.date
    last: dt.date
    sessions: int


async def stored_days(store: Store, first: dt.date, last: dt.date) -> pl.DataFrame:
    """Which instruments have a bar of which session: :data:`DAYS`."""
    names = [name for name in await store.bar_chunks("1d", first.isoformat()) if name <= last.isoformat()]
    frames = [pl.DataFrame(schema=DAYS)]
    for start in range(0, len(names), _AT_ONCE):
        chunks = await store.load_bars("1d", names[start : start + _AT_ONCE])
        frames += [read_frame(chunk.data, list(DAYS)).cast(DAYS) for chunk in chunks]
    return pl.concat(frames)


async def stored_minutes(store: Store, first: dt.date, last: dt.date) -> pl.DataFrame:
    """Which instruments have minute bars of which UTC day: :data:`DAYS`."""
    after = (last + dt.timedelta(days=1)).isoformat()
    names = [name for name in await store.bar_chunks("1m", first.isoformat()) if name < after]
    frames = [pl.DataFrame(schema=DAYS)]
    for start in range(0, len(names), _AT_ONCE):
        for chunk in await store.load_bars("1m", names[start : start + _AT_ONCE]):
            frame = read_frame(chunk.data, list(DAYS)).select(pl.col("ts").dt.date(), pl.col("symbol").cast(pl.String))
            frames.append(frame.unique())
    return pl.concat(frames).unique()


def gaps(
    stored: pl.DataFrame, symbols: Collection[str], calendar: TradingCalendar, first: dt.date, last: dt.date
) -> list[Gap]:
    """Where sessions from `first` to `last` are missing, by instrument and time. `stored`: :data:`DAYS`."""
    begin = calendar.ordinal_on_or_before(first - dt.timedelta(days=1)) + 1
    end = calendar.ordinal_on_or_before(last) + 1
    have: dict[str, set[dt.date]] = {symbol: set() for symbol in symbols}
    for symbol, days in stored.group_by("symbol").agg("ts").iter_rows():
        if symbol in have:
            have[symbol] = set(days)
    dates = [calendar.date(session) for session in range(begin, end)]
    found = []
    for symbol in sorted(have):
        run: list[dt.date] = []
        for date in dates:
            if date not in have[symbol]:
                run.append(date)
            elif run:
                found.append(Gap(symbol, run[0], run[-1], len(run)))
                run = []
        if run:
            found.append(Gap(symbol, run[0], run[-1], len(run)))
    return found
