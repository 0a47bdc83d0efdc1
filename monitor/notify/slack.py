"""A notification as Slack's blocks: a header, what happened, its evidence in fields, and where to read more.

What Slack takes is limited (https://docs.slack.dev/reference/block-kit/blocks/): a message that exceeds a limit is
refused as a whole, so each is kept here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from monitor.notify import values
from monitor.notify.message import SHOWN, Kind, Notification
from monitor.notify.render import details, facts, heading, one_line, sections, title
from monitor.notify.templates import clipped

BLOCKS: Final = 50
HEADER: Final = 150
TEXT: Final = 3_000
FIELDS: Final = 10
FIELD: Final = 2_000
TOTAL: Final = 12_000
"""Characters of all blocks together: Slack answers ``msg_blocks_too_long`` from 13,200 on."""
_ENDS: Final = 2
"""Blocks kept free at the end: that the message was shortened, and the context."""
_LINE: Final = 600
_ASIDE: Final = frozenset({"Episode", "Labels", "At"})
"""Facts that stand in the context, below the others."""


def blocks(notification: Notification, zone: ZoneInfo = values.NEW_YORK, page: str = "") -> list[dict[str, Any]]:
    """The message; `page`: address of the monitor's page, which the context links to; empty: no link."""
    body = _several(notification, zone) if notification.alerts else _one(notification, zone)
    aside = _context(notification, zone, page)
    kept: list[dict[str, Any]] = [_header(notification)]
    room = TOTAL - _size(kept[0]) - _size(aside)
    for block in body:
        room -= _size(block)
        if room < 0 or len(kept) >= BLOCKS - _ENDS:
            kept.append(_section("_There is more; the page shows all._"))
            break
        kept.append(block)
    return [*kept, aside]


def escaped(text: str) -> str:
    """Text that means itself: Slack gives a meaning to three characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _header(notification: Notification) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": clipped(title(notification), HEADER)}}


def _one(notification: Notification, zone: ZoneInfo) -> Iterable[dict[str, Any]]:
    yield _section(escaped(one_line(notification.summary)))
    told = [(name, text) for name, text in facts(notification, zone) if name not in _ASIDE]
    yield from _fields(told)
    for section in sections(notification, zone):
        pairs = [tuple(line.rsplit(" = ", 1)) for line in section.lines]
        if section.title == "Evidence" and pairs:
            yield _section("*Evidence*")
            yield from _fields([(pair[0], pair[1] if len(pair) > 1 else "") for pair in pairs])
        elif section.lines:
            yield from _listed(f"*{escaped(section.title)}*", [escaped(line) for line in section.lines])


def _several(notification: Notification, zone: ZoneInfo) -> Iterable[dict[str, Any]]:
    for kind in Kind:
        these = [notice for notice in notification.alerts if notice.kind is kind]
        shown = [notice for notice in these[:SHOWN] if notice.summary]
        lines = []
        for notice in shown:
            about = [clipped(escaped(one_line(line)), _LINE) for line in (notice.summary, *details(notice, zone))]
            lines.append("\n".join([f"*{clipped(escaped(one_line(heading(notice))), _LINE)}*", *about]))
        if len(these) > len(shown):
            lines.append(f"and {len(these) - len(shown):,} more")
        if lines:
            yield from _listed(f"*{kind.capitalize()}*", lines)


def _listed(head: str, lines: Sequence[str]) -> Iterable[dict[str, Any]]:
    """Lines below a heading, in as few sections as they fit in."""
    text = head
    for line in lines:
        part = _cut(line, TEXT)
        if len(text) + 1 + len(part) > TEXT:
            yield _section(text)
            text = part
        else:
            text += f"\n{part}"
    yield _section(text)


def _fields(pairs: Sequence[tuple[str, str]]) -> Iterable[dict[str, Any]]:
    fields = [
        {"type": "mrkdwn", "text": _cut(f"*{escaped(one_line(name))}*\n{escaped(one_line(text))}", FIELD)}
        for name, text in pairs
    ]
    for start in range(0, len(fields), FIELDS):
        yield {"type": "section", "fields": fields[start : start + FIELDS]}


def _context(notification: Notification, zone: ZoneInfo, page: str) -> dict[str, Any]:
    said = [f"{name}: {text}" for name, text in facts(notification, zone) if name in _ASIDE]
    said = [] if notification.alerts else said
    texts = [escaped(one_line(text)) for text in (*said, f"key: {notification.key}")]
    if page:
        texts.append(f"<{page}|Rotation Monitor>")
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(text, FIELD)} for text in texts]}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, TEXT)}}


def _cut(text: str, limit: int) -> str:
    """As :func:`clipped`, not in the middle of an escaped character."""
    if len(text) <= limit:
        return text
    start = text[: limit - 1]
    last = start.rfind("&")
    return (start[:last] if last > len(start) - len("&amp;") and ";" not in start[last:] else start).rstrip() + "…"


def _size(block: dict[str, Any]) -> int:
    texts = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
    return sum(len(text["text"]) for text in texts if text)
