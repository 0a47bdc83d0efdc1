"""The trading calendar: which session a moment belongs to, when the market is open, from which close a window starts.

All times are int64 nanoseconds UTC. A session is an ordinal, counted from the calendar's first session, so it does not
change while the process runs or when it is started again. Session ``d`` covers ``(close[d-1], close[d]]``: pre-market
belongs to the coming session, and what happens after a close to the next one.

Regular hours are ``[open, close]``, including a lunch break where an exchange has one. Extended hours are known for the
American exchanges: 04:00 to 20:00 New York on a session's day, to 17:00 where the session closes early; elsewhere they
are the regular ones.

*Grid minutes* are the minutes of regular hours, ``(open + k min, open + (k+1) min]``, counted through all sessions: the
time axis on which a clock window counts its samples.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.calendar_cache import cached, keep
from rules.ast import Sessions, Since, Word
from rules.ruleset import Hours

Times = npt.NDArray[np.int64]

MINUTE: Final = 60_000_000_000
"""A minute in nanoseconds."""

ALWAYS: Final = "always"
"""The calendar that never closes: a session is a UTC day, midnight to midnight."""

FIRST_DAY: Final = dt.date(1998, 1, 1)
LAST_DAY: Final = dt.date(2049, 12, 31)
"""Future sessions follow from the exchange's rules; a fixed end keeps the calendar independent of today."""

_AMERICAN: Final = frozenset({"XNYS", "XNAS", "NYSE", "NASDAQ"})
_NEW_YORK: Final = "America/New_York"
_EXTENDED_OPEN: Final = dt.time(4)
_EXTENDED_CLOSE: Final = dt.time(20)
_EXTENDED_EARLY_CLOSE: Final = dt.time(17)
_USUAL_CLOSE: Final = dt.time(16)


class CalendarError(ValueError):
    """The calendar is not known, or a time or date lies outside of it."""


class TradingCalendar:
    """Sessions of one exchange, or of the calendar ``always``.

    Args:
        name: an ISO 10383 exchange code (``XNYS``), or ``always``.

    Raises:
        CalendarError: there is no calendar of that name.
    """

    def __init__(self, name: str = "XNYS") -> None:
        self.name = name
        self.dates: npt.NDArray[np.datetime64]
        self.opens: Times
        self.closes: Times
        self.dates, self.opens, self.closes = _every_day() if name == ALWAYS else _exchange(name)
        extended_opens, extended_closes = self.opens, self.closes
        if name in _AMERICAN:
            extended_opens, extended_closes = _extended(self.dates, self.closes)
        # Scalars are looked up with `bisect` in lists: a tenth of the cost of numpy's searchsorted on one number.
        self._opens: list[int] = self.opens.tolist()
        self._closes: list[int] = self.closes.tolist()
        self._dates: list[dt.date] = self.dates.tolist()
        lengths = (self.closes - self.opens) // MINUTE
        self._first_minutes: list[int] = [0, *np.cumsum(lengths).tolist()]
        self._first_minute: Times = np.asarray(self._first_minutes, dtype=np.int64)
        self._elapsed: Times = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.closes - self.opens)])
        self._hours = {
            Hours.REGULAR: _OpenTimes(self.opens, self.closes),
            Hours.EXTENDED: _OpenTimes(extended_opens, extended_closes),
        }

    def __len__(self) -> int:
        return len(self._opens)

    # --- sessions -------------------------------------------------------------------------------------------

    def session_at(self, ns: int) -> int:
        """Ordinal of the session that covers `ns`: the first whose close is not before it."""
        if ns <= self._opens[0] - 86_400 * 10**9 or ns > self._closes[-1]:
            raise CalendarError(
                f"calendar {self.name} covers {self._dates[0]} to {self._dates[-1]}; {_iso(ns)} is outside of it"
            )
        return bisect_left(self._closes, ns)

    def open_ns(self, session: int) -> int:
        """When regular trading of the session starts."""
        return self._opens[session]

    def close_ns(self, session: int) -> int:
        """When regular trading of the session ends."""
        return self._closes[session]

    def date(self, session: int) -> dt.date:
        """The session's date, in the exchange's own time zone."""
        return self._dates[session]

    def ordinal_on_or_before(self, date: dt.date) -> int:
        """The last session on or before a date; -1 where the calendar starts later."""
        return bisect_right(self._dates, date) - 1

    def anchor(self, session: int, window: Word | Since | Sessions) -> int:
        """The session whose close a window is measured from, seen from `session`; below 0: before the calendar.

        For a date on or after the session's own the answer is a session that has not closed yet.

        Raises:
            ValueError: ``open`` is measured from a trade, not from a close.
        """
        if isinstance(window, Sessions):
            return session - window.count
        if isinstance(window, Since):
            return self.ordinal_on_or_before(window.date)
        if window is Word.OPEN:
            raise ValueError("the window `open` starts at a session's first trade and has no close to start from")
        return bisect_left(self._dates, _PERIOD_START[window](self._dates[session])) - 1

    # --- hours ----------------------------------------------------------------------------------------------

    def is_open(self, ns: int, hours: Hours) -> bool:
        """Whether the market is open; opening and closing moment included."""
        return hours is Hours.ALWAYS or self._hours[hours].contain(ns)

    def trading_time(self, start: int, end: int, hours: Hours) -> int:
        """Nanoseconds of ``(start, end]`` in which the market was open; negative where `end` is before `start`."""
        if hours is Hours.ALWAYS:
            return end - start
        times = self._hours[hours]
        return times.before(end) - times.before(start)

    def trading_clock(self, times: Times) -> Times:
        """Nanoseconds of regular hours from the calendar's start to each time: a clock that stands at night."""
        at = np.searchsorted(self.opens, times, side="right") - 1
        since = np.minimum(times, self.closes[at]) - self.opens[at]
        return np.where(at < 0, 0, self._elapsed[at] + since)

    @property
    def session_ns(self) -> int:
        """Length of a regular session."""
        return int(np.median(self.closes - self.opens))

    def close_after(self, ns: int, hours: Hours) -> int | None:
        """The first close at or after `ns`; None where the market never closes."""
        never = hours is Hours.ALWAYS or self.name == ALWAYS
        return None if never else self._hours[hours].end_after(ns)

    def open_after(self, ns: int) -> int | None:
        """The first start of regular trading after `ns`; None past the calendar's end."""
        following = bisect_right(self._opens, ns)
        return self._opens[following] if following < len(self._opens) else None

    # --- grid minutes ---------------------------------------------------------------------------------------

    def minute_at(self, ns: int) -> int:
        """Ordinal of the grid minute that covers `ns`; outside regular hours the next one."""
        session = self.session_at(ns)
        return self._first_minutes[session] + max(0, -((self._opens[session] - ns) // MINUTE) - 1)

    def minute_end(self, minute: int) -> int:
        """When a grid minute ends."""
        session = bisect_right(self._first_minutes, minute) - 1
        return self._opens[session] + (minute - self._first_minutes[session] + 1) * MINUTE

    def minute_ends(self, start: int, stop: int) -> Times:
        """Ends of the grid minutes ``start, ..., stop - 1``, shape (stop - start,)."""
        minutes = np.arange(start, stop, dtype=np.int64)
        first = self._first_minute
        sessions = np.searchsorted(first, minutes, side="right") - 1
        return np.asarray(self.opens[sessions] + (minutes - first[sessions] + 1) * MINUTE)

    def is_minute_end(self, ns: int) -> bool:
        """Whether a grid minute ends at `ns`."""
        return self._opens[session := self.session_at(ns)] < ns and (ns - self._opens[session]) % MINUTE == 0


class _OpenTimes:
    """Disjoint intervals ``[start, end]`` in ascending order, and the time within them."""

    def __init__(self, starts: Times, ends: Times) -> None:
        self._starts: list[int] = starts.tolist()
        self._ends: list[int] = ends.tolist()
        self._elapsed: list[int] = [0, *np.cumsum(ends - starts).tolist()]

    def contain(self, ns: int) -> bool:
        at = bisect_right(self._starts, ns) - 1
        return at >= 0 and ns <= self._ends[at]

    def end_after(self, ns: int) -> int | None:
        at = bisect_left(self._ends, ns)
        return self._ends[at] if at < len(self._ends) else None

    def before(self, ns: int) -> int:
        """Nanoseconds of all intervals before `ns`."""
        at = bisect_right(self._starts, ns) - 1
        return 0 if at < 0 else self._elapsed[at] + min(ns, self._ends[at]) - self._starts[at]


def _week_start(date: dt.date) -> dt.date:
    return date - dt.timedelta(days=date.weekday())


def _month_start(date: dt.date) -> dt.date:
    return date.replace(day=1)


def _quarter_start(date: dt.date) -> dt.date:
    return date.replace(month=3 * ((date.month - 1) // 3) + 1, day=1)


def _year_start(date: dt.date) -> dt.date:
    return date.replace(month=1, day=1)


_PERIOD_START: Final[dict[Word, Callable[[dt.date], dt.date]]] = {
    Word.WTD: _week_start,
    Word.MTD: _month_start,
    Word.QTD: _quarter_start,
    Word.YTD: _year_start,
}


def _iso(ns: int) -> str:
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=ns // 1000)).isoformat()


def _every_day() -> tuple[npt.NDArray[np.datetime64], Times, Times]:
    """Date, start and end of every UTC day."""
    days = np.arange(np.datetime64(FIRST_DAY, "D"), np.datetime64(LAST_DAY, "D") + 1)
    starts = days.astype("datetime64[ns]").astype(np.int64)
    return days, starts, starts + 86_400 * 10**9


def _exchange(name: str) -> tuple[npt.NDArray[np.datetime64], Times, Times]:
    """Date, open and close of every session of an exchange."""
    table = cached(name, FIRST_DAY, LAST_DAY)
    if table is None:
        table = _worked_out(name)
        keep(name, FIRST_DAY, LAST_DAY, table)
    days, opens, closes = table
    return days.astype("datetime64[D]"), opens, closes


def _worked_out(name: str) -> Times:
    """Days since 1970, opens and closes of every session of an exchange."""
    # Imported here: it brings pandas, which takes half a second that a kept table spares.
    import exchange_calendars  # noqa: PLC0415

    try:
        calendar = exchange_calendars.get_calendar(name, start=FIRST_DAY.isoformat(), end=LAST_DAY.isoformat())
    except exchange_calendars.errors.InvalidCalendarName:
        known = ", ".join(sorted(exchange_calendars.get_calendar_names(include_aliases=False)))
        raise CalendarError(f"there is no calendar {name!r}; write `{ALWAYS}` or one of {known}") from None
    opens = calendar.opens.to_numpy(dtype="datetime64[ns]").astype(np.int64)
    closes = calendar.closes.to_numpy(dtype="datetime64[ns]").astype(np.int64)
    return np.array([calendar.sessions.to_numpy().astype("datetime64[D]").astype(np.int64), opens, closes])


def _extended(dates: npt.NDArray[np.datetime64], closes: Times) -> tuple[Times, Times]:
    """Start and end of extended hours of American sessions."""
    close = pl.from_epoch("close", time_unit="ns").dt.replace_time_zone("UTC").dt.convert_time_zone(_NEW_YORK).dt.time()
    end = pl.when(close < _USUAL_CLOSE).then(_EXTENDED_EARLY_CLOSE).otherwise(_EXTENDED_CLOSE)
    frame = pl.DataFrame({"date": dates, "close": closes}).select(
        start=_new_york("date", pl.lit(_EXTENDED_OPEN)), end=_new_york("date", end)
    )
    return frame["start"].to_numpy(), frame["end"].to_numpy()


def _new_york(date: str, time: pl.Expr) -> pl.Expr:
    """Nanoseconds UTC of a wall-clock time in New York; none of the times used is in a daylight-saving gap."""
    return pl.col(date).dt.combine(time, time_unit="ns").dt.replace_time_zone(_NEW_YORK).dt.epoch("ns")
