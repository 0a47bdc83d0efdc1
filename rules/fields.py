"""Fields of a rule file, each read as the kind it has to be; a fault is noted with its place, and reading goes on."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from rules.ast import Span
from rules.diagnostics import Diagnostic, Level, did_you_mean, listed
from rules.document import Document, ListNode, MappingNode, Node, ScalarNode
from rules.literals import CLOCK_UNITS
from rules.symbols import RESERVED, WORD, looks_like, named
from rules.templates import template_problems

Choice = TypeVar("Choice", bound=StrEnum)

MAX_PROBLEMS: Final = 100
"""Errors, and warnings, of one file that are told."""
NEXT_OPEN: Final = "next_open"
MAX_DURATION: Final = 366 * 24 * CLOCK_UNITS["h"]

_DURATION: Final = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>[smh])\Z")
_SWITCH: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_OWN_LABELS: Final = frozenset({"alert", "alertname", "member", "severity"})


@dataclass(slots=True)
class FieldReader:
    """Reads the nodes of one document."""

    document: Document
    problems: list[Diagnostic] = field(default_factory=list)
    _counts: dict[Level, int] = field(default_factory=dict)

    def wrong(self, node: Node | int, message: str, hint: str = "", level: Level = Level.ERROR, end: int = 0) -> None:
        """Notes a fault."""
        index = node if isinstance(node, int) else node.start
        end = node.end if isinstance(node, ScalarNode) else end
        self._counts[level] = count = self._counts.get(level, 0) + 1
        if count <= MAX_PROBLEMS:
            self.problems.append(self.document.diagnostic(index, message, hint, level, end))
        elif count == MAX_PROBLEMS + 1:
            message = f"more than {MAX_PROBLEMS} {level}s in this file: the rest is not told"
            self.problems.append(self.document.diagnostic(index, message, "", level))

    def wrong_inside(
        self,
        scalar: ScalarNode,
        place: int | Span,
        message: str,
        hint: str = "",
        level: Level = Level.ERROR,
    ) -> None:
        """Notes a fault at a character, or at some, of a scalar's value."""
        span = place if isinstance(place, Span) else Span(place, place + 1)
        end = self.document.inside(scalar, span.end - 1) + 1 if span.end > span.start else 0
        self.wrong(self.document.inside(scalar, span.start), message, hint, level, end)

    # --- structure

    def mapping(self, node: Node, key: str, example: str) -> MappingNode | None:
        """Names and values."""
        if isinstance(node, MappingNode):
            return node
        self.wrong(
            node,
            f"`{key}` is empty" if _is_empty(node) else f"`{key}` has to be names with values",
            f"such as {example}",
        )
        return None

    def items(self, node: Node, key: str, example: str) -> Iterator[Node]:
        """The items of a list."""
        if isinstance(node, ListNode) and node.items:
            yield from node.items
            return
        empty = _is_empty(node) or isinstance(node, ListNode)
        self.wrong(node, f"`{key}` is empty" if empty else f"`{key}` has to be a list", f"such as {example}")

    def known_keys(self, node: MappingNode, known: Collection[str], what: str, elsewhere: dict[str, str]) -> None:
        """Notes keys that `what` does not have. `elsewhere`: hints for keys of other languages and places."""
        for key, _ in node.entries:
            if key.text not in known:
                found = (
                    ""
                    if key.text in elsewhere or self._counts.get(Level.ERROR, 0) >= MAX_PROBLEMS
                    else did_you_mean(key.text, known)
                )
                hint = elsewhere.get(key.text, "" if found else f"{what} has {', '.join(known)}")
                self.wrong(key, f"unknown key `{key.text}`{found}", hint)

    # --- scalars

    def text(self, node: Node, key: str, hint: str = "") -> ScalarNode | None:
        """Any text that is not empty, whatever it would be in YAML. `hint` says what it has to be."""
        if not isinstance(node, ScalarNode):
            self.wrong(node, f"`{key}` has to be one value", hint)
            return None
        if node.empty:
            self.wrong(node, f"`{key}` is empty", hint)
            return None
        return node

    def choice(self, node: Node, key: str, kind: type[Choice]) -> Choice | None:
        """One of a few words."""
        words = [str(word) for word in kind]
        scalar = self.text(node, key, f"it is {listed(words)}")
        if scalar is None:
            return None
        if scalar.text in words:
            return kind(scalar.text)
        self.wrong(
            scalar, f"`{key}` cannot be `{scalar.text}`{did_you_mean(scalar.text, words)}", f"it is {listed(words)}"
        )
        return None

    def switch(self, node: Node, key: str) -> bool | None:
        """True or false."""
        scalar = self.text(node, key, "it is true or false")
        if scalar is None:
            return None
        if (found := _SWITCH.get(scalar.text.lower())) is None:
            self.wrong(scalar, f"`{key}` cannot be `{scalar.text}`", "it is true or false")
        return found

    def duration(self, node: Node, key: str) -> int | None:
        """Nanoseconds of ``30s``, ``10m``, ``2h``, or a plain ``0``."""
        scalar = self.text(node, key, "write 30s, 10m, 2h or 0")
        if scalar is None:
            return None
        found, hint = duration_ns(scalar.text)
        if found is None:
            self.wrong(scalar, f"`{key}` cannot be `{scalar.text}`", hint)
        return found

    def repeat(self, node: Node, key: str) -> tuple[str, ...] | None:
        """A schedule: durations and ``next_open``."""
        given = node.items if isinstance(node, ListNode) and node.items else (node,)
        words: list[str] = []
        for item in given:
            scalar = self.text(item, key)
            if scalar is None:
                return None
            if scalar.text != NEXT_OPEN and not duration_ns(scalar.text)[0]:
                found = did_you_mean(scalar.text, [NEXT_OPEN])
                self.wrong(
                    scalar,
                    f"`{key}` cannot be `{scalar.text}`{found}",
                    f"write durations and {NEXT_OPEN}: [15m, 1h, {NEXT_OPEN}]",
                )
                return None
            words.append(scalar.text)
        return tuple(words)

    def words(self, node: Node, key: str) -> tuple[str, ...] | None:
        """One text, or a list of texts."""
        given = node.items if isinstance(node, ListNode) and node.items else (node,)
        found = [self.text(item, key) for item in given]
        return None if None in found else tuple(scalar.text for scalar in found if scalar is not None)

    # --- names with texts

    def labels(self, node: Node, key: str) -> dict[str, str]:
        """Labels: names with fixed texts."""
        labels: dict[str, str] = {}
        for name, scalar in self._texts(node, key, "{theme: size}"):
            if name.text in _OWN_LABELS:
                instead = "write `severity:` as a key of the rule" if name.text == "severity" else ""
                self.wrong(name, f"the label `{name.text}` is set by the monitor", instead)
            elif "{{" in scalar.text or "{%" in scalar.text:
                self.wrong(scalar, "a label is a fixed text", "templates are for `annotations`")
            else:
                labels[name.text] = scalar.text
        return labels

    def annotations(self, node: Node, key: str) -> dict[str, str]:
        """Annotations: names with templates."""
        annotations: dict[str, str] = {}
        for name, scalar in self._texts(node, key, '{summary: "up {{ value | bp }}"}'):
            annotations[name.text] = scalar.text
            for problem in template_problems(scalar.text):
                self.wrong_inside(scalar, problem.offset, problem.message, problem.hint)
        return annotations

    def _texts(self, node: Node, key: str, example: str) -> Iterator[tuple[ScalarNode, ScalarNode]]:
        mapping = self.mapping(node, key, example)
        for name, value in mapping.entries if mapping else ():
            if not _LABEL.match(name.text):
                self.wrong(name, f"`{name.text}` cannot be a name in `{key}`", "write letters, digits and _")
            elif (scalar := self.text(value, name.text)) is not None:
                yield name, scalar

    def new_name(self, scalar: ScalarNode, what: str) -> str | None:
        """A name that is defined here: a plain word that the language does not use itself."""
        text = scalar.text
        strange = next((c for c in text if not c.isascii()), None)
        if strange is not None:
            self.wrong_inside(scalar, text.index(strange), f"`{text}` contains {named(strange)}", looks_like(strange))
        elif text in RESERVED:
            self.wrong(scalar, f"`{text}` is a word of the language and cannot be {what}")
        elif not WORD.match(text):
            self.wrong(scalar, f"`{text}` cannot be {what}", "write letters, digits and _, and no digit first")
        else:
            return text
        return None


def duration_ns(text: str) -> tuple[int | None, str]:
    """Nanoseconds of a duration of trading time; or None, and what to write."""
    if text == "0":
        return 0, ""
    match = _DURATION.match(text)
    if match and (ns := int(match["count"]) * CLOCK_UNITS[match["unit"]]) <= MAX_DURATION:
        return ns, ""
    if re.fullmatch(r"[0-9]+", text):
        return None, f"{text} of what? write {text}s, {text}m or {text}h"
    if re.fullmatch(r"[0-9]+[dw]", text):
        return None, "it is counted in trading time: write 30s, 10m, 2h or 0 (a regular session has 6h30m: 390m)"
    return None, "write 30s, 10m, 2h or 0"


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.empty
