"""A minute at ten times the price waits for the next, as a single print does, and the state never sees it alone."""

from __future__ import annotations

import pytest

from connectors.batch import Batch
from monitor.calendar import TradingCalendar
from monitor.ingest import Cause, TruthFilter, TruthSettings
from monitor.state import MarketState
from tests.unit.monitor.ingest.frames import bars, batch

MINUTE = 60


def minutes(*closes, symbol="IWM", first=0):
    """Bars of a minute each; a tuple is (open, high, low, close)."""
    rows = [c if isinstance(c, tuple) else (c, c, c, c) for c in closes]
    return [((first + n) * MINUTE, (first + n + 1) * MINUTE, symbol, *row, 10.0) for n, row in enumerate(rows)]


def through(*rows, truth=None, feed="iex"):
    """The closes that come out, a bar a batch, and the filter."""
    truth = truth or TruthFilter()
    out = [truth.clean(batch(feed, bars=bars(row))).bars["close"].to_list() for row in rows]
    return out, truth


@pytest.mark.parametrize("factor", [10, 0.1, 1.5, 0.5])
def test_a_wild_minute_is_dropped_by_the_next(factor):
    out, truth = through(*minutes(250.0, 250.1, 250.1 * factor, 250.2))
    assert out == [[250.0], [250.1], [], [250.2]]
    assert truth.rejects.counts == {("iex", Cause.SPIKE): 1}
    assert truth.rejects.examples()[0].row["close"] == 250.1 * factor
    assert truth.held == 0


def test_it_does_not_reach_the_state():
    state = MarketState(TradingCalendar())
    truth = TruthFilter()
    for row in minutes(250.0, 250.1, 2501.0, first=120):  # in the session
        clean = truth.clean(batch(bars=bars(row)))
        state.apply(clean, clean.event_time)
    view = state.view(("IWM",))
    assert view.prices().tolist() == [250.1]
    assert state.columns.session_high[0] == 250.1
    assert truth.held == 1


def test_a_new_level_is_late_by_a_minute_and_loses_nothing():
    out, truth = through(*minutes(250.0, 400.0, 401.0, 402.0))
    assert out == [[250.0], [], [400.0, 401.0], [402.0]]
    assert not truth.rejects.counts


def test_a_crash_of_minutes_that_are_apart_is_seen_with_the_third():
    out, truth = through(*minutes(250.0, 190.0, 140.0, 100.0, 99.0))
    assert out == [[250.0], [], [], [100.0], [99.0]]
    assert truth.rejects.counts == {("iex", Cause.SPIKE): 2}


def test_the_last_minute_of_a_session_is_not_confirmed_by_the_next_session():
    out, truth = through(*minutes(250.0, 400.0), *minutes(401.0, 402.0, first=18 * 60))
    assert out == [[250.0], [], [], [401.0, 402.0]]
    assert truth.rejects.counts == {("iex", Cause.SPIKE): 1}


def test_what_a_quiet_instrument_is_believed_is_less():
    quiet = [250.0 + (n % 2) * 0.02 for n in range(30)]
    out, _ = through(*minutes(*quiet, 260.0, 250.0))
    assert out[-2:] == [[], [250.0]]
    wild = [250.0 + (n % 2) * 5 for n in range(30)]
    assert through(*minutes(*wild, 260.0))[0][-1] == [260.0]


def test_a_wick_that_no_bar_can_confirm_is_refused_and_its_correction_taken():
    rows = minutes(250.0, (250.0, 2500.0, 250.0, 250.0), (250.0, 250.0, 0.25, 250.0), 250.1)
    out, truth = through(*rows)
    assert out == [[250.0], [], [], [250.1]]
    assert truth.rejects.counts == {("iex", Cause.SPIKE): 2}
    corrected = (*rows[1][:4], 250.2, 250.0, 250.0, 10.0)
    assert truth.clean(batch(bars=bars(corrected))).bars.is_empty()  # it is late by now
    again = TruthFilter()
    out, _ = through(rows[0], rows[1], corrected, truth=again)
    assert out == [[250.0], [], [250.0]]


def test_a_wild_minute_sent_twice_does_not_confirm_itself():
    rows = minutes(250.0, 2500.0)
    out, truth = through(rows[0], rows[1], rows[1], minutes(250.1, first=2)[0])
    assert out == [[250.0], [], [], [250.1]]
    assert truth.rejects.counts == {("iex", Cause.DUPLICATE): 1, ("iex", Cause.SPIKE): 1}


def test_a_session_that_is_refused_and_sent_again_makes_no_level():
    length = 6.5 * 3600
    days = [(n * 86_400, n * 86_400 + length, "IWM", c) for n, c in enumerate([100.0, 1000.0, 100.0])]
    out, truth = through(days[0], days[1], days[1], days[2], truth=TruthFilter(TruthSettings(recorded=True)))
    assert out == [[100.0], [], [], [100.0]]
    assert truth.rejects.counts == {("iex", Cause.SPIKE): 1, ("iex", Cause.DUPLICATE): 1}


def test_another_feed_confirms_a_held_minute():
    truth = TruthFilter(TruthSettings(feeds=("iex", "sip")))
    first, second = minutes(250.0, 400.0)
    truth.clean(batch("iex", bars=bars(first)))
    truth.clean(batch("sip", bars=bars(first)))
    assert truth.clean(batch("iex", bars=bars(second))).bars.is_empty()
    clean = truth.clean(batch("sip", bars=bars((*second[:3], 400.1, 400.1, 400.1, 400.1, 10.0))))
    assert clean.bars["close"].to_list() == [400.0]
    assert truth.held == 0


def test_a_restart_knows_how_far_the_minutes_went():
    quiet = minutes(*[250.0 + (n % 2) * 0.02 for n in range(30)])
    _, lived = through(*quiet)
    again = TruthFilter()
    for row in quiet:
        again.learn(TruthFilter().clean(batch(bars=bars(row))), "iex")
    jump = bars(minutes(260.0, first=30)[0])
    for truth in (lived, again):
        assert truth.clean(Batch("iex", 0, bars=jump)).bars.is_empty()
        assert truth.held == 1
