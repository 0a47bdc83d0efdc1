"""Keeps secrets that are written out in a configuration file out of the lines that messages show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from pydantic import SecretStr

from monitor.settings.explain import keys_of, sections
from monitor.settings.problem import Key
from monitor.settings.tree import plain_tree
from rules.diagnostics import Diagnostic
from rules.document import Document, ListNode, MappingNode, Node, ScalarNode

_FREE: Final = frozenset({"feeds", "receivers"})
"""Sections whose keys are names of the user's choice."""
_OPEN: Final = frozenset({"type", "picture"})
"""Keys that are no secrets wherever they stand."""
_CONTENT: Final = re.compile(r"\w")
_REFERENCE: Final = re.compile(r"\$\{[^}]*\}")
_LOGIN: Final = re.compile(r"://[^/\s]*@")
"""An address with a user, and perhaps a password, in it."""
_PATH: Final = re.compile(r"://[^/?#\s]*[/?#]")
"""An address up to its path or query, in either of which some services want a key."""
_LOOKS_SECRET: Final = re.compile(r"key|secret|token|passw|credential|auth|url|://", re.IGNORECASE)


class Mask:
    """Knows where a file's secrets stand: values of secret keys, and of unknown keys, which may be misspelt ones."""

    def __init__(self, document: Document | None) -> None:
        """`document` is None where the file is no YAML: then every line that looks like one has a secret."""
        self._document = document
        tree = plain_tree(document.root) if document else None
        self._secrets = list(_spans(document, tree)) if document else []

    def diagnostic(self, diagnostic: Diagnostic) -> Diagnostic:
        """The same with letters and digits of secrets replaced in the line it shows, columns kept."""
        line = diagnostic.source_line
        if not line:
            return diagnostic
        if self._document is None:
            if not _LOOKS_SECRET.search(line):
                return diagnostic
            start = min((line.find(mark) for mark in (":", "-") if mark in line), default=0)
            return replace(diagnostic, source_line=line[:start] + _stars(line[start:]))
        begin = sum(len(text) + 1 for text in self._document.text.split("\n")[: diagnostic.line - 1])
        for secret in self._secrets:
            start, end = max(secret[0] - begin, 0), min(secret[1] - begin, len(line))
            if start < end:
                line = line[:start] + _stars(line[start:end]) + line[end:]
        return replace(diagnostic, source_line=line)


def _stars(text: str) -> str:
    """Letters and digits as asterisks; a reference such as ``${NAME}`` is no secret and stays."""
    shown, last = [], 0
    for match in _REFERENCE.finditer(text):
        shown += [_CONTENT.sub("*", text[last : match.start()]), match[0]]
        last = match.end()
    return "".join([*shown, _CONTENT.sub("*", text[last:])])


def _spans(document: Document, tree: Any) -> Iterator[tuple[int, int]]:  # noqa: ANN401 - a file's values
    """Where they begin and end in the text."""
    if document.root is None:
        return
    for node in _secrets(document.root, (), tree):
        yield node.start, node.end
    for node in _scalars(document.root):
        if address := _PATH.search(document.text, node.start, node.end):
            yield address.end(), node.end


def _secrets(node: Node, path: tuple[Key, ...], tree: Any) -> Iterator[ScalarNode]:  # noqa: ANN401 - a file's values
    keyed = bool(path) and (sections(path, tree) is not None or (path[0] in _FREE and len(path) <= 2))  # noqa: PLR2004
    if keyed and not isinstance(node, MappingNode):
        yield from _scalars(node)  # an address written where keys were expected
        return
    match node:
        case MappingNode(entries=entries):
            section = sections(path, tree)
            for key, value in entries:
                field = keys_of(section).get(key.text) if section else None
                unknown = field is None and not (len(path) == 1 and path[0] in _FREE) and key.text not in _OPEN
                if unknown or (field is not None and _secret(field.annotation)):
                    yield from _scalars(value)
                else:
                    yield from _secrets(value, (*path, key.text), tree)
        case ListNode(items=items):
            for number, item in enumerate(items):
                yield from _secrets(item, (*path, number), tree)
        case ScalarNode() if _LOGIN.search(str(node.value)):
            yield node


def _secret(annotation: Any) -> bool:  # noqa: ANN401 - any type
    return annotation is SecretStr or any(map(_secret, getattr(annotation, "__args__", ())))


def _scalars(node: Node) -> Iterator[ScalarNode]:
    match node:
        case ScalarNode():
            yield node
        case MappingNode(entries=entries):
            for _, value in entries:
                yield from _scalars(value)
        case ListNode(items=items):
            for item in items:
                yield from _scalars(item)
