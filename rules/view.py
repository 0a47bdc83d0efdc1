"""What the engine asks of the world: prices now, and the prices a window starts from.

Vectors are ``(instruments,) float64`` in the order of :attr:`Requirements.instruments`; unknown is NaN. The engine
never sees a clock: a view is *as of* a time, and the same engine is shown views of the past to rebuild the histories
that ``zscore`` or ``streak`` look at.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rules.ast import Window
from rules.ruleset import Hours

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a compiled plan will ask a view for.

    `instruments` are all symbols, sorted; `sessions` is how many session closes before the current session any window
    (nested ones included) reaches back to; `since` the earliest date a window starts from; `clock_ns` how far back, in
    trading time, minute prices are looked at; `shortest_clock_ns` the shortest clock window (0 where there is none),
    which sets the resolution needed. `series` are the external series, sorted. `volume_sessions`: how many sessions,
    the current one included, volumes are summed over (0: none are asked for); `volume_clock_ns`: how far back, in
    trading time, volumes by the minute are; `profile_sessions`: over how many sessions before the current one volume is
    compared by the time of day.
    """

    instruments: tuple[str, ...]
    sessions: int = 0
    since: dt.date | None = None
    clock_ns: int = 0
    shortest_clock_ns: int = 0
    series: tuple[str, ...] = ()
    volume_sessions: int = 0
    volume_clock_ns: int = 0
    profile_sessions: int = 0


class View(Protocol):
    """The market as of one moment."""

    @property
    def now(self) -> int:
        """Event time, UTC nanoseconds."""

    @property
    def session(self) -> int:
        """Ordinal, in the trading calendar, of the session that contains `now`."""

    @property
    def history_revision(self) -> int:
        """Changes whenever a stored close changed by more than time's passing: an import, a correction, a split."""

    def prices(self) -> Floats:
        """Current price; NaN where there is none or it is stale."""

    def ages(self) -> Floats:
        """Nanoseconds since the last good quote or trade; NaN where there never was one."""

    def bids(self) -> Floats:
        """Bid of the last good quote; NaN where there is none, where it is stale, and in views of the past."""

    def asks(self) -> Floats:
        """Ask of the last good quote; NaN as for bids."""

    def volume(self, window: Window) -> Floats:
        """Shares traded since the window's start: ``Nd`` is the last N sessions, the current one so far included.

        Unknown where less than 80 % of the sessions (of the minutes' span, for clock time) are stored with a volume.
        """

    def relative_volume(self, sessions: int) -> Floats:
        """The session's volume so far / the mean volume up to the same time of day of the `sessions` sessions before.

        At a close (and with nothing but session bars) those are whole sessions. Unknown where fewer than 80 % of them
        are known.
        """

    def external(self) -> Floats:
        """``(series,)`` in the order of :attr:`Requirements.series`: the value last published at or before `now`."""

    def base(self, window: Window) -> Floats:
        """The price that `ret(x, window)` is measured from."""

    def first(self) -> Floats:
        """The first stored session close: where a basket's index is 100."""

    def price_times(self) -> npt.NDArray[np.int64]:
        """Event time of each current price, UTC nanoseconds; 0 where there is none."""

    def closed_sessions(self) -> int:
        """How many sessions before the current one are stored."""

    def at_close(self, back: int) -> View:
        """As of the close of the session `back` sessions before the current one (1 is yesterday's close)."""

    def minute(self) -> int:
        """Ordinal of the current minute on the trading-time grid (only regular-session minutes are counted)."""

    def closed_minutes(self) -> int:
        """How many grid minutes before the current one are stored."""

    def at_minute(self, back: int) -> View:
        """As of the end of the grid minute `back` before the current one (1 is the last that ended)."""


class TradingHours(Protocol):
    """The part of the trading calendar that timers and closes need. Times are UTC nanoseconds."""

    def is_open(self, ns: int, hours: Hours) -> bool:
        """Whether the market is open at `ns`; a close itself still is."""

    def trading_time(self, start: int, end: int, hours: Hours) -> int:
        """Nanoseconds of open market in ``(start, end]``."""

    def close_after(self, ns: int, hours: Hours) -> int | None:
        """The first close at or after `ns`; None where the market never closes."""

    def date(self, session: int) -> dt.date:
        """The date of a session, by ordinal."""

    def session_at(self, ns: int) -> int:
        """Ordinal of the session that contains `ns`: after the close before, up to and including its own."""
