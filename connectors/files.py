"""A folder into which somebody puts files: which of them are new, and stand still.

A file is known by its name. It is taken once, when its size and time of change have not moved for a while, so that
one that is still being written is not read half. One that was refused is looked at again when it has changed; one that
was taken is not, whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Version:
    """A file as it was seen: bytes, and the time of its last change, nanoseconds since 1970."""

    size: int
    changed: int

    def __str__(self) -> str:
        return f"{self.size}@{self.changed}"


@dataclass(frozen=True, slots=True)
class Found:
    """A file that stands still."""

    path: Path
    version: Version


class Folder:
    """Looks at a folder again and again.

    Args:
        path: The folder; files in folders below it are not looked at.
        patterns: Names such as ``*.csv``. Names that begin with a dot are somebody's unfinished work.
        still: Seconds for which a file has to stay as it is.
        monotonic: Seconds of a clock that never jumps.
    """

    def __init__(self, path: Path, patterns: Sequence[str], still: float, monotonic: Callable[[], float]) -> None:
        self._path, self._patterns, self._still, self._monotonic = path, tuple(patterns), still, monotonic
        self._seen: dict[str, tuple[Version, float]] = {}
        self._passed: dict[str, Version | None] = {}

    def taken(self, name: str) -> None:
        """The file is not found again."""
        self._passed[name] = None

    def refused(self, found: Found) -> None:
        """The file is not found again before it has changed."""
        self._passed[found.path.name] = found.version

    def look(self) -> list[Found]:
        """The files that are new and stand still, by name.

        Raises:
            OSError: The folder cannot be read.
        """
        now = self._monotonic()
        present: dict[str, tuple[Version, float]] = {}
        ready = []
        for path in sorted(self._path.iterdir()):
            name = path.name
            if name.startswith(".") or not any(fnmatch(name, pattern) for pattern in self._patterns):
                continue
            version = self._version(path)
            if version is None or self._passed.get(name, version) is None:
                continue
            before, since = self._seen.get(name, (None, now))
            since = since if before == version else now
            present[name] = (version, since)
            if self._passed.get(name) != version and now - since >= self._still:
                ready.append(Found(path, version))
        self._seen = present
        return ready

    @staticmethod
    def _version(path: Path) -> Version | None:
        """None where there is no such file any more, or it is none, as a link that leads to itself."""
        try:
            status = path.stat()
        except OSError:
            return None
        return Version(status.st_size, status.st_mtime_ns) if path.is_file() else None
