"""Silence in the session is a fault; at night, on a holiday, on a half day's afternoon, in a halt, it is none."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from monitor.calendar import ALWAYS, TradingCalendar
from monitor.ingest.arrivals import Arrivals
from monitor.ingest.instruments import Instruments
from monitor.silence import Silences

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NYSE = TradingCalendar()
NOBODY = np.empty(0, dtype=np.intp)


def ny(text):
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York")).timestamp()) * SECOND


class Market:
    """Instruments that print at fixed steps on the feed `iex`, unless they stopped."""

    def __init__(self, calendar=NYSE, feed="iex"):
        self.instruments, self.arrivals, self.silences = Instruments(), Arrivals(), Silences(calendar)
        self.feed, self.delay = feed, 0
        self.now = 0

    def play(self, begin, end, *, every, step=SECOND):
        """`every`: seconds between prints by symbol."""
        for now in range(begin, end, step):
            due = [s for s, seconds in every.items() if (now - begin) // step % (seconds * SECOND // step) == 0]
            self.now = now
            if due:
                codes = self.instruments.codes(pl.Series(due))
                times = np.full(len(due), now - self.delay)
                self.arrivals.saw(self.feed, now, [(codes, times)])
            self.silences.listen(self.arrivals, now)

    def silent(self, now=None, *, wanted=None, halted=NOBODY):
        symbols = self.instruments.symbols()
        return self.silences.silent(symbols, wanted or set(symbols), halted, now or self.now)


def test_one_that_stops_while_the_others_go_on_is_named_with_its_usual_pace():
    market = Market()
    market.play(ny("2026-01-22 10:00"), ny("2026-01-22 10:30"), every={"IWM": 2, "SPY": 1})
    assert market.silent() == []
    market.play(ny("2026-01-22 10:30"), ny("2026-01-22 10:31"), every={"SPY": 1})
    assert market.silent() == []
    market.play(ny("2026-01-22 10:31"), ny("2026-01-22 10:33"), every={"SPY": 1})
    [found] = market.silent()
    assert (found.feed, found.count, found.of) == ("iex", 1, 2)
    assert found.text == "1 of its 2 instruments are silent: IWM (for 3m 1s, else every 2s)"
    market.play(ny("2026-01-22 10:33"), ny("2026-01-22 10:34"), every={"SPY": 1, "IWM": 2})
    assert market.silent() == []


def test_five_hundred_are_one_with_a_count_and_examples():
    market = Market()
    many = {f"S{n:03}": 10 for n in range(500)}
    market.play(ny("2026-01-22 10:00"), ny("2026-01-22 10:20"), every={**many, "SPY": 1})
    market.play(ny("2026-01-22 10:20"), ny("2026-01-22 10:50"), every={"SPY": 1})
    [found] = market.silent()
    assert (found.count, found.of, len(found.examples)) == (500, 501, 3)
    assert found.text.endswith(" and 497 more")


def test_one_that_prints_once_an_hour_is_not_silent_after_a_minute_nor_after_two_hours():
    market = Market()
    for day in ("2026-01-20", "2026-01-21", "2026-01-22"):
        market.play(ny(f"{day} 09:30"), ny(f"{day} 16:00"), every={"THIN": 3600, "SPY": 60}, step=MINUTE)
    market.play(ny("2026-01-23 09:30"), ny("2026-01-23 11:00"), every={"SPY": 60}, step=MINUTE)
    assert market.silent() == []


@pytest.mark.parametrize(
    ("last", "later"),
    [
        ("2026-01-22 15:59", "2026-01-22 23:00"),  # a night
        ("2026-01-23 15:59", "2026-01-26 09:31"),  # a weekend, and the first minute after it
        ("2025-11-28 12:59", "2025-11-28 15:30"),  # the afternoon of a half day
        ("2026-01-16 15:59", "2026-01-19 12:00"),  # a holiday
    ],
)
def test_while_the_market_is_closed_nothing_is_silent(last, later):
    market = Market()
    market.play(ny(last) - 20 * MINUTE, ny(last), every={"IWM": 2, "SPY": 1})
    assert market.silent(ny(later)) == []


def test_the_same_night_is_a_silence_where_the_market_never_closes():
    market = Market(TradingCalendar(ALWAYS))
    market.play(ny("2026-01-22 21:00"), ny("2026-01-22 21:20"), every={"BTC/USD": 2, "ETH/USD": 2})
    [found] = market.silent(ny("2026-01-22 23:00"))
    assert found.count == 2


def test_halted_ones_are_not_silent_and_have_their_patience_anew_when_they_trade_again():
    market = Market()
    market.play(ny("2026-01-22 10:00"), ny("2026-01-22 10:20"), every={"IWM": 2, "SPY": 1})
    halted = market.instruments.codes(pl.Series(["IWM"])).astype(np.intp)
    for minute in range(20, 50, 2):
        market.play(ny(f"2026-01-22 10:{minute}"), ny(f"2026-01-22 10:{minute + 1}"), every={"SPY": 1})
        assert market.silent(halted=halted) == []
    market.play(ny("2026-01-22 10:49"), ny("2026-01-22 10:50"), every={"SPY": 1})
    assert market.silent() == []
    market.play(ny("2026-01-22 10:50"), ny("2026-01-22 10:53"), every={"SPY": 1})
    assert [found.count for found in market.silent()] == [1]


def test_a_feed_that_is_down_has_no_silent_instruments_and_a_delayed_one_neither():
    market = Market()
    market.delay = 15 * MINUTE
    market.play(ny("2026-01-22 10:00"), ny("2026-01-22 10:30"), every={"IWM": 2, "SPY": 1})
    assert market.silent() == []
    market.silences.pause(["iex"])
    assert market.silent(ny("2026-01-22 11:30")) == []
    market.silences.pause([])
    assert market.silent(ny("2026-01-22 11:31")) == []
    assert [found.count for found in market.silent(ny("2026-01-22 11:33"))] == [2]


def test_what_no_rule_looks_at_is_not_listened_for():
    market = Market()
    market.play(ny("2026-01-22 10:00"), ny("2026-01-22 10:20"), every={"IWM": 2, "SPY": 1})
    market.play(ny("2026-01-22 10:20"), ny("2026-01-22 10:30"), every={"SPY": 1})
    assert market.silent(wanted={"SPY"}) == []
    assert [found.of for found in market.silent(wanted={"IWM"})] == [1]


def test_a_restart_knows_the_pace_and_who_does_not_come_back_is_found():
    before = Market()
    before.play(ny("2026-01-22 10:00"), ny("2026-01-22 10:20"), every={"IWM": 2, "SPY": 1})
    kept = before.silences.frame(before.instruments.symbols())
    after = Market()
    after.instruments.codes(pl.Series(["NEW", "SPY"]))
    after.silences.restore(kept, after.instruments.codes)
    after.play(ny("2026-01-22 14:00"), ny("2026-01-22 14:01"), every={"SPY": 1})
    assert after.silent() == []
    after.play(ny("2026-01-22 14:01"), ny("2026-01-22 14:03"), every={"SPY": 1})
    [found] = after.silent()
    assert found.text.startswith("1 of its 2 instruments are silent: IWM")


def test_columns_grow_with_instruments_and_not_with_time():
    market = Market()
    market.play(ny("2026-01-22 10:00"), ny("2026-01-22 10:20"), every={"IWM": 2, "SPY": 1})
    sizes = [len(column) for column in vars(market.arrivals.feeds["iex"]).values() if isinstance(column, np.ndarray)]
    market.play(ny("2026-01-22 10:20"), ny("2026-01-22 12:00"), every={"IWM": 2, "SPY": 1})
    again = [len(column) for column in vars(market.arrivals.feeds["iex"]).values() if isinstance(column, np.ndarray)]
    assert sizes == again == [256] * 3
    assert market.arrivals.feeds["iex"].rows[:2].sum() == 7200 * 1.5
