"""Literals with units: ``4%``, ``400bp``, ``14d``, ``2h``, ``2025-12-31``."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Final

from rules.ast import Clock, Sessions, Since, Span, Type
from rules.syntax import ExpressionError, Number, Period

SECOND: Final = 1_000_000_000
CLOCK_UNITS: Final = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
SESSION_UNITS: Final = {"d": 1, "w": 5}
SCALES: Final = {"": Decimal(1), "%": Decimal(100), "bp": Decimal(10_000)}

MAX_SESSIONS: Final = 10_000
"""About 40 years."""
MAX_CLOCK: Final = 31 * 24 * CLOCK_UNITS["h"]
MAX_DIGITS: Final = 30

_LITERAL: Final = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?P<unit>[A-Za-z%]*)\Z")

# What people write in other languages, by what it would be here.
_OTHER_UNITS: Final = {
    "bps": "bp", "bip": "bp", "bips": "bp", "BP": "bp", "pct": "%", "percent": "%",
    "S": "s", "sec": "s", "secs": "s", "seconds": "s",
    "M": "m", "min": "m", "mins": "m", "minutes": "m",
    "H": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "D": "d", "day": "d", "days": "d", "sessions": "d", "W": "w", "wk": "w", "week": "w", "weeks": "w",
}  # fmt: skip
_LONG_UNITS: Final = {
    "mo": 21,
    "month": 21,
    "months": 21,
    "q": 63,
    "Q": 63,
    "y": 252,
    "Y": 252,
    "yr": 252,
    "years": 252,
}

UNITS_HINT: Final = "units are % and bp; s, m and h of clock time; d (trading sessions) and w (5 sessions)"


def read_literal(text: str, span: Span) -> Number | Period:
    """A number or a duration.

    Raises:
        ExpressionError: A unit nobody knows, or a count that makes no window.
    """
    match = _LITERAL.match(text)
    if match is None:
        hint = "write 1000000 in full" if re.match(r"[0-9.]+[eE_]", text) else UNITS_HINT
        raise ExpressionError(f"`{text}` is no number", span, hint)
    digits, unit = match["number"], match["unit"]
    if len(digits) > MAX_DIGITS:
        raise ExpressionError(f"a number of {len(digits)} characters; {MAX_DIGITS} is the most", span)
    if unit in SCALES:
        value = float(Decimal(digits) / SCALES[unit])
        return Number(value, Type.RATIO if unit else Type.SCORE, text, span)
    if unit in CLOCK_UNITS or unit in SESSION_UNITS:
        return _read_period(text, digits, unit, span)
    if unit in _OTHER_UNITS:
        raise ExpressionError(f"`{text}`: the unit is written {digits}{_OTHER_UNITS[unit]}", span)
    if unit in _LONG_UNITS and "." not in digits:
        sessions = int(digits) * _LONG_UNITS[unit]
        raise ExpressionError(
            f"`{text}`: there is no unit for months and years: write {sessions}d, a date, or mtd, qtd, ytd", span
        )
    raise ExpressionError(f"`{unit}` of `{text}` is no unit", span, UNITS_HINT)


def _read_period(text: str, digits: str, unit: str, span: Span) -> Period:
    if not digits.isdigit():
        raise ExpressionError(f"`{text}`: write a duration in whole numbers, such as 90m for 1.5h", span)
    count = int(digits)
    if count == 0:
        raise ExpressionError(f"`{text}`: a window has to be longer than nothing", span, "`open` is the session so far")
    if unit in SESSION_UNITS:
        if (sessions := count * SESSION_UNITS[unit]) > MAX_SESSIONS:
            raise ExpressionError(f"`{text}`: {MAX_SESSIONS} sessions are the most", span)
        return Period(Sessions(sessions), text, span)
    if (ns := count * CLOCK_UNITS[unit]) > MAX_CLOCK:
        raise ExpressionError(f"`{text}`: clock time goes up to 744h: write trading sessions, such as 20d", span)
    return Period(Clock(ns), text, span)


def read_date(text: str, span: Span) -> Period:
    """``2025-12-31``.

    Raises:
        ExpressionError: Not a day of the calendar.
    """
    try:
        date = dt.date.fromisoformat(text)
    except ValueError:
        raise ExpressionError(f"`{text}` is no date", span, "a date is year-month-day: 2025-12-31") from None
    return Period(Since(date), text, span)
