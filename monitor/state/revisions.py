"""Prints that are taken back: the prices they made are made again, and what follows from them.

A print is found by its price: it set the last price, a minute's or a session's close if that is its price to the last
bit. Only such are changed, and of minutes and sessions only recent ones, since a correction follows its print within
the session or the next. What a cancelled print leaves is the price before it, as far as that is known: the close of the
minute before. Highs, lows and volumes stay as they were, and what was decided is not decided again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from monitor.calendar import MINUTE
from monitor.state.ring import MILLISECOND, PriceRing
from monitor.state.rows import numbers, times

if TYPE_CHECKING:
    from monitor.state.market import MarketState

REACH: Final = 15 * MINUTE
"""How far around a correction's own time minutes are looked through: vendors stamp it with the print's or its own."""


def take_corrections(state: MarketState, frame: pl.DataFrame) -> bool:
    """Take in corrections (:data:`connectors.batch.CORRECTIONS`); whether closed minutes or sessions have changed."""
    codes, at = state.codes(frame["symbol"]), times(frame["ts"])
    old, new = numbers(frame, "price", "new_price")
    changed = False
    for code, ns, wrong, right in zip(codes.tolist(), at.tolist(), old.tolist(), new.tolist(), strict=True):
        if wrong > 0:
            changed |= _revise(state, code, ns, wrong, right if right > 0 else np.nan)
    return changed


def _revise(state: MarketState, code: int, ns: int, wrong: float, right: float) -> bool:
    rings = [state.minutes] if state.seconds is None else [state.minutes, state.seconds]
    changed = [_revise_ring(ring, code, ns, wrong, right) for ring in rings]
    session = state.calendar.session_at(ns)
    if session < state.session and session in state.sessions and state.sessions.close(session)[code] == wrong:
        state.sessions.close(session)[code] = right if right > 0 else _close_before(state, code, session)
        changed.append(True)
    c = state.columns
    if c.trade_price[code] == wrong:
        c.trade_price[code] = right
    if c.price[code] == wrong:
        row = state.minutes.stop - 1
        before = state.minutes.row(row)[0][code] if len(state.minutes) else np.nan
        c.price[code] = right if right > 0 else before
        # A price that comes from the minute before is as old as that minute's.
        if not right > 0 and len(state.minutes):
            age = int(state.minutes.row(row)[1][code]) * MILLISECOND
            c.price_ts[code] = min(int(c.price_ts[code]), state.minutes.end(row) - age)
    return any(changed)


def _revise_ring(ring: PriceRing, code: int, ns: int, wrong: float, right: float) -> bool:
    """The rows that show the print, and those it is carried forward to, show what is right."""
    changed = False
    for row in range(max(ring.first, ring.last_at(ns - REACH)), ring.stop):
        prices, ages = ring.row(row)
        made = ring.end(row) - int(ages[code]) * MILLISECOND
        if prices[code] != wrong or abs(made - ns) > REACH:
            continue
        changed = True
        if right > 0:
            prices[code] = right
        elif row > ring.first:
            before, ages_before = ring.row(row - 1)
            prices[code] = before[code]
            passed = (ring.end(row) - ring.end(row - 1)) // MILLISECOND
            ages[code] = min(int(ages_before[code]) + passed, np.iinfo(np.uint32).max)
        else:
            prices[code] = np.nan
    return changed


def _close_before(state: MarketState, code: int, session: int) -> float:
    """The last price of a session that its stored minutes know, now without the print; NaN where they know none."""
    ring, close = state.minutes, state.calendar.close_ns(session)
    row = ring.last_at(close)
    return float(ring.row(row)[0][code]) if row >= ring.first else np.nan
