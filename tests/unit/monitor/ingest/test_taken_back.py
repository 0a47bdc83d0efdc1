"""Prints that are taken back are found by the vendor's id; what cannot be found is left to its price."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.alpaca import AlpacaFeed
from connectors.batch import CORRECTIONS, TRADES
from monitor.ingest import Cause, TruthFilter
from monitor.ingest.taken_back import KnownPrints
from tests.unit.monitor.ingest.frames import at, batch, frame, trades

MINUTE = 60 * 10**9
CANCELLED = (None, math.nan, math.nan)


def corrections(*rows):
    return frame(CORRECTIONS, list(rows))


def passed(truth, *rows):
    clean = truth.clean(batch(corrections=corrections(*rows))).corrections
    return clean.select("ts", "id", "price", "size").with_columns(clean["ts"].dt.timestamp("ns")).rows()


def test_a_cancelled_print_is_found_by_its_id_with_its_own_time_and_size():
    truth = TruthFilter()
    truth.clean(batch(trades=trades((1, "IWM", 250.0, 100.0, 7), (2, "IWM", 250.1, 50.0, 8))))
    assert passed(truth, (60, "IWM", "cancel", 8, 250.0, 1.0, *CANCELLED)) == [(at(2), 8, 250.1, 50.0)]


def test_an_unknown_or_missing_id_is_left_to_the_price():
    truth = TruthFilter()
    truth.clean(batch(trades=trades((1, "IWM", 250.0, 100.0, 7))))
    rows = [(60, "IWM", "cancel", n, 250.0, 1.0, *CANCELLED) for n in (9, None)]
    assert passed(truth, *rows, (60, "SPY", "cancel", 7, 250.0, 1.0, *CANCELLED)) == [(at(60), None, 250.0, 1.0)] * 3


def test_one_is_taken_back_once_and_what_replaced_it_can_be_too():
    truth = TruthFilter()
    truth.clean(batch(trades=trades((1, "IWM", 250.0, 100.0, 7))))
    fix = (60, "IWM", "correction", 7, 250.0, 100.0, 9, 249.0, 90.0)
    assert passed(truth, fix) == [(at(1), 7, 250.0, 100.0)]
    assert passed(truth, fix) == []
    assert truth.rejects.counts == {("iex", Cause.DUPLICATE): 1}
    assert passed(truth, (61, "IWM", "cancel", 9, 249.0, 90.0, *CANCELLED)) == [(at(1), 9, 249.0, 90.0)]


def test_what_an_earlier_run_took_back_is_known():
    truth, again = TruthFilter(), TruthFilter()
    fix = corrections((60, "IWM", "correction", 7, 250.0, 100.0, 9, 249.0, 90.0))
    again.learn(truth.clean(batch(trades=trades((1, "IWM", 250.0, 100.0, 7)))))
    again.learn(truth.clean(batch(corrections=fix)))
    assert again.clean(batch(corrections=fix)).corrections.is_empty()
    assert passed(again, (61, "IWM", "cancel", 9, 249.0, 90.0, *CANCELLED)) == [(at(1), 9, 249.0, 90.0)]


def test_a_price_that_another_print_of_the_minute_had_stands():
    truth = TruthFilter()
    truth.clean(
        batch(trades=trades((1, "IWM", 250.0, 100.0, 7), (30, "IWM", 250.0, 5.0, 8), (60, "IWM", 250.0, 1.0, 9)))
    )
    price = [row[2] for n in (9, 8, 7) for row in passed(truth, (70, "IWM", "cancel", n, 250.0, 1.0, *CANCELLED))]
    assert price == [250.0, pytest.approx(math.nan, nan_ok=True), 250.0]


def test_a_price_that_another_print_of_the_moment_had_stands():
    truth = TruthFilter()
    truth.clean(batch(trades=trades((1, "IWM", 250.0, 100.0, 7), (1, "IWM", 250.0, 5.0, 8))))
    ((ts, number, price, size),) = passed(truth, (60, "IWM", "cancel", 7, 250.0, 100.0, *CANCELLED))
    assert (ts, number, size) == (at(1), 7, 100.0)
    assert math.isnan(price)
    assert passed(truth, (60, "IWM", "cancel", 8, 250.0, 5.0, *CANCELLED)) == [(at(1), 8, 250.0, 5.0)]


def test_the_frames_of_a_vendor_are_matched():
    """Alpaca's frames, as in its documentation of trades, corrections and cancels."""
    said = [
        {"T": "t", "S": "IWM", "i": 79372207866957, "x": "D", "p": 208.65, "s": 14950, "c": ["@"],
         "z": "B", "t": "2026-01-23T15:00:00.5Z"},
        {"T": "c", "S": "IWM", "x": "D", "oi": 79372207866957, "op": 208.65, "os": 14950, "oc": ["@"],
         "ci": 79372223926359, "cp": 208.6, "cs": 100, "cc": ["@"], "z": "B", "t": "2026-01-23T15:04:00Z"},
        {"T": "x", "S": "IWM", "i": 79372223926359, "x": "D", "p": 208.6, "s": 100, "a": "C",
         "z": "B", "t": "2026-01-23T15:05:00Z"},
    ]  # fmt: skip
    parsed = AlpacaFeed("iex", key="k", secret="s", symbols=["IWM"]).parse([msgspec.json.encode(said)], 0)
    rows = TruthFilter().clean(parsed).corrections
    assert rows["id"].to_list() == [79372207866957, 79372223926359]
    assert rows["ts"].n_unique() == 1
    assert rows["ts"][0] == parsed.trades["ts"][0]


PRINTS = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 12), st.sampled_from([10.0, 11.0]), st.booleans()), max_size=60
)


@given(PRINTS, st.integers(1, 12))
def test_it_remembers_what_a_plain_list_does(rows, kept):
    """Each row is a print, or takes back the newest of that symbol and id among the last so many."""
    known, remembered = KnownPrints(kept), []
    for second, (symbol, number, price, is_print) in enumerate(rows):
        codes = np.array([ord(symbol) - 65], dtype=np.uint32)
        if is_print:
            known.saw(codes, frame(TRADES, [(second, symbol, price, 5.0, number)]))
            remembered = [*remembered, [symbol, number, second, price, True]][-kept:]
            continue
        row = corrections((99, symbol, "cancel", number, price, 1.0, *CANCELLED))
        resolved, again = known.resolve(codes, row)
        meant = next((p for p in reversed(remembered) if p[:2] == [symbol, number]), None)
        assert again.tolist() == [meant is not None and not meant[4]]
        if meant is None:
            assert resolved.equals(row.with_columns(id=None).cast(dict(CORRECTIONS)), null_equal=True)
        elif meant[4]:
            beside = [p for p in remembered if (p[0], p[3], p[4]) == (symbol, meant[3], True) and p is not meant]
            stands = any(at(p[2]) // MINUTE == at(meant[2]) // MINUTE for p in beside)
            assert resolved.select("id", "size").row(0) == (number, 5.0)
            assert resolved["price"][0] == (pytest.approx(math.nan, nan_ok=True) if stands else meant[3])
            assert resolved["ts"].dt.timestamp("ns")[0] == at(meant[2])
            meant[4] = False


def test_corrections_are_counted_and_so_are_those_known_by_no_id():
    truth = TruthFilter()
    truth.clean(batch(trades=trades((1, "IWM", 250.0, 100.0, 7))))
    rows = [(60, "IWM", "cancel", n, 250.0, 1.0, *CANCELLED) for n in (7, 8)]
    passed(truth, *rows, rows[0])
    assert (truth.rejects.corrected["iex"], truth.rejects.untraced["iex"]) == (2, 1)
    assert truth.rejects.counts == {("iex", Cause.DUPLICATE): 1}
