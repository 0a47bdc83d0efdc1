"""YAML with the place of everything in it.

A scalar is kept as it was written, and is read as what its field expects, so that ``on``, ``no``, ``1:30`` and dates
are no traps; :attr:`Document.data` reads by the core schema of YAML 1.2 (``null``, ``true``, ``false``, numbers,
everything else text).

Files may come from anybody: their size, the nesting, and what aliases (``*name``) repeat are bounded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from rules.diagnostics import Diagnostic, Level
from rules.scalars import offsets, plain_value
from rules.yaml_faults import QUOTE, explained

MAX_BYTES: Final = 1_000_000
"""A thousand rules are about 250,000."""
MAX_DEPTH: Final = 32
MAX_NODES: Final = 100_000
"""Values of a document."""
MAX_REPEATED: Final = 10_000
"""Values that aliases repeat, each counted as often as it is repeated."""
MAX_DOUBLE_KEYS: Final = 100
"""Keys that stand twice, of which more are not told."""

_NO_TEXT: Final = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What YAML does not allow in a file: control characters, halves of pairs, a byte order mark in the middle."""

KeyPath = tuple[str | int, ...]
"""From the top to a value: keys of mappings, positions in lists."""


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """One value, from `start` to `end` in the text. `style` is ``""`` (plain), ``'``, ``"``, ``|`` or ``>``."""

    text: str
    style: str
    start: int
    end: int

    @property
    def value(self) -> str | int | float | bool | None:
        """By the core schema; text if it is quoted."""
        return self.text if self.style else plain_value(self.text)

    @property
    def empty(self) -> bool:
        """Nothing but blanks, or YAML's words for nothing."""
        return self.value is None or not self.text.strip()


@dataclass(frozen=True, slots=True)
class MappingNode:
    """Keys and values in file order; of a key that stands twice, the first."""

    entries: tuple[tuple[ScalarNode, Node], ...]
    start: int

    def get(self, key: str) -> Node | None:
        """The value of a key."""
        return next((value for name, value in self.entries if name.text == key), None)

    def key(self, key: str) -> ScalarNode | None:
        """The key itself, which knows where it stands."""
        return next((name for name, _ in self.entries if name.text == key), None)


@dataclass(frozen=True, slots=True)
class ListNode:
    """Items in file order."""

    items: tuple[Node, ...]
    start: int


Node = ScalarNode | MappingNode | ListNode


class DocumentError(ValueError):
    """A file that is no document as it should be. `document` is what could be read of it, if anything."""

    def __init__(self, diagnostics: list[Diagnostic], document: Document | None = None) -> None:
        super().__init__("\n".join(d.render() for d in diagnostics))
        self.diagnostics = diagnostics
        self.document = document


@dataclass(frozen=True)
class Document:
    """A file that was read. `root` is None for one without content."""

    file: str
    text: str
    root: Node | None

    @cached_property
    def data(self) -> Any:  # noqa: ANN401 - what a file holds is known to who asks for it
        """Everything as dictionaries, lists and plain values; None for a file without content."""
        return None if self.root is None else _plain(self.root)

    def node(self, path: KeyPath) -> Node:
        """What stands at a path.

        Raises:
            KeyError: Nothing.
        """
        found = self.root
        for step in path:
            match found:
                case MappingNode():
                    found = found.get(str(step))
                case ListNode(items=items) if isinstance(step, int) and 0 <= step < len(items):
                    found = items[step]
                case _:
                    found = None
        if found is None:
            raise KeyError(path)
        return found

    def position(self, path: KeyPath) -> tuple[int, int]:
        """Line and column, from 1, of the value at a path. Of a value that is missing: of what it is missing from."""
        for length in range(len(path), -1, -1):
            try:
                return self.place(self.node(path[:length]).start)
            except KeyError:
                continue
        return 1, 1

    def key_position(self, path: KeyPath) -> tuple[int, int]:
        """Line and column, from 1, of the key at a path; of an item of a list, those of the item."""
        try:
            parent = self.node(path[:-1])
        except KeyError:
            return self.position(path)
        key = parent.key(str(path[-1])) if isinstance(parent, MappingNode) and path else None
        return self.position(path) if key is None else self.place(key.start)

    def text_position(self, path: KeyPath, offset: int) -> tuple[int, int]:
        """Line and column, from 1, of a character of the scalar at a path, counted in its value from 0."""
        node = self.node(path)
        return self.place(self.inside(node, offset) if isinstance(node, ScalarNode) else node.start)

    def inside(self, scalar: ScalarNode, offset: int) -> int:
        """The place in the text of a character of a scalar's value."""
        places = offsets(scalar.text, self.text[scalar.start : scalar.end], scalar.style)
        return scalar.start + places[min(offset, len(places) - 1)]

    def place(self, index: int) -> tuple[int, int]:
        """Line and column, from 1, of a place in the text."""
        line = bisect_right(self._line_starts, index) - 1
        return line + 1, index - self._line_starts[line] + 1

    def diagnostic(
        self, index: int, message: str, hint: str = "", severity: Level = Level.ERROR, end: int = 0
    ) -> Diagnostic:
        """What is wrong from a place in the text on, up to `end` or the end of the line, if that is known."""
        line, column = self.place(index)
        shown = self.line(line)
        end_column = min(column + end - index, len(shown) + 1) if end > index else 0
        return Diagnostic(self.file, line, column, severity, message, hint, shown, end_column)

    def line(self, number: int) -> str:
        """A line, counted from 1, without its end."""
        if (known := self._lines.get(number)) is None:
            start = self._line_starts[number - 1]
            end = len(self.text) if number == len(self._line_starts) else self._line_starts[number] - 1
            known = self._lines[number] = self.text[start:end].rstrip("\r")
        return known

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    @cached_property
    def _lines(self) -> dict[int, str]:
        """Lines that were shown: many diagnostics of one long line share it."""
        return {}


def load(source: str | Path, name: str = "") -> Document:
    """Reads a document.

    Args:
        source: A text, or the path of a file.
        name: What messages call it; the path if not given.

    Raises:
        DocumentError: It cannot be read, is no YAML, says a key twice, or is beyond the limits.
    """
    if isinstance(source, Path):
        name = name or str(source)
        return _compose(_read(source, name), name)
    return _compose(source, name or "<text>")


def _read(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError([_whole(name, f"cannot be read: {error.strerror}")]) from error
    if len(content) > MAX_BYTES:
        raise DocumentError([_whole(name, f"larger than {MAX_BYTES // 1_000_000} MB")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        problem = Diagnostic(name, line, column, Level.ERROR, "not UTF-8 text", "save the file with the encoding UTF-8")
        raise DocumentError([problem]) from error


def _whole(name: str, message: str) -> Diagnostic:
    return Diagnostic(name, 0, 0, Level.ERROR, message)


def _compose(text: str, name: str) -> Document:
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES:
        raise DocumentError([_whole(name, f"larger than {MAX_BYTES // 1_000_000} MB")])
    bare = Document(name, text, None)
    if (strange := _NO_TEXT.search(text)) is not None:
        message = f"a character that no text file has: U+{ord(strange[0]):04X}"
        raise DocumentError([bare.diagnostic(strange.start(), message)])
    composer = _Composer(bare)
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        raise DocumentError([*composer.problems, bare.diagnostic(*explained(error, text))]) from error
    except _GiveUp as error:
        raise DocumentError([*composer.problems, error.problem]) from None
    document = Document(name, text, composer.root)
    if composer.problems:
        raise DocumentError(composer.problems, document)
    return document


class _GiveUp(Exception):
    """Reading on would be of no use."""

    def __init__(self, problem: Diagnostic) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A mapping or a list whose end has not come yet."""

    start: int
    is_mapping: bool
    anchor: str | None
    children: list[Node] = field(default_factory=list)
    nodes: int = 1


class _Composer:
    """Builds the nodes from the parser's events, without recursion and within the limits."""

    def __init__(self, document: Document) -> None:
        self.root: Node | None = None
        self.problems: list[Diagnostic] = []
        self._document = document
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._documents = 0
        self._nodes = 0
        self._repeated = 0

    def take(self, event: yaml.Event) -> None:
        """The parser's next event."""
        assert event.start_mark is not None  # noqa: S101 - every event of a parser stands somewhere
        assert event.end_mark is not None  # noqa: S101
        start, end = event.start_mark.index, event.end_mark.index
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._give_up(start, "a second document in one file", "make it a file of its own")
            case yaml.AliasEvent():
                if (known := self._anchors.get(event.anchor or "")) is None:
                    self._give_up(start, f"`*{event.anchor}` repeats something that does not exist", QUOTE)
                self._add(*known, start, repeated=True)
            case yaml.ScalarEvent():
                self._refuse_tag(event, start)
                start = self._after_properties(event, start)
                style = event.style or ("" if event.tag is None else '"')
                node = ScalarNode(event.value, style, start, end)
                self._remember(event.anchor, node, 1)
                self._add(node, 1, start)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_tag(event, start)
                if len(self._open) == MAX_DEPTH:
                    self._give_up(start, f"nested more than {MAX_DEPTH} deep")
                self._open.append(_Open(start, isinstance(event, yaml.MappingStartEvent), event.anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self._open.pop()
                whole = self._mapping(done) if done.is_mapping else ListNode(tuple(done.children), done.start)
                self._remember(done.anchor, whole, done.nodes)
                self._add(whole, done.nodes, done.start)

    def _add(self, node: Node, nodes: int, at: int, *, repeated: bool = False) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if parent.is_mapping and len(parent.children) % 2 == 0 and not isinstance(node, ScalarNode):
            self._give_up(at, "a key has to be a word", "a text that begins with { or [ is quoted")
        parent.children.append(node)
        parent.nodes += nodes
        self._nodes += 1
        self._repeated += nodes if repeated else 0
        if self._nodes > MAX_NODES:
            self._give_up(at, f"more than {MAX_NODES} values in one file", "make several files of it")
        if self._repeated > MAX_REPEATED:
            self._give_up(at, f"aliases repeat more than {MAX_REPEATED} values", "write what is meant, or name it")

    def _mapping(self, done: _Open) -> MappingNode:
        entries: dict[str, tuple[ScalarNode, Node]] = {}
        for key, value in zip(done.children[::2], done.children[1::2], strict=True):
            assert isinstance(key, ScalarNode)  # noqa: S101 - looked at in _add
            if key.text in entries:
                line, _ = self._document.place(entries[key.text][0].start)
                if len(self.problems) < MAX_DOUBLE_KEYS:
                    message = f"`{key.text}` stands here twice: first on line {line}"
                    self.problems.append(self._document.diagnostic(key.start, message))
            else:
                entries[key.text] = (key, value)
        return MappingNode(tuple(entries.values()), done.start)

    def _remember(self, anchor: str | None, node: Node, nodes: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, nodes)

    def _refuse_tag(self, event: Any, start: int) -> None:  # noqa: ANN401 - three kinds of event
        if event.tag not in {None, "!", "tag:yaml.org,2002:str"}:
            self._give_up(start, f"the tag {event.tag} means nothing here", "write the value without it")

    def _after_properties(self, event: Any, start: int) -> int:  # noqa: ANN401 - yaml's events have no types
        """Where the value begins behind its ``&anchor`` and ``!tag``."""
        text = self._document.text
        while (event.anchor is not None or event.tag is not None) and text[start : start + 1] in {"&", "!"}:
            while start < event.end_mark.index and not text[start].isspace():
                start += 1
            while start < event.end_mark.index and text[start].isspace():
                start += 1
        return start

    def _give_up(self, index: int, message: str, hint: str = "") -> NoReturn:
        raise _GiveUp(self._document.diagnostic(index, message, hint))


def _plain(node: Node) -> Any:  # noqa: ANN401 - see Document.data
    match node:
        case ScalarNode():
            return node.value
        case MappingNode(entries=entries):
            return {key.text: _plain(value) for key, value in entries}
        case ListNode(items=items):
            return [_plain(item) for item in items]
