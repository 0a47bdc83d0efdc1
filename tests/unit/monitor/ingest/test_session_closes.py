"""A session's close that nothing explains: refused as it comes, and of recorded closes where the next takes it back."""

from __future__ import annotations

import polars as pl
import pytest

from monitor.ingest import Cause, TruthFilter, TruthSettings
from tests.unit.monitor.ingest.frames import bars, batch

DAY = 86_400
LENGTH = 6.5 * 3600
PRICES = [100.0 + (n * 7 % 5) * 0.4 for n in range(24)]


def whole(prices, symbol="IWM", first=0):
    """Session bars of closes alone, a day apart."""
    return bars(*[((first + n) * DAY, (first + n) * DAY + LENGTH, symbol, p) for n, p in enumerate(prices)])


def kept(frame, at_once=True, truth=None):
    truth = truth or TruthFilter(TruthSettings(recorded=True))
    parts = [frame] if at_once else [frame[n] for n in range(frame.height)]
    return pl.concat([truth.clean(batch(bars=part)).bars for part in parts])["close"].to_list(), truth


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("factor", [10, 0.1, 100, 0.01])
def test_a_close_with_its_point_in_the_wrong_place_is_refused(factor, at_once):
    planted = PRICES.copy()
    planted[20] *= factor
    closes, truth = kept(whole(planted), at_once)
    assert closes == PRICES[:20] + PRICES[21:]
    assert truth.rejects.counts == {("iex", Cause.SPIKE): 1}


@pytest.mark.parametrize("at_once", [True, False])
def test_a_new_level_is_believed_as_of_the_session_that_confirms_it(at_once):
    moved = PRICES[:20] + [p * 12 for p in PRICES[20:]]
    closes, truth = kept(whole(moved), at_once)
    assert closes == moved[:20] + moved[21:]
    assert truth.rejects.total(Cause.SPIKE) == 1


def test_errors_in_a_row_that_do_not_agree_confirm_nothing():
    closes, truth = kept(whole([*PRICES, 1_000.0, 1.0, 30_000.0, 100.0]))
    assert closes == [*PRICES, 100.0]
    assert truth.rejects.total(Cause.SPIKE) == 3


def test_an_instrument_that_often_moves_far_is_believed_more():
    wild = [100.0 if n % 2 else 130.0 for n in range(20)]
    assert kept(whole([*wild, 600.0]))[0] == [*wild, 600.0]
    assert kept(whole([*wild, 1_000.0]))[0] == wild


def test_a_crash_and_a_known_split_and_a_hole_are_no_errors():
    crashed = [*PRICES, 40.0, 22.0]
    assert kept(whole(crashed))[0] == crashed
    truth = TruthFilter(TruthSettings(recorded=True))
    truth.tell_splits("IWM", [(1_769_000_000_000_000_000 + 24 * DAY * 10**9, 0.1)])
    assert kept(whole([*PRICES, 10.0, 10.1]), truth=truth)[0] == [*PRICES, 10.0, 10.1]
    later = pl.concat([whole(PRICES), whole([1_500.0], first=60)])
    assert kept(later)[0] == [*PRICES, 1_500.0]


def test_bars_of_the_session_and_other_instruments_are_left_alone():
    frame = pl.concat([whole(PRICES), whole([p * 50 for p in PRICES], "SPY")]).sort("end", maintain_order=True)
    assert kept(frame)[1].rejects.counts == {}
