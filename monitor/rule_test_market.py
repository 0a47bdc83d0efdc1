"""The market of a rule test: its steps, and the state after each of them.

Prices arrive as trades at the time of the step, quotes as quotes; what arrives is true by definition, so no truth
filter stands between. The state is the daemon's, and the rules see it through the same view.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from connectors.batch import QUOTES, SERIES, TRADES
from monitor.backtest import SESSIONS, Tempo, intraday
from monitor.calendar import CalendarError, TradingCalendar
from monitor.ingest import CleanBatch
from monitor.ingest.clean_batch import NO_QUOTES, NO_SERIES, NO_TRADES
from monitor.state import MarketState
from rules.ast import Clock, Sessions
from rules.testing import Day, Inputs, RuleTest, When
from rules.view import Requirements, View

MAX_STEPS: Final = 100_000
"""Steps of one test; five-minute steps of a whole year."""


class PlanError(ValueError):
    """A test whose times make no sense; `place` says of what: ``start``, ``at``, ``every`` or ``history``."""

    def __init__(self, place: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.place, self.message, self.hint = place, message, hint


class Steps:
    """When the steps of a test are: UTC nanoseconds, by number from 0.

    Raises:
        PlanError: The start is outside of the calendar, or a date that is no session.
    """

    def __init__(self, test: RuleTest, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self._every = test.every
        start = test.start
        if isinstance(start, Day):
            if isinstance(test.every, Clock):
                hint = f"write {start.date} 09:30 America/New_York, or `every: 1d` for steps at closes"
                raise PlanError("start", "at what time of the day?", hint)
            self.session = _session_of(start, calendar, "start")
            self.start = calendar.close_ns(self.session)
        else:
            try:
                self.session = calendar.session_at(start.ns)
            except CalendarError as error:
                raise PlanError("start", str(error)) from None
            self.start = calendar.close_ns(self.session) if isinstance(test.every, Sessions) else start.ns

    @property
    def tempo(self) -> Tempo:
        """What is stale, and what a gap, at this distance of the steps."""
        return SESSIONS if isinstance(self._every, Sessions) else intraday(self._every.ns)

    def ns(self, number: int) -> int:
        """The time of a step.

        Raises:
            PlanError: It is after the calendar's end.
        """
        if isinstance(self._every, Clock):
            self._session_at(self.start + number * self._every.ns)
            return self.start + number * self._every.ns
        if self.session + number >= len(self._calendar):
            raise PlanError("at", f"the calendar {self._calendar.name} ends before session {number} of the test")
        return self._calendar.close_ns(self.session + number)

    def refuse_history_before_the_calendar(self, inputs: Inputs) -> None:
        """See the error.

        Raises:
            PlanError: There are more earlier closes than sessions in the calendar.
        """
        for name, values in (*inputs.closes.items(), *inputs.past_volumes.items(), *inputs.past_series.items()):
            if len(values) > self.session:
                message = f"`{name}` has {len(values)} values, and the calendar only {self.session} earlier sessions"
                raise PlanError("history", message)

    def number(self, at: When) -> int:
        """The step at a time.

        Raises:
            PlanError: There is none then.
        """
        number = self._in_sessions(at) if isinstance(self._every, Sessions) else self._in_clock(at, self._every.ns)
        if number < 0:
            raise PlanError("at", "this is before the test's start")
        if number >= MAX_STEPS:
            raise PlanError(
                "at", f"this is step {number + 1}; {MAX_STEPS} are the most", "a longer `every` takes fewer"
            )
        return number

    def _in_sessions(self, at: When) -> int:
        match at:
            case Sessions(count=count):
                return count
            case Clock(ns=0):
                return 0
            case Clock():
                raise PlanError("at", "a step is a session here", "write 0, 1d, 2d, or a date")
            case Day():
                return _session_of(at, self._calendar, "at") - self.session
            case _:
                return self._session_at(at.ns) - self.session

    def _in_clock(self, at: When, every: int) -> int:
        match at:
            case Clock(ns=ns):
                passed = ns
            case Sessions(count=count):
                # The same time after the open, so many sessions later.
                there = min(self.session + count, len(self._calendar) - 1)
                passed = self._calendar.open_ns(there) - self._calendar.open_ns(self.session)
            case Day():
                passed = self._calendar.close_ns(_session_of(at, self._calendar, "at")) - self.start
            case _:
                passed = at.ns - self.start
        number, rest = divmod(passed, every)
        if rest and passed > 0:
            raise PlanError(
                "at", "no step is at this time", "steps are `every` after `start`: move it, or shorten `every`"
            )
        return number

    def _session_at(self, ns: int) -> int:
        try:
            return self._calendar.session_at(ns)
        except CalendarError as error:
            raise PlanError("at", str(error)) from None


class Market:
    """The state, step by step."""

    def __init__(self, inputs: Inputs, steps: Steps, calendar: TradingCalendar, needs: Requirements) -> None:
        self._inputs, self._steps = inputs, steps
        self._needs = needs
        self.state = MarketState(
            calendar, stale_after_ns=steps.tempo.stale_after_ns, sessions=needs.sessions, record_bars=False
        )
        self.state.needs(needs)
        history = _history(inputs, steps.session, calendar)
        if history.height:
            self.state.import_sessions(history)
        if inputs.past_series:
            self.state.import_series(_past_series(inputs, steps.session, calendar))

    def views(self, count: int) -> Iterator[View]:
        """The market after each of the first `count` steps."""
        for number in range(count):
            now = self._steps.ns(number)
            self.state.apply(self._batch(number, now), now)
            yield self.state.view(self._needs.instruments, self._needs.series)

    def _batch(self, number: int, now: int) -> CleanBatch:
        inputs = self._inputs
        prices = _at(inputs.prices, number)
        volumes = _at(inputs.volumes, number)
        trades: dict[str, list[Any]] = {
            "ts": [now] * len(prices),
            "symbol": list(prices),
            "price": list(prices.values()),
            "size": [volumes.get(symbol) for symbol in prices],
        }
        bids = _at({symbol: quotes.bids for symbol, quotes in inputs.quotes.items()}, number)
        asks = _at({symbol: quotes.asks for symbol, quotes in inputs.quotes.items()}, number)
        quotes: dict[str, list[Any]] = {
            "ts": [now] * len(bids),
            "symbol": list(bids),
            "bid": list(bids.values()),
            "ask": [asks[symbol] for symbol in bids],
        }
        values = _at(inputs.series, number)
        series: dict[str, list[Any]] = {
            "ts": [now] * len(values),
            "series": list(values),
            "value": list(values.values()),
        }
        return CleanBatch(
            quotes=_frame(quotes, QUOTES) if bids else NO_QUOTES,
            trades=_frame(trades, TRADES) if prices else NO_TRADES,
            series=_frame(series, SERIES) if values else NO_SERIES,
            event_time=now,
        )


def _at(values: Mapping[str, tuple[float, ...]], number: int) -> dict[str, float]:
    """What is said at a step."""
    return {name: v[number] for name, v in values.items() if number < len(v) and not math.isnan(v[number])}


def _frame(columns: Mapping[str, list[Any]], schema: pl.Schema) -> pl.DataFrame:
    count = len(columns["ts"])
    return pl.DataFrame({name: columns.get(name, [None] * count) for name in schema}, schema=schema)


def _history(inputs: Inputs, session: int, calendar: TradingCalendar) -> pl.DataFrame:
    """Earlier closes: ``ts`` (Date), ``symbol, close, volume``; the last of each is of the session before `session`."""
    rows = []
    for symbol, closes in inputs.closes.items():
        volumes = inputs.past_volumes.get(symbol, ())
        first = session - len(closes)
        amounts = (*(math.nan,) * (len(closes) - len(volumes)), *volumes[-len(closes) :])
        rows += [
            (calendar.date(first + i), symbol, close, None if math.isnan(amount) else amount)
            for i, (close, amount) in enumerate(zip(closes, amounts, strict=True))
            if not math.isnan(close)
        ]
    schema = {"ts": pl.Date, "symbol": pl.String, "close": pl.Float64, "volume": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _past_series(inputs: Inputs, session: int, calendar: TradingCalendar) -> pl.DataFrame:
    """Earlier values of external series, each published at its session's close."""
    rows = [
        (calendar.close_ns(session - len(values) + i), name, value)
        for name, values in inputs.past_series.items()
        for i, value in enumerate(values)
        if not math.isnan(value)
    ]
    return pl.DataFrame(rows, schema=SERIES, orient="row")


def _session_of(day: Day, calendar: TradingCalendar, place: str) -> int:
    session = calendar.ordinal_on_or_before(day.date)
    if session < 0 or calendar.date(session) != day.date:
        before = f"the session before it is {calendar.date(session)}" if session >= 0 else ""
        raise PlanError(place, f"{day.date} is no session of {calendar.name}", before)
    return session
