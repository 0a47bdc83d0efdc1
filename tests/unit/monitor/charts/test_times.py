from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from monitor.calendar import TradingCalendar
from monitor.charts.times import TimeAxis

MINUTE = 60_000_000_000


def ns(text):
    return int(dt.datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def closes(calendar, first, last):
    a, b = (calendar.ordinal_on_or_before(dt.date.fromisoformat(day)) for day in (first, last))
    return calendar.closes[a : b + 1]


def every_five_minutes(calendar, first, last):
    a, b = (calendar.ordinal_on_or_before(dt.date.fromisoformat(day)) for day in (first, last))
    spans = [np.arange(calendar.open_ns(s) + 5 * MINUTE, calendar.close_ns(s) + 1, 5 * MINUTE) for s in range(a, b + 1)]
    return np.concatenate(spans)


def test_weekends_holidays_and_half_days_take_no_space(calendar):
    axis = TimeAxis(closes(calendar, "2025-12-22", "2026-01-30"), calendar)
    assert axis.by_session
    assert np.diff(axis.positions) == pytest.approx(1.0)


def test_a_night_takes_no_space(calendar):
    axis = TimeAxis(every_five_minutes(calendar, "2026-01-22", "2026-01-23"), calendar)
    assert not axis.by_session
    assert np.diff(axis.positions) == pytest.approx(5 / 390)


def test_what_is_outside_of_a_session_is_at_its_edge(calendar):
    axis = TimeAxis(closes(calendar, "2026-01-20", "2026-01-23"), calendar)
    saturday, monday_open = axis.position(np.array([ns("2026-01-24T12:00+00:00"), ns("2026-01-26T14:30+00:00")]))
    assert saturday == monday_open == axis.positions[-1]


def test_days_are_labelled_with_the_year_where_it_changes(calendar):
    axis = TimeAxis(closes(calendar, "2025-12-26", "2026-01-06"), calendar)
    ticks = axis.ticks(600)
    assert [t.text for t in ticks] == ["26 Dec", "29 Dec", "30 Dec", "31 Dec", "2 Jan", "5 Jan", "6 Jan"]
    assert [t.context for t in ticks if t.context] == ["2025", "2026"]


def test_twenty_years_are_labelled_by_years_at_their_first_session(calendar):
    axis = TimeAxis(closes(calendar, "1999-01-04", "2022-12-30"), calendar)
    ticks = axis.ticks(800)
    assert [t.text for t in ticks][:3] == ["2000", "2002", "2004"]
    first = calendar.ordinal_on_or_before(dt.date(2000, 1, 3))
    assert ticks[0].position == axis.position(calendar.closes[first : first + 1])[0]


def test_hours_are_those_of_the_exchange_and_it_is_named(calendar):
    axis = TimeAxis(every_five_minutes(calendar, "2026-01-23", "2026-01-23"), calendar)
    ticks = axis.ticks(500)
    assert [t.text for t in ticks] == ["10:00", "11:00", "12:00", "13:00", "14:00", "15:00", "16:00"]
    assert ticks[0].context == "23 Jan 2026"
    assert axis.note == "Time in New York"


@pytest.mark.parametrize("width", [60, 200, 400, 800, 1600])
@pytest.mark.parametrize("last", ["2026-01-05", "2026-01-30", "2026-12-31", "2030-12-31"])
def test_labels_keep_apart(calendar, width, last):
    axis = TimeAxis(closes(calendar, "2026-01-02", last), calendar)
    places = np.array([t.position for t in axis.ticks(width)])
    assert len(places)
    assert (np.diff(places) / (axis.high - axis.low) * width >= 15).all()


def test_an_exchange_whose_zone_is_not_known_is_shown_in_utc():
    always = TradingCalendar("always")
    axis = TimeAxis(np.array([ns("2026-01-24T10:00+00:00"), ns("2026-01-24T12:00+00:00")]), always)
    assert axis.note == "Time in UTC"
    assert axis.moment_text(ns("2026-01-24T10:00+00:00")) == "24 Jan 2026, 10:00"


def test_a_close_is_written_as_the_date_of_its_session():
    always = TradingCalendar("always")
    axis = TimeAxis(closes(always, "2026-01-20", "2026-01-23"), always)
    assert axis.moment_text(int(axis.times[-1])) == "23 Jan 2026"
    assert axis.date_text(int(axis.times[-1])) == "2026-01-23"


def test_one_moment_and_none_make_an_axis(calendar):
    one = TimeAxis(closes(calendar, "2026-01-23", "2026-01-23"), calendar)
    assert one.low < one.positions[0] < one.high
    assert [t.text for t in one.ticks(500)] == ["23 Jan"]
    assert TimeAxis(np.empty(0, np.int64), calendar).ticks(500) == []
