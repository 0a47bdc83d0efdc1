"""The time axis of a trading calendar: nights, weekends and holidays take no space.

A moment's *position* is counted in sessions. Session closes are whole sessions apart, half days too; within a session
the position goes with its own hours, so an axis can show a day as well as twenty years.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from monitor.charts.values import Floats

Times = npt.NDArray[np.int64]

_MINUTE: Final = 60_000_000_000
_GAP_SESSIONS: Final = 6.5
"""A line is not drawn over more sessions without a value than this: a fortnight's hole is not a straight line."""
_GAP_STEPS: Final = 6.0
"""Within sessions a line is not drawn over more of its usual steps than this."""
_JUST_BEFORE: Final = 0.1
"""Sessions: the first bar of a day ends a little after its open, and the day is labelled all the same."""
_ZONES: Final = dict.fromkeys(("XNYS", "XNAS", "NYSE", "NASDAQ"), ("America/New_York", "New York"))


class Sessions(Protocol):
    """The part of the trading calendar that an axis needs: its name, and every session's date, open and close (UTC)."""

    name: str
    dates: npt.NDArray[np.datetime64]
    opens: Times
    closes: Times


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on the axis; `context` is written under it where it changes: the year of a month, the day of an hour."""

    position: float
    text: str
    context: str = ""


class TimeAxis:
    """Where given moments are, and which of them get labels.

    `times`: (n,) UTC nanoseconds, ascending. `positions`: (n,) in sessions, ascending.
    """

    def __init__(self, times: Times, sessions: Sessions) -> None:
        self.times = times
        self._sessions = sessions
        zone, self._place = _ZONES.get(sessions.name, ("UTC", "UTC"))
        self._zone = ZoneInfo(zone)
        ordinals = self._ordinals(times)
        self.by_session = bool(len(times)) and bool(np.all(self._sessions.closes[ordinals] == times))
        """Whether the moments are session closes: the axis then shows dates only."""
        self.positions: Floats = self.position(times)
        low = float(self.positions[0]) if len(times) else 0.0
        high = float(self.positions[-1]) if len(times) else 1.0
        if high - low <= 0:
            low, high = low - 0.5, high + 0.5
        self.low, self.high = low, high
        steps = np.diff(self.positions)
        usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
        self.longest_step = _GAP_SESSIONS if self.by_session else min(max(_GAP_STEPS * usual, 0.12), _GAP_SESSIONS)
        """Moments further apart than this are not joined."""

    def position(self, times: Times) -> Floats:
        """The position of any moments: (n,) in sessions."""
        ordinals = self._ordinals(times)
        opens, closes = self._sessions.opens[ordinals], self._sessions.closes[ordinals]
        within = np.clip((times - opens) / np.maximum(closes - opens, 1), 0.0, 1.0)
        return np.asarray(ordinals + within, dtype=np.float64)

    def _ordinals(self, times: Times) -> npt.NDArray[np.intp]:
        return np.minimum(np.searchsorted(self._sessions.closes, times), len(self._sessions.closes) - 1)

    @property
    def note(self) -> str:
        """What the times are: which sessions, or which clock."""
        if self.by_session:
            return f"Closes of {self._sessions.name} sessions"
        return "Time in UTC" if self._place == "UTC" else f"Time in {self._place}"

    def moment_text(self, ns: int) -> str:
        """A moment as it is written in a picture: a close by its date, another with its time."""
        if self.by_session:
            date = self._date(ns)
            return f"{date.day} {date:%b %Y}"
        when = self._local(ns)
        return f"{when.day} {when:%b %Y, %H:%M}"

    def time_text(self, ns: int) -> str:
        """A moment of a day that is known: ``10:07``."""
        return f"{self._local(ns):%H:%M}"

    def date_text(self, ns: int) -> str:
        """The date of the session that a moment is in: ``2026-01-23``."""
        return self._date(ns).isoformat()

    def _date(self, ns: int) -> dt.date:
        date: dt.date = self._sessions.dates[int(self._ordinals(np.array([ns]))[0])].item()
        return date

    def _local(self, ns: int) -> dt.datetime:
        return dt.datetime.fromtimestamp(ns // 1_000_000_000, dt.UTC).astimezone(self._zone)

    # --- ticks --------------------------------------------------------------------------------------------------------

    def ticks(self, width: float) -> list[Tick]:
        """Labels for an axis of `width` pixels, the finest that keep apart."""
        if not len(self.times):
            return []
        first, last = int(self._ordinals(self.times[:1])[0]), int(self._ordinals(self.times[-1:])[0])
        per_session = width / (self.high - self.low)
        if not self.by_session and per_session >= _HOUR_WIDTH * 2:
            found = self._hours(first, last, per_session)
            if len(found) > 1:
                return found
        return self._dates(first, last, per_session)

    def _hours(self, first: int, last: int, per_session: float) -> list[Tick]:
        step = self._clock_step(first, per_session)
        ticks, day_before = [], None
        for session in range(first, last + 1):
            opened, closed = int(self._sessions.opens[session]), int(self._sessions.closes[session])
            # Where sessions meet, the next one's first label is worth more than the close's.
            end = closed if session == last else closed - step // 2
            for at in _clock_marks(self._local(opened), opened, end, step):
                position = float(self.position(np.array([at]))[0])
                if self.low - 1e-9 <= position <= self.high + 1e-9:
                    when = self._local(at)
                    context = f"{when.day} {when:%b %Y}" if when.date() != day_before else ""
                    day_before = when.date()
                    ticks.append(Tick(position, f"{when:%H:%M}", context))
        return ticks

    def _clock_step(self, session: int, per_session: float) -> int:
        """Nanoseconds between labels of hours, so that they keep apart."""
        length = int(self._sessions.closes[session] - self._sessions.opens[session])
        for minutes in (5, 10, 15, 30, 60, 120, 180, 240):
            if per_session * minutes * _MINUTE / length >= _HOUR_WIDTH:
                return minutes * _MINUTE
        return 360 * _MINUTE

    def _dates(self, first: int, last: int, per_session: float) -> list[Tick]:
        """Ticks at the first session of every so many days, weeks, months or years."""
        dates: list[dt.date] = self._sessions.dates[first : last + 1].tolist()
        ends = self.by_session
        for step in _DATE_STEPS:
            if step.sessions * per_session < step.width:
                continue
            ticks, before, context_before = [], None, None
            for i, date in enumerate(dates):
                key = step.key(i, date)
                if key is None or key == before:
                    continue
                started, before = before is None, key
                position = first + i + (1.0 if ends else 0.0)
                if i == 0 and self.low - position < _JUST_BEFORE:
                    position = max(position, self.low)
                # A period that had begun before the axis did gets no label at its first day.
                if (started and not step.at_any_day(date)) or not self.low - 1e-9 <= position <= self.high + 1e-9:
                    continue
                context = step.context(date)
                ticks.append(Tick(position, step.text(date), context if context != context_before else ""))
                context_before = context
            if ticks:
                return ticks
        position = first + (1.0 if ends else 0.0)
        return [Tick(max(self.low, position), f"{dates[0].day} {dates[0]:%b}", str(dates[0].year))]


_HOUR_WIDTH: Final = 52.0


@dataclass(frozen=True, slots=True)
class _DateStep:
    """`sessions`: how far labels are apart, at the least. `key`: sessions of equal key share a label (None: no label).

    `width`: pixels that a label needs. `at_any_day`: whether a session may be labelled though the axis begins with it.
    """

    sessions: float
    width: float
    key: Callable[[int, dt.date], object]
    text: Callable[[dt.date], str]
    context: Callable[[dt.date], str]
    at_any_day: Callable[[dt.date], bool]


def _day(date: dt.date) -> str:
    return f"{date.day} {date:%b}"


def _month(date: dt.date) -> str:
    return f"{date:%b}"


def _year(date: dt.date) -> str:
    return str(date.year)


def _nothing(_: dt.date) -> str:
    return ""


def _month_start(date: dt.date) -> bool:
    return date.day <= 4  # noqa: PLR2004 - the first session of a month, after a weekend and a holiday


def _year_start(every: int) -> Callable[[dt.date], bool]:
    return lambda date: date.month == 1 and _month_start(date) and date.year % every == 0


def _months(every: int) -> Callable[[int, dt.date], object]:
    return lambda _, date: (date.year, (date.month - 1) // every)


def _years(every: int) -> Callable[[int, dt.date], object]:
    return lambda _, date: date.year // every


_DATE_STEPS: Final[Sequence[_DateStep]] = (
    _DateStep(1, 50, lambda i, _: i, _day, _year, lambda _: True),
    _DateStep(2, 50, lambda i, _: i // 2, _day, _year, lambda _: True),
    _DateStep(4.6, 50, lambda _, d: d.isocalendar()[:2], _day, _year, lambda d: d.weekday() == 0),
    _DateStep(9.5, 50, lambda _, d: (d.toordinal() - 1) // 14, _day, _year, lambda d: d.weekday() == 0),
    _DateStep(20, 42, _months(1), _month, _year, _month_start),
    _DateStep(62, 42, _months(3), _month, _year, _month_start),
    _DateStep(250, 44, _years(1), _year, _nothing, _year_start(1)),
    _DateStep(500, 44, _years(2), _year, _nothing, _year_start(2)),
    _DateStep(1250, 44, _years(5), _year, _nothing, _year_start(5)),
    _DateStep(2500, 44, _years(10), _year, _nothing, _year_start(10)),
)


def _clock_marks(local_open: dt.datetime, opened: int, closed: int, step: int) -> Iterator[int]:
    """Round times of the exchange's clock within a session, every `step` ns."""
    midnight = opened - (local_open.hour * 60 + local_open.minute) * _MINUTE
    at = midnight + -(-(opened - midnight) // step) * step
    while at <= closed:
        yield at
        at += step
