from datetime import UTC, datetime

import numpy as np
import pytest
from msgspec.msgpack import Ext

from connectors.timestamps import SECOND, UNREADABLE, msgpack_column, rfc3339, rfc3339_column

WHOLE = int(datetime(2026, 1, 23, 14, 30, 5, tzinfo=UTC).timestamp()) * SECOND

READABLE = {
    "2026-01-23T14:30:05.123456789Z": WHOLE + 123_456_789,
    "2026-01-23T14:30:05.000000001Z": WHOLE + 1,
    "2026-01-23T14:30:05.999999999Z": WHOLE + 999_999_999,
    "2026-01-23T14:30:05.5Z": WHOLE + 500_000_000,
    "2026-01-23T14:30:05.151875Z": WHOLE + 151_875_000,
    "2026-01-23T14:30:05Z": WHOLE,
    "2026-01-23T14:30:05.1234567891Z": WHOLE + 123_456_789,
    "2026-01-23T09:30:05.5-05:00": WHOLE + 500_000_000,
    "2026-01-23T20:00:05+05:30": WHOLE,
    "2026-01-23t14:30:05z": WHOLE,
    "2026-01-23T14:30:05.5000+00:00": WHOLE + 500_000_000,
    "1970-01-01T00:00:00Z": 0,
    "1969-12-31T23:59:59.999999999Z": -1,
    "2024-02-29T00:00:00Z": int(datetime(2024, 2, 29, tzinfo=UTC).timestamp()) * SECOND,
}

WRONG = [
    "",
    "yesterday",
    "2026-01-23",
    "2026-01-23T14:30:05",
    "2026-01-23T14:30:05.Z",
    "2026-01-23T14:30:05,5Z",
    "2026-01-23T14:30:60Z",
    "2026-01-23T14:60:00Z",
    "2026-01-23T24:00:00Z",
    "2026-02-30T14:30:05.123456789Z",
    "2026-13-01T14:30:05.123456789Z",
    "2025-02-29T14:30:05.123456789Z",
    "2026-01-23T14:30:05.12345678 Z",
    "2026-01-23T14:30:05.12345678é",
    "2026-01-23T14:30:0\u0665.123456789Z",
    "2026-01-23T14:30:05.123456789Z ",
    "1600-01-01T00:00:00.000000000Z",
    "2300-01-01T00:00:00.000000000Z",
    "2026-01-23T14:30:05.5+24:00",
]


@pytest.mark.parametrize(("text", "expected"), READABLE.items())
def test_a_time_is_exact_to_the_nanosecond(text, expected):
    assert rfc3339(text) == expected
    assert rfc3339_column([text]).tolist() == [expected]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_time_is_unreadable(text):
    assert rfc3339(text) == UNREADABLE
    assert rfc3339_column([text]).tolist() == [UNREADABLE]


def test_a_column_may_mix_forms_and_wrong_values():
    texts = [*READABLE, *WRONG, *READABLE]
    expected = [*READABLE.values(), *[UNREADABLE] * len(WRONG), *READABLE.values()]
    assert rfc3339_column(texts).tolist() == expected


def test_lengths_that_only_add_up_to_the_full_width_are_noticed():
    texts = ["2026-01-23T14:30:05.12345678Z", "2026-01-23T14:30:05.1234567890Z"]
    assert rfc3339_column(texts).tolist() == [WHOLE + 123_456_780, WHOLE + 123_456_789]


def test_an_empty_column():
    assert rfc3339_column([]).tolist() == []
    assert msgpack_column([]).tolist() == []


def test_the_three_forms_of_messagepack():
    stamps = [
        Ext(-1, (WHOLE // SECOND).to_bytes(4, "big")),
        Ext(-1, (123_456_789 << 34 | WHOLE // SECOND).to_bytes(8, "big")),
        Ext(-1, (999_999_999).to_bytes(4, "big") + (-1).to_bytes(8, "big", signed=True)),
        Ext(-1, (1 << 29 << 34 | (1 << 34) - 1).to_bytes(8, "big")),
    ]
    expected = [WHOLE, WHOLE + 123_456_789, -1, UNREADABLE]
    assert msgpack_column(stamps).tolist() == expected
    assert [int(msgpack_column([stamp])[0]) for stamp in stamps] == expected


@pytest.mark.parametrize(
    "stamp",
    [
        Ext(-1, b""),
        Ext(-1, b"12345"),
        Ext(7, bytes(8)),
        Ext(-1, (SECOND << 34).to_bytes(8, "big")),
        Ext(-1, (SECOND).to_bytes(4, "big") + bytes(8)),
        Ext(-1, bytes(4) + (2**63 - 1).to_bytes(8, "big")),
        Ext(-1, bytes(4) + (-(2**63)).to_bytes(8, "big", signed=True)),
    ],
)
def test_what_is_no_messagepack_time_is_unreadable(stamp):
    assert msgpack_column([stamp]).tolist() == [UNREADABLE]
    good = Ext(-1, bytes(8))
    assert msgpack_column([good, stamp, good]).tolist() == [0, UNREADABLE, 0]


def test_unreadable_is_not_a_time_for_numpy():
    assert np.isnat(np.array([UNREADABLE]).view("datetime64[ns]")).all()
