"""The Sundays on which New York's clocks change: feeds stamp in UTC, and its sessions open an hour off there."""

from __future__ import annotations

import datetime as dt
from functools import partial

import numpy as np
import polars as pl
import pytest

from connectors.batch import BARS, TIME
from monitor.calendar import TradingCalendar
from monitor.history.backfill import sessions_of
from monitor.ingest.arrivals import Arrivals
from monitor.liveness import WallLiveness
from monitor.silence import Silences
from monitor.state import MarketState
from rules.ast import Clock, Sessions, Word
from rules.view import Requirements
from tests.unit.monitor.state.conftest import Tape

SECOND, MINUTE = 10**9, 60 * 10**9
CHANGES = [
    ("2026-03-06", "2026-03-09", 14, 13),  # spring: 14:30 UTC on Friday, 13:30 on Monday
    ("2026-10-30", "2026-11-02", 13, 14),  # autumn, the other way round
]
changes = pytest.mark.parametrize(("friday", "monday", "before", "after"), CHANGES)


@pytest.fixture(scope="module")
def nyse() -> TradingCalendar:
    return TradingCalendar("XNYS")


def utc(day: str, hour: int, minute: int = 30, second: int = 0) -> int:
    moment = dt.datetime.fromisoformat(day).replace(hour=hour, minute=minute, second=second, tzinfo=dt.UTC)
    return int(moment.timestamp()) * SECOND


@changes
def test_sessions_open_and_close_by_new_yorks_clock(nyse, friday, monday, before, after):
    for day, hour in ((friday, before), (monday, after)):
        session = nyse.ordinal_on_or_before(dt.date.fromisoformat(day))
        assert nyse.open_ns(session) == utc(day, hour)
        assert nyse.close_ns(session) == utc(day, hour + 7, 0)
        assert not WallLiveness(nyse, partial(utc, day, hour, 29)).expects_data()
        assert WallLiveness(nyse, partial(utc, day, hour, 31)).expects_data()


@changes
def test_prices_stamped_in_utc_count_into_their_session(nyse, friday, monday, before, after):
    state = MarketState(nyse, clock_ns=30 * MINUTE)
    state.needs(Requirements(("IWM",), volume_sessions=2, profile_sessions=1, sessions=2, clock_ns=30 * MINUTE))
    tape = Tape(state)
    tape.trades(("IWM", 248.0, f"{friday} 09:29:00", 5.0), ("IWM", 250.0, f"{friday} 09:30:01", 10.0))
    tape.trade("IWM", 251.0, f"{friday} 09:45:00", 10.0)
    tape.trade("IWM", 252.0, f"{friday} 16:00:00", 30.0)
    assert state.now == utc(friday, before + 7, 0)
    tape.trades(("IWM", 253.0, f"{monday} 09:29:00", 5.0), ("IWM", 254.0, f"{monday} 09:30:01", 10.0))
    tape.trade("IWM", 255.0, f"{monday} 09:45:00", 35.0)
    assert state.now == utc(monday, after, 45)
    view = state.view(("IWM",))
    assert view.base(Sessions(1))[0] == 252.0
    assert view.base(Word.OPEN)[0] == 254.0
    assert view.base(Clock(15 * MINUTE))[0] == 253.0
    # Fifteen minutes after the open of either day, by the time since the open and not by that of UTC.
    assert view.relative_volume(1)[0] == pytest.approx(50.0 / 25.0)
    tape.advance(f"{monday} 16:01:00")
    sessions = state.closed_bars()[1].filter(pl.col("ts") == dt.date.fromisoformat(friday))
    assert sessions.select("open", "high", "low", "close", "volume").row(0) == (250.0, 252.0, 250.0, 252.0, 55.0)


@changes
def test_a_vendors_days_are_those_of_new_york(nyse, friday, monday, before, after):
    """Midnight there is 05:00 UTC in winter, and 04:00 in summer."""
    starts = [utc(friday, before - 9, 0), utc(monday, after - 9, 0)]
    rows = [(ns, ns + 24 * 60 * MINUTE, "IWM", *([250.0 + n] * 4), 1.0) for n, ns in enumerate(starts)]
    bars = pl.DataFrame(rows, schema=BARS.names(), orient="row").with_columns(pl.col("ts", "end").cast(TIME))
    named = sessions_of(bars.cast(dict(BARS)), nyse, dt.date.fromisoformat(monday))
    assert [(str(day), close) for day, close in named.select("ts", "close").iter_rows()] == [
        (friday, 250.0),
        (monday, 251.0),
    ]


@changes
def test_nothing_is_silent_for_the_hour_that_is_not_there(nyse, friday, monday, before, after):
    arrivals, silences, codes = Arrivals(), Silences(nyse), np.array([0, 1], dtype=np.uint32)
    days = [(friday, before, 390), (monday, after, 300)]
    for now in (utc(day, hour) + minute * MINUTE for day, hour, minutes in days for minute in range(1, minutes)):
        arrivals.saw("iex", now, [(codes, np.full(2, now))])
        silences.listen(arrivals, now)
        assert silences.silent(["A", "B"], {"A", "B"}, np.empty(0, dtype=np.intp), now) == []
    for now in range(utc(monday, after) + 300 * MINUTE, utc(monday, after) + 380 * MINUTE, MINUTE):
        arrivals.saw("iex", now, [(codes[:1], np.full(1, now))])
        silences.listen(arrivals, now)
    (silent,) = silences.silent(["A", "B"], {"A", "B"}, np.empty(0, dtype=np.intp), now)
    assert silent.count == 1
