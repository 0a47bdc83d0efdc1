"""``escalate``: who is told later, where nobody acknowledges an alert."""

from __future__ import annotations

from typing import Final

from rules.document import ListNode, MappingNode, Node
from rules.fields import FieldReader, duration_ns
from rules.ruleset import EscalationStep

_EXAMPLE: Final = "[{after: 15m, to: desk-mail}, {after: 1h, to: [boss, desk-mail]}]"
_KEYS: Final = ("after", "to")
_ELSEWHERE: Final = {
    "for": "how long nobody has to have answered is `after`",
    "receiver": "receivers are named with `to`",
    "notify": "receivers are named with `to`",
}


def read_escalation(reader: FieldReader, node: Node, key: str) -> tuple[EscalationStep, ...] | None:
    """The steps, each later than the one before; ``[]`` is none, whatever the route says. None where one is wrong."""
    if isinstance(node, ListNode) and not node.items:
        return ()
    steps: list[EscalationStep] = []
    good = True
    for item in reader.items(node, key, _EXAMPLE):
        step = _step(reader, item, key, steps[-1].after if steps else 0)
        if step is None:
            good = False
        else:
            steps.append(step)
    return tuple(steps) if good and steps else None


def _step(reader: FieldReader, item: Node, key: str, before: int) -> EscalationStep | None:
    step = reader.mapping(item, key, "{after: 15m, to: desk-mail}")
    if step is None:
        return None
    reader.known_keys(step, _KEYS, "a step of `escalate`", _ELSEWHERE)
    after, to = _after(reader, step, before), _to(reader, step)
    return None if after is None or to is None else EscalationStep(after, *to)


def _after(reader: FieldReader, step: MappingNode, before: int) -> int | None:
    node = step.get("after")
    if node is None:
        reader.wrong(step, "a step of `escalate` has no `after`", "write {after: 15m, to: desk-mail}")
        return None
    scalar = reader.text(node, "after", "write 30s, 15m or 2h")
    if scalar is None:
        return None
    found, hint = duration_ns(scalar.text)
    if not found:
        hint = "who is told at once is named with `notify`" if found == 0 else hint
        reader.wrong(scalar, f"`after` cannot be `{scalar.text}`", hint)
        return None
    if found <= before:
        reader.wrong(scalar, f"`after` of {scalar.text} is not later than the step before it", "put the steps in order")
        return None
    return found


def _to(reader: FieldReader, step: MappingNode) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]] | None:
    node = step.get("to")
    if node is None:
        reader.wrong(step, "a step of `escalate` has no `to`", "write {after: 15m, to: desk-mail}")
        return None
    names = reader.words(node, "to")
    if names is None:
        return None
    nodes = node.items if isinstance(node, ListNode) and node.items else (node,)
    return names, tuple(reader.document.place(each.start) for each in nodes)
