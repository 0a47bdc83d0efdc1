from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from monitor import calendar
from monitor.calendar import CalendarError, TradingCalendar
from monitor.calendar_cache import cached, keep

FIRST, LAST = dt.date(1998, 1, 1), dt.date(2049, 12, 31)
TABLE = np.arange(30, dtype=np.int64).reshape(3, 10)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "rotation" / "calendars"


def test_what_was_kept_is_found_again() -> None:
    assert cached("XNYS", FIRST, LAST) is None
    keep("XNYS", FIRST, LAST, TABLE)
    found = cached("XNYS", FIRST, LAST)
    assert found is not None
    np.testing.assert_array_equal(found, TABLE)
    assert cached("XLON", FIRST, LAST) is None
    assert cached("XNYS", FIRST, dt.date(2030, 1, 1)) is None


def test_a_calendar_from_the_file_is_the_one_that_was_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out = TradingCalendar("XNYS")
    monkeypatch.setattr(calendar, "_worked_out", lambda name: pytest.fail(f"{name} was worked out again"))
    read = TradingCalendar("XNYS")
    np.testing.assert_array_equal(read.dates, worked_out.dates)
    np.testing.assert_array_equal(read.opens, worked_out.opens)
    np.testing.assert_array_equal(read.closes, worked_out.closes)


@pytest.mark.parametrize("damage", [b"", b"x", slice(0, 100), slice(1, None)])
def test_a_damaged_file_is_not_believed(folder: Path, damage: bytes | slice) -> None:
    keep("XNYS", FIRST, LAST, TABLE)
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[damage] if isinstance(damage, slice) else damage)
    assert cached("XNYS", FIRST, LAST) is None


def test_one_wrong_byte_is_noticed(folder: Path) -> None:
    keep("XNYS", FIRST, LAST, TABLE)
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    assert cached("XNYS", FIRST, LAST) is None


def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep("XNYS", FIRST, LAST, TABLE)
    assert cached("XNYS", FIRST, LAST) is None


def test_no_file_is_left_half_written(folder: Path) -> None:
    keep("XNYS", FIRST, LAST, TABLE)
    keep("XNYS", FIRST, LAST, TABLE + 1)
    assert len(list(folder.iterdir())) == 1


def test_a_name_is_no_path(folder: Path) -> None:
    keep("../../XNYS", FIRST, LAST, TABLE)
    assert not folder.exists()
    with pytest.raises(CalendarError, match="there is no calendar"):
        TradingCalendar("../../XNYS")
