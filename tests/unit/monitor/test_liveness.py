"""When a feed's silence is a fault: by the calendar, and by how often its data came until now."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from monitor.calendar import TradingCalendar
from monitor.liveness import WallLiveness

SECOND = 1_000_000_000
CALENDAR = TradingCalendar()


def ny(text):
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York")).timestamp()) * SECOND


class Feed:
    def __init__(self, now):
        self.now = now
        self.liveness = WallLiveness(CALENDAR, lambda: self.now).of_feed()

    def comes(self, count, every):
        for _ in range(count):
            self.now += int(every * SECOND)
            self.liveness.came()

    def faulty_after(self, longest=3_600):
        """Seconds of silence after which the supervisor would call it one: 30 after data are expected."""
        heard = self.now
        for second in range(longest):
            self.now = heard + second * SECOND
            if self.liveness.expects_data():
                return second + 30
        return None


def test_a_feed_of_which_nothing_is_known_is_given_half_a_minute():
    assert Feed(ny("2026-01-22 10:00")).faulty_after() == 30


def test_one_with_data_all_the_time_is_given_little_more():
    feed = Feed(ny("2026-01-22 10:00"))
    feed.comes(2_000, 0.25)
    assert feed.faulty_after() <= 35


def test_one_with_data_every_few_minutes_is_given_what_it_needs():
    feed = Feed(ny("2026-01-22 10:00"))
    for gap in (60, 200, 120, 400, 30, 90, 240, 150):
        feed.comes(1, gap)
    assert 1_200 < feed.faulty_after(20_000) < 20_000


@pytest.mark.parametrize("moment", ["2026-01-22 20:00", "2026-01-24 12:00", "2026-01-19 12:00", "2025-11-28 14:00"])
def test_nothing_is_expected_at_night_on_a_holiday_and_after_a_half_day(moment):
    feed = Feed(ny(moment))
    assert feed.faulty_after(60) is None
    feed.comes(100, 1)
    assert feed.faulty_after(60) is None
