"""The tables of exchanges' calendars, kept in a file of the user's cache folder.

``exchange_calendars`` brings pandas, and works fifty years of holidays out: that is most of what a command of the
program waits for. The tables are worked out once for each version of the two. Where there is no such folder, where it
cannot be written, or where a file in it is not what was written, they are worked out again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import tempfile
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.int64]
"""``(3, sessions)``: days since 1970, opens and closes in UTC nanoseconds."""

_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,32}")
_HEADER: Final = 8
"""Bytes before the numbers: their checksum."""


def cached(name: str, first: dt.date, last: dt.date) -> Table | None:
    """The table of a calendar, if it was kept and is whole."""
    path = _path(name, first, last)
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    numbers = content[_HEADER:]
    if len(numbers) % 24 or not numbers or content[:_HEADER] != _checksum(numbers):
        return None
    return np.frombuffer(numbers, np.int64).reshape(3, -1)


def keep(name: str, first: dt.date, last: dt.date, table: Table) -> None:
    """Keep a table for the next start, if that is possible."""
    path = _path(name, first, last)
    if path is None:
        return
    numbers = np.ascontiguousarray(table, np.int64).tobytes()
    # Without a folder to write to the next start takes longer, and that is all.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, written = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_checksum(numbers) + numbers)
            Path(written).replace(path)
        except OSError:
            Path(written).unlink(missing_ok=True)
            raise


def _checksum(numbers: bytes) -> bytes:
    return zlib.crc32(numbers).to_bytes(_HEADER, "little")


def _path(name: str, first: dt.date, last: dt.date) -> Path | None:
    """Where a calendar's table is kept; None where there is no place for it."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    if not _NAME.fullmatch(name):
        return None
    if not Path(root).is_absolute():
        home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
        if not Path(home).is_absolute():
            return None
        root = str(Path(home) / ".cache")
    versions = f"{version('exchange_calendars')}-{version('pandas')}"
    return Path(root) / "rotation" / "calendars" / f"{name}-{first}-{last}-{versions}"
