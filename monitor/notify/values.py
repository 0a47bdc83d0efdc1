"""Numbers and times as people read them in messages.

Ratios are fractions (0.0412 is 412bp), times and durations are nanoseconds, times are UTC. Unknown (None or NaN) is
``unknown``.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from rules.ast import Quadrant

NEW_YORK: Final = ZoneInfo("America/New_York")
UNKNOWN: Final = "unknown"
_PERCENT_FROM: Final = 0.1
"""A ratio of this size or more reads better in percent than in thousands of basis points."""
_SECOND: Final = 1_000_000_000
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def number(value: object) -> float | None:
    """The value as a finite float; None where it is none, or unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def bp(value: object) -> str:
    """A ratio in basis points, to a tenth: ``412bp``, ``-0.4bp``."""
    scaled = _scaled(value, 1e4)
    return UNKNOWN if scaled is None else f"{_trimmed(scaled, 1)}bp"


def pct(value: object, digits: int = 2) -> str:
    """A ratio in percent: ``4.12%``."""
    scaled = _scaled(value, 100)
    return UNKNOWN if scaled is None else f"{_trimmed(scaled, min(max(digits, 0), 10))}%"


def px(value: object) -> str:
    """A price with two to four decimals: ``252.00``, ``1.0873``."""
    known = number(value)
    if known is None:
        return UNKNOWN
    whole, _, decimals = f"{round(known, 4) + 0.0:.4f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def shown(value: object, kind: str, *, like: object = None) -> str:
    """A value by its type (:class:`rules.ast.Type`); `like`: a value of the same sentence whose unit it shares."""
    if isinstance(value, str):
        return value
    if kind == "condition":
        known = number(value) if not isinstance(value, bool) else float(value)
        return UNKNOWN if known is None else "true" if known else "false"
    known = number(value)
    if known is None:
        return UNKNOWN
    if kind == "ratio":
        return pct(known) if max(abs(known), abs(number(like) or 0.0)) >= _PERCENT_FROM else bp(known)
    if (write := _WRITERS.get(kind)) is not None:
        return write(known)
    return f"{round(known, 2) + 0.0:.2f}"  # adding 0 takes the sign off a zero


def span(nanoseconds: float) -> str:
    """A duration in its two largest units: ``14m``, ``2h 5m``, ``1d 3h``; below a second ``0s``."""
    seconds = int(abs(nanoseconds) // _SECOND)
    parts = []
    for size, unit in _UNITS:
        amount, seconds = divmod(seconds, size)
        parts.append(f"{amount}{unit}" if amount else "")
    first = next((i for i, part in enumerate(parts) if part), len(parts) - 1)
    text = " ".join(part for part in parts[first : first + 2] if part) or "0s"
    return f"-{text}" if nanoseconds <= -_SECOND else text


def _whole(value: float) -> str:
    return f"{round(value):,}"


def _word(category: float) -> str:
    return Quadrant(int(category)).name.lower()


_WRITERS: Final[Mapping[str, Callable[[float], str]]] = {
    "price": px,
    "count": _whole,
    "volume": _whole,
    "duration": span,
    "category": _word,
}


def ago(ts: int, at: int) -> str:
    """How long before `at` a time was: ``3m 20s ago``; ``in 5m`` for one that is later."""
    return f"{span(at - ts)} ago" if ts <= at else f"in {span(ts - at)}"


def utc(ts: int) -> str:
    """RFC 3339, whole seconds unless there are smaller ones: ``2026-01-23T15:07:30Z``."""
    moment = _moment(ts)
    return (
        moment.strftime("%Y-%m-%dT%H:%M:%S")
        + (f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else "")
        + "Z"
    )


def local(ts: int, zone: ZoneInfo = NEW_YORK, pattern: str = "%Y-%m-%d %H:%M:%S %Z") -> str:
    """The time on the exchange's clock: ``2026-01-23 10:07:30 EST``."""
    return _moment(ts).astimezone(zone).strftime(pattern)


def _scaled(value: object, factor: float) -> float | None:
    """None also for a number too large to be scaled."""
    known = number(value)
    return None if known is None else number(known * factor)


def _moment(ts: int) -> dt.datetime:
    seconds, rest = divmod(int(ts), _SECOND)
    return dt.datetime.fromtimestamp(seconds, dt.UTC).replace(microsecond=rest // 1000)


def _trimmed(value: float, digits: int) -> str:
    """At most `digits` decimals, without zeros at the end and without a negative zero."""
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text
