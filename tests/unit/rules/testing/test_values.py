from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.ast import Type
from rules.document import load
from rules.fields import FieldReader
from rules.testing.values import MAX_VALUES, read_expected, read_values


def read(text: str, *, positive: bool = True) -> tuple[tuple[float, ...] | None, list[str]]:
    document = load(f"x: {text}")
    reader = FieldReader(document)
    values = read_values(reader, document.node(("x",)), "IWM", positive=positive)
    return values, [f"{p.column}: {p.message}" for p in reader.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("240", (240.0,)),
        ("240 252x4 246x3", (240.0, *[252.0] * 4, *[246.0] * 3)),
        ("1..3x3", (1.0, 2.0, 3.0)),
        ("3..1x5", (3.0, 2.5, 2.0, 1.5, 1.0)),
        ("5..5x1", (5.0,)),
        ("[240, 1..2x2, '3 4']", (240.0, 1.0, 2.0, 3.0, 4.0)),
        ("1.5, 2.5", (1.5, 2.5)),
        (".5", (0.5,)),
        ("'0.1..0.3x3'", (0.1, 0.2, 0.3)),
    ],
)
def test_values(text: str, expected: tuple[float, ...]) -> None:
    assert read(text) == (pytest.approx(expected, rel=1e-15), [])


def test_missing_values() -> None:
    values, problems = read("1 _ 2 _x3")
    assert problems == []
    assert values is not None
    assert [math.isnan(v) for v in values] == [False, True, False, True, True, True]


def test_series_may_be_negative_and_have_units() -> None:
    assert read("-1 4% -25bp 0", positive=False) == ((-1.0, 0.04, -0.0025, 0.0), [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("240 25o", "8: `IWM`: `25o` is no value"),
        ("240x0", "4: `IWM`: `240x0` is no value: 0 times is never"),
        ("1 2..3", "6: `IWM`: `2..3`: in how many steps?"),
        ("2..3x1", "4: `IWM`: `2..3x1`: one step cannot go from one value to another"),
        ("1 -2", "6: `IWM`: `-2`: a price has to be above 0"),
        ("2..0x3", "4: `IWM`: `2..0x3`: a price has to be above 0"),
        ("4%", "4: `IWM`: `4%`: a price has no unit"),
        ("1x999999999", f"4: `1x999999999`: more than {MAX_VALUES} values for `IWM`"),
        ("{a: 1}", "4: `IWM` has to be one value"),
        ("1e5", "4: `IWM`: `1e5` is no value"),
        ("1x2x3", "4: `IWM`: `1x2x3` is no value"),
        ("x3", "4: `IWM`: `x3` is no value"),
    ],
)
def test_wrong_values(text: str, problem: str) -> None:
    values, problems = read(text)
    assert values is None
    assert problems == [problem]


def test_every_fault_of_a_line_is_noted() -> None:
    assert len(read("a 1 b 0 c")[1]) == 4


@given(
    st.floats(0.01, 1e6).map(lambda x: round(x, 2)), st.floats(0.01, 1e6).map(lambda x: round(x, 2)), st.integers(2, 50)
)
def test_a_ramp_has_its_ends_and_equal_steps(first: float, last: float, count: int) -> None:
    values, problems = read(f"{first:.2f}..{last:.2f}x{count}")
    assert problems == []
    assert values is not None
    assert len(values) == count
    assert (values[0], values[-1]) == (first, last)
    steps = [b - a for a, b in pairwise(values)]
    assert steps == pytest.approx([(last - first) / (count - 1)] * (count - 1), abs=1e-9 * max(first, last))


# --- the value that is expected


def expected(text: str, type_: Type | None) -> tuple[float, float] | str:
    document = load(f"x: {text}")
    reader = FieldReader(document)
    found = read_expected(reader, document.node(("x",)), type_)
    return reader.problems[0].message if found is None else (found.value, found.tolerance)


@pytest.mark.parametrize(
    ("text", "type_", "value", "tolerance"),
    [
        ("500bp", Type.RATIO, 0.05, 0.00005),
        ("5%", Type.RATIO, 0.05, 0.005),
        ("5.00%", Type.RATIO, 0.05, 0.00005),
        ("-1.5%", Type.RATIO, -0.015, 0.0005),
        ("0", Type.RATIO, 0.0, 0.00005),
        ("2.50", Type.SCORE, 2.5, 0.005),
        ("10", Type.COUNT, 10.0, 0.5),
        ("240.1", Type.PRICE, 240.1, 0.05),
        ("5m", Type.DURATION, 300e9, 30e9),
        ("true", Type.CONDITION, 1.0, 0.0),
        ("lagging", Type.CATEGORY, 2.0, 0.0),
    ],
)
def test_expected_is_to_half_of_the_last_digit(text: str, type_: Type, value: float, tolerance: float) -> None:
    assert expected(text, type_) == pytest.approx((value, tolerance))


def test_unknown_can_be_expected_of_every_type() -> None:
    for type_ in (*Type, None):
        found = expected("unknown", type_)
        assert isinstance(found, tuple)
        assert math.isnan(found[0])


@pytest.mark.parametrize(
    ("text", "type_", "message"),
    [
        ("400", Type.RATIO, "400 is a bare number and the value is a ratio: write 400bp or 4%"),
        ("4%", Type.PRICE, "`value` cannot be `4%`: it is a price"),
        ("5m", Type.RATIO, "`value` cannot be `5m`: it is a ratio"),
        ("5", Type.DURATION, "`value` cannot be `5`: it is a duration"),
        ("1", Type.CONDITION, "`value` cannot be `1`: it is a condition"),
        ("leader", Type.CATEGORY, "`value` cannot be `leader`"),
        ("14d", Type.COUNT, "`value` cannot be `14d`: it is a count"),
        ("about 5", Type.COUNT, "`about 5` is no number"),
    ],
)
def test_wrong_expected_values(text: str, type_: Type, message: str) -> None:
    assert expected(text, type_) == message
