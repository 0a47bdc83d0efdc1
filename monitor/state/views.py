"""Views of the state, as :class:`rules.view.View` asks for them: the market now, and as it was at a close or a minute.

A view of the past is made of stored closes only. It says the same whether the state lived through that moment or was
built from bars afterwards, so histories may be rebuilt at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.state.columns import NO_VOLUME, Codes, Floats, Ints
from monitor.state.ring import MILLISECOND
from monitor.state.traded import relative_volume, volume_by_clock, volume_by_minute, volume_of_sessions
from rules.ast import Clock, Sessions, Since, Window, Word

if TYPE_CHECKING:
    from monitor.state.market import MarketState


class Selection:
    """Instruments and external series in the order of a view, and what does not change for them in a session.

    `places`: where the instruments stand in volumes by the minute, -1 for none; None where none are kept.
    """

    def __init__(self, index: Codes, series: tuple[str, ...] = (), places: Codes | None = None) -> None:
        self.index = index
        self.series = series
        self.places = places
        self.bases: dict[int, Floats] = {}
        self.traded: dict[tuple[int, int], tuple[Floats, Ints]] = {}
        self.profile: tuple[tuple[int, int, int], tuple[Floats, Floats]] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def forget(self) -> None:
        """History changed, or a session began."""
        self.bases.clear()
        self.traded.clear()
        self.profile = None

    def unknown(self) -> Floats:
        """Nothing known of any instrument."""
        return np.full(len(self.index), np.nan)


class _View:
    """What views of now and of the past share: `now`, its session, and windows that start at a session's close."""

    def __init__(self, state: MarketState, selection: Selection, now: int, session: int) -> None:
        self._state = state
        self._selection = selection
        self._now = now
        self._session = session

    @property
    def now(self) -> int:
        """Event time, UTC nanoseconds."""
        return self._now

    @property
    def session(self) -> int:
        """Ordinal of the session that contains `now`."""
        return self._session

    @property
    def history_revision(self) -> int:
        """Counts imports of history."""
        return self._state.history_revision

    def base(self, window: Window) -> Floats:
        """The price that a return over `window` is measured from; read-only for windows that start at a close."""
        if isinstance(window, Clock):
            return self._price_at(self._now - window.ns)
        if window is Word.OPEN:
            return self._first_of_session()
        return self._close_of(self._anchor(window))

    def volume(self, window: Window) -> Floats:
        """Traded since the window's start; a session counts from the close before it, a minute as a whole.

        What is missing is left out of the sum, as long as 80 % is known: of the sessions, or of the minutes' span.
        """
        if isinstance(window, Clock):
            so_far = self._minutes_so_far()
            return volume_by_clock(self._state, self._selection, self._now, self._session, window.ns, so_far)
        if window is Word.OPEN:
            return self._so_far()
        first = self._anchor(window) + 1
        return volume_of_sessions(self._state, self._selection, first, self._session, self._so_far())

    def relative_volume(self, sessions: int) -> Floats:
        """Volume of the session so far / its mean up to the same time of day in the `sessions` before.

        Times of day are minutes after the open, and between two of them the mean is interpolated. At a close, whole
        sessions are compared; before the open nothing is.
        """
        return relative_volume(self._state, self._selection, self._now, self._session, sessions, self._so_far())

    def external(self) -> Floats:
        """The value of each series last published at or before `now`; NaN where there is none."""
        return self._state.external.at(self._selection.series, self._now)

    def bids(self) -> Floats:
        """Not known of the past: quotes are not stored."""
        return self._selection.unknown()

    def asks(self) -> Floats:
        """Not known of the past: quotes are not stored."""
        return self._selection.unknown()

    def first(self) -> Floats:
        """The first session close ever stored of each instrument; NaN where that was not before this view's session."""
        c, index = self._state.columns, self._selection.index
        sessions = c.first_session[index]
        return np.where((sessions >= 0) & (sessions < self._session), c.first_close[index], np.nan)

    def closed_sessions(self) -> int:
        """Stored sessions before this view's."""
        stored = self._state.sessions
        return max(0, self._session - stored.first) if stored.begun else 0

    def at_close(self, back: int) -> CloseView:
        """As of the close of the session `back` sessions before this view's."""
        return CloseView(self._state, self._selection, self._session - back)

    def minute(self) -> int:
        """Ordinal of the grid minute that contains `now`; outside regular hours the next one."""
        return self._state.calendar.minute_at(self._now)

    def closed_minutes(self) -> int:
        """Stored grid minutes before this view's."""
        minutes = self._state.minutes
        if not len(minutes):
            return 0
        return max(0, self.minute() - self._state.calendar.minute_at(minutes.end(minutes.first)))

    def at_minute(self, back: int) -> MinuteView:
        """As of the end of the grid minute `back` before this view's."""
        return MinuteView(self._state, self._selection, self.minute() - back)

    def _anchor(self, window: Word | Since | Sessions) -> int:
        return self._state.calendar.anchor(self._session, window)

    def _close_of(self, session: int) -> Floats:
        """Closes of a session that closed before this view's; unknown for others."""
        if session < self._session and session in self._state.sessions:
            return self._state.sessions.close(session)[self._selection.index]
        return self._selection.unknown()

    def _price_at(self, ns: int) -> Floats:
        """Last price at or before `ns`, from stored minutes."""
        return self._state.minutes.at(ns, self._selection.index)

    def _first_of_session(self) -> Floats:
        """First price of regular trading in this view's session."""
        raise NotImplementedError

    def _so_far(self) -> Floats:
        """Volume of this view's session so far; NaN where it is not known."""
        raise NotImplementedError

    def _minutes_so_far(self) -> Floats:
        """The same by the minutes that were seen, whatever volume a file says the session had."""
        return volume_by_minute(self._state, self._selection, self._now, self._session)


class LiveView(_View):
    """The market at the state's own `now`; good until the state moves on."""

    def __init__(self, state: MarketState, selection: Selection) -> None:
        super().__init__(state, selection, state.now, state.session)

    def prices(self) -> Floats:
        """Current prices; NaN where there is none, it is stale, or trading is halted."""
        c, index = self._state.columns, self._selection.index
        fresh = (self._now - c.price_ts[index] < _stale_from(self._state)) & (c.halted_since[index] == 0)
        return np.where(fresh, c.price[index], np.nan)

    def bids(self) -> Floats:
        """Bid of the last quote; NaN where there is none, it is stale, or trading is halted."""
        return self._quoted(self._state.columns.bid)

    def asks(self) -> Floats:
        """Ask of the last quote; NaN where there is none, it is stale, or trading is halted."""
        return self._quoted(self._state.columns.ask)

    def _quoted(self, column: Floats) -> Floats:
        c, index = self._state.columns, self._selection.index
        fresh = (self._now - c.quote_ts[index] < _stale_from(self._state)) & (c.halted_since[index] == 0)
        return np.where(fresh, column[index], np.nan)

    def ages(self) -> Floats:
        """Nanoseconds since the last quote, trade or bar; NaN where there never was one."""
        c, index = self._state.columns, self._selection.index
        last = np.maximum(np.maximum(c.quote_ts[index], c.trade_ts[index]), c.last_ts[index])
        return np.where(last > 0, (self._now - last).astype(np.float64), np.nan)

    def price_times(self) -> Ints:
        """Event time of each price, stale or not; 0 where there is none."""
        return self._state.columns.price_ts[self._selection.index]

    def _close_of(self, session: int) -> Floats:
        bases = self._selection.bases
        base = bases.get(session)
        if base is None:
            base = bases[session] = super()._close_of(session)
            base.flags.writeable = False
        return base

    def _price_at(self, ns: int) -> Floats:
        state, index = self._state, self._selection.index
        ring, opened = state.minutes, state.minute_end - state.minutes.step
        if state.seconds is not None and len(state.seconds) and state.seconds.end(state.seconds.first) <= ns:
            ring, opened = state.seconds, state.open_end - state.seconds.step
        before = ring.at(ns, index)
        if ns <= opened:
            return before
        c = state.columns
        return np.where(c.price_ts[index] <= ns, c.price[index], before)

    def _first_of_session(self) -> Floats:
        return self._state.columns.session_open[self._selection.index]

    def _so_far(self) -> Floats:
        c, index = self._state.columns, self._selection.index
        volumes = c.session_volume[index] + np.where(c.printed[index], c.minute_volume[index], NO_VOLUME)
        return np.where(np.signbit(volumes), np.nan, volumes)

    def _minutes_so_far(self) -> Floats:
        return self._so_far()


class CloseView(_View):
    """As of a session's close: its stored closes, whatever their age was."""

    def __init__(self, state: MarketState, selection: Selection, session: int) -> None:
        super().__init__(state, selection, state.calendar.close_ns(max(session, 0)), session)
        past = 0 <= session < state.session and session in state.sessions
        self._prices = state.sessions.close(session)[selection.index] if past else selection.unknown()

    def prices(self) -> Floats:
        """Closes of the session; NaN where the instrument did not trade in it."""
        return self._prices

    def ages(self) -> Floats:
        """0 where there is a close: how old it was is not stored."""
        return np.where(np.isnan(self._prices), np.nan, 0.0)

    def price_times(self) -> Ints:
        """The session's close where there is a price, otherwise 0."""
        return np.where(np.isnan(self._prices), 0, self._now)

    def _first_of_session(self) -> Floats:
        if self._session < self._state.session and self._session in self._state.sessions:
            return self._state.sessions.open(self._session)[self._selection.index]
        return self._selection.unknown()

    def _so_far(self) -> Floats:
        volumes = self._state.sessions.volumes_of(self._session, self._session, self._selection.index)
        return volumes[0] if len(volumes) and self._session < self._state.session else self._selection.unknown()


class MinuteView(_View):
    """As of the end of a grid minute."""

    def __init__(self, state: MarketState, selection: Selection, minute: int) -> None:
        end = state.calendar.minute_end(max(minute, 0))
        super().__init__(state, selection, end, state.calendar.session_at(end))
        row = state.minutes.last_at(end)
        if row >= state.minutes.first and state.minutes.end(row) == end:
            prices, ages = (values[selection.index] for values in state.minutes.row(row))
            self._ages = ages.astype(np.int64) * MILLISECOND
            self._known = ~np.isnan(prices)
            self._prices = np.where(self._ages < _stale_from(state), prices, np.nan)
        else:
            self._ages = np.zeros(len(selection), np.int64)
            self._known = np.zeros(len(selection), np.bool_)
            self._prices = selection.unknown()

    def prices(self) -> Floats:
        """Prices then; NaN where there was none or it was stale."""
        return self._prices

    def ages(self) -> Floats:
        """Nanoseconds since the last price, in whole milliseconds; NaN where there never was one."""
        return np.where(self._known, self._ages.astype(np.float64), np.nan)

    def price_times(self) -> Ints:
        """Event time of each price, up to a millisecond late; 0 where there was none."""
        return np.where(self._known, self._now - self._ages, 0)

    def _first_of_session(self) -> Floats:
        """The session's open, where the last price then was already one of regular trading."""
        state = self._state
        if self._session == state.session:
            opens = state.columns.session_open[self._selection.index]
        elif self._session in state.sessions:
            opens = state.sessions.open(self._session)[self._selection.index]
        else:
            return self._selection.unknown()
        return np.where(self.price_times() >= state.calendar.open_ns(self._session), opens, np.nan)

    def _so_far(self) -> Floats:
        return self._minutes_so_far()


_ROUNDING: Final = MILLISECOND
"""Stored ages are whole milliseconds rounded down; live ones are judged the same way."""


def _stale_from(state: MarketState) -> int:
    """The age in nanoseconds from which on a price is stale."""
    return state.stale_after_ns + _ROUNDING
