from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.charts.values import Unit, level_text, unit_for, value_axis, written

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0412, Unit.BP, "412bp"),
        (-0.00004, Unit.BP, "0bp"),
        (-0.125, Unit.PERCENT, f"{MINUS}12.5%"),
        (1234.5, Unit.PRICE, "1,234.50"),
        (3.0, Unit.COUNT, "3"),
        (90e9, Unit.MINUTES, "1.5 min"),
        (2.25, Unit.PLAIN, "2.25"),
    ],
)
def test_a_value_has_its_unit(value, unit, text):
    assert written(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.04, Unit.BP, "400bp"),
        (-0.015, Unit.BP, f"{MINUS}150bp"),
        (0.8, Unit.PERCENT, "80%"),
        (0.025, Unit.PERCENT, "2.5%"),
        (2.5, Unit.PLAIN, "2.5"),
        (3.0, Unit.PLAIN, "3"),
    ],
)
def test_a_level_is_written_as_its_author_did(value, unit, text):
    assert level_text(value, unit) == text


def test_small_ratios_are_in_bp_and_large_ones_in_percent():
    assert unit_for("ratio", np.array([0.04, np.nan])) is Unit.BP
    assert unit_for("ratio", np.array([0.04, -0.3])) is Unit.PERCENT
    assert unit_for("price", np.array([0.04])) is Unit.PRICE


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=20), st.sampled_from(list(Unit)), st.booleans())
def test_an_axis_holds_its_values_and_its_ticks_are_even(values, unit, zero):
    axis = value_axis(np.array(values), unit, zero=zero)
    slack = 1e-9 * max(abs(axis.low), abs(axis.high))
    assert axis.low - slack <= min(values)
    assert max(values) <= axis.high + slack
    assert axis.low < axis.high
    assert 2 <= len(axis.ticks) <= 12
    steps = np.diff(axis.ticks)
    assert steps == pytest.approx(steps[0], rel=1e-6)
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in axis.ticks)


def test_ticks_of_one_axis_have_equally_many_decimals_and_no_two_are_alike():
    axis = value_axis(np.array([0.5, 1.4]), Unit.PLAIN)
    assert [axis.text(t) for t in axis.ticks] == ["0.4", "0.6", "0.8", "1.0", "1.2", "1.4"]


def test_nothing_known_still_makes_an_axis():
    axis = value_axis(np.array([np.nan]), Unit.BP)
    assert axis.low < 0 < axis.high
