"""A notification as a title, a plain text and an HTML body.

Both bodies are made of the same lines, ``Name: value``, whose names are stable: programs read them from mails. The HTML
keeps them one a line, so that mail services which turn it back into text give the same lines again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from zoneinfo import ZoneInfo

from monitor.notify import values
from monitor.notify.message import SHOWN, AlertNotice, Kind, Notification
from monitor.notify.templates import clipped

_TITLE_LIMIT: Final = 200
_ADDRESS: Final = re.compile(r"https?://(?:[^\s<>&]|&amp;)*(?:[^\s<>&.,:;!?()\[\]]|&amp;)")
"""In escaped text, without the punctuation after it."""
_MOST: Final = 40
"""Expressions and prices shown; a universe of hundreds would make a mail nobody reads. The page shows all."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a service is given. `text` and `html` say the same."""

    title: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Section:
    """Lines below a title."""

    title: str
    lines: tuple[str, ...]


def render(notification: Notification, zone: ZoneInfo = values.NEW_YORK) -> Rendered:
    """The message in the forms services take; `zone` is the exchange's."""
    if notification.alerts:
        return _list(notification, zone)
    said = [f"{name}: {one_line(value)}" for name, value in facts(notification, zone)]
    parts = [section for section in sections(notification, zone) if section.lines]
    key = f"key: {notification.key}"
    text = [notification.summary, "", *said]
    html = [f"<p><b>{escape(notification.summary)}</b></p>", _paragraph(said)]
    for section in parts:
        text += ["", f"{section.title}:", *(f"  {line}" for line in section.lines)]
        html.append(_paragraph([f"{section.title}:", *section.lines]))
    text += ["", key, ""]
    html.append(_paragraph([key]))
    return Rendered(title=title(notification), text="\n".join(text), html="\n".join(html))


def _list(notification: Notification, zone: ZoneInfo) -> Rendered:
    """A group: a line for each alert that is shown in full, those that fire first, and how many more there are."""
    text = [notification.summary]
    html = [f"<p><b>{escape(notification.summary)}</b></p>"]
    for kind in Kind:
        these = [n for n in notification.alerts if n.kind is kind]
        shown = [n for n in these[:SHOWN] if n.summary]
        if not these:
            continue
        text += ["", f"{kind.capitalize()}:"]
        html.append(_paragraph([f"{kind.capitalize()}:"]))
        for notice in shown:
            lines = [f"{heading(notice)}: {one_line(notice.summary)}", *details(notice, zone)]
            text += [f"  {lines[0]}", *(f"    {line}" for line in lines[1:])]
            html.append(_paragraph(lines))
        if len(these) > len(shown):
            more = f"and {len(these) - len(shown):,} more"
            text.append(f"  {more}")
            html.append(_paragraph([more]))
    key = f"key: {notification.key}"
    return Rendered(title(notification), "\n".join([*text, "", key, ""]), "\n".join([*html, _paragraph([key])]))


def heading(notice: AlertNotice) -> str:
    """An alert of a group: ``[warning] sector-turn[XLK]``."""
    name = f"{notice.alert}[{notice.member}]" if notice.member else notice.alert
    return f"[{notice.severity}] {name}" if notice.severity else name


def details(notice: AlertNotice, zone: ZoneInfo) -> Iterable[str]:
    """What is said of an alert of a group beside its summary."""
    yield f"Episode: {notice.episode}"
    yield f"Since: {_both(notice.started_at, zone)}"
    if notice.ack_url:
        yield f"Acknowledge: {notice.ack_url}"
    if notice.value is not None:
        threshold = notice.evidence.get("threshold") or {}
        yield f"Value: {values.shown(notice.value, notice.value_type, like=threshold.get('level'))}"


def title(notification: Notification) -> str:
    """One line: ``[FIRING] small-caps-lead: Small caps lead by 412bp``."""
    summary = one_line(notification.summary)
    if notification.alerts:
        return clipped(f"[{notification.kind.upper()}] {summary}", _TITLE_LIMIT)
    name = one_line(_name(notification))
    head = f"[{notification.kind.upper()}]"
    return clipped(f"{head} {summary}" if summary.startswith(name) else f"{head} {name}: {summary}", _TITLE_LIMIT)


def header(text: str) -> str:
    """A text as a header may have it: what is not printed ASCII is percent-encoded, and so is the percent sign."""
    return "".join(
        character if " " < character < "\x7f" and character != "%" else "".join(f"%{b:02X}" for b in character.encode())
        for character in text
    )


def payload(notification: Notification) -> dict[str, Any]:
    """The fields a program reads from a webhook, beside the text. Times are RFC 3339 UTC, numbers are in base units."""
    return {
        "key": notification.key,
        "episode": notification.episode,
        "state": str(notification.kind),
        "sequence": notification.sequence,
        "receiver": notification.receiver,
        "alert": notification.alert,
        "member": notification.member,
        "severity": notification.severity,
        "at": values.utc(notification.at),
        "started": values.utc(notification.started_at),
        "duration_seconds": _duration_ns(notification) / 1e9,
        "reason": notification.reason,
        "value": notification.value,
        "value_type": notification.value_type,
        "value_text": values.shown(notification.value, notification.value_type),
        "summary": notification.summary,
        "labels": dict(notification.labels),
        "annotations": dict(notification.annotations),
        "evidence": dict(notification.evidence),
        "group_key": notification.group_key,
        "group_labels": dict(notification.group_labels),
        "ack_url": notification.ack_url,
        "alerts": [_alert(notice, notification.receiver) for notice in notification.alerts],
    }


def _alert(notice: AlertNotice, receiver: str) -> dict[str, Any]:
    """One alert of a group, in the words of the message of one."""
    return {
        "key": notice.key(receiver),
        "episode": notice.episode,
        "state": str(notice.kind),
        "sequence": notice.sequence,
        "alert": notice.alert,
        "member": notice.member,
        "severity": notice.severity,
        "at": values.utc(notice.at),
        "started": values.utc(notice.started_at),
        "reason": notice.reason,
        "value": notice.value,
        "value_type": notice.value_type,
        "summary": notice.summary,
        "ack_url": notice.ack_url,
        "labels": dict(notice.labels),
        "annotations": dict(notice.annotations),
        "evidence": dict(notice.evidence),
    }


def facts(notification: Notification, zone: ZoneInfo) -> Iterable[tuple[str, str]]:
    """Names and values of what is known of the message's one alert."""
    yield "State", str(notification.kind)
    yield "Alert", notification.alert
    if notification.member:
        yield "Member", notification.member
    yield "Severity", notification.severity
    yield "Episode", notification.episode
    yield "Reason", notification.reason
    if notification.labels:
        yield "Labels", ", ".join(f"{name}={value}" for name, value in sorted(notification.labels.items()))
    yield "At", _both(notification.at, zone)
    yield "Started", _both(notification.started_at, zone)
    if notification.kind is Kind.RESOLVED:
        yield "Duration", values.span(_duration_ns(notification))
    if notification.ack_url:
        yield "Acknowledge", notification.ack_url
    threshold = notification.evidence.get("threshold") or {}
    if notification.value is not None:
        yield "Value", values.shown(notification.value, notification.value_type, like=threshold.get("level"))
    if threshold:
        kind, level, seen = str(threshold.get("type", "")), threshold.get("level"), threshold.get("value")
        yield "Threshold", f"{threshold.get('expr')} {threshold.get('op')} {values.shown(level, kind, like=seen)}"
        if values.number(threshold.get("distance")) is not None:
            yield "Distance", f"{values.shown(threshold['distance'], kind)} from the threshold"


def sections(notification: Notification, zone: ZoneInfo) -> Iterable[Section]:
    """Annotations, evidence and prices of the message's one alert; a section may be empty."""
    for name, text in sorted(notification.annotations.items()):
        yield Section(one_line(name).capitalize(), tuple(line.strip() for line in text.splitlines() if line.strip()))
    expressions = [
        f"{_about(entry)}{entry.get('expr')} = {values.shown(entry.get('value'), str(entry.get('type', '')))}"
        for entry in notification.evidence.get("expressions") or ()
    ]
    yield Section("Evidence", _limited(expressions))
    prices: Mapping[str, Mapping[str, Any]] = notification.evidence.get("prices") or {}
    yield Section("Prices", _limited([_price(symbol, prices[symbol], zone) for symbol in sorted(prices)]))


def _about(entry: Mapping[str, Any]) -> str:
    """Which member of a universe a value is of."""
    return f"[{entry['member']}] " if entry.get("member") else ""


def _price(symbol: str, entry: Mapping[str, Any], zone: ZoneInfo) -> str:
    ts = entry.get("ts")
    known = isinstance(ts, int) and ts > 0
    return f"{symbol} {values.px(entry.get('price'))}" + (
        f" at {_both(ts, zone)}" if known and isinstance(ts, int) else ""
    )


def _limited(lines: list[str]) -> tuple[str, ...]:
    more = len(lines) - _MOST
    shown = [one_line(line) for line in lines[:_MOST]]
    return (*shown, f"and {more} more") if more > 0 else tuple(shown)


def _both(ts: int, zone: ZoneInfo) -> str:
    """Exchange time and UTC."""
    return f"{values.local(ts, zone)} ({values.utc(ts)})"


def _duration_ns(notification: Notification) -> int:
    return max(0, notification.at - notification.started_at)


def _name(notification: Notification) -> str:
    return f"{notification.alert}[{notification.member}]" if notification.member else notification.alert


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def _paragraph(lines: Iterable[str]) -> str:
    return "<p>" + "<br/>".join(map(_linked, lines)) + "</p>"


def _linked(line: str) -> str:
    """A line as HTML, in which web addresses can be followed."""
    return _ADDRESS.sub(r'<a href="\g<0>">\g<0></a>', escape(line))
