"""Bars of the past from a vendor into the store: only what is missing, so that one that was killed goes on.

What is stored is what is remembered: a run asks for the sessions that the calendar has and the store has not, and
writes what it got every so many rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
import structlog

from connectors.bar_source import BarSource, Resolution
from monitor.calendar import TradingCalendar
from monitor.corporate_actions.screen import believed
from monitor.history.gaps import DAYS, Gap, gaps, stored_days, stored_minutes
from monitor.history.stored_bars import add_minutes, add_sessions
from monitor.store.base import Store

_LOG = structlog.get_logger(__name__)

_ROWS: Final = 200_000
"""Bars kept before they are written: what a kill costs."""
_SYMBOLS: Final = 50
"""Instruments asked for at once."""


@dataclass(slots=True)
class Filled:
    """What a backfill did: bars written, and the sessions that the vendor did not have either."""

    bars: int = 0
    asked: int = 0
    missing: list[Gap] = field(default_factory=list)


def last_session(calendar: TradingCalendar, now: int) -> dt.date:
    """The last session that has closed by `now`, UTC nanoseconds."""
    return calendar.date(calendar.session_at(now) - 1)


async def backfill(
    source: BarSource,
    store: Store,
    calendar: TradingCalendar,
    symbols: Collection[str],
    first: dt.date,
    last: dt.date,
    resolution: Resolution = "1d",
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Filled:
    """Ask for the sessions from `first` to `last` that are missing, and store them.

    Args:
        source: The vendor.
        store: Open, with the lease where somebody else could have it.
        calendar: Whose sessions these are.
        symbols: The instruments.
        first: The first session asked for.
        last: The last, which has closed.
        resolution: Session bars, or minutes.
        on_progress: Told how many instruments are done, of how many.

    Raises:
        RestError: The vendor refuses or is away; what came before is stored.
        StoreError: The store is away.
    """
    look, add = (stored_days, add_sessions) if resolution == "1d" else (stored_minutes, add_minutes)
    before = gaps(await look(store, first, last), symbols, calendar, first, last)
    spans: dict[tuple[dt.date, dt.date], list[str]] = {}
    for symbol in sorted({gap.symbol for gap in before}):
        mine = [gap for gap in before if gap.symbol == symbol]
        spans.setdefault((mine[0].first, mine[-1].last), []).append(symbol)
    result = Filled(asked=sum(map(len, spans.values())))
    waiting: list[pl.DataFrame] = []
    done = 0
    for (begin, end), some in spans.items():
        start_ns = _midnight(begin)
        end_ns = _midnight(end + dt.timedelta(days=2))  # a day of the exchange's zone ends after UTC's
        for at in range(0, len(some), _SYMBOLS):
            async for frame in source.bars(some[at : at + _SYMBOLS], start_ns, end_ns, resolution):
                waiting.append(sessions_of(frame, calendar, end) if resolution == "1d" else _regular(frame, calendar))
                if sum(frame.height for frame in waiting) >= _ROWS:
                    result.bars += await _written(store, add, waiting)
            done += len(some[at : at + _SYMBOLS])
            on_progress(done, result.asked)
    result.bars += await _written(store, add, waiting)
    result.missing = gaps(await look(store, first, last), symbols, calendar, first, last)
    return result


async def _written(store: Store, add: Callable[..., object], waiting: list[pl.DataFrame]) -> int:
    if not waiting:
        return 0
    bars = pl.concat(waiting)
    waiting.clear()
    if "end" not in bars.columns:
        bars, wrong = believed(bars, ())
        for spike in wrong:
            _LOG.warning("a close is not believed, and is missing still", reason=spike.text)
    if bars.height:
        await add(store, bars)  # type: ignore[misc] # both are coroutines
    return bars.height


def sessions_of(bars: pl.DataFrame, calendar: TradingCalendar, last: dt.date) -> pl.DataFrame:
    """A vendor's day bars as session bars: ``ts`` (the session's date), symbol, prices and volume.

    A day runs from midnight to midnight of the exchange's zone, so the session is the one whose close lies in it, and
    is known at that close. Days without a session, and those after `last`, are left out.
    """
    starts, ends = bars["ts"].to_physical().to_numpy(), bars["end"].to_physical().to_numpy()
    sessions = np.searchsorted(calendar.closes, starts, "right")
    inside = sessions < len(calendar)
    sessions = np.where(inside, sessions, 0)
    inside &= calendar.closes[sessions] <= ends
    dates = pl.Series("ts", calendar.dates[sessions].astype("datetime64[D]")).cast(pl.Date)
    named = bars.drop("ts", "end").with_columns(dates).filter(pl.Series(inside))
    return named.filter(pl.col("ts") <= last).select("ts", "symbol", "open", "high", "low", "close", "volume")


def _regular(bars: pl.DataFrame, calendar: TradingCalendar) -> pl.DataFrame:
    """Minutes of regular hours."""
    ends = bars["end"].to_physical().to_numpy()
    sessions = np.minimum(np.searchsorted(calendar.closes, ends), len(calendar) - 1)
    return bars.filter(pl.Series((ends > calendar.opens[sessions]) & (ends <= calendar.closes[sessions])))


def differences(one: pl.DataFrame, other: pl.DataFrame, more_than: float) -> pl.DataFrame:
    """Closes of two sources that are further apart than `more_than` (a ratio), the furthest first.

    `one` and `other`: ``ts, symbol, close``. Columns: ``ts, symbol, close, other, apart`` (a ratio of the mean).
    """
    both = one.select("ts", "symbol", "close").join(
        other.select("ts", "symbol", other="close"), on=["ts", "symbol"], how="inner"
    )
    apart = (pl.col("close") - pl.col("other")).abs() / ((pl.col("close") + pl.col("other")) / 2)
    return both.with_columns(apart=apart).filter(pl.col("apart") > more_than).sort("apart", descending=True)


async def closes_of(
    source: BarSource, calendar: TradingCalendar, symbols: Collection[str], first: dt.date, last: dt.date
) -> pl.DataFrame:
    """The session bars that a source has, without storing them. Raises RestError."""
    frames = [pl.DataFrame(schema={**DAYS, "close": pl.Float64})]
    end = _midnight(last + dt.timedelta(days=2))
    coming = source.bars(sorted(symbols), _midnight(first), end, "1d")
    frames += [sessions_of(frame, calendar, last).select("ts", "symbol", "close") async for frame in coming]
    return pl.concat(frames)


def _midnight(date: dt.date) -> int:
    """The start of a UTC day, nanoseconds."""
    return (date - dt.date(1970, 1, 1)).days * 86_400 * 10**9
