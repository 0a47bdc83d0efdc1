"""What is said about wrong test files: everything at once, each fault at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.calendar import TradingCalendar
from monitor.rule_tests import plan
from rules.diagnostics import Level, render
from rules.testing import load_tests

GOLDEN = Path(__file__).parents[2] / "golden" / "rule_tests"
CASES = sorted(p.stem for p in GOLDEN.glob("[0-9]*.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_wrong_test_file_gets_the_message_it_must(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    loaded = load_tests(Path(f"{case}.yaml"))
    diagnostics = loaded.diagnostics
    if loaded.file is not None:
        plan(loaded.file, TradingCalendar(loaded.file.calendar))
        diagnostics = loaded.file.reader.problems
    assert any(d.severity is Level.ERROR for d in diagnostics)
    assert render(diagnostics) + "\n" == (GOLDEN / f"{case}.txt").read_text(encoding="utf-8")
