"""The README's table of January 2026 is what its command makes."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.tables.january import BEGIN, END, README, STAGES, table, with_table


@pytest.mark.realdata
def test_the_readme_has_the_table_as_measured(shared_data):
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text, table(shared_data))


def test_one_line_a_session():
    rows = README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].splitlines()
    days = [dt.datetime.strptime(f"{row.split('|')[1].strip()} 2026", "%a %d %B %Y").date() for row in rows[2:]]  # noqa: DTZ007
    assert len(days) == 20
    assert (days[0], days[-1]) == (dt.date(2026, 1, 2), dt.date(2026, 1, 30))
    assert dt.date(2026, 1, 19) not in days  # a holiday
    streaks = [int(row.split("|")[3]) for row in rows[2:]]
    assert streaks[:15] == [*range(1, 15), 0]
    assert {stage for stage in STAGES.values() if any(f" {stage}" in row.split("|")[4] for row in rows[2:])} == {
        "early",
        "building",
    }


def test_markers_are_needed():
    assert with_table(f"a\n{BEGIN}old\n{END}\nb", "new\n") == f"a\n{BEGIN}new\n{END}\nb"
    with pytest.raises(ValueError, match="january: begin"):
        with_table("a", "new")
