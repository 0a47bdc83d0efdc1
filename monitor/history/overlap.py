"""History that is about to be stored, held against what is stored already: the same prices, at the same level?"""

from __future__ import annotations

import datetime as dt
from typing import Final

import polars as pl

from monitor.corporate_actions import Mismatch, level_mismatches
from monitor.recovery import read_frame
from monitor.store.base import Store

SESSIONS: Final = 15
"""How many of the newest common sessions are compared."""
_CLOSES: Final = pl.Schema({"ts": pl.Date(), "symbol": pl.String(), "close": pl.Float64()})


async def stored_closes(store: Store, first: dt.date, last: dt.date) -> pl.DataFrame:
    """The closes of the sessions that are stored from `first` to `last`: ``ts, symbol, close``."""
    names = [name for name in await store.bar_chunks("1d", first.isoformat()) if name <= last.isoformat()]
    return await _closes(store, names)


async def newest_stored(store: Store, first: dt.date, last: dt.date) -> pl.DataFrame:
    """The closes of the newest sessions that are stored from `first` to `last`: ``ts, symbol, close``."""
    names = [name for name in await store.bar_chunks("1d", first.isoformat()) if name <= last.isoformat()]
    return await _closes(store, names[-SESSIONS:])


async def _closes(store: Store, names: list[str]) -> pl.DataFrame:
    chunks = await store.load_bars("1d", names)
    frames = [read_frame(chunk.data, _CLOSES.names()).cast(_CLOSES) for chunk in chunks]
    return pl.concat([pl.DataFrame(schema=_CLOSES), *frames])


async def mismatches(store: Store, bars: pl.DataFrame) -> list[Mismatch]:
    """Where `bars` (``ts`` Date, ``symbol``, ``close``) are at another level than what is stored, by symbol."""
    first, last = bars["ts"].min(), bars["ts"].max()
    if not isinstance(first, dt.date) or not isinstance(last, dt.date):
        return []
    return level_mismatches(bars, await newest_stored(store, first, last))
