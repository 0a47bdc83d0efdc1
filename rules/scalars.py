"""Scalars of YAML: what plain ones mean, and where in the file each of their characters stands."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT: Final = re.compile(r"[-+]?[0-9]{1,30}\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITE: Final = re.compile(r"(?P<sign>[-+]?)\.(?:inf|Inf|INF)\Z")
_NAN: Final = frozenset({".nan", ".NaN", ".NAN"})
_BREAKS: Final = "\n\r\x85\u2028\u2029"
_BLANK: Final = " \t" + _BREAKS
_ESCAPE: Final = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)


def plain_value(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar is by the core schema of YAML 1.2; octal and hexadecimal numbers stay text.

    Examples:
        >>> [plain_value(t) for t in ("on", "1:30", "true", "12", "1e3", "~")]
        ['on', '1:30', True, 12, 1000.0, None]
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    if match := _INFINITE.match(text):
        return -math.inf if match["sign"] == "-" else math.inf
    return math.nan if text in _NAN else text


@lru_cache(maxsize=8)
def offsets(value: str, raw: str, style: str) -> list[int]:
    """For each character of a scalar's value, where it stands in `raw`, its text in the file; one more for its end.

    Walks both at once. Line breaks are folded and indentation dropped by rules that differ by style; what they have in
    common is that only blanks appear or vanish, so blanks are skipped until both agree again.

    Args:
        value: The scalar's value.
        raw: As in the file: with quotes, or with the ``|`` or ``>`` line.
        style: As in :class:`rules.document.Scalar`.
    """
    at = _beginning(raw, style)
    last = len(raw)
    places: list[int] = []
    for character in value:
        if style == '"':
            while raw[at : at + 1] == "\\" and raw[at + 1 : at + 2] in _BREAKS and at + 1 < last:
                at = _after_blanks(raw, at + 1)
        found = raw[at : at + 1]
        if style == '"' and found == "\\":
            places.append(at)
            escape = _ESCAPE.match(raw, at)
            at = escape.end() if escape else at + 1
            continue
        if character in _BLANK:
            places.append(min(at, last))
            if found in _BREAKS and character == " ":
                at = _after_blanks(raw, at)
            elif found == character or found in _BLANK:
                at += 1
            continue
        at = _after_blanks(raw, at)
        places.append(min(at, last))
        at += 2 if style == "'" and raw[at : at + 2] == "''" else 1
    places.append(min(at, last))
    return places


def _beginning(raw: str, style: str) -> int:
    """Where the value begins: after the quote, or on the line below ``|`` or ``>``."""
    if style in {"|", ">"}:
        return raw.find("\n") + 1
    return len(style)


def _after_blanks(raw: str, at: int) -> int:
    while at < len(raw) and raw[at] in _BLANK:
        at += 1
    return at
