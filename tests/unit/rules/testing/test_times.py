from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from rules.ast import Clock, Sessions
from rules.document import Node, load
from rules.fields import FieldReader
from rules.testing import Day, Instant
from rules.testing.times import read_at, read_every, read_start

MINUTE = 60 * 10**9
OPEN = Instant(1_767_364_200 * 10**9)
"""2026-01-02 09:30 in New York."""


def read(reading: Callable[[FieldReader, Node], object], text: str) -> object:
    document = load(f"x: {text}")
    reader = FieldReader(document)
    found = reading(reader, document.node(("x",)))
    return found if found is not None else reader.problems[0].message


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("2026-01-02 09:30 America/New_York", OPEN),
        ("2026-01-02T09:30:00 America/New_York", OPEN),
        ("2026-01-02T09:30-05:00", OPEN),
        ("2026-01-02 14:30", OPEN),
        ("2026-01-02T14:30Z", OPEN),
        ("2026-01-02 14:30 UTC", OPEN),
        ("2026-07-02 09:30 America/New_York", Instant(1_782_999_000 * 10**9)),
        ("2026-01-02", Day(dt.date(2026, 1, 2))),
        ("tomorrow", "`start` cannot be `tomorrow`"),
        ("2026-02-30", "`start` cannot be `2026-02-30`"),
        ("2026-01-02 09:30 America/NewYork", "`America/NewYork` is no time zone: did you mean `America/New_York`?"),
        ("2026-01-02 09:30Z Asia/Tokyo", "`start` has an offset and a zone: `2026-01-02 09:30Z Asia/Tokyo`"),
        ("2026-01-02 09:30 ../../etc/passwd", "`start` cannot be `2026-01-02 09:30 ../../etc/passwd`"),
        ("", "`start` is empty"),
    ],
)  # fmt: skip
def test_start(text: str, start: object) -> None:
    assert read(read_start, text) == start


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("5m", Clock(5 * MINUTE)),
        ("1h30m", Clock(90 * MINUTE)),
        ("1d", Sessions(1)),
        ("2d", "`every` cannot be `2d`"),
        ("0s", "`every` cannot be `0s`"),
        ("5", "`every` cannot be `5`"),
    ],
)
def test_every(text: str, every: object) -> None:
    assert read(read_every, text) == every


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("0", Clock(0)),
        ("20m", Clock(20 * MINUTE)),
        ("3d", Sessions(3)),
        ("2w", Sessions(10)),
        ("2026-01-02 09:30 America/New_York", OPEN),
        ("2026-01-05", Day(dt.date(2026, 1, 5))),
        ("20", "`at` cannot be `20`"),
        ("-5m", "`at` cannot be `-5m`"),
    ],
)
def test_at(text: str, at: object) -> None:
    assert read(read_at, text) == at
