"""What the shipped rules said in January 2026, a line a session, for the README.

``python -m tests.tables.january`` measures it and writes it between the markers; a test compares them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rules.transition import State, Transition
from tests.conftest import ROOT, shared
from tests.tables.history import CLOSES, History, is_firing, library, session

README: Final = ROOT / "README.md"
BEGIN: Final = "<!-- january: begin -->\n"
END: Final = "<!-- january: end -->"
STAGES: Final = {
    "rotation-early": "early",
    "rotation-building": "building",
    "rotation-confirmed": "confirmed",
}
_FIRST: Final = dt.date(2026, 1, 1)
_HEAD: Final = (
    "| close of | small caps, against large | days in a row | stage | fires from here on | resolved |",
    "|---|--:|--:|---|---|---|",
)


def table(folder: Path) -> str:
    """The table, from recorded session closes."""
    ruleset = library()
    history = History(folder, CLOSES)
    leads = history.values("excess(small_caps, large_caps, 1d)", ruleset)
    streaks = history.values("small_caps_streak", ruleset)
    by_day: dict[dt.date, list[Transition]] = {}
    firing: dict[str, None] = {}
    lines = []
    for transition in history.transitions(ruleset):
        by_day.setdefault(session(transition.at), []).append(transition)
    for day, lead in leads.items():
        told = by_day.get(day, [])
        _follow(firing, told)
        if day >= _FIRST:
            stages = ", ".join(STAGES[name] for name in STAGES if name in firing) or "none yet"
            fired = _named(t for t in told if is_firing(t))
            resolved = _named(t for t in told if t.new is State.RESOLVED)
            date = f"{day:%a} {day.day} January"
            lines.append(f"| {date} | {1e4 * lead:+.0f}bp | {streaks[day]:.0f} | {stages} | {fired} | {resolved} |")
    return "".join(f"{line}\n" for line in (*_HEAD, *lines))


def _follow(firing: dict[str, None], told: Sequence[Transition]) -> None:
    """Keep track of what fires of the rules without members."""
    for transition in told:
        if is_firing(transition):
            firing[transition.alert] = None
        elif transition.new is State.RESOLVED:
            firing.pop(transition.alert, None)


def _named(transitions: Iterable[Transition]) -> str:
    """``sector-takes-the-lead (XLB, XLE), value-leads-growth``."""
    members: dict[str, list[str]] = {}
    for transition in transitions:
        members.setdefault(transition.alert, []).extend([transition.member] if transition.member else [])
    return ", ".join(_with_members(name, of) for name, of in members.items())


def _with_members(name: str, members: Sequence[str]) -> str:
    return f"{name} ({', '.join(members)})" if members else name


def with_table(text: str, rows: str) -> str:
    """The text with the table between its markers.

    Raises:
        ValueError: It has no markers, or not in this order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN.strip()} followed by {END}")
    return f"{before}{begin}{rows}{end}{after}"


def main() -> None:
    README.write_text(with_table(README.read_text(encoding="utf-8"), table(shared("data"))), encoding="utf-8")


if __name__ == "__main__":
    main()
