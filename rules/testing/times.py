"""Times of a test: its start, its step, and when an expectation is looked at."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rules.ast import Clock, Sessions
from rules.diagnostics import did_you_mean
from rules.document import Node, ScalarNode
from rules.fields import FieldReader
from rules.literals import CLOCK_UNITS, MAX_SESSIONS
from rules.testing.cases import Day, Instant, When

LONGEST: Final = 366 * 24 * CLOCK_UNITS["h"]

_AFTER: Final = re.compile(r"(?:[0-9]{1,9}[hms])+\Z")
_PART: Final = re.compile(r"([0-9]{1,9})([hms])")
_SESSIONS: Final = re.compile(r"([0-9]{1,5})([dw])\Z")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ZONES: Final = ("America/New_York", "Europe/London", "Europe/Berlin", "Asia/Tokyo", "Asia/Taipei", "UTC")
_TIMES: Final = "such as 2026-01-02 09:30 America/New_York, 2026-01-02T14:30Z (UTC), or a date"


def read_start(reader: FieldReader, node: Node) -> Instant | Day | None:
    """A time, or a date."""
    scalar = reader.text(node, "start", _TIMES)
    return None if scalar is None else _moment(reader, scalar, scalar.text.strip(), "start")


def read_every(reader: FieldReader, node: Node) -> Clock | Sessions | None:
    """Clock time, or ``1d``."""
    hint = "write clock time such as 1m, 5m or 1h, or 1d for one step a session, at its close"
    scalar = reader.text(node, "every", hint)
    if scalar is None:
        return None
    text = scalar.text.strip()
    if text == "1d":
        return Sessions(1)
    if _AFTER.match(text) and 0 < (ns := _clock(text)) <= LONGEST:
        return Clock(ns)
    reader.wrong(scalar, f"`every` cannot be `{text}`", hint)
    return None


def read_at(reader: FieldReader, node: Node) -> When | None:
    """Clock time or sessions after the start, or a time."""
    hint = "write the time since the start: 0, 20m, 1h30m, or 3d (sessions); or a time"
    scalar = reader.text(node, "at", hint)
    if scalar is None:
        return None
    text = scalar.text.strip()
    if text == "0":
        return Clock(0)
    if _AFTER.match(text) and (ns := _clock(text)) <= LONGEST:
        return Clock(ns)
    if match := _SESSIONS.match(text):
        count = int(match[1]) * (5 if match[2] == "w" else 1)
        if count <= MAX_SESSIONS:
            return Sessions(count)
    if re.match(r"[0-9]{4}-", text):
        return _moment(reader, scalar, text, "at")
    if re.fullmatch(r"[0-9]+", text):
        hint = f"{text} of what? write {text}m or {text}d"
    reader.wrong(scalar, f"`at` cannot be `{text}`", hint)
    return None


def _clock(text: str) -> int:
    return sum(int(number) * CLOCK_UNITS[unit] for number, unit in _PART.findall(text))


def _moment(reader: FieldReader, scalar: ScalarNode, text: str, key: str) -> Instant | Day | None:
    written, zone_text = text, ""
    if match := re.match(r"(.*[0-9Zz])\s+([A-Za-z][\w/+-]*)\Z", text):
        written, zone_text = match[1], match[2]
    try:
        if _DATE.match(text):
            return Day(dt.date.fromisoformat(text))
        moment = dt.datetime.fromisoformat(written)
    except ValueError:
        reader.wrong(scalar, f"`{key}` cannot be `{text}`", _TIMES)
        return None
    zone: dt.tzinfo = dt.UTC
    if zone_text:
        if moment.tzinfo is not None:
            reader.wrong(scalar, f"`{key}` has an offset and a zone: `{text}`", "write one of the two")
            return None
        try:
            zone = ZoneInfo(zone_text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            reader.wrong(scalar, f"`{zone_text}` is no time zone{did_you_mean(zone_text, _ZONES)}", _TIMES)
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return Instant((moment - _EPOCH) // dt.timedelta(microseconds=1) * 1000)
