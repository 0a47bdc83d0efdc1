"""Halts, limit bands, corrections, splits, leaps of event time and several feeds of one instrument."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from connectors.batch import BANDS, CORRECTIONS, STATUSES
from monitor.data_health import FEED_CLOCK, FEED_REFUSED, FEEDS_DISAGREE, DataHealth
from monitor.ingest import Cause, TruthFilter, TruthSettings
from tests.unit.monitor.ingest.frames import SECOND, T0, at, batch, frame, quotes, trades

DAY = 86_400


def passed(truth: TruthFilter, **frames) -> list[float]:
    return truth.clean(batch(**frames)).trades["price"].to_list()


def statuses(*rows):
    return frame(STATUSES, [(*row, "") for row in rows])


def test_codes_of_both_tapes_become_halts_and_resumptions():
    given = statuses((0, "A", "H"), (1, "A", "T"), (2, "B", "2"), (3, "B", "3"), (4, "C", "P"), (5, "C", "E"))
    codes = TruthFilter().clean(batch(statuses=given)).statuses["code"].to_list()
    assert codes == ["halt", "resume", "halt", "resume", "halt"]


def test_a_trade_outside_the_band_in_force_is_refused():
    truth = TruthFilter()
    bands = frame(BANDS, [(0, "IWM", 95.0, 105.0, "B")])
    assert passed(truth, bands=bands, trades=trades((1, "IWM", 100.0), (2, "IWM", 105.5), (3, "IWM", 104.0))) == [
        100,
        104,
    ]
    assert truth.rejects.counts == {("iex", Cause.OUTSIDE_BAND): 1}


@pytest.mark.parametrize(("closes", "until"), [([], 8 * 3600), ([at(3600), at(DAY)], 3600)])
def test_a_band_is_over_with_its_session(closes, until):
    truth = TruthFilter(TruthSettings(closes=np.array(closes, dtype=np.int64)))
    bands = frame(BANDS, [(0, "IWM", 95.0, 105.0, "B")])
    assert passed(truth, bands=bands, trades=trades((1, "IWM", 104.0), (until, "IWM", 105.5))) == [104]
    assert passed(truth, trades=trades((until + 1, "IWM", 106.0))) == [106]


def test_corrections_pass_however_late_unless_they_are_none():
    truth = TruthFilter()
    truth.clean(batch(trades=trades((1000, "IWM", 100.0))))
    rows = [
        (0, "IWM", "correction", 1, 100.0, 1.0, 2, 101.0, 1.0),
        (0, "IWM", "cancel", 1, None, 1.0, None, None, None),
    ]
    assert truth.clean(batch(corrections=frame(CORRECTIONS, rows))).corrections.height == 1


# --- splits -------------------------------------------------------------------------------------------------------


def overnight(truth: TruthFilter, *rows: tuple[str, float], kind: str = "trades") -> list[float]:
    """The prices that pass a night after every one was at 100."""
    before, out = [(symbol, 100.0) for symbol, _ in rows], pl.Series([0.0])
    for start, prices in ((0, before), (DAY, rows)):
        if kind == "trades":
            out = truth.clean(batch(trades=trades(*[(start + n, *row) for n, row in enumerate(prices)]))).trades[
                "price"
            ]
        else:
            tight = [(start + n, s, p * 0.999, p * 1.001) for n, (s, p) in enumerate(prices)]
            out = truth.clean(batch(quotes=quotes(*tight))).quotes["bid"]
    return out.round(0).to_list()


def test_a_price_that_changed_overnight_as_by_a_split_waits_for_an_answer():
    for kind in ("trades", "quotes"):
        truth = TruthFilter()
        assert overnight(truth, ("NVDA", 10.1), ("NVDA", 10.2), ("SPY", 101.0), kind=kind) == [101]
        assert {s: (j.new, j.old) for s, j in truth.suspected_splits().items()} == {"NVDA": (10, 1)}
        asked = DataHealth(ZoneInfo("UTC")).look(truth, 0)
        assert ",NVDA,split,10:1" in asked[0].reason
        truth.tell_splits("NVDA", [(at(DAY / 2), 0.1)])
        assert not truth.suspected_splits()
        if kind == "trades":
            assert passed(truth, trades=trades((DAY + 60, "NVDA", 10.15))) == [10.15]


def test_a_split_that_is_known_is_never_suspected():
    truth = TruthFilter()
    truth.tell_splits("NVDA", [(at(DAY / 2), 0.1)])
    assert overnight(truth, ("NVDA", 10.1), ("NVDA", 10.2), ("SPY", 101.0)) == [10, 10, 101]


def test_said_to_be_no_split_a_crash_is_seen():
    truth = TruthFilter()
    overnight(truth, ("X", 50.0), ("X", 50.1))
    truth.tell_splits("X", [(at(DAY / 2), 1.0)])
    assert passed(truth, trades=trades((DAY + 60, "X", 50.2), (DAY + 61, "X", 50.3))) == [50.2, 50.3]


def test_an_error_in_the_first_print_is_undone_by_the_next():
    truth = TruthFilter()
    assert overnight(truth, ("X", 10.0), ("X", 100.5), ("X", 101.0)) == [100, 101]
    assert not truth.suspected_splits()


def test_said_to_be_no_split_a_halt_that_ended_at_half_the_price_is_seen():
    truth = TruthFilter()
    assert passed(truth, trades=trades((0, "X", 100.0), (5 * 3600, "X", 50.0))) == [100]
    assert list(truth.suspected_splits()) == ["X"]
    truth.tell_splits("X", [(at(-10 * 3600), 1.0)])  # dated by the day, which began before the last price
    assert passed(truth, trades=trades((5 * 3600 + 1, "X", 50.1), (5 * 3600 + 2, "X", 50.2))) == [50.1, 50.2]
    assert not truth.suspected_splits()


@pytest.mark.parametrize("kind", ["trades", "quotes"])
def test_a_print_of_before_the_split_that_comes_late_answers_nothing(kind):
    truth = TruthFilter()
    prints = [("X", 50.0), ("X", 100.0), *[("X", 50.0 + n / 100) for n in range(8)]]
    assert overnight(truth, *prints, kind=kind) == [100]
    assert list(truth.suspected_splits()) == ["X"]
    truth.tell_splits("X", [(at(DAY / 2), 0.5)])
    if kind == "trades":
        assert passed(truth, trades=trades((DAY + 60, "X", 50.1), (DAY + 61, "X", 50.2))) == [50.1, 50.2]


def test_a_market_that_halves_is_no_split():
    truth = TruthFilter()
    names = [f"S{n}" for n in range(8)]
    overnight(truth, *[(name, 50.0) for name in names])
    assert not truth.suspected_splits()


def test_prices_of_an_earlier_run_are_what_a_split_is_seen_by():
    truth = TruthFilter()
    truth.know({"NVDA": (1208.8, at(-3 * DAY))})
    assert passed(truth, trades=trades((0, "NVDA", 120.4))) == []
    assert list(truth.suspected_splits()) == ["NVDA"]


# --- usual moves --------------------------------------------------------------------------------------------------


def test_an_outlier_is_one_by_the_instruments_own_moves():
    rng = np.random.default_rng(7)
    calm = 100 * np.exp(np.cumsum(rng.normal(0, 1e-4, 100)))
    wild = 100 * np.exp(np.cumsum(rng.normal(0, 1e-2, 100)))
    for prices, expected in ((calm, 1), (wild, 0)):
        truth = TruthFilter()
        truth.clean(batch(trades=trades(*[(2 * n, "X", p, 1.0, n) for n, p in enumerate(prices.tolist())])))
        before = truth.rejects.total(Cause.SPIKE) + truth.held
        assert before == 0
        truth.clean(batch(trades=trades((300, "X", float(prices[-1]) * 1.05, 1.0, 1000))))
        assert truth.held == expected


# --- time of their own --------------------------------------------------------------------------------------------


def test_a_tick_stamped_years_ahead_makes_nothing_late():
    for size in (1, 2, 10):
        truth = TruthFilter()
        rows = [(n, "IWM", 100.0 + n / 100) for n in range(9)]
        rows.insert(4, (3 * 365 * DAY, "IWM", 100.0))
        tape = trades(*rows)
        assert sum(len(passed(truth, trades=part)) for part in tape.iter_slices(size)) == 9
        assert truth.rejects.counts == {("iex", Cause.FUTURE): 1}
        assert truth.watermark("iex") == at(8)


def test_a_real_hole_is_passed():
    for size in (1, 3):
        truth = TruthFilter(TruthSettings(closes=np.array([T0 + DAY * SECOND, T0 + 2 * DAY * SECOND])))
        rows = [(0, "IWM", 100.0), (700 * DAY, "IWM", 101.0), (700 * DAY + 1, "IWM", 102.0)]
        out = [p for part in trades(*rows).iter_slices(size) for p in passed(truth, trades=part)]
        assert out == [100, 101, 102]


# --- several feeds ------------------------------------------------------------------------------------------------


def test_the_better_feed_is_used_while_it_is_fresh():
    truth = TruthFilter(TruthSettings(feeds=("sip", "iex")))
    truth.clean(batch("iex", quotes=quotes((0, "IWM", 100, 100))))
    assert truth.clean(batch("sip", quotes=quotes((1, "IWM", 101, 101)))).rows == 1
    assert truth.clean(batch("iex", quotes=quotes((2, "IWM", 100, 100)))).rows == 0
    assert truth.clean(batch("iex", trades=trades((3, "IWM", 100)))).rows == 1
    assert truth.clean(batch("iex", quotes=quotes((30, "IWM", 102, 102)))).rows == 1
    assert truth.clean(batch("sip", quotes=quotes((31, "IWM", 102, 102)))).rows == 1
    ranks = truth.ranks["quotes"]
    assert (dict(ranks.shadowed), dict(ranks.switches)) == ({"iex": 1}, {"sip": 2, "iex": 1})
    assert not truth.rejects.counts


def test_a_worse_feed_is_not_used_from_its_very_first_row_on():
    truth = TruthFilter(TruthSettings(feeds=("sip", "iex")))
    truth.clean(batch("sip", trades=trades((0, "IWM", 100))))
    assert truth.clean(batch("iex", trades=trades((1, "IWM", 104), (2, "IWM", 104.1)))).rows == 0
    assert dict(truth.ranks["trades"].shadowed) == {"iex": 2}


def test_feeds_that_differ_for_long_are_said():
    truth = TruthFilter(TruthSettings(feeds=("sip", "iex")))
    for n in range(40):
        truth.clean(batch("sip", quotes=quotes((n, "IWM", 100, 100))))
        truth.clean(batch("iex", quotes=quotes((n, "IWM", 101, 101))))
        said = [t.name for t in DataHealth(ZoneInfo("UTC")).look(truth, 0)]
        assert said == ([FEEDS_DISAGREE] if n >= 30 else []), n


def test_a_second_feed_confirms_a_held_print():
    truth = TruthFilter(TruthSettings(feeds=("sip", "iex")))
    truth.clean(batch("iex", trades=trades((0, "IWM", 100.0))))
    truth.clean(batch("sip", trades=trades((0, "IWM", 100.0), (1, "IWM", 130.0))))
    assert truth.held == 1
    assert truth.clean(batch("iex", trades=trades((1, "IWM", 130.5, 1.0, 77)))).trades["price"].to_list() == [130.0]
    assert truth.held == 0


# --- health -------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_ahead_and_rows_that_are_refused_are_said():
    truth, health = TruthFilter(), DataHealth(ZoneInfo("UTC"))
    health.look(truth, 0)
    for n in range(30):
        rows = replace(batch(quotes=quotes((n, "IWM", 101, 100))), received_at=at(n - 2))
        truth.clean(rows, at(n))
    said = {t.name: t.reason for t in health.look(truth, SECOND)}
    assert said.keys() == {FEED_CLOCK, FEED_REFUSED}
    assert "2.0 s ahead" in said[FEED_CLOCK]
    assert "30 of its 30 rows" in said[FEED_REFUSED]


def test_locked_quotes_are_true_and_counted():
    truth = TruthFilter()
    assert truth.clean(batch(quotes=quotes((0, "IWM", 100, 100), (1, "IWM", 100, 101)))).rows == 2
    assert truth.rejects.locked == {"iex": 1}
    assert truth.clean(batch(trades=trades((2, "IWM", 100, 1e13)))).rows == 0
    assert truth.rejects.counts == {("iex", Cause.ABSURD_SIZE): 1}


def test_a_better_feed_that_is_delayed_does_not_change_places_with_one_that_is_up_to_date():
    truth = TruthFilter(TruthSettings(feeds=("sip", "iex")))
    used = []
    for second in range(0, 120, 2):
        for feed, delay, price in (("sip", 900, 98.0), ("iex", 0, 100.0)):
            sent = batch(feed, trades=trades((second - delay, "IWM", price, 100.0, second)))
            used += truth.clean(sent, at(second)).trades["price"].to_list()
    ranks = truth.ranks["trades"]
    assert used == [98.0] + [100.0] * 60
    assert (dict(ranks.shadowed), ranks.disagreements()) == ({"sip": 59}, [])
    # Once it is up to date, the better feed is used again.
    sent = batch("sip", trades=trades((119, "IWM", 100.1)))
    assert truth.clean(sent, at(120)).trades["price"].to_list() == [100.1]
    assert ranks.switches["sip"] == 1
