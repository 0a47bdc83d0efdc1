from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.queries import known, rfc3339


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, None),
        (1_769_180_850_000_000_000, "2026-01-23T15:07:30Z"),
        (1_769_180_850_500_000_000, "2026-01-23T15:07:30.5Z"),
        (1_769_180_850_000_000_001, "2026-01-23T15:07:30.000000001Z"),
    ],
)
def test_times_keep_their_nanoseconds(ns: int, text: str | None):
    assert rfc3339(ns) == text


@given(st.integers(1, 4_102_444_800_000_000_000))
def test_a_time_can_be_read_back(ns: int):
    text = rfc3339(ns)
    assert text is not None
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(dt.datetime.fromisoformat(whole + "+00:00").timestamp())
    assert seconds * 10**9 + int(fraction.ljust(9, "0")) == ns


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_cannot_carry_is_unknown(value: float):
    assert known(value) is None
