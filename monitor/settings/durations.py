"""Durations of the configuration: ``30s``, ``5m``, ``1h30m``, ``500ms``; nanoseconds inside the program."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

DAY: Final = 24 * 3_600_000_000_000
LONGEST_AGE: Final = 3_660 * DAY
UNITS: Final = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
LONGEST: Final = 366 * 24 * UNITS["h"]

_PART: Final = r"\d+(?:ms|s|m|h)"
_WHOLE: Final = re.compile(f"(?:{_PART})+")
_PARTS: Final = re.compile(r"(\d+)(ms|s|m|h)")
_DAYS: Final = re.compile(r"(\d{1,9})d(.*)")


def read_duration(value: Any) -> int:  # noqa: ANN401 - whatever stands in the file
    """Nanoseconds of a duration as it is written in the configuration; an int is nanoseconds already.

    Raises:
        PydanticCustomError: It is none, or it is longer than a year.

    Examples:
        >>> read_duration("1h30m") // 1_000_000_000
        5400
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isdecimal():
        raise PydanticCustomError(
            "duration", "{value} has no unit: write {value}s, {value}m or {value}h", {"value": value}
        )
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        if not isinstance(value, str):
            raise PydanticCustomError("duration", "must be a duration such as 500ms, 30s, 5m or 2h")
        raise PydanticCustomError("duration", "`{value}` is no duration such as 500ms, 30s, 5m or 2h", {"value": value})
    ns = sum(int(number) * UNITS[unit] for number, unit in _PARTS.findall(value))
    if ns > LONGEST:
        raise PydanticCustomError("duration", "{value} is longer than a year", {"value": value})
    return ns


def read_age(value: Any) -> int:  # noqa: ANN401 - whatever stands in the file
    """Nanoseconds of how long something is kept: a duration, or days of 24 hours before it.

    In rules, ``d`` is a trading session; here it is a day of the calendar.

    Raises:
        PydanticCustomError: It is none, it is shorter than an hour, or longer than ten years.

    Examples:
        >>> read_age("90d") // DAY
        90
        >>> read_age("1d12h") // UNITS["h"]
        36
    """
    days = _DAYS.fullmatch(value) if isinstance(value, str) else None
    ns = int(days[1]) * DAY + (read_duration(days[2]) if days[2] else 0) if days else read_duration(value)
    if not UNITS["h"] <= ns <= LONGEST_AGE:
        raise PydanticCustomError("age", "`{value}` is not between 1h and 3660d", {"value": str(value)})
    return ns


def write_duration(ns: int) -> str:
    """The shortest way to write a duration.

    Examples:
        >>> write_duration(5_400_000_000_000)
        '1h30m'
    """
    if ns <= 0:
        return "0s"
    parts = []
    for unit in ("h", "m", "s", "ms"):
        count, ns = divmod(ns, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


_SCHEMA: Final = {"type": "string", "pattern": f"^({_PART})+$", "examples": ["30s", "5m", "2h"]}

Duration = Annotated[int, BeforeValidator(read_duration), WithJsonSchema(_SCHEMA)]
"""Nanoseconds, nothing or more."""

PositiveDuration = Annotated[int, Field(gt=0), BeforeValidator(read_duration), WithJsonSchema(_SCHEMA)]
"""Nanoseconds, more than nothing."""

Age = Annotated[
    int,
    BeforeValidator(read_age),
    WithJsonSchema({"type": "string", "pattern": rf"^(\d+d)?({_PART})*$", "examples": ["90d", "36h"]}),
]
"""Nanoseconds for which something is kept, an hour or more."""
