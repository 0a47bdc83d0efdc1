from __future__ import annotations

import pytest

from monitor.ingest import Cause, TruthFilter, TruthSettings
from tests.unit.monitor.ingest.frames import Row, at, batch, quotes, trades


def prices(truth: TruthFilter, **frames) -> list[float]:
    return truth.clean(batch(**frames)).trades["price"].to_list()


def spikes(truth: TruthFilter) -> int:
    return truth.rejects.total(Cause.SPIKE)


def tape(*values: float, start: float = 0) -> list[Row]:
    return [(start + n, "IWM", value) for n, value in enumerate(values)]


def test_a_print_at_ten_times_the_price_is_dropped_by_the_next():
    truth = TruthFilter()
    assert prices(truth, trades=trades(*tape(100, 1000, 101))) == [100, 101]
    assert (spikes(truth), truth.held) == (1, 0)


def test_it_waits_for_the_next_batch():
    truth = TruthFilter()
    assert prices(truth, trades=trades(*tape(100, 1000))) == [100]
    assert (spikes(truth), truth.held) == (0, 1)
    assert prices(truth, trades=trades(*tape(99, start=2))) == [99]
    assert (spikes(truth), truth.held) == (1, 0)


def test_a_gap_is_confirmed_by_the_next_print():
    truth = TruthFilter()
    assert prices(truth, trades=trades(*tape(100, 130))) == [100]
    assert prices(truth, trades=trades(*tape(131, 100, start=5))) == [130, 131]
    assert (spikes(truth), truth.held) == (0, 1)


def test_a_gap_is_confirmed_by_a_quote_before_it():
    truth = TruthFilter()
    prices(truth, trades=trades(*tape(100)))
    assert prices(truth, quotes=quotes((1, "IWM", 129, 131)), trades=trades(*tape(130, start=1))) == [130]


def test_a_gap_is_confirmed_by_a_quote_after_it():
    truth = TruthFilter()
    prices(truth, trades=trades(*tape(100, 130)))
    assert prices(truth, quotes=quotes((2, "IWM", 129, 131))) == [130]
    assert prices(truth, trades=trades(*tape(128, start=3))) == [128]
    assert (spikes(truth), truth.held) == (0, 0)


def test_a_quote_far_from_it_does_not_confirm():
    truth = TruthFilter()
    prices(truth, trades=trades(*tape(100, 1000)))
    assert prices(truth, quotes=quotes((2, "IWM", 99, 101), (3, "SPY", 999, 1001))) == []
    assert truth.held == 1


def test_a_released_print_stands_before_what_confirmed_it():
    truth = TruthFilter()
    prices(truth, trades=trades(*tape(100, 130)))
    clean = truth.clean(
        batch(
            quotes=quotes((6, "IWM", 129, 131)),
            trades=trades((5, "SPY", 690), (6, "SPY", 691), (7, "SPY", 692)),
        )
    )
    assert list(zip(clean.trades["symbol"], clean.trades["price"], strict=True)) == [
        ("SPY", 690),
        ("IWM", 130),
        ("SPY", 691),
        ("SPY", 692),
    ]
    assert clean.event_time == at(7)


def test_a_first_print_far_from_its_quote_waits_for_the_quote_that_confirms_it():
    clean = TruthFilter().clean(
        batch(
            quotes=quotes((0, "IWM", 100, 100), (2, "IWM", 130, 130)),
            trades=trades((1, "IWM", 130), (1.5, "SPY", 690)),
        )
    )
    assert clean.trades["symbol"].to_list() == ["SPY", "IWM"]


def test_a_second_wild_print_takes_the_place_of_the_first():
    truth = TruthFilter()
    assert prices(truth, trades=trades(*tape(100, 1000, 10, 100))) == [100, 100]
    assert (spikes(truth), truth.held) == (2, 0)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_a_crash_in_which_no_two_prints_are_near_each_other_is_seen(factor):
    truth = TruthFilter()
    path = [100 * factor**n for n in range(7)]
    assert prices(truth, trades=trades(*tape(*path))) == [path[0], path[3], path[6]]
    assert (spikes(truth), truth.held) == (4, 0)


def test_wild_prints_to_both_sides_are_not_one():
    truth = TruthFilter()
    assert prices(truth, trades=trades(*tape(100, 10, 1000, 10, 1000, 10, 100))) == [100, 100]


def test_wild_prints_in_a_row_are_not_believed_against_the_quote():
    truth = TruthFilter()
    around = {"quotes": quotes((0, "IWM", 99, 101)), "trades": trades(*tape(100, 70, 50, 30, 20, start=1))}
    assert prices(truth, **around) == [100]


def test_a_wild_print_sent_twice_does_not_confirm_itself():
    truth = TruthFilter()
    wild = (1, "IWM", 1000, 5, 1)
    assert prices(truth, trades=trades((0, "IWM", 100, 5, 0), wild, wild)) == [100]
    assert prices(truth, trades=trades(wild)) == []
    assert (truth.rejects.total(Cause.DUPLICATE), truth.held) == (2, 1)


def test_the_first_print_ever_is_judged_by_the_quote():
    truth = TruthFilter()
    assert prices(truth, quotes=quotes((0, "IWM", 99, 101)), trades=trades(*tape(1000, 100, start=1))) == [100]
    assert spikes(truth) == 1


def test_the_first_print_ever_without_a_quote_is_believed():
    assert prices(TruthFilter(), trades=trades(*tape(1000))) == [1000]


def test_each_instrument_has_its_own_level_and_its_own_held_print():
    truth = TruthFilter()
    rows = [(0, "IWM", 250), (0, "BRK.A", 700_000), (1, "IWM", 2500), (1, "BRK.A", 7_000_000), (2, "IWM", 251)]
    assert prices(truth, trades=trades(*rows)) == [250, 700_000, 251]
    assert (spikes(truth), truth.held) == (1, 1)


def test_what_was_held_is_counted_for_the_feed_it_came_from():
    truth = TruthFilter()
    truth.clean(batch("a", trades=trades(*tape(100, 1000))))
    truth.clean(batch("b", trades=trades(*tape(100, start=2))))
    assert truth.rejects.counts == {("a", Cause.SPIKE): 1}


def test_held_prints_are_at_most_one_an_instrument():
    truth = TruthFilter()
    for n in range(100):
        truth.clean(batch(trades=trades((n, "IWM", 10.0 ** (n % 5 - 2)), (n, "SPY", 10.0 ** -(n % 5)))))
    assert truth.held <= 2


@pytest.mark.parametrize(("price", "held"), [(119.9, 0), (120.1, 1), (83.4, 0), (83.2, 1)])
def test_the_bound_is_a_factor_either_way(price, held):
    truth = TruthFilter(TruthSettings(trade_jump=1.2))
    prices(truth, trades=trades(*tape(100, price)))
    assert truth.held == held


# --- quotes -------------------------------------------------------------------------------------------------------


def bids(truth: TruthFilter, *values: float, start: float = 0) -> list[float]:
    rows = quotes(*[(start + n, "IWM", value, value) for n, value in enumerate(values)])
    return truth.clean(batch(quotes=rows)).quotes["bid"].to_list()


def test_a_quote_at_twice_the_price_is_a_quote():
    assert bids(TruthFilter(), 100, 200, 100) == [100, 200, 100]


def test_one_wild_quote_is_refused():
    truth = TruthFilter()
    assert bids(truth, 100, 2000, 100) == [100, 100]
    assert spikes(truth) == 1


def test_a_new_level_costs_its_first_quote_only():
    truth = TruthFilter()
    assert bids(truth, 100, 2000) == [100]
    assert bids(truth, 2010, 2020, start=2) == [2010, 2020]
    assert spikes(truth) == 1


def test_wild_quotes_apart_do_not_confirm_each_other():
    truth = TruthFilter()
    assert bids(truth, 100, 2000, 100, 2000, 1, 100) == [100, 100, 100]
    assert bids(truth, 1, 100, start=6) == [100]
    assert spikes(truth) == 4


def test_a_good_quote_in_between_clears_the_suspicion():
    truth = TruthFilter()
    assert [bids(truth, value, start=n) for n, value in enumerate((100, 2000, 101, 2001))] == [[100], [], [101], []]


def test_among_wild_quotes_one_sent_twice_is_still_known():
    truth = TruthFilter()
    rows = quotes((0, "IWM", 100, 100), (1, "IWM", 2000, 2000), (0, "IWM", 100, 100))
    assert truth.clean(batch(quotes=rows)).rows == 1
    assert truth.rejects.counts == {("iex", Cause.SPIKE): 1, ("iex", Cause.DUPLICATE): 1}
