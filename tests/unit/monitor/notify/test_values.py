from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.notify import values
from tests.unit.monitor.notify.samples import AT

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.0412, "ratio", "412bp"),
        (0.04123, "ratio", "412.3bp"),
        (-0.0104, "ratio", "-104bp"),
        (0.00001, "ratio", "0.1bp"),
        (-0.000001, "ratio", "0bp"),
        (0.1406, "ratio", "14.06%"),
        (-0.25, "ratio", "-25%"),
        (252.0, "price", "252.00"),
        (1.0873, "price", "1.0873"),
        (1.08731, "price", "1.0873"),
        (1.105, "price", "1.105"),
        (-0.0003, "price", "-0.0003"),
        (-0.00001, "price", "0.00"),
        (-0.001, "score", "0.00"),
        (-0.4, "count", "0"),
        (1e307, "ratio", "unknown"),
        (3.449, "score", "3.45"),
        (10.0, "count", "10"),
        (1234567.0, "volume", "1,234,567"),
        (150.0 * SECOND, "duration", "2m 30s"),
        (1.0, "condition", "true"),
        (0.0, "condition", "false"),
        (True, "condition", "true"),
        ("leading", "category", "leading"),
        (3.0, "category", "improving"),
        (None, "ratio", "unknown"),
        (math.nan, "price", "unknown"),
        (math.inf, "score", "unknown"),
        (np.float64(0.05), "ratio", "500bp"),
        ("n/a", "ratio", "n/a"),
    ],
)
def test_a_value_reads_by_its_type(value, kind, text):
    assert values.shown(value, kind) == text


def test_two_ratios_of_one_sentence_share_their_unit():
    assert values.shown(0.04, "ratio", like=0.12) == "4%"
    assert values.shown(0.12, "ratio", like=0.04) == "12%"
    assert values.shown(0.04, "ratio", like=None) == "400bp"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3_600, "1h"),
        (7_505, "2h 5m"),
        (97_200, "1d 3h"),
        (86_405, "1d"),
    ],
)
def test_a_span_shows_its_two_largest_units(seconds, text):
    assert values.span(seconds * SECOND) == text


def test_ago_looks_both_ways():
    assert values.ago(AT - 200 * SECOND, AT) == "3m 20s ago"
    assert values.ago(AT + 300 * SECOND, AT) == "in 5m"
    assert values.ago(AT, AT) == "0s ago"


def test_times_in_utc_and_on_the_exchange_clock():
    assert values.utc(AT) == "2026-01-23T15:07:30Z"
    assert values.utc(AT + 250_000_000) == "2026-01-23T15:07:30.25Z"
    assert values.local(AT) == "2026-01-23 10:07:30 EST"
    assert values.local(AT + 181 * 86_400 * SECOND).endswith("EDT")


@given(
    st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["ratio", "price", "score", "count", "duration"])
)
def test_every_number_reads_as_something_on_one_line(value, kind):
    text = values.shown(value, kind)
    assert text
    assert "\n" not in text
    assert "inf" not in text
    assert "nan" not in text
    assert text not in {"-0", "-0.00", "-0bp", "-0%", "-0s"}
