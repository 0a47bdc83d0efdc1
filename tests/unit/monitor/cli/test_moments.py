from __future__ import annotations

from itertools import pairwise

import pytest

from monitor.calendar import TradingCalendar
from monitor.cli.faults import Fault
from monitor.cli.moments import FOR_EVER, local_text, read_end, read_moment, read_start, read_steps
from monitor.cli.output import time_text

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


@pytest.fixture(scope="module")
def calendar():
    return TradingCalendar("XNYS")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-23T15:07:30Z", "2026-01-23T15:07:30Z"),
        ("2026-01-23 15:07:30", "2026-01-23T15:07:30Z"),
        ("2026-01-23 10:07:30 America/New_York", "2026-01-23T15:07:30Z"),
        ("2026-07-23 10:07 America/New_York", "2026-07-23T14:07:00Z"),
        ("2026-01-23T10:07:30-05:00", "2026-01-23T15:07:30Z"),
        ("2026-01-23T10:07:30.25-05:00", "2026-01-23T15:07:30.25Z"),
        ("2026-01-23", "2026-01-23T21:00:00Z"),
        ("2025-12-24", "2025-12-24T18:00:00Z"),
    ],
)
def test_a_moment(calendar, text, expected):
    assert time_text(read_moment(text, calendar, "--at")) == expected


@pytest.mark.parametrize(
    "text", ["", "noon", "2026-02-30", "2026-01-24", "10:00", "2026-01-23 10:00 Mars/Base", "1066-01-01"]
)
def test_no_moment(calendar, text):
    with pytest.raises(Fault, match="--at"):
        read_moment(text, calendar, "--at")


def test_a_range_of_dates_holds_whole_sessions(calendar):
    friday = calendar.session_at(read_moment("2026-01-23", calendar, "--at"))
    assert read_start("2026-01-23", calendar) == calendar.close_ns(friday - 1) + 1
    assert read_end("2026-01-23", calendar) == calendar.close_ns(friday)
    assert read_start("2026-01-24", calendar) == calendar.close_ns(friday) + 1
    assert read_end("2026-01-25", calendar) == calendar.close_ns(friday)
    assert (read_start(None, calendar), read_end(None, calendar)) == (0, FOR_EVER)
    assert read_start("1900-01-01", calendar) == 0


def test_steps_are_session_closes_or_clock_time_of_regular_hours(calendar):
    start, end = read_start("2026-01-22", calendar), read_end("2026-01-26", calendar)
    closes = list(read_steps("1d", calendar, start, end))
    assert [local_text(c)[:16] for c in closes] == ["2026-01-22 16:00", "2026-01-23 16:00", "2026-01-26 16:00"]
    assert list(read_steps("2d", calendar, start, end)) == closes[::2]
    halves = list(read_steps("30m", calendar, start, end))
    assert len(halves) == 3 * 13
    assert all(later > earlier for earlier, later in pairwise(halves))
    assert local_text(halves[0])[11:16] == "10:00"
    assert set(closes) <= set(halves)
    assert list(read_steps("1d", calendar, end, start)) == []


@pytest.mark.parametrize("text", ["0d", "d", "5", "5 minutes", "10ms", "-1d", "99999d"])
def test_no_step(calendar, text):
    with pytest.raises(Fault, match="--every"):
        list(read_steps(text, calendar, read_start("2026-01-22", calendar), read_end("2026-01-26", calendar)))
