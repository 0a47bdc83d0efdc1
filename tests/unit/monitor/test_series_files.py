"""When the values of files of external series became known."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from monitor.calendar import TradingCalendar
from monitor.data_files import DataFileError, published, read

CALENDAR = TradingCalendar("XNYS")


def known(tmp_path, text: str) -> list[tuple[str, float]]:
    path = tmp_path / "series.csv"
    path.write_text(text)
    frame = published(read(path), CALENDAR)
    return [(f"{ts:%Y-%m-%d %H:%M}", value) for ts, _, value in frame.rows()]


def test_a_date_is_known_at_its_close_or_the_next(tmp_path):
    assert known(tmp_path, "ts,series,value\n2026-01-16,a,1\n2026-01-17,a,2\n2026-01-21,a,3\n") == [
        ("2026-01-16 21:00", 1),
        ("2026-01-20 21:00", 2),  # a weekend and a holiday
        ("2026-01-21 21:00", 3),
    ]


def test_a_month_is_known_when_it_was_published(tmp_path):
    text = "ts,series,value,published\n2025-11-01,starts,1.3,2026-01-09\n2025-12-01,starts,1.4,2026-01-20T13:30:00Z\n"
    with pytest.raises(DataFileError, match="row 2: published"):
        known(tmp_path, text)
    text = "ts,series,value,published\n2025-11-01,s,1.3,2026-01-09\n2025-12-01,s,1.4,2026-01-20\n"
    assert known(tmp_path, text) == [("2026-01-09 21:00", 1.3), ("2026-01-20 21:00", 1.4)]


def test_a_revision_of_the_newest_counts_and_of_an_older_one_does_not(tmp_path):
    text = """ts,series,value,published
2025-11-01,s,1.0,2025-12-17T13:30:00Z
2025-11-01,s,1.1,2026-01-05T13:30:00Z
2025-11-01,s,1.2,2026-01-20T13:30:00Z
2025-12-01,s,2.0,2026-01-20T13:30:00Z
2025-11-01,s,1.3,2026-01-22T13:30:00Z
"""
    assert known(tmp_path, text) == [("2025-12-17 13:30", 1.0), ("2026-01-05 13:30", 1.1), ("2026-01-20 13:30", 2.0)]


def test_rows_that_cannot_be(tmp_path):
    with pytest.raises(DataFileError, match=r"row 2: ts .* stands in an earlier row with the same series"):
        known(tmp_path, "ts,series,value,published\n2026-01-02,s,1,2026-01-05\n2026-01-02,s,2,2026-01-05\n")
    with pytest.raises(DataFileError, match="row 1: ts 2100-01-01 is after the end of calendar XNYS"):
        known(tmp_path, "ts,series,value\n2100-01-01,s,1\n")


def test_cutting_a_file_changes_nothing_before(tmp_path):
    rows = [
        (dt.date(2026, 1, 1 + day % 28), f"s{day % 3}", float(day), dt.date(2026, 2, 1 + day % 20)) for day in range(84)
    ]
    whole = pl.DataFrame(rows, schema=["ts", "series", "value", "published"], orient="row").unique(
        ["ts", "series", "published"], maintain_order=True
    )
    for last in (dt.date(2026, 2, 5), dt.date(2026, 2, 11)):
        path, early = tmp_path / "whole.parquet", tmp_path / "early.parquet"
        whole.write_parquet(path)
        whole.filter(pl.col("published") <= last).write_parquet(early)
        both = [published(read(p), CALENDAR) for p in (path, early)]
        upto = both[1]["ts"].max()
        assert both[0].filter(pl.col("ts") <= upto).sort("ts", "series").equals(both[1].sort("ts", "series"))
