"""What is wrong with a file, where, and what to write instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice
from typing import Final

WIDTH: Final = 160
"""Characters of a source line that are shown; of a longer one, the part around the column."""

CANDIDATES: Final = 5_000
"""How many known names are compared with a misspelt one; comparing costs about 10 microseconds each."""


class Level(StrEnum):
    """Whether a file is refused for it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One fault of a file. `line` and `column` count from 1; line 0 is about the file as a whole.

    `end_column` is the column behind the last faulty character on the line, 0 where only the beginning is known.
    """

    file: str
    line: int
    column: int
    severity: Level
    message: str
    hint: str = ""
    source_line: str = ""
    end_column: int = 0

    def render(self) -> str:
        """``file:line:column: error: message``, then the line with a caret below the column, then the hint.

        Examples:
            >>> problem = Diagnostic("a.yaml", 2, 3, Level.ERROR, "unknown key `wen`", "it has `when`", "  wen: x")
            >>> print(problem.render())
            a.yaml:2:3: error: unknown key `wen`
              wen: x
              ^
              hint: it has `when`
        """
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        lines = [f"{place}: {self.severity}: {self.message}"]
        if self.line and self.source_line.strip():
            shown, caret = _excerpt(self.source_line, self.column - 1)
            lines += [shown, caret]
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, str | int]:
        """The same as an object for other programs."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "end_column": self.end_column or self.column + bool(self.line),
            "severity": str(self.severity),
            "message": self.message,
            "hint": self.hint,
            "source_line": self.source_line,
        }


def render(diagnostics: Iterable[Diagnostic]) -> str:
    """All of them, a blank line between."""
    return "\n\n".join(d.render() for d in diagnostics)


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `word`, whatever its case, if one is alike.

    Examples:
        >>> suggest("smal_caps", ["small_caps", "large_caps"])
        'small_caps'
        >>> suggest("spy", ["SPY"])
        'SPY'
    """
    alike = (name for name in known if abs(len(name) - len(word)) <= 1 + len(word) // 3)
    by_folded = {name.casefold(): name for name in islice(alike, CANDIDATES)}
    found = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.7)
    return by_folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``: did you mean `x`?`` to append to a message, or nothing."""
    found = suggest(word, known)
    return f": did you mean `{found}`?" if found else ""


def listed(words: Sequence[str], last: str = "or") -> str:
    """``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _excerpt(line: str, column: int) -> tuple[str, str]:
    """The part of a line around a column (from 0) with nothing in it that moves a terminal's cursor, and its caret."""
    start = max(0, column - WIDTH // 2) if len(line) > WIDTH else 0
    near = line[start : start + 2 * WIDTH]
    part = "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in near)
    shown = part[:WIDTH].rstrip()
    before = ("..." if start else "") + part[: column - start]
    return ("..." if start else "") + shown, " " * sum(map(_cells, before)) + "^"


def _cells(character: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
