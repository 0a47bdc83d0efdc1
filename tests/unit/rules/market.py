"""A market given as tables, for tests of the engine: session closes, a price now, a calendar of nine-to-four days."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

import numpy as np

from rules.ast import Call, Comparison, Instrument, Literal, Sessions, Since, Type, Window
from rules.ruleset import AlertRule, Formula, Hours, NoData, OnClose, Severity, Source
from rules.view import Floats, View

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
DAY = 24 * HOUR
FIRST_DAY = dt.date(2026, 1, 1)


class NineToFour:
    """Every day is a session, open from 09:00 to 16:00 UTC; session 0 is 1 January 2026."""

    origin = int(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()) * SECOND

    def at(self, session: int, hour: float) -> int:
        return self.origin + session * DAY + int(hour * HOUR)

    def session_at(self, ns: int) -> int:
        return -(-(ns - self.origin - 16 * HOUR) // DAY)

    def date(self, session: int) -> dt.date:
        return FIRST_DAY + dt.timedelta(days=session)

    def is_open(self, ns: int, hours: str) -> bool:
        return hours == "always" or 9 * HOUR <= (ns - self.origin) % DAY <= 16 * HOUR

    def trading_time(self, start: int, end: int, hours: str) -> int:
        if hours == "always":
            return end - start
        return self._open_until(end) - self._open_until(start)

    def _open_until(self, ns: int) -> int:
        days, rest = divmod(ns - self.origin, DAY)
        return days * 7 * HOUR + min(max(rest - 9 * HOUR, 0), 7 * HOUR)

    def close_after(self, ns: int, hours: str) -> int | None:
        return None if hours == "always" else self.at(self.session_at(ns), 16)


CALENDAR = NineToFour()


@dataclass(frozen=True)
class Tables(View):
    """`closes`: (sessions, instruments), oldest first, up to the session before the current one.

    `traded`: volumes, the same with the current session; `published`: (series, sessions), `quotes`: bids and asks now.
    """

    instruments: tuple[str, ...]
    closes: Floats
    now_prices: Floats
    time: int
    revision: int = 0
    past_minutes: tuple[tuple[int, Floats], ...] = field(default=())
    quotes: tuple[Floats, Floats] | None = None
    traded: Floats | None = None
    ages_now: Floats | None = None
    published: Floats | None = None

    @property
    def now(self) -> int:
        return self.time

    @property
    def session(self) -> int:
        return CALENDAR.session_at(self.time)

    @property
    def history_revision(self) -> int:
        return self.revision

    def prices(self) -> Floats:
        return self.now_prices

    def ages(self) -> Floats:
        return np.zeros(len(self.instruments)) if self.ages_now is None else self.ages_now

    def bids(self) -> Floats:
        return self._unknown() if self.quotes is None else self.quotes[0]

    def asks(self) -> Floats:
        return self._unknown() if self.quotes is None else self.quotes[1]

    def volume(self, window: Window) -> Floats:
        assert self.traded is not None
        assert isinstance(window, Sessions)
        return self._unknown() if window.count > len(self.traded) else self.traded[-window.count :].sum(axis=0)

    def relative_volume(self, sessions: int) -> Floats:
        assert self.traded is not None
        before = self.traded[:-1][-sessions:]
        return self.traded[-1] / before.mean(axis=0) if len(before) == sessions else self._unknown()

    def external(self) -> Floats:
        assert self.published is not None
        return self.published[:, len(self.closes)]

    def _unknown(self) -> Floats:
        return np.full(len(self.instruments), np.nan)

    def price_times(self):
        return np.full(len(self.instruments), self.time)

    def base(self, window: Window) -> Floats:
        match window:
            case Sessions(count=count) if count <= len(self.closes):
                start: Floats = self.closes[-count]
                return start
            case Since(date=date):
                since: Floats = self.closes[(date - FIRST_DAY).days - (self.session - len(self.closes))]
                return since
            case _:
                return np.full(len(self.instruments), np.nan)

    def first(self) -> Floats:
        return self.closes[0] if len(self.closes) else self._unknown()

    def closed_sessions(self) -> int:
        return len(self.closes)

    def at_close(self, back: int) -> View:
        return replace(
            self,
            closes=self.closes[: len(self.closes) - back],
            now_prices=self.closes[-back],
            time=CALENDAR.at(self.session - back, 16),
            past_minutes=(),
            quotes=None,
            traded=None if self.traded is None else self.traded[: len(self.traded) - back],
        )

    def minute(self) -> int:
        return len(self.past_minutes)

    def closed_minutes(self) -> int:
        return len(self.past_minutes)

    def at_minute(self, back: int) -> View:
        time, prices = self.past_minutes[-back]
        return replace(self, now_prices=prices, time=time, past_minutes=self.past_minutes[:-back])


MAX_GAP = 90 * MINUTE
PRICES = {"T": 11.0, "H": 7.0, "F": 4.0, "U": np.nan}


def level(op: str, limit: float) -> Formula:
    price = Call("price", (Instrument("A"),), Type.PRICE)
    return Formula("", Comparison(op, price, Literal(limit, Type.PRICE)))


def rule(for_ns=0, keep=0, *, until=True, on_close=OnClose.FREEZE, no_data=NoData.KEEP, no_data_for=0) -> AlertRule:
    return AlertRule(
        name="r",
        when=level(">", 10),
        until=level("<", 5) if until else None,
        value=None,
        each=None,
        for_ns=for_ns,
        keep_firing_for_ns=keep,
        severity=Severity.WARNING,
        labels={},
        annotations={},
        hours=Hours.REGULAR,
        on_close=on_close,
        no_data=no_data,
        no_data_for_ns=no_data_for,
        notify=None,
        repeat=None,
        group="g",
        source=Source("r.yaml", 1),
    )


def view(at: int, verdict: str) -> Tables:
    return Tables(("A",), np.full((3, 1), 10.0), np.array([PRICES[verdict]]), at)
