"""A document as plain dictionaries, lists and texts.

A scalar stays as it was written and is read as what its field expects, so that a symbol `ON`, a password of digits and
a date are no traps.
"""

from __future__ import annotations

from typing import Any

from rules.document import ListNode, MappingNode, Node


def plain_tree(node: Node | None) -> Any:  # noqa: ANN401 - whatever stands in the file
    """Texts, lists and dictionaries of a document's node; None where nothing was written."""
    match node:
        case None:
            return None
        case MappingNode(entries=entries):
            return {key.text: plain_tree(value) for key, value in entries}
        case ListNode(items=items):
            return [plain_tree(item) for item in items]
        case _:
            return None if node.value is None else node.text
