from __future__ import annotations

import json
from pathlib import Path

import pytest

from rules.diagnostics import WIDTH, Diagnostic, Level, listed, render, suggest
from rules.load import load_rules

GOLDEN = Path(__file__).parents[2] / "golden" / "rules"
CASES = sorted(p.stem for p in GOLDEN.glob("[0-9]*.txt"))


@pytest.mark.parametrize("case", CASES)
def test_wrong_rule_file_gets_the_message_it_must(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    name = case if (GOLDEN / case).is_dir() else f"{case}.yaml"
    result = load_rules([name])
    assert render(result.diagnostics) + "\n" == (GOLDEN / f"{case}.txt").read_text(encoding="utf-8")
    assert (result.ruleset is None) == any(d.severity is Level.ERROR for d in result.diagnostics)


def test_there_are_thirty_golden_files_and_each_has_its_input() -> None:
    assert len(CASES) >= 30
    assert all((GOLDEN / f"{case}.yaml").exists() or (GOLDEN / case).is_dir() for case in CASES)


def test_rendering_shows_line_caret_and_hint() -> None:
    problem = Diagnostic("a.yaml", 2, 3, Level.ERROR, "unknown key `wen`", "it has `when`", "  wen: x")
    assert problem.render() == "a.yaml:2:3: error: unknown key `wen`\n  wen: x\n  ^\n  hint: it has `when`"


def test_a_fault_of_the_whole_file_has_no_place() -> None:
    assert Diagnostic("a.yaml", 0, 0, Level.WARNING, "is empty").render() == "a.yaml: warning: is empty"


def test_a_long_line_is_cut_around_the_column() -> None:
    line = "x" * 1000 + "HERE" + "y" * 1000
    _, shown, caret = Diagnostic("a.yaml", 1, 1001, Level.ERROR, "m", source_line=line).render().split("\n")
    assert len(shown) <= WIDTH + 3
    assert shown[caret.index("^") :].startswith("HERE")


def test_the_caret_stands_right_below_wide_characters_and_tabs() -> None:
    _, shown, caret = Diagnostic("a.yaml", 1, 4, Level.ERROR, "m", source_line="日本\tx").render().split("\n")
    assert shown == "日本 x"
    assert caret == "     ^"


def test_nothing_in_a_file_can_move_the_cursor_of_a_terminal() -> None:
    text = Diagnostic("a.yaml", 1, 1, Level.ERROR, "m", source_line="a\x1b[2J\rb\x07").render()
    assert not set(text) & {"\x1b", "\r", "\x07"}


def test_as_json_is_plain() -> None:
    problem = Diagnostic("a.yaml", 2, 3, Level.ERROR, "m", "h", "line")
    assert json.loads(json.dumps(problem.as_json())) == {
        "file": "a.yaml",
        "line": 2,
        "column": 3,
        "end_column": 4,
        "severity": "error",
        "message": "m",
        "hint": "h",
        "source_line": "line",
    }


@pytest.mark.parametrize(
    ("word", "known", "found"),
    [
        ("smal_caps", ["small_caps", "large_caps"], "small_caps"),
        ("spy", ["SPY", "QQQ"], "SPY"),
        ("zzz", ["small_caps"], None),
        ("x", [], None),
    ],
)
def test_suggestions(word: str, known: list[str], found: str | None) -> None:
    assert suggest(word, known) == found


def test_listed() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b or c"
