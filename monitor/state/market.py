"""The state: what the market did, as far as rules, pages and bars need it.

`apply` takes in one batch, `advance` lets time pass without one; both end with the state *as of* a moment of event
time. The state knows no clock, and is a function of what it was given: the same calls make the same state, bit for bit.

The price is the last trade (or bar) of an instrument that has them, otherwise the mid of its last quote. It is never
set back: a row older than its instrument's last counts into highs, lows and volume only. Minutes and sessions are
closed for good by the first row, or `advance`, after them; see :mod:`monitor.state.rows` for rows that come later.

Volumes are those of trades, and of bars in which no trade was seen: a feed that sends both counts once. Of a bar that
is sent again, corrected, only what is more counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import polars as pl

from monitor.calendar import MINUTE, TradingCalendar
from monitor.state.bars import BarLog, SessionHistory, session_history
from monitor.state.checkpoint import checkpoint_frames, quotes_frame, restore
from monitor.state.columns import FIRST_WIDTH, Codes, Columns
from monitor.state.external import ExternalSeries
from monitor.state.halts import end_with_session, resume, take_statuses
from monitor.state.intake import Intake, PriceSource
from monitor.state.market_data import MarketData
from monitor.state.mended import REVISIONS
from monitor.state.rebase import CorporateActions
from monitor.state.revisions import take_corrections
from monitor.state.ring import PriceRing
from monitor.state.rows import cut, rows_of
from monitor.state.sessions import SessionPrices
from monitor.state.symbols import SymbolIndex
from monitor.state.views import LiveView, Selection
from monitor.state.volumes import MinuteVolumes, by_minute
from rules.view import Requirements

SECOND: Final = 1_000_000_000

FINE_SPAN: Final = 10 * MINUTE
"""Clock windows shorter than this are measured on an axis of seconds."""

_ALWAYS: Final = 2
"""Minutes that are kept where nobody looks back at any."""


class MarketState:
    """The market of one calendar's instruments.

    Args:
        calendar: sessions and minutes.
        price: what sets the price.
        stale_after_ns: a price older than this (in event time) is unknown.
        sessions: how many session closes to keep at least.
        clock_ns: how far back minutes are kept at least, in trading time.
        record_bars: keep closed bars for `closed_bars`; off where nobody collects them.
    """

    def __init__(
        self,
        calendar: TradingCalendar,
        *,
        price: PriceSource = PriceSource.AUTO,
        stale_after_ns: int = 15 * MINUTE,
        sessions: int = 260,
        clock_ns: int = 0,
        record_bars: bool = True,
    ) -> None:
        self.calendar = calendar
        self.stale_after_ns = stale_after_ns
        self.now = 0
        self.session = -1
        self.history_revision = 0
        self.index = SymbolIndex()
        self.columns = Columns()
        self.intake = Intake(self.columns, PriceSource(price))
        self.sessions = SessionPrices(self.columns.width)
        self.minutes = PriceRing(MINUTE, self.columns.width)
        self.seconds: PriceRing | None = None
        self.volumes: MinuteVolumes | None = None
        self.external = ExternalSeries()
        self.actions = CorporateActions(self)
        self.bars = BarLog(calendar) if record_bars else None
        self.open_end = 0
        self.minute_end = 0
        self._keep_sessions = sessions
        self._keep_since: dt.date | None = None
        self._keep_minutes = -(-clock_ns // MINUTE) + _ALWAYS
        self._volume_minutes = 0
        self._profile_sessions = 0
        self._selections: dict[tuple[tuple[str, ...], tuple[str, ...]], Selection] = {}

    # --- what rules need ----------------------------------------------------------------------------------------------

    def needs(self, requirements: Requirements) -> None:
        """Keep enough for these rules from now on; what is kept already stays."""
        volume_sessions = max(requirements.volume_sessions, requirements.profile_sessions)
        self._keep_sessions = max(self._keep_sessions, requirements.sessions + volume_sessions)
        if requirements.since is not None:
            self._keep_since = min(requirements.since, self._keep_since or requirements.since)
        self._keep_minutes = max(self._keep_minutes, -(-requirements.clock_ns // MINUTE) + _ALWAYS)
        if 0 < requirements.shortest_clock_ns < FINE_SPAN and self.seconds is None:
            self.seconds = PriceRing(SECOND, self.columns.width)
        codes = self.codes(requirements.instruments)
        if volume_sessions:
            self.sessions.keep_volumes()
        if by_minute(requirements):
            minutes = max(requirements.volume_clock_ns, requirements.clock_ns) // MINUTE + 2
            self._volume_minutes = max(self._volume_minutes, minutes)
            self._profile_sessions = max(self._profile_sessions, requirements.profile_sessions)
            if self.volumes is None:
                self.volumes = MinuteVolumes(self.calendar, codes)
            self.volumes.keep(codes)
        self.external.keep(requirements.series)
        self._selections.clear()

    @property
    def step(self) -> int:
        """Resolution of the finest time axis, nanoseconds."""
        return MINUTE if self.seconds is None else SECOND

    def view(self, instruments: tuple[str, ...], series: tuple[str, ...] = ()) -> LiveView:
        """The market now, instruments and external series in the given order; good until `apply` or `advance`."""
        selection = self._selections.get((instruments, series))
        if selection is None:
            codes = self.codes(instruments)
            places = None if self.volumes is None else self.volumes.places(codes)
            selection = self._selections[instruments, series] = Selection(codes, series, places)
        return LiveView(self, selection)

    # --- taking in ----------------------------------------------------------------------------------------------------

    def apply(self, batch: MarketData, now_ns: int) -> None:
        """Take in a batch, then let time go on to `now_ns` (or the newest row, if that is later)."""
        trades = rows_of(batch.trades, self.codes, "ts", "price", "size")
        bars = rows_of(batch.bars, self.codes, "end", "open", "high", "low", "close", "volume")
        quotes = rows_of(batch.quotes, self.codes, "ts", "bid", "ask", "bid_size", "ask_size")
        for end, segment in cut((trades, bars, quotes), self.open_end, self.step):
            if any(map(len, segment)):
                self._open(end)
                self.intake.take(*segment)
        if batch.series.height:
            self.external.take(batch.series, self.now)
        newest_row = max((int(rows.ts.max()) for rows in (trades, bars, quotes) if len(rows)), default=0)
        self.advance(max(now_ns, newest_row))
        if batch.statuses.height:
            take_statuses(self.columns, self.codes(batch.statuses["symbol"]), batch.statuses)
        elif len(trades) or len(bars):
            resume(self.columns)
        if batch.corrections.height and take_corrections(self, batch.corrections):
            self.history_revision += 1
            self.forget_cached()

    def advance(self, now_ns: int) -> None:
        """Let time pass: close what ended before `now_ns`. Time never goes back."""
        if now_ns > self.now:
            self.now = now_ns
            self._open(-(-now_ns // self.step) * self.step)

    def import_sessions(self, frame: pl.DataFrame) -> None:
        """Take in history: ``ts`` (Date), ``symbol``, ``close``, optionally ``open``; a stored close is replaced.

        Sessions that have not closed yet may be among them; they are shown once they have, and give way to what the
        market then does.

        Raises:
            ValueError: a row has no symbol, its date is no session, or its close is not a positive number; none is
            taken.
        """
        history = session_history(frame, self.calendar)
        self.include_sessions(history)
        self.history_revision += 1
        self.forget_cached()

    def import_series(self, frame: pl.DataFrame) -> None:
        """Take in the past of external series, ``ts`` (publication), ``series``, ``value``; equal times are replaced.

        What is to be published later may be among it; it is known from then on.
        """
        self.external.include(frame)
        self.history_revision += 1

    def include_sessions(self, history: SessionHistory) -> None:
        """Store closes and opens, as traded, that are within what is kept."""
        codes = self.codes(history.symbols)
        kept = history.sessions >= self._oldest_session()
        if not kept.any():
            return
        sessions, codes = history.sessions[kept], codes[kept]
        prices, volumes = self.actions.level_sessions(sessions, codes)
        closes = history.closes[kept] * prices
        self.sessions.put(sessions, codes, closes, history.opens[kept] * prices, history.volumes[kept] * volumes)
        # Newest first, so that of an instrument's rows the oldest is written last and stays.
        order = np.argsort(-sessions, kind="stable")
        sessions, codes, closes = sessions[order], codes[order], closes[order]
        c = self.columns
        older = (c.first_session[codes] < 0) | (sessions <= c.first_session[codes])
        c.first_session[codes[older]] = sessions[older]
        c.first_close[codes[older]] = closes[older]
        self.actions.take_over()

    def codes(self, symbols: pl.Series | tuple[str, ...]) -> Codes:
        """Rows of instruments in the columns; new ones are taken in."""
        codes = self.index.codes_of(symbols) if isinstance(symbols, pl.Series) else self.index.codes(symbols)
        self._fit()
        return codes

    def _fit(self) -> None:
        """Widen every column and row when instruments outgrew them."""
        width = self.columns.width
        if width < len(self.index):
            width = -(-max(len(self.index), width * 5 // 4) // FIRST_WIDTH) * FIRST_WIDTH
            self.columns.grow(width)
            self.sessions.grow(width)
            self.minutes.grow(width)
            if self.seconds is not None:
                self.seconds.grow(width)

    # --- time passing -------------------------------------------------------------------------------------------------

    def _open(self, end: int) -> None:
        """Make the step that ends at `end` the open one, closing all before it."""
        if end <= self.open_end:
            return
        if self.seconds is not None and self.intake.touched:
            self.seconds.append(self.open_end, self.columns.price, self.columns.price_ts)
            self.seconds.expire(end - FINE_SPAN - SECOND)
        self.intake.touched = False
        self.open_end = end
        minute_end = -(-end // MINUTE) * MINUTE
        if minute_end > self.minute_end:
            self._open_minute(minute_end)

    def _open_minute(self, end: int) -> None:
        session = self.calendar.session_at(end)
        new_session = session != self.session
        if self.minute_end:
            self._close_minutes(end)
            if session > self.session:
                self._close_session(session)
        self.intake.minute_start = end - MINUTE
        if new_session:
            self.session = session
            self.intake.session_open = self.calendar.open_ns(session)
            self.sessions.expire(self._oldest_session())
            self.forget_cached()
        self.minute_end = end
        if end > self.intake.session_open and session > 0:
            end_with_session(self.columns, self.calendar.close_ns(session - 1))
        if end >= self.actions.next_at:
            self.actions.apply_due(end)
        self.minutes.expire(self.oldest_minute_end())
        self.external.tidy(end - MINUTE)
        if new_session:
            self.expire_volumes_and_series()

    def _close_minutes(self, end: int) -> None:
        """Store the open minute, and the grid minutes between it and the one that ends at `end`."""
        c, calendar = self.columns, self.calendar
        printed = np.flatnonzero(c.printed)
        if len(printed):
            if self.bars is not None:
                self.bars.add_minute(self.minute_end, c, printed)
            self.minutes.append(self.minute_end, c.price, c.price_ts)
        c.start_minute()
        if len(printed) and self.volumes is not None:
            self.volumes.append(self.minute_end, c.session_volume)
        upto = calendar.minute_at(end)
        start = calendar.minute_at(self.minute_end + (1 if len(printed) else 0))
        still = calendar.minute_ends(max(start, upto - self._keep_minutes), upto)
        if len(still):
            self.minutes.append_still(still, c.price, c.price_ts)

    def _close_session(self, following: int) -> None:
        """Store the open session; those skipped before `following` are sessions without a trade.

        A close that was imported stays: it is the official one, and this is what one feed saw last.
        """
        c, stored = self.columns, self.sessions
        traded = np.flatnonzero(c.price_ts > self.calendar.close_ns(self.session - 1))
        stored.include(self.session, following - 1)
        closes = stored.close(self.session)
        seen = traded[np.isnan(closes[traded])]
        closes[seen] = c.price[seen]
        stored.open(self.session)[traded] = c.session_open[traded]
        volumes = c.session_volume[traded]
        stored.put_volumes(self.session, traded, np.where(np.signbit(volumes), np.nan, volumes))
        first = traded[(c.first_session[traded] < 0) | (c.first_session[traded] >= self.session)]
        c.first_session[first] = self.session
        c.first_close[first] = closes[first]
        if self.bars is not None:
            self.bars.add_session(self.session, c, traded)
        c.start_session()

    def _oldest_session(self) -> int:
        """The oldest session whose close is kept; before the first event all are."""
        if self.session < 0:
            return 0
        count = self._keep_sessions
        if self._keep_since is not None:
            count = max(count, self.session - self.calendar.ordinal_on_or_before(self._keep_since))
        return self.session - count - 1

    def oldest_minute_end(self) -> int:
        """The end of the oldest grid minute that is kept."""
        return self.calendar.minute_end(max(0, self.calendar.minute_at(self.minute_end) - self._keep_minutes))

    @property
    def keeps_minutes(self) -> bool:
        """Whether anybody looks back at minutes."""
        return self._keep_minutes > _ALWAYS

    def oldest_needed_minute(self) -> int:
        """No minute bar that ended before this is ever looked at again; 0 before the first event."""
        if not self.minute_end:
            return 0
        oldest = self.oldest_minute_end()
        return oldest if self.volumes is None else min(oldest, self.oldest_volume_close(self.minute_end))

    @property
    def kept_minutes(self) -> int:
        """How many grid minutes before the open one are kept."""
        return self._keep_minutes

    def oldest_volume_close(self, minute_end: int) -> int:
        """The close of a session: while the minute up to `minute_end` is open, volumes are kept after it."""
        oldest = self.calendar.minute_at(minute_end) - self._volume_minutes
        session = self.calendar.session_at(self.calendar.minute_end(max(0, oldest))) - self._profile_sessions
        return self.calendar.close_ns(max(0, session - 1))

    def expire_volumes_and_series(self) -> None:
        """Forget what no window reaches back to; once a session is enough."""
        if self.volumes is not None:
            self.volumes.expire(self.oldest_volume_close(self.minute_end))
        closes = self.calendar.closes
        self.external.expire(closes, int(closes[max(0, self._oldest_session())]), self.oldest_minute_end())

    def forget_cached(self) -> None:
        """Drop what views remember of a session's bases and volumes."""
        for selection in self._selections.values():
            selection.forget()

    # --- for pages and the store --------------------------------------------------------------------------------------

    def quotes_frame(self, codes: Codes | None = None) -> pl.DataFrame:
        """Last quote, trade and price of every instrument, or of some; null where there is none."""
        return quotes_frame(self.index, self.columns, codes)

    def last_prices(self) -> dict[str, tuple[float, int]]:
        """The last price of each instrument, or else its last close, and when that was, UTC ns."""
        c, known = self.columns, len(self.index)
        price, at = c.price[:known].copy(), c.price_ts[:known].copy()
        for session in range(self.sessions.first, min(self.sessions.stop, self.session + 1 if self.now else 2**31)):
            closes = self.sessions.close(session)[:known]
            later = (closes > 0) & (self.calendar.close_ns(session) > at)
            price[later], at[later] = closes[later], self.calendar.close_ns(session)
        known_prices = np.flatnonzero(price > 0).tolist()
        symbols = self.index.symbols()
        return {symbols[code]: (float(price[code]), int(at[code])) for code in known_prices}

    def closed_bars(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Minute and session bars closed since the last call (:data:`MINUTE_BARS`, :data:`SESSION_BARS`).

        Raises:
            RuntimeError: the state does not record bars.
        """
        if self.bars is None:
            raise RuntimeError("this state was made with record_bars=False")
        return self.bars.take(self.index)

    def revisions(self) -> pl.DataFrame:
        """What prints taken back change in bars collected before (:data:`REVISIONS`); take it with `closed_bars`."""
        return pl.DataFrame(schema=REVISIONS) if self.bars is None else self.bars.take_revisions(self.index)

    def checkpoint_frames(self) -> dict[str, pl.DataFrame]:
        """What is open (:data:`CHECKPOINT`); take `closed_bars` at the same moment, the two belong together."""
        return checkpoint_frames(self)

    def restore(
        self,
        frames: Mapping[str, pl.DataFrame],
        minute_bars: Iterable[pl.DataFrame],
        session_bars: Iterable[pl.DataFrame],
    ) -> None:
        """Make this new state what it was at a checkpoint: see :func:`monitor.state.checkpoint.restore`."""
        restore(self, frames, minute_bars, session_bars)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns and rows."""
        rings = [self.minutes] if self.seconds is None else [self.minutes, self.seconds]
        volumes = 0 if self.volumes is None else self.volumes.nbytes
        return self.columns.nbytes + self.sessions.nbytes + sum(ring.nbytes for ring in rings) + volumes
