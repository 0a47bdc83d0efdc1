"""Files of rule tests, mutated: an answer or diagnostics, never anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.calendar import CalendarError, TradingCalendar
from monitor.rule_tests import plan
from rules.diagnostics import Level
from rules.testing import load_tests

RULES = """
aliases: {small_caps: IWM}
universes: {sectors: [XLB, XLE]}
groups:
  - name: g
    rules:
      - {record: lead, value: "excess(IWM, SPY, 1d)"}
      - {alert: ahead, when: lead > 400bp, for: 10m}
      - {alert: sector, each: sectors, when: "ret(it, 1d) > 1%"}
"""
TEXT = """
rules: [rules.yaml]
calendar: XNYS
tests:
  - name: one
    start: 2026-01-02 09:30 America/New_York
    every: 5m
    history: {IWM: 240x20, SPY: 680x20, pe: 25x3}
    volume_history: {IWM: 5x20}
    prices: {small_caps: 240 252x4 252..246x3 _x2, SPY: 680x8, sectors: [100, 101x2]}
    quotes: {XLE: {bid: 99x3, ask: 101x3}}
    volumes: {IWM: 10x8}
    series: {pe: _x2 4%}
    only: true
    expect:
      - {at: 20m, alert: ahead, state: firing, value: 500bp, labels: {a: b}, summary: text}
      - {at: 1d, alert: sector, member: XLE, state: inactive}
      - {at: 10m, record: lead, value: 5%}
      - {at: 2026-01-02 10:00 America/New_York, eval: "ret(IWM, 1d) > 1%", value: true}
      - {at: 0, firing: ["sector:XLE"]}
  - name: two
    start: 2026-01-02
    every: 1d
    prices: {IWM: 240..250x3}
    expect: [{at: 2d, alert: ahead, state: inactive, value: unknown}]
"""
WORDS = TEXT.replace(",", " ").split()
PIECES = [
    *WORDS,
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "\n",
    "  ",
    "_x9",
    "1x99999999",
    "..",
    "x",
    "-1",
    "1e9",
    "~",
    "''",
    "&a",
    "*a",
    "!!x",
]
CALENDAR = TradingCalendar()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tests")
    (path / "rules.yaml").write_text(RULES)
    return path


def outcome(folder: Path, text: str) -> list[bool]:
    """Whether each test passes; empty where the file is wrong."""
    file = folder / "a.test.yaml"
    file.write_text(text, encoding="utf-8")
    loaded = load_tests(file)
    if loaded.file is None:
        assert any(d.severity is Level.ERROR for d in loaded.diagnostics)
        return []
    try:
        calendar = TradingCalendar(loaded.file.calendar) if loaded.file.calendar != "XNYS" else CALENDAR
    except CalendarError:
        return []
    planned = plan(loaded.file, calendar)
    if any(d.severity is Level.ERROR for d in loaded.file.reader.problems):
        return []
    return [one.run().passed for one in planned if one.count < 1000]


def test_the_text_itself_is_right(folder: Path) -> None:
    assert outcome(folder, TEXT) == [False, True]


@given(
    st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=4)
)
@settings(max_examples=150)
def test_mutated_files(folder: Path, changes: list[tuple[int, int, str]]) -> None:
    text = TEXT
    for at, length, piece in changes:
        text = text[:at] + piece + text[at + length :]
    outcome(folder, text)


@given(st.lists(st.tuples(st.integers(0, len(WORDS) - 1), st.sampled_from(PIECES)), min_size=1, max_size=2))
@settings(max_examples=150)
def test_files_with_other_words(folder: Path, changes: list[tuple[int, str]]) -> None:
    text = TEXT
    for at, piece in changes:
        text = text.replace(WORDS[at], piece, 1)
    outcome(folder, text)
