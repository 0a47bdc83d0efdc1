"""Session closes alone, played: what the state would say at every close, read from tables.

Where nothing happens between two closes there is nothing for the state to keep: its answers at a close are the bars of
that session and the closes before it. They are read here from columns of all sessions at once, for many closes at a
time. The answers are those of :mod:`monitor.state.views`, and tests hold the two side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np
import polars as pl

from monitor.calendar import TradingCalendar
from monitor.ingest.clean_batch import event_times
from monitor.state.bars import session_history
from monitor.state.columns import Bools, Codes, Floats, Ints
from monitor.state.external import ExternalSeries
from monitor.state.ring import MILLISECOND
from rules.ast import Clock, Sessions, Window, Word
from rules.readings import Lasting
from rules.steps import Field, Reading
from rules.view import Requirements, View


def closes_suffice(needs: Requirements) -> bool:
    """Whether closes are all that is looked at: no minute of a session, neither its prices nor its volume."""
    return not (needs.clock_ns or needs.shortest_clock_ns or needs.volume_clock_ns)


class PlayedSessions:
    """Tables ``(instruments, sessions)`` of what is played and of what is stored; NaN where there is none.

    A close that history has wins over the one that is played, as in the state; while the session lasts, the price is
    what is played. An open that is played wins over one of history.
    """

    def __init__(
        self,
        calendar: TradingCalendar,
        needs: Requirements,
        *,
        stale_after_ns: int,
        bars: pl.DataFrame,
        history: pl.DataFrame,
        series: pl.DataFrame,
    ) -> None:
        """`bars`: those of sessions, in order, of :data:`connectors.batch.BARS`; the rest as in a recording."""
        self.calendar = calendar
        self.instruments = needs.instruments
        self._stale_from = stale_after_ns + MILLISECOND
        ends = event_times("bars", bars)
        self._ends, at = np.unique(ends, return_inverse=True)
        played = np.searchsorted(calendar.closes, self._ends)
        past = session_history(history, calendar) if history.height else None
        every = played if past is None else np.concatenate([played, past.sessions])
        self.first, self._stop = (int(every.min()), int(every.max()) + 1) if len(every) else (0, 1)
        self._played = played - self.first
        # While the first session lasts nothing is stored but history, which may begin later.
        self._begun = 0 if past is None else int(past.sessions.min()) - self.first
        rows, kept = self._codes(bars["symbol"])
        cells = rows, self._played[at[kept]]
        self._closes, self._opens = self._table(cells, bars, "close", kept), self._table(cells, bars, "open", kept)
        self._volumes: Floats | None = None
        self._stored_volumes: Floats | None = None
        if needs.volume_sessions:
            # Of an instrument that once had a volume, a session of which nothing is said had none.
            said = self._table(cells, bars, "volume", kept)
            ever = np.logical_or.accumulate(~np.isnan(said), axis=1)
            self._volumes = np.where(ever, np.nan_to_num(said), np.nan)
            self._stored_volumes = np.where(np.isnan(self._closes), np.nan, self._volumes)
        self._stored, self._stored_opens = self._closes, self._opens
        if past is not None:
            rows, kept = self._codes(past.symbols)
            cells = rows, past.sessions[kept] - self.first
            self._stored = _first(self._table_of(cells, past.closes[kept]), self._closes)
            self._stored_opens = _first(self._opens, self._table_of(cells, past.opens[kept]))
            if self._stored_volumes is not None:
                self._stored_volumes = _first(self._table_of(cells, past.volumes[kept]), self._stored_volumes)
        sessions = np.arange(self._stop - self.first, dtype=np.int32)
        # Where each instrument's last bar is, as of each session; -1 where it had none yet.
        self._newest = np.maximum.accumulate(np.where(np.isnan(self._closes), np.int32(-1), sessions), axis=1)
        known = ~np.isnan(self._stored)
        self._first_row = np.where(known.any(axis=1), np.argmax(known, axis=1), len(sessions))
        self._anchors: dict[Window, Ints] = {}
        self._external = self._published(needs.series, series)

    def views(self, start: int, end: int) -> list[ClosingView]:
        """The market at each close from `start` to `end` (UTC nanoseconds) at which something was played."""
        chosen = (self._ends >= start) & (self._ends <= end)
        return [ClosingView(self, row, past=False) for row in self._played[chosen].tolist()]

    # --- answers of many views at once --------------------------------------------------------------------------------

    def answers(self, reading: Reading, rows: Codes, past: Bools) -> Floats:
        """What is known at the closes of sessions, ``(instruments, rows)``; where `past`, as it is stored."""
        window = reading.window
        match reading.field:
            case Field.PRICE:
                return self._prices(rows, past)
            case Field.BASE:
                return self._base(window, rows, past)
            case Field.FIRST:
                first = np.minimum(self._first_row, self._stored.shape[1] - 1)
                closes = self._stored[np.arange(len(first)), first]
                return np.where(self._first_row[:, None] < rows, closes[:, None], np.nan)
            case Field.BID | Field.ASK:
                return np.full((len(self.instruments), len(rows)), np.nan)
            case Field.AGE:
                times = self.times(rows, past)
                return np.where(times > 0, (self.closes_ns(rows) - times).astype(np.float64), np.nan)
            case Field.VOLUME:
                return np.array([self._volume(window, int(r), bool(p)) for r, p in zip(rows, past, strict=True)]).T
            case Field.RELATIVE_VOLUME:
                return np.array([self._relative(window, int(r), bool(p)) for r, p in zip(rows, past, strict=True)]).T
            case Field.EXTERNAL:
                return self._external[:, rows]
            case other:
                assert_never(other)

    def times(self, rows: Codes, past: Bools) -> Ints:
        """When each price was made, UTC nanoseconds; 0 where there is none."""
        newest = self._newest[:, rows]
        live = np.where(newest >= 0, self.closes_ns(np.maximum(newest, 0)), 0)
        stored = np.where(np.isnan(self._stored[:, rows]), 0, self.closes_ns(rows))
        return np.where(past, stored, live)

    def closes_ns(self, rows: Codes) -> Ints:
        """When sessions end, UTC nanoseconds."""
        return self.calendar.closes[rows + self.first]

    def _prices(self, rows: Codes, past: Bools) -> Floats:
        newest = self._newest[:, rows]
        live = np.take_along_axis(self._closes, np.maximum(newest, 0).astype(np.intp), axis=1)
        fresh = (newest >= 0) & (self.closes_ns(rows) - self.closes_ns(np.maximum(newest, 0)) < self._stale_from)
        return np.where(past, self._stored[:, rows], np.where(fresh, live, np.nan))

    def _base(self, window: Window | int | None, rows: Codes, past: Bools) -> Floats:
        if window is Word.OPEN:
            return np.where(past, self._stored_opens[:, rows], self._opens[:, rows])
        anchors = self._anchor(window)[rows]
        known = (anchors >= 0) & (anchors < rows)
        return np.where(known, self._stored[:, np.where(known, anchors, 0)], np.nan)

    def _anchor(self, window: Window | int | None) -> Ints:
        """From which row each row's window starts."""
        assert window is not None  # noqa: S101 - a base has a window
        assert not isinstance(window, int | Clock)  # noqa: S101 - see closes_suffice
        found = self._anchors.get(window)
        if found is None:
            sessions = range(self.first, self._stop)
            if isinstance(window, Sessions):
                found = np.arange(len(sessions)) - window.count
            else:
                anchors = (self.calendar.anchor(session, window) for session in sessions)
                found = np.fromiter(anchors, np.int64, len(sessions)) - self.first
            self._anchors[window] = found
        return found

    def _volume(self, window: Window | int | None, row: int, past: bool) -> Floats:  # noqa: FBT001 - as in `answers`
        if window is Word.OPEN:
            return self._so_far(row, past)
        return self._summed(int(self._anchor(window)[row]) + 1, row, past)

    def _summed(self, first: int, row: int, past: bool) -> Floats:  # noqa: FBT001 - as in `answers`
        """Volume of the sessions `first` to `row`; NaN below 80 % of them, and before the tables begin."""
        so_far, count = self._so_far(row, past), row - first + 1
        if count < 1 or first < self._oldest(row, past):
            return np.full(len(so_far), np.nan)
        total, known = self._past_volume(first, row)
        now = ~np.isnan(so_far)
        return np.where((known + now) * 5 >= count * 4, total + np.where(now, so_far, 0.0), np.nan)

    def _relative(self, window: Window | int | None, row: int, past: bool) -> Floats:  # noqa: FBT001 - as in `answers`
        assert isinstance(window, int)  # noqa: S101 - relative volume counts sessions
        so_far = self._so_far(row, past)
        if row - window < self._oldest(row, past):
            return np.full(len(so_far), np.nan)
        total, known = self._past_volume(row - window, row)
        good = (known * 5 >= window * 4) & (total > 0)
        ratio: Floats = np.divide(so_far * known, total, out=np.full(len(so_far), np.nan), where=good)
        return ratio

    def _oldest(self, row: int, past: bool) -> int:  # noqa: FBT001 - as in `answers`
        """The oldest row of which anything is stored."""
        return 0 if past or row else self._begun

    def _past_volume(self, first: int, row: int) -> tuple[Floats, Ints]:
        """Volume of the sessions from `first` to before `row`, and how many of them are known."""
        assert self._stored_volumes is not None  # noqa: S101 - kept where it is asked for
        volumes = self._stored_volumes[:, first:row]
        known = ~np.isnan(volumes)
        return np.where(known, volumes, 0.0).sum(axis=1), known.sum(axis=1)

    def _so_far(self, row: int, past: bool) -> Floats:  # noqa: FBT001 - as in `answers`
        volumes = self._stored_volumes if past else self._volumes
        assert volumes is not None  # noqa: S101 - kept where it is asked for
        return volumes[:, row]

    # --- tables -------------------------------------------------------------------------------------------------------

    def _codes(self, symbols: pl.Series) -> tuple[Codes, Codes]:
        """The place of each row's instrument, and the rows of which that is one."""
        places = {symbol: place for place, symbol in enumerate(self.instruments)}
        unique = symbols.cast(pl.String).unique()
        of = {s: places.get(s, -1) for s in unique.to_list()}
        codes = symbols.cast(pl.String).replace_strict(of, return_dtype=pl.Int64).to_numpy() if of else np.empty(0, int)
        kept = np.flatnonzero(codes >= 0)
        return codes[kept], kept

    def _table(self, cells: tuple[Codes, Codes], bars: pl.DataFrame, name: str, kept: Codes) -> Floats:
        return self._table_of(cells, bars[name].cast(pl.Float64).to_numpy()[kept])

    def _table_of(self, cells: tuple[Codes, Codes], values: Floats) -> Floats:
        table = np.full((len(self.instruments), self._stop - self.first), np.nan)
        table[cells] = values
        return table

    def _published(self, names: Sequence[str], frame: pl.DataFrame) -> Floats:
        """The value of each series at each close."""
        external = ExternalSeries()
        external.keep(names)
        if frame.height:
            external.include(frame)
        closes = self.calendar.closes[self.first : self._stop].tolist() if names else []
        return np.array([external.at(names, close) for close in closes]).reshape(len(closes), len(names)).T


class ClosingView(Lasting):
    """As of a session's close: as it was played, or `past`, as it is stored. Good for ever."""

    __slots__ = ("_past", "_row", "_table")

    def __init__(self, table: PlayedSessions, row: int, *, past: bool) -> None:
        self._table, self._row, self._past = table, row, past

    @property
    def now(self) -> int:
        """The close, UTC nanoseconds."""
        return self._table.calendar.close_ns(max(self.session, 0))

    @property
    def session(self) -> int:
        """Ordinal of the session."""
        return self._table.first + self._row

    @property
    def history_revision(self) -> int:
        """Nothing is imported while tables are read."""
        return 1

    def together(self, views: Sequence[Lasting], reading: Reading) -> Floats:
        """The answers of several views of these tables, ``(instruments, views)``."""
        mine = [view for view in views if isinstance(view, ClosingView)]
        rows = np.array([view._row for view in mine], np.int64)  # noqa: SLF001 - of this very class
        past = np.array([view._past for view in mine], np.bool_)  # noqa: SLF001
        return self._table.answers(reading, rows, past)

    def _answer(self, field: Field, window: Window | int | None = None) -> Floats:
        return self.together((self,), Reading(field, window))[:, 0]

    def prices(self) -> Floats:
        """Prices at the close; NaN where there is none or it is stale."""
        return self._answer(Field.PRICE)

    def ages(self) -> Floats:
        """Nanoseconds since the last bar; NaN where there never was one."""
        return self._answer(Field.AGE)

    def bids(self) -> Floats:
        """Not known: there are no quotes."""
        return self._answer(Field.BID)

    def asks(self) -> Floats:
        """Not known: there are no quotes."""
        return self._answer(Field.ASK)

    def volume(self, window: Window) -> Floats:
        """Traded since the window's start, in whole sessions."""
        return self._answer(Field.VOLUME, window)

    def relative_volume(self, sessions: int) -> Floats:
        """The session's volume / the mean of the sessions before."""
        return self._answer(Field.RELATIVE_VOLUME, sessions)

    def external(self) -> Floats:
        """The value of each series last published at or before the close."""
        return self._answer(Field.EXTERNAL)

    def base(self, window: Window) -> Floats:
        """The price that a return over `window` is measured from."""
        return self._answer(Field.BASE, window)

    def first(self) -> Floats:
        """The first close of each instrument; NaN where that was not before this session."""
        return self._answer(Field.FIRST)

    def price_times(self) -> Ints:
        """Event time of each price, stale or not; 0 where there is none."""
        return self._table.times(np.array([self._row]), np.array([self._past]))[:, 0]

    def closed_sessions(self) -> int:
        """Sessions of the tables before this one."""
        return self._row

    def at_close(self, back: int) -> ClosingView:
        """As of the close of the session `back` sessions before this one."""
        return ClosingView(self._table, self._row - back, past=True)

    def minute(self) -> int:
        """Ordinal of the last minute of the session."""
        return self._table.calendar.minute_at(self.now)

    def closed_minutes(self) -> int:
        """No minutes are known."""
        return 0

    def at_minute(self, back: int) -> View:
        """No minutes are known.

        Raises:
            LookupError: always.
        """
        raise LookupError(f"there is no minute {back} before a close where only closes are played")


def _first(wins: Floats, otherwise: Floats) -> Floats:
    """The values of one table, and where it has none those of the other."""
    return np.where(np.isnan(wins), otherwise, wins)
