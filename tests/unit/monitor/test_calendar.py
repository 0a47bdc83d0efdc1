from __future__ import annotations

import datetime as dt
import subprocess
import sys
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from monitor.calendar import ALWAYS, MINUTE, CalendarError, TradingCalendar
from rules.ast import Sessions, Since, Word
from rules.ruleset import Hours

SECOND = 1_000_000_000
HOUR = 3600 * SECOND


@pytest.fixture(scope="module")
def nyse() -> TradingCalendar:
    return TradingCalendar("XNYS")


@pytest.fixture(scope="module")
def always() -> TradingCalendar:
    return TradingCalendar(ALWAYS)


def ns(text: str, zone: str = "America/New_York") -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def session(calendar: TradingCalendar, date: str) -> int:
    ordinal = calendar.ordinal_on_or_before(dt.date.fromisoformat(date))
    assert calendar.date(ordinal).isoformat() == date, "no session"
    return ordinal


def day(calendar: TradingCalendar, ordinal: int) -> str:
    return calendar.date(ordinal).isoformat()


# --- sessions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "date"),
    [
        ("2026-01-22 16:00", "2026-01-22"),
        ("2026-01-22 16:00:01", "2026-01-23"),
        ("2026-01-23 04:00", "2026-01-23"),
        ("2026-01-23 16:00:01", "2026-01-26"),
        ("2026-01-25 12:00", "2026-01-26"),
        ("2025-12-24 13:00", "2025-12-24"),
        ("2025-12-24 13:00:01", "2025-12-26"),
        ("2026-01-19 10:00", "2026-01-20"),
    ],
)
def test_a_session_lasts_from_the_close_before_it_up_to_its_own(nyse, moment, date):
    assert day(nyse, nyse.session_at(ns(moment))) == date


@pytest.mark.parametrize(
    ("date", "opens", "closes"),
    [
        ("2026-01-22", "14:30", "21:00"),
        ("2025-12-24", "14:30", "18:00"),
        ("2025-11-28", "14:30", "18:00"),
        ("2024-07-03", "13:30", "17:00"),
        ("2026-03-06", "14:30", "21:00"),
        ("2026-03-09", "13:30", "20:00"),
        ("2025-10-31", "13:30", "20:00"),
        ("2025-11-03", "14:30", "21:00"),
    ],
    ids=["winter", "Christmas eve", "after Thanksgiving", "3 July", "before", "after DST", "still DST", "winter again"],
)
def test_opens_and_closes_in_utc(nyse, date, opens, closes):
    ordinal = session(nyse, date)
    assert nyse.open_ns(ordinal) == ns(f"{date} {opens}", "UTC")
    assert nyse.close_ns(ordinal) == ns(f"{date} {closes}", "UTC")


@pytest.mark.parametrize(
    "holiday", ["2025-01-09", "2026-01-01", "2026-04-03", "2026-07-03", "2025-06-19", "2001-09-11"]
)
def test_holidays_and_unscheduled_closures_are_no_sessions(nyse, holiday):
    date = dt.date.fromisoformat(holiday)
    assert nyse.date(nyse.ordinal_on_or_before(date)) < date


def test_a_year_has_the_sessions_the_exchange_published(nyse):
    years = nyse.dates.astype("datetime64[Y]").astype(int) + 1970
    counted = {year: int(np.sum(years == year)) for year in (2001, 2022, 2024, 2025, 2026)}
    assert counted == {2001: 248, 2022: 251, 2024: 252, 2025: 250, 2026: 251}


def test_times_outside_the_calendar_are_refused(nyse):
    with pytest.raises(CalendarError, match="covers 1998-01-02 to 2049-12-31; 1970-01-01"):
        nyse.session_at(0)
    with pytest.raises(CalendarError, match="2051"):
        nyse.session_at(ns("2051-01-01"))


def test_an_unknown_calendar_is_refused_with_the_known_ones():
    with pytest.raises(CalendarError, match=r"no calendar 'NYSEE'; write `always` or one of .*XNYS"):
        TradingCalendar("NYSEE")


def test_dates_before_the_calendar_have_no_session(nyse):
    assert nyse.ordinal_on_or_before(dt.date(1997, 12, 31)) == -1


# --- where windows start ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "window", "base"),
    [
        ("2026-01-23", Sessions(1), "2026-01-22"),
        ("2026-01-23", Sessions(14), "2026-01-02"),
        ("2026-01-23", Word.WTD, "2026-01-16"),
        ("2026-01-20", Word.WTD, "2026-01-16"),
        ("2026-01-02", Word.WTD, "2025-12-26"),
        ("2026-01-23", Word.MTD, "2025-12-31"),
        ("2026-01-02", Word.MTD, "2025-12-31"),
        ("2025-12-31", Word.MTD, "2025-11-28"),
        ("2026-01-23", Word.QTD, "2025-12-31"),
        ("2025-08-15", Word.QTD, "2025-06-30"),
        ("2025-08-15", Word.YTD, "2024-12-31"),
        ("2026-01-23", Since(dt.date(2025, 12, 25)), "2025-12-24"),
        ("2026-01-23", Since(dt.date(2025, 12, 31)), "2025-12-31"),
    ],
)
def test_windows_start_at_a_close(nyse, on, window, base):
    assert day(nyse, nyse.anchor(session(nyse, on), window)) == base


def test_a_window_that_starts_before_the_calendar_has_no_session(nyse):
    assert nyse.anchor(3, Sessions(5)) < 0
    assert nyse.anchor(3, Word.YTD) < 0


def test_open_is_no_close(nyse):
    with pytest.raises(ValueError, match="first trade"):
        nyse.anchor(5, Word.OPEN)


# --- hours ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "regular", "extended"),
    [
        ("2026-01-23 03:59:59", False, False),
        ("2026-01-23 04:00", False, True),
        ("2026-01-23 09:29:59", False, True),
        ("2026-01-23 09:30", True, True),
        ("2026-01-23 16:00", True, True),
        ("2026-01-23 16:00:01", False, True),
        ("2026-01-23 20:00", False, True),
        ("2026-01-23 20:00:01", False, False),
        ("2025-12-24 13:00:01", False, True),
        ("2025-12-24 17:00", False, True),
        ("2025-12-24 17:00:01", False, False),
        ("2026-01-24 12:00", False, False),
        ("2026-01-19 12:00", False, False),
        ("2026-07-10 04:00", False, True),
        ("2026-07-10 03:59", False, False),
    ],
)
def test_opening_hours(nyse, moment, regular, extended):
    at = ns(moment)
    assert nyse.is_open(at, Hours.REGULAR) is regular
    assert nyse.is_open(at, Hours.EXTENDED) is extended
    assert nyse.is_open(at, Hours.ALWAYS)


@pytest.mark.parametrize(
    ("start", "end", "hours", "expected"),
    [
        ("2026-01-23 09:00", "2026-01-23 10:00", Hours.REGULAR, 30 * MINUTE),
        ("2026-01-23 15:00", "2026-01-26 10:00", Hours.REGULAR, 90 * MINUTE),
        ("2026-01-23 15:00", "2026-01-26 10:00", Hours.EXTENDED, 11 * HOUR),
        ("2025-12-23 16:00", "2025-12-26 09:30", Hours.REGULAR, 210 * MINUTE),
        ("2025-12-24 00:00", "2025-12-25 00:00", Hours.EXTENDED, 13 * HOUR),
        ("2026-03-06 16:00", "2026-03-09 16:00", Hours.REGULAR, 390 * MINUTE),
        ("2026-03-06 16:00", "2026-03-09 16:00", Hours.ALWAYS, 71 * HOUR),
        ("2026-01-24 00:00", "2026-01-25 00:00", Hours.EXTENDED, 0),
    ],
)
def test_trading_time_runs_while_the_market_is_open(nyse, start, end, hours, expected):
    assert nyse.trading_time(ns(start), ns(end), hours) == expected
    assert nyse.trading_time(ns(end), ns(start), hours) == -expected


# --- grid minutes -----------------------------------------------------------------------------------------------------


def test_grid_minutes_go_on_from_one_session_to_the_next(nyse):
    last = nyse.minute_at(ns("2025-12-24 13:00"))
    assert nyse.minute_at(ns("2025-12-24 12:59") + 1) == last
    assert nyse.minute_at(ns("2025-12-24 12:59")) == last - 1
    assert nyse.minute_at(ns("2025-12-24 18:00")) == last + 1
    assert nyse.minute_at(ns("2025-12-26 09:30")) == last + 1
    assert nyse.minute_at(ns("2025-12-26 09:31")) == last + 1
    assert nyse.minute_at(ns("2025-12-26 09:31") + 1) == last + 2
    assert nyse.minute_at(ns("2025-12-24 09:30")) == last - 209


def test_every_grid_minute_has_an_end_that_lies_in_it(nyse):
    first = nyse.minute_at(ns("2025-12-23 15:58"))
    ends = nyse.minute_ends(first, first + 300)
    assert [nyse.minute_end(m) for m in range(first, first + 300)] == ends.tolist()
    assert [nyse.minute_at(end) for end in ends.tolist()] == list(range(first, first + 300))
    assert all(nyse.is_minute_end(end) for end in ends.tolist())
    assert not nyse.is_minute_end(ns("2025-12-23 09:30"))
    assert not nyse.is_minute_end(ns("2025-12-23 09:30:30"))
    assert not nyse.is_minute_end(ns("2025-12-23 17:30"))


# --- other calendars --------------------------------------------------------------------------------------------------


def test_the_calendar_that_never_closes_has_utc_days(always):
    midnight = ns("2026-01-24 00:00", "UTC")
    assert day(always, always.session_at(midnight)) == "2026-01-23"
    assert day(always, always.session_at(midnight + 1)) == "2026-01-24"
    assert always.trading_time(midnight, midnight + 50 * HOUR, Hours.REGULAR) == 50 * HOUR
    assert always.is_open(midnight, Hours.REGULAR)
    assert day(always, always.anchor(always.session_at(midnight + 1), Sessions(2))) == "2026-01-22"
    assert always.minute_at(midnight + 1) == always.minute_at(midnight) + 1


def test_another_exchange_has_its_own_hours_and_no_extended_ones():
    london = TradingCalendar("XLON")
    at = london.session_at(ns("2026-01-23 12:00", "Europe/London"))
    assert london.open_ns(at) == ns("2026-01-23 08:00", "Europe/London")
    assert london.close_ns(at) == ns("2026-01-23 16:30", "Europe/London")
    assert not london.is_open(ns("2026-01-23 07:00", "Europe/London"), Hours.EXTENDED)


def test_pandas_is_not_loaded_before_a_calendar_is_made():
    code = "import sys, monitor.calendar; sys.exit('pandas' in sys.modules or 'exchange_calendars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_close_that_comes_next(nyse, always):
    close = ns("2026-01-23 16:00")
    assert nyse.close_after(ns("2026-01-23 10:00"), Hours.REGULAR) == close
    assert nyse.close_after(close, Hours.REGULAR) == close
    assert nyse.close_after(close + 1, Hours.REGULAR) == ns("2026-01-26 16:00")
    assert nyse.close_after(close, Hours.EXTENDED) == ns("2026-01-23 20:00")
    assert nyse.close_after(close, Hours.ALWAYS) is None
    assert always.close_after(close, Hours.ALWAYS) is None
    assert always.close_after(close, Hours.REGULAR) is None
