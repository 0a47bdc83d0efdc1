"""Prints that are taken back: the prices they made are made again, and what follows from them.

A print is found by its time and price where the feed gave an id that was known, and by its price otherwise: it set the
last price, a minute's or a session's close if that is its price to the last bit. Only such are changed, and of minutes
and sessions only recent ones, since a correction follows its print within the session or the next. What a cancelled
print leaves is the price before it, as far as that is known: the close of the minute before. Volumes are mended where
the print is known by its id, and so are opens, highs and lows, of what is open and of the minute and session it was in.
Closed bars that are stored already are changed there with the next checkpoint (:mod:`monitor.revised_bars`). What was
decided is not decided again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from monitor.calendar import MINUTE
from monitor.state.mended import Revision
from monitor.state.ring import MILLISECOND, PriceRing
from monitor.state.rows import numbers, times

if TYPE_CHECKING:
    from monitor.state.bars import BarLog
    from monitor.state.market import MarketState

REACH: Final = 15 * MINUTE
"""How far around a correction's own time minutes are looked through: vendors stamp it with the print's or its own."""


def take_corrections(state: MarketState, frame: pl.DataFrame) -> bool:
    """Take in corrections (:data:`connectors.batch.CORRECTIONS`); whether closed minutes or sessions have changed.

    One with an id has the time of its print, and its volume was counted.
    """
    codes, at = state.codes(frame["symbol"]), times(frame["ts"])
    old, new, size, new_size = numbers(frame, "price", "new_price", "size", "new_size")
    found = frame["id"].is_not_null().to_list()
    changed = False
    for row, (code, ns) in enumerate(zip(codes.tolist(), at.tolist(), strict=True)):
        wrong, right = float(old[row]), float(new[row])
        # What is traded at the very moment is in the rings by whole milliseconds.
        reach = MILLISECOND if found[row] else REACH
        if found[row] and size[row] >= 0:
            changed |= _add_volume(state, code, ns, float(np.nan_to_num(new_size[row]) - size[row]))
        if wrong > 0:
            changed |= _revise(state, _Print(code, ns, wrong, right if right > 0 else np.nan, reach))
    return changed


@dataclass(frozen=True, slots=True)
class _Print:
    """A print of `wrong`, which is `right` now or, NaN, was none; it was made within `reach` of `ns`."""

    code: int
    ns: int
    wrong: float
    right: float
    reach: int

    def made(self, price: float, ns: int) -> bool:
        """Whether a price of some moment is that print's."""
        return price == self.wrong and (self.reach == REACH or abs(ns - self.ns) < self.reach)


def _add_volume(state: MarketState, code: int, ns: int, volume: float) -> bool:
    """Count more, or less, volume of a print of `ns`; whether closed minutes or sessions have changed."""
    c = state.columns
    session, closed = state.calendar.session_at(ns), ns <= state.minute_end - MINUTE
    if closed and state.bars is not None:
        state.bars.revise(Revision("1m", _minute_end(ns) - MINUTE, code, volume=volume))
    if session < state.session:
        if state.bars is not None:
            state.bars.revise(Revision("1d", _day(state, session), code, volume=volume))
        if session not in state.sessions or state.sessions.volumes is None:
            return False
        state.sessions.add_volume(session, code, volume)
    elif not closed:
        c.minute_volume[code] = max(c.minute_volume[code] + volume, 0.0)
    else:
        c.session_volume[code] = max(c.session_volume[code] + volume, 0.0)
    if closed and state.volumes is not None:
        state.volumes.add(session, ns, code, volume)
        return True
    return session < state.session


def _revise(state: MarketState, it: _Print) -> bool:
    code, right = it.code, it.right
    rings = [state.minutes] if state.seconds is None else [state.minutes, state.seconds]
    session = state.calendar.session_at(it.ns)
    past = session < state.session and session in state.sessions and state.sessions.close(session)[code] == it.wrong
    # The close is the print's if the minute that ended the session shows it, as far as that is kept.
    past = past and (it.reach == REACH or _closed_with(state, session, it))
    changed = [bool(_revise_ring(ring, it)) for ring in rings[1:]]
    minutes = _revise_ring(state.minutes, it)
    changed.append(bool(minutes))
    close = right if right > 0 or not past else _close_before(state, code, session)
    if past:
        state.sessions.close(session)[code] = close
        changed.append(True)
    if state.bars is not None:
        _revise_bars(state, state.bars, it, minutes, close if past else None)
    c = state.columns
    if it.made(float(c.trade_price[code]), int(c.trade_ts[code])):
        c.trade_price[code] = right
    if it.made(float(c.price[code]), int(c.price_ts[code])):
        row = state.minutes.stop - 1
        before = state.minutes.row(row)[0][code] if len(state.minutes) else np.nan
        c.price[code] = right if right > 0 else before
        # A price that comes from the minute before is as old as that minute's.
        if not right > 0 and len(state.minutes):
            age = int(state.minutes.row(row)[1][code]) * MILLISECOND
            c.price_ts[code] = min(int(c.price_ts[code]), state.minutes.end(row) - age)
    if it.reach != REACH:
        _mend_open(state, it)
    return any(changed)


def _mend_open(state: MarketState, it: _Print) -> None:
    """The open minute and session without the print: as an open it waits for the next print where nothing replaces it.

    Of a high or low that is gone the prints below are not kept: it is the further of the open and the price then.
    """
    c = state.columns
    spans = (
        (it.ns > state.minute_end - MINUTE, c.minute_open, c.minute_high, c.minute_low),
        (it.ns >= state.calendar.open_ns(state.session), c.session_open, c.session_high, c.session_low),
    )
    for within, opens, highs, lows in spans:
        if not within:
            continue
        if opens[it.code] == it.wrong:
            opens[it.code] = it.right
        left = [v for v in (float(opens[it.code]), float(c.price[it.code]), it.right) if v > 0]
        if highs is c.session_high and it.wrong in {float(highs[it.code]), float(lows[it.code])}:
            c.session_mended[it.code] = True  # as it is stored it is made again from its minutes
            left += _closes_since(state, it.code, state.calendar.open_ns(state.session))
        for extremes, furthest, none in ((highs, max, -np.inf), (lows, min, np.inf)):
            known = [*left] if extremes[it.code] == it.wrong else [*left, float(extremes[it.code])]
            extremes[it.code] = furthest(known, default=none)


def _closes_since(state: MarketState, code: int, ns: int) -> list[float]:
    """An instrument's prices made after a moment that the minutes still know."""
    ring, found = state.minutes, []
    for row in range(max(ring.first, ring.last_at(ns)), ring.stop):
        prices, ages = ring.row(row)
        if prices[code] > 0 and ring.end(row) - int(ages[code]) * MILLISECOND > ns:
            found.append(float(prices[code]))
    return found


def _revise_bars(
    state: MarketState, bars: BarLog, it: _Print, minutes: list[tuple[int, float, int]], close: float | None
) -> None:
    """The closed bars the print was in: `minutes` whose close it was, and what that is now, and the session's `close`.

    Where it was no close it may have been an open, high or low, which is told by its price alone: only of a print whose
    time is known.
    """
    known = it.reach != REACH
    for end, price, age in minutes:
        bars.revise(Revision("1m", end - MINUTE, it.code, it.wrong, it.right, closed=True, close=price, age=age))
    own = _minute_end(it.ns)
    if known and own < state.minute_end and own not in {end for end, _, _ in minutes}:
        # Its close as well, where the state keeps that minute no longer.
        age = (own - it.ns) // MILLISECOND
        bars.revise(Revision("1m", own - MINUTE, it.code, it.wrong, it.right, closed=True, close=it.right, age=age))
    session = state.calendar.session_at(it.ns)
    traded = it.ns >= state.calendar.open_ns(session)
    if session < state.session and (close is not None or (known and traded)):
        day, span = _day(state, session), (state.calendar.open_ns(session), state.calendar.close_ns(session))
        closed, now = close is not None, float("nan") if close is None else close
        bars.revise(Revision("1d", day, it.code, wrong=it.wrong, opens_at=span[0], closes_at=span[1]))
        bars.revise(Revision("1d", day, it.code, it.wrong, it.right, closed=closed, close=now))


def _minute_end(ns: int) -> int:
    return -(-ns // MINUTE) * MINUTE


def _day(state: MarketState, session: int) -> int:
    """A session's date, days since 1970."""
    return int(state.calendar.dates[session].astype(np.int64))


def _closed_with(state: MarketState, session: int, it: _Print) -> bool:
    """Whether a print was the last of its session; where those minutes are not kept, one of the last of them was."""
    ring, close = state.minutes, state.calendar.close_ns(session)
    row = ring.last_at(close)
    if row < ring.first:
        return it.ns > close - REACH
    prices, ages = ring.row(row)
    return it.made(float(prices[it.code]), ring.end(row) - int(ages[it.code]) * MILLISECOND)


def _revise_ring(ring: PriceRing, it: _Print) -> list[tuple[int, float, int]]:
    """Make the rows that show the print, and those it is carried forward to, show what is right.

    Returns their ends, with what they show now and its age, ms.
    """
    changed, code = [], it.code
    for row in range(max(ring.first, ring.last_at(it.ns - REACH)), ring.stop):
        prices, ages = ring.row(row)
        made = ring.end(row) - int(ages[code]) * MILLISECOND
        if prices[code] != it.wrong or abs(made - it.ns) > it.reach:
            continue
        if it.right > 0:
            prices[code] = it.right
        elif row > ring.first:
            before, ages_before = ring.row(row - 1)
            prices[code] = before[code]
            passed = (ring.end(row) - ring.end(row - 1)) // MILLISECOND
            ages[code] = min(int(ages_before[code]) + passed, np.iinfo(np.uint32).max)
        else:
            prices[code] = np.nan
        changed.append((ring.end(row), float(prices[code]), int(ages[code])))
    return changed


def _close_before(state: MarketState, code: int, session: int) -> float:
    """The last price of a session that its stored minutes know, now without the print; NaN where they know none."""
    ring, close = state.minutes, state.calendar.close_ns(session)
    row = ring.last_at(close)
    return float(ring.row(row)[0][code]) if row >= ring.first else np.nan
