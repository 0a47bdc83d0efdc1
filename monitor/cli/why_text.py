"""Why a rule fires or does not, as a tree of lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from monitor.notify.values import span

_SECOND: Final = 1_000_000_000
_LIMIT: Final = {"and": "all of", "or": "any of", "not": "not"}


def why_lines(why: Mapping[str, Any]) -> Iterator[str]:
    """The answer of ``/api/v1/why/RULE`` for people."""
    yield f"{why['alert']} ({why['severity']}), {why['source']}"
    yield f"  when {why['when']}" + (f"; until {why['until']}" if why["until"] else "")
    if why["suspended"]:
        yield f"  suspended: {why['suspended']}"
    if why["at"] is None:
        yield "  no data has come yet"
    elif not why["open"]:
        yield f"  as of {why['at']}, outside of its hours ({why['hours']}): it is not judged now"
    else:
        yield f"  as of {why['at']}"
    for instance in why["instances"]:
        yield ""
        yield from _instance(why, instance)
    if why["more"]:
        yield f"and {why['more']:,} more instances"
    yield from _telling(why)


def _instance(why: Mapping[str, Any], instance: Mapping[str, Any]) -> Iterator[str]:
    name = f"{why['alert']}[{instance['member']}]" if instance["member"] else why["alert"]
    head = f"{name} is {instance['state']}"
    if instance["episode"]:
        head += f" since {instance['since']}, episode {instance['episode']}"
    if instance["remaining_seconds"] is not None:
        left, whole = (span(instance[key] * _SECOND) for key in ("remaining_seconds", "of_seconds"))
        head += f": {left} of {whole} are left" + ("" if instance["running"] else ", and its time stands still")
    yield head
    if instance["condition"] == "until":
        yield "  it ends when"
    yield from _branches([instance["tree"]], "  ")
    for reason in instance["unknown"]:
        yield f"  unknown because of {reason}"


def _branches(nodes: list[Mapping[str, Any]], indent: str) -> Iterator[str]:
    for number, node in enumerate(nodes):
        last = number == len(nodes) - 1
        yield f"{indent}{'└─' if last else '├─'} {_said(node)}"
        yield from _branches(node["parts"], indent + ("   " if last else "│  "))


def _said(node: Mapping[str, Any]) -> str:
    about = f"[{node['member']}] " if node.get("member") else ""
    text = f"{about}{' '.join(node['expr'].split())} = {node['text']}"
    if node["missing"] and node.get("op") in _LIMIT and len(node["parts"]) > 1:
        return f"{text}   needs {_LIMIT[node['op']]} these"
    if "watched_text" in node:
        text += f"   ({node['watched_text']} {node['op']} {node['level_text']}"
        if node.get("move"):
            text += f", has to move {node['move']} by {node['distance_text']}"
        elif "distance_text" in node:
            text += f", {node['distance_text']} apart"
        text += ")"
    return text


def _telling(why: Mapping[str, Any]) -> Iterator[str]:
    if why["verdicts"]:
        yield ""
        yield "Who is told now:"
    for verdict in why["verdicts"]:
        yield f"  {verdict['episode']} to {verdict['receiver']}: {'yes' if verdict['told'] else 'no'}"
        for decision in verdict["decisions"]:
            detail = f" ({decision['detail']})" if decision["detail"] else ""
            until = f", until {decision['until']}" if decision["until"] else ""
            yield f"    {'+' if decision['passed'] else '-'} {decision['stage']}: {decision['reason']}{detail}{until}"
    if why["deliveries"]:
        yield ""
        yield "Who was told:"
        yield from delivery_lines(why["deliveries"], "  ")


def delivery_lines(deliveries: list[Mapping[str, Any]], indent: str) -> Iterator[str]:
    """A line for each time somebody was told."""
    for each in deliveries:
        tries = f", {each['attempts']} attempts" if (each["attempts"] or 1) > 1 else ""
        detail = f" ({each['detail']}{tries})" if each["detail"] else ""
        when = f" at {each['delivered_at']}" if each["delivered_at"] else ""
        yield f"{indent}{each['at']}  {each['receiver']}: {each['reason']}; {each['outcome']}{when}{detail}"
