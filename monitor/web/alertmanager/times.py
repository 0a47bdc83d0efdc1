"""Times as the Alertmanager API writes them: RFC 3339, milliseconds, UTC; the year 1 says that a time is not set."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
_SECOND: Final = 1_000_000_000
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATEST: Final = 2**63 - 1
"""The last time there is, in April 2262. What is later (``9999-12-31`` for an end that never comes) becomes this."""


def parse(text: str) -> int | None:
    """UTC ns of a time; without a zone it is UTC; what is before 1970 is its start. None for the year 1 and no text.

    Raises:
        ValueError: It is no time.

    Examples:
        >>> parse("2026-01-23T10:00:00.5-05:00")
        1769180400500000000
        >>> parse("0001-01-01T00:00:00.000Z") is None
        True
    """
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:100]!r} is no time such as 2026-01-23T10:00:00Z")
    year, month, day, hour, minute = map(int, found.group(1, 2, 3, 4, 5))
    try:
        whole = dt.datetime(year, month, day, hour, minute, int(found[6] or 0), tzinfo=dt.UTC)
    except ValueError as error:
        raise ValueError(f"{text[:100]!r} is no time: {error}") from None
    if year == 1:
        return None
    since = whole - _EPOCH
    seconds = since.days * 86_400 + since.seconds - _offset(found[8] or "Z")
    ns = seconds * _SECOND + int(((found[7] or "") + "0" * 9)[:9])
    return max(0, min(ns, LATEST))


def text(ns: int) -> str:
    """A time, UTC ns, with milliseconds.

    Examples:
        >>> text(1_769_180_400_500_000_000)
        '2026-01-23T15:00:00.500Z'
    """
    at = _EPOCH + dt.timedelta(milliseconds=ns // 1_000_000)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1_000:03d}Z"


def _offset(zone: str) -> int:
    """Seconds east of UTC."""
    if zone in "Zz":
        return 0
    seconds = int(zone[1:3]) * 3_600 + int(zone[-2:]) * 60
    return -seconds if zone[0] == "-" else seconds
