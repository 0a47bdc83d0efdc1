"""The monitor's own figures."""

from __future__ import annotations

import math

import pytest

from monitor.ingest import TruthFilter
from monitor.self_series import CLOCK_SKEW, CROSSED_QUOTES, FEEDS_DOWN, LAG_MS, NAMES, REFUSED_ROWS, SelfSeries
from tests.unit.monitor.ingest.frames import SECOND, T0, at, batch, quotes, trades


def published(own: SelfSeries, seconds: float, lag: float = 0.0) -> dict[str, float]:
    frame = own.publish(at(seconds), at(seconds + lag))
    assert frame.is_empty() or frame["ts"].to_physical().unique().to_list() == [at(seconds)]
    return dict(frame.select("series", "value").rows())


def test_refused_rows_are_those_of_the_last_minute():
    truth = TruthFilter()
    own = SelfSeries(truth.rejects, follows_wall=False)
    own.want(NAMES)
    assert published(own, 0) == {CROSSED_QUOTES: 0, REFUSED_ROWS: 0, FEEDS_DOWN: 0}
    truth.clean(batch(quotes=quotes((1, "A", 10.0, 9.0)), trades=trades((1, "A", -1.0))))
    assert published(own, 1) == {CROSSED_QUOTES: 1, REFUSED_ROWS: 2}
    assert published(own, 1.9) == {}, "once a second"
    own.feeds_down = 2
    assert published(own, 30) == {FEEDS_DOWN: 2}
    assert published(own, 59) == {}, "what did not change"
    assert published(own, 61.5) == {CROSSED_QUOTES: 0, REFUSED_ROWS: 0}


def test_skew_and_lag_are_of_live_data_only():
    own = SelfSeries(TruthFilter().rejects, follows_wall=True)
    own.want([CLOCK_SKEW, LAG_MS, "rate"])
    assert published(own, 0, lag=0.25) == {LAG_MS: 250}
    frame = quotes(*[(n / 1000, "A", 10.0, 11.0) for n in range(3001)])
    received = batch(quotes=frame)
    own.saw([type(received)("iex", T0 + 4 * SECOND, quotes=frame)])
    first = published(own, 4, lag=0.25)
    assert first[CLOCK_SKEW] == pytest.approx(2.5, abs=0.01)
    assert LAG_MS not in first
    assert math.isnan(published(own, 120, lag=0.25)[CLOCK_SKEW])


def test_nothing_is_measured_that_nobody_asked_for():
    own = SelfSeries(TruthFilter().rejects, follows_wall=True)
    own.want(["rate"])
    own.saw([batch(quotes=quotes((0, "A", 1.0, 2.0)))])
    assert own.publish(at(1), at(1)).is_empty()
    assert not own._skews
