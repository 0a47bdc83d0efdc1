"""How often each shipped rule fired, as the comment above it says.

``python -m tests.tables.fired`` measures it and writes the comments again; a test compares them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rules.transition import Transition
from tests.conftest import shared
from tests.tables.history import CLOSES, LIBRARY, OPENS, History, is_firing, library, session

OF_OPENS: Final = frozenset({"name-gaps-up", "name-gaps-down", "gap-is-sold"})
"""Rules that need opening prices."""
JANUARY: Final = dt.date(2026, 1, 1)
_COMMENT: Final = re.compile(r"(?P<indent> *# )fired .*")
_ALERT: Final = re.compile(r" *- alert: (?P<name>[a-z0-9-]+)")
_ALL_NAMED: Final = 4
"""Firings of January that are all named; of more only the first is."""

Firings = Sequence[tuple[dt.date, str | None]]
"""Session and member, in order of time."""


def firings(transitions: Sequence[Transition]) -> dict[str, Firings]:
    """When each rule fired."""
    found: dict[str, list[tuple[dt.date, str | None]]] = {}
    for transition in filter(is_firing, transitions):
        found.setdefault(transition.alert, []).append((session(transition.at), transition.member))
    return dict(found)


def measured(folder: Path) -> dict[str, str]:
    """The comment of each shipped rule."""
    ruleset = library()
    closes = firings(History(folder, CLOSES).transitions(ruleset))
    opens = firings(History(folder, OPENS).transitions(library(LIBRARY / "leaders.yaml")))
    return {
        rule.name: sentence(opens.get(rule.name, ()), "in 2025", 2025)
        if rule.name in OF_OPENS
        else sentence(closes.get(rule.name, ()), "1999-2022", 1999, 2022)
        for rule in ruleset.alerts
    }


def sentence(found: Firings, span: str, first: int, last: int | None = None) -> str:
    """The comment on a rule: how often it fired in the years from `first` to `last`, called `span`, and in January."""
    before = [day for day, _ in found if first <= day.year <= (last or first)]
    january = [f"{day} {member or ''}".strip() for day, member in found if day >= JANUARY]
    named = ", ".join(january) if len(january) <= _ALL_NAMED else f"first {january[0]}"
    text = f"fired {_times(len(before))} {span}, {_times(len(january))} in January 2026"
    return f"{text}: {named}" if named else text


def stated(files: Sequence[Path]) -> dict[str, str]:
    """What the comments in rule files say, by rule: the last such line above each."""
    found: dict[str, str] = {}
    for file in files:
        said = ""
        for line in file.read_text(encoding="utf-8").splitlines():
            if _COMMENT.match(line):
                said = line.strip().removeprefix("# ")
            elif match := _ALERT.match(line):
                found[match["name"]], said = said, ""
    return found


def rewritten(text: str, comments: Mapping[str, str]) -> str:
    """A rule file with its comments as they should be."""
    lines = text.splitlines(keepends=True)
    place = None
    for n, line in enumerate(lines):
        if _COMMENT.match(line):
            place = n
        elif (match := _ALERT.match(line)) and place is not None:
            lines[place] = _COMMENT.sub(rf"\g<indent>{comments[match['name']]}", lines[place])
            place = None
    return "".join(lines)


def _times(count: int) -> str:
    return "1 time" if count == 1 else f"{count} times"


def main() -> None:
    comments = measured(shared("data"))
    for file in sorted(LIBRARY.glob("*.yaml")):
        file.write_text(rewritten(file.read_text(encoding="utf-8"), comments), encoding="utf-8")


if __name__ == "__main__":
    main()
