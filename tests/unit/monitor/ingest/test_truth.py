from __future__ import annotations

import math

import polars as pl
import pytest

from connectors.batch import BARS, QUOTES, TRADES, Batch
from monitor.ingest import Cause, CleanBatch, TruthFilter, TruthSettings
from tests.unit.monitor.ingest.frames import SECOND, at, bars, batch, quotes, trades

NAN, INF = math.nan, math.inf


def refused(truth: TruthFilter) -> dict[str, int]:
    return {str(cause): n for (_, cause), n in truth.rejects.counts.items()}


def test_what_is_true_passes_unchanged():
    given = {
        "quotes": quotes((0, "IWM", 249.9, 250.1), (1, "SPY", 690.0, 690.0)),
        "trades": trades((0.5, "IWM", 250.0), (1.5, "SPY", 690.0)),
        "bars": bars((-60, 0, "IWM", 250.0)),
    }
    clean = TruthFilter().clean(batch(**given))
    assert all(clean.frames()[kind].equals(frame) for kind, frame in given.items())
    assert clean.event_time == at(1.5)
    assert clean.rows == 5


def test_nothing_comes_out_of_nothing():
    clean = TruthFilter().clean(batch())
    assert clean == CleanBatch()
    assert (clean.rows, clean.event_time) == (0, 0)


@pytest.mark.parametrize(
    ("bid", "ask", "cause"),
    [
        (10.1, 10.0, Cause.CROSSED),
        (0.0, 10.0, Cause.NON_POSITIVE),
        (-1.0, 10.0, Cause.NON_POSITIVE),
        (0.0, 0.0, Cause.NON_POSITIVE),
        (10.0, -1.0, Cause.NON_POSITIVE),
        (NAN, 10.0, Cause.NON_FINITE),
        (10.0, None, Cause.NON_FINITE),
        (10.0, INF, Cause.NON_FINITE),
        (0.01, 199_999.0, Cause.SPIKE),
    ],
)
def test_quotes_that_cannot_be(bid, ask, cause):
    truth = TruthFilter()
    clean = truth.clean(batch(quotes=quotes((0, "IWM", 9.9, 10.0), (1, "IWM", bid, ask), (2, "IWM", 10.0, 10.0))))
    assert clean.quotes["ask"].to_list() == [10.0, 10.0]
    assert refused(truth) == {cause: 1}


@pytest.mark.parametrize(
    ("price", "size", "cause"),
    [
        (0.0, 1.0, Cause.NON_POSITIVE),
        (-10.0, 1.0, Cause.NON_POSITIVE),
        (10.0, -1.0, Cause.NON_POSITIVE),
        (NAN, 1.0, Cause.NON_FINITE),
        (INF, 1.0, Cause.NON_FINITE),
        (None, -1.0, Cause.NON_POSITIVE),
        (None, 2e12, Cause.ABSURD_SIZE),
        (10.0, INF, Cause.NON_FINITE),
    ],
)
def test_trades_that_cannot_be(price, size, cause):
    truth = TruthFilter()
    assert truth.clean(batch(trades=trades((0, "IWM", price, size)))).rows == 0
    assert refused(truth) == {cause: 1}


def test_a_trade_that_sets_no_price_is_volume_once_and_in_its_place():
    truth = TruthFilter()
    rows = trades(
        (0, "IWM", 10.0, 5.0, 1), (1, "IWM", None, 3.0, 2), (1, "IWM", None, 3.0, 2), (2, "IWM", 10.1, 4.0, 3)
    )
    clean = truth.clean(batch(trades=rows)).trades
    assert clean.select("price", "size").rows() == [(10.0, 5.0), (None, 3.0), (10.1, 4.0)]
    assert refused(truth) == {Cause.DUPLICATE: 1}
    again = TruthFilter()
    again.learn(CleanBatch(trades=clean, event_time=1))
    assert again.clean(batch(trades=rows)).rows == 0


@pytest.mark.parametrize("size", [None, NAN, 0.0])
def test_a_trade_of_unknown_size_has_a_price(size):
    assert TruthFilter().clean(batch(trades=trades((0, "IWM", 10.0, size)))).rows == 1


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ((0, 60, "IWM", 1.0, 2.0, 3.0, 2.0, 5.0), Cause.CROSSED),
        ((0, 60, "IWM", 1.0, 2.0, 1.0, 2.01, 5.0), Cause.CROSSED),
        ((0, 60, "IWM", 0.99, 2.0, 1.0, 2.0, 5.0), Cause.CROSSED),
        ((0, 60, "IWM", 0.0, 2.0, 0.0, 2.0, 5.0), Cause.NON_POSITIVE),
        ((0, 60, "IWM", 1.0, 2.0, 1.0, 2.0, -5.0), Cause.NON_POSITIVE),
        ((60, 60, "IWM", 1.0, 2.0, 1.0, 2.0, 5.0), Cause.NON_POSITIVE),
        ((0, 60, "IWM", 1.0, NAN, 1.0, 2.0, 5.0), Cause.NON_FINITE),
        ((0, 60, "IWM", 1.0, 2.0, 1.0, None, 5.0), Cause.NON_FINITE),
    ],
)
def test_bars_that_cannot_be(row, cause):
    truth = TruthFilter()
    assert truth.clean(batch(bars=bars(row))).rows == 0
    assert refused(truth) == {cause: 1}


def test_an_adjusted_bar_is_rounded():
    assert TruthFilter().clean(batch(bars=bars((0, 60, "IWM", 0.9999, 2.0, 1.0, 2.0001, 5.0)))).rows == 1


def test_a_bar_of_unknown_volume_passes():
    assert TruthFilter().clean(batch(bars=bars((0, 60, "IWM", 1.0, 2.0, 1.0, 2.0, None)))).rows == 1


@pytest.mark.parametrize("row", [(None, "IWM", 1.0, 1.0), (0, None, 1.0, 1.0)])
def test_a_row_without_time_or_symbol(row):
    truth = TruthFilter()
    assert truth.clean(batch(quotes=quotes((0, "SPY", 1.0, 1.0), row))).quotes["symbol"].to_list() == ["SPY"]
    assert refused(truth) == {Cause.NON_FINITE: 1}


def test_the_first_cause_counts():
    truth = TruthFilter()
    truth.clean(batch(quotes=quotes((100, "IWM", 1.0, 1.0))))
    truth.clean(batch(quotes=quotes((0, "IWM", 2.0, 1.0), (0, "IWM", -2.0, -3.0))))
    assert refused(truth) == {Cause.CROSSED: 1, Cause.NON_POSITIVE: 1}


# --- time ---------------------------------------------------------------------------------------------------------


def test_late_is_beyond_the_bound_only():
    truth = TruthFilter()
    clean = truth.clean(batch(quotes=quotes((100, "IWM", 1.0, 1.0), (70, "SPY", 1.0, 1.0), (69.9, "QQQ", 1.0, 1.0))))
    assert clean.quotes["symbol"].to_list() == ["IWM", "SPY"]
    assert refused(truth) == {Cause.LATE: 1}
    assert clean.event_time == at(100)


def test_lateness_goes_across_batches_and_kinds_but_not_feeds():
    truth = TruthFilter()
    truth.clean(batch("a", quotes=quotes((100, "IWM", 1.0, 1.0))))
    assert truth.clean(batch("a", trades=trades((60, "IWM", 1.0)), bars=bars((0, 60, "IWM", 1.0)))).rows == 0
    assert truth.clean(batch("b", trades=trades((60, "IWM", 1.0)))).rows == 1
    assert truth.rejects.counts == {("a", Cause.LATE): 2}
    assert (truth.watermark("a"), truth.watermark("b"), truth.watermark("c")) == (at(100), at(60), None)


def test_a_bar_is_as_late_as_its_end():
    truth = TruthFilter()
    truth.clean(batch(quotes=quotes((100, "IWM", 1.0, 1.0))))
    assert truth.clean(batch(bars=bars((-3600, 75, "IWM", 1.0)))).rows == 1


def test_the_future_is_refused_and_moves_no_watermark():
    truth = TruthFilter()
    rows = quotes((0, "IWM", 1.0, 1.0), (5.1, "IWM", 2.0, 2.0), (5, "IWM", 3.0, 3.0))
    clean = truth.clean(batch(quotes=rows), now_ns=at(0))
    assert clean.quotes["bid"].to_list() == [1.0, 3.0]
    assert refused(truth) == {Cause.FUTURE: 1}
    assert truth.watermark("iex") == at(5)


def test_times_that_no_calendar_has_are_refused_and_move_no_watermark():
    truth = TruthFilter(TruthSettings(earliest_ns=at(-3600), latest_ns=at(3600)))
    rows = quotes((-4000, "IWM", 1.0, 1.1), (0, "IWM", 1.0, 1.1), (10**9, "IWM", 1.0, 1.1), (1, "IWM", 1.0, 1.1))
    assert truth.clean(batch(quotes=rows)).rows == 2
    assert refused(truth) == {Cause.LATE: 1, Cause.FUTURE: 1}
    assert truth.watermarks() == {batch().feed: at(1)}


def test_in_event_time_nothing_is_in_the_future():
    assert TruthFilter().clean(batch(quotes=quotes((10**6, "IWM", 1.0, 1.0)))).rows == 1


# --- the same again -----------------------------------------------------------------------------------------------


def test_a_quote_sent_again_at_once():
    truth = TruthFilter()
    one, other = (0, "IWM", 1.0, 1.0), (0, "SPY", 1.0, 1.0)
    clean = truth.clean(batch(quotes=quotes(one, one, other, one)))
    assert clean.quotes.height == 2
    assert truth.clean(batch(quotes=quotes(one))).rows == 0
    assert refused(truth) == {Cause.DUPLICATE: 3}


@pytest.mark.parametrize("changed", [(1, "IWM", 1.0, 1.0), (0, "IWM", 0.9, 1.0), (0, "IWM", 1.0, 1.0, 5.0, None)])
def test_a_quote_that_differs_is_another(changed):
    assert TruthFilter().clean(batch(quotes=quotes((0, "IWM", 1.0, 1.0), changed))).rows == 2


def test_quotes_of_unknown_size_are_the_same():
    one = (0, "IWM", 1.0, 1.0, None, NAN)
    assert TruthFilter().clean(batch(quotes=quotes(one, one))).rows == 1


def test_a_trade_sent_again_within_the_lateness_window():
    truth = TruthFilter()
    first = (0, "IWM", 10.0, 5.0, 1)
    truth.clean(batch(trades=trades(first, (0, "IWM", 10.0, 5.0, 2), (10, "IWM", 10.1, 5.0, 3))))
    clean = truth.clean(batch(trades=trades(first, (10, "SPY", 10.1, 5.0, 3), (10, "IWM", 10.1, 5.0, 3))))
    assert clean.trades["symbol"].to_list() == ["SPY"]
    assert refused(truth) == {Cause.DUPLICATE: 2}


def test_trades_at_one_instant_that_differ_are_all_true():
    rows = [(0, "IWM", 10.0, 5.0, n) for n in range(5)] + [(0, "IWM", 10.0, 6.0, 0), (0, "IWM", 10.01, 5.0, 0)]
    assert TruthFilter().clean(batch(trades=trades(*rows))).rows == 7


def test_without_an_id_two_trades_alike_are_two_trades():
    one = (0, "IWM", 10.0, 5.0, None)
    truth = TruthFilter()
    assert truth.clean(batch(trades=trades(one, one, (0, "IWM", 10.0, 5.0, 0)))).rows == 3


def test_a_bar_sent_again_and_a_bar_corrected():
    truth = TruthFilter()
    bar, corrected = (0, 60, "IWM", 1.0), (0, 60, "IWM", 1.1)
    assert truth.clean(batch(bars=bars(bar, bar, corrected))).rows == 2
    assert truth.clean(batch(bars=bars(corrected))).rows == 0
    assert refused(truth) == {Cause.DUPLICATE: 2}


# --- what is shown ------------------------------------------------------------------------------------------------


def test_examples_are_few_and_the_newest():
    truth = TruthFilter()
    for n in range(30):
        truth.clean(batch(quotes=quotes((n, "IWM", 2.0 + n, 1.0))))
    examples = truth.rejects.examples()
    assert [e.row["bid"] for e in examples] == [22.0 + n for n in range(10)]
    newest = examples[-1]
    assert (newest.feed, newest.cause, newest.kind, newest.event_time) == ("iex", Cause.CROSSED, "quotes", at(29))
    assert newest.row == {"symbol": "IWM", "bid": 31.0, "ask": 1.0, "bid_size": 100.0, "ask_size": 100.0}
    assert truth.rejects.total(Cause.CROSSED) == 30


# --- frames as they come ------------------------------------------------------------------------------------------


def test_merged_batches_in_many_chunks():
    truth = TruthFilter()
    parts = [
        batch(quotes=quotes((n, f"S{n % 7}", 10.0, 10.0)), trades=trades((n, f"S{n % 7}", 10.0))) for n in range(50)
    ]
    clean = truth.clean(Batch.merge(parts))
    assert clean.quotes["ts"].is_sorted()
    assert (clean.quotes.height, clean.trades.height) == (50, 50)


def test_many_instruments():
    truth = TruthFilter()
    frames = [
        pl.select(
            ts=pl.repeat(at(part), 14_000, dtype=pl.Int64).cast(QUOTES["ts"]),
            symbol=pl.format("S{}", pl.int_range(part * 14_000, (part + 1) * 14_000)),
            bid=pl.int_range(14_000).cast(pl.Float64) + 1,
            ask=pl.int_range(14_000).cast(pl.Float64) + 1.5,
            bid_size=pl.lit(1.0),
            ask_size=pl.lit(1.0),
        )
        for part in range(5)
    ]
    for frame in frames:
        assert truth.clean(batch(quotes=frame)).quotes.equals(frame)
    again = frames[-1].with_columns(pl.col("ts") + pl.duration(seconds=1, time_unit="ns"))
    assert truth.clean(batch(quotes=pl.concat([again, again]))).quotes.equals(again)
    assert refused(truth) == {Cause.DUPLICATE: 14_000}


def test_schemas_stay():
    truth = TruthFilter()
    spoilt = batch(
        quotes=quotes((0, "IWM", 1.0, 1.0), (0, "IWM", 2.0, 1.0)),
        trades=trades((0, "IWM", 1.0), (0, "IWM", -1.0)),
        bars=bars((0, 60, "IWM", 1.0), (0, 60, "IWM", -1.0)),
    )
    clean = truth.clean(spoilt)
    assert (clean.quotes.schema, clean.trades.schema, clean.bars.schema) == (QUOTES, TRADES, BARS)


def test_settings_that_make_no_sense():
    with pytest.raises(ValueError, match="above 1"):
        TruthFilter(TruthSettings(trade_jump=1.0))


def test_a_restart_learns_what_was_true():
    before = TruthFilter()
    clean = before.clean(batch(quotes=quotes((0, "IWM", 10.0, 10.0)), trades=trades((0, "SPY", 100.0, 1.0, 7))))
    after = TruthFilter()
    after.learn(clean, "iex")
    rows = batch(
        quotes=quotes((0, "IWM", 10.0, 10.0)),
        trades=trades((0, "SPY", 100.0, 1.0, 7), (1, "SPY", 1000.0), (-31, "SPY", 100.0), (1, "IWM", 100.0)),
    )
    assert after.clean(rows).rows == 0
    assert refused(after) == {Cause.DUPLICATE: 2, Cause.LATE: 1}
    assert after.held == 2


def test_what_is_remembered_of_trades_is_bounded():
    truth = TruthFilter(TruthSettings(recent_trades=100))
    for n in range(50):
        truth.clean(batch(trades=trades(*[(n + k / 100, "IWM", 10.0, 1.0, n * 50 + k) for k in range(50)])))
    assert len(truth._trades._recent) <= 100
    assert truth.clean(batch(trades=trades((49.49, "IWM", 10.0, 1.0, 49 * 50 + 49)))).rows == 0


def test_lateness_bound_is_a_setting():
    truth = TruthFilter(TruthSettings(lateness_ns=SECOND))
    truth.clean(batch(quotes=quotes((10, "IWM", 1.0, 1.0))))
    assert truth.clean(batch(quotes=quotes((8.9, "IWM", 1.0, 1.0), (9, "IWM", 1.0, 1.0)))).rows == 1
