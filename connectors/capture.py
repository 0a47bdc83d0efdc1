"""Raw frames in files, as they arrived, and the same frames through the same parser again.

A file is a sequence of records: a header of 13 bytes, big-endian (length of the content, nanoseconds UTC of arrival,
kind), and the content. Each process starts a file of its own, so that a record torn by a crash is the last of its file.
"""

from __future__ import annotations

import asyncio
import glob
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from itertools import groupby
from pathlib import Path
from typing import Final

from connectors.batch import Batch
from connectors.feed import Feed

HEADER: Final = struct.Struct(">IqB")
SUFFIX: Final = ".capture"
OPENED: Final = 0
"""A line was opened: the parser starts afresh. No content."""
FRAME: Final = 1
"""One frame."""
ABOUT: Final = 2
"""What is known of the feed, at the start of each file: JSON of the writer's, without secrets."""


class Capture:
    """Writes what a feed receives to files in a folder; :class:`connectors.supervisor.Recorder`.

    Files are ``{name}-{nanoseconds of the first record}.capture``. A file that has reached `max_bytes` is followed by
    another, and of the feed's files only the newest `files` stay, so the disk used is bounded. Writing is one system
    call a batch and is in the kernel's hands at once: what was received before a ``kill -9`` is on file.

    `about` stands at the start of each file, for whoever replays it (:data:`ABOUT`).

    Raises:
        OSError: From every method, when the disk is full or the folder cannot be written.
    """

    def __init__(
        self, folder: Path, name: str, *, max_bytes: int = 256 * 2**20, files: int = 8, about: bytes = b""
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = name
        self._max_bytes = max_bytes
        self._files = files
        self._about = about
        self._file: FileIO | None = None
        self._size = 0
        self._started = 0

    def opened(self, received_at: int) -> None:
        """A line was opened at `received_at`, nanoseconds UTC."""
        self._write(received_at, HEADER.pack(0, received_at, OPENED))

    def received(self, received_at: int, frames: Sequence[bytes]) -> None:
        """These frames were received together; a replay parses them together."""
        parts: list[bytes] = []
        for frame in frames:
            parts += (HEADER.pack(len(frame), received_at, FRAME), frame)
        self._write(received_at, b"".join(parts))

    def close(self) -> None:
        """End the file; what is received later starts another."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, received_at: int, data: bytes) -> None:
        if self._file is None or self._size >= self._max_bytes:
            self.close()
            self._size = 0
            self._started = max(received_at, self._started + 1)
            # Exclusive: two writers of one name would tear each other's records.
            self._file = (self._folder / f"{self._name}-{self._started:020d}{SUFFIX}").open("xb", buffering=0)
            for old in captured(self._folder, self._name)[: -self._files]:
                old.unlink()
            if self._about:
                data = HEADER.pack(len(self._about), received_at, ABOUT) + self._about + data
        self._size += len(data)
        while data:  # a disk that is nearly full takes a part, and refuses the next
            data = data[self._file.write(data) :]


def captured(folder: Path, name: str) -> list[Path]:
    """The files of the feed `name` in `folder`, oldest first."""
    return sorted(folder.glob(f"{glob.escape(name)}-{'[0-9]' * 20}{SUFFIX}"))


def feed_of(path: Path) -> str:
    """The feed whose frames a file has, by its name.

    >>> feed_of(Path("iex-01769180850000000000.capture"))
    'iex'
    """
    return path.name.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a capture; `received_at` in nanoseconds UTC."""

    received_at: int
    kind: int
    content: bytes


def records(path: Path) -> Iterator[Record]:
    """The records of a file, up to its end or to a record that was torn."""
    with path.open("rb") as file:
        while len(header := file.read(HEADER.size)) == HEADER.size:
            length, received_at, kind = HEADER.unpack(header)
            content = file.read(length)
            if len(content) < length:
                return
            yield Record(received_at, kind, content)


async def replay(
    paths: Sequence[Path],
    feed: Feed,
    sink: Callable[[Batch], Awaitable[None]],
    *,
    speed: float = 0.0,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> int:
    """Put the frames of captures through `feed` and hand on every batch with rows, as its supervisor did.

    Frames that arrived together are parsed together, stamped with the time at which they arrived, so the batches are
    those of the recording.

    Args:
        paths: Files, in the order in which they were written (see :func:`captured`).
        feed: The same kind of feed, with the same options as the one recorded.
        sink: Takes the batches.
        speed: Seconds of the recording a second; 0 is as fast as `sink` takes them.
        sleep: Waits so many seconds.

    Returns:
        How many frames were read.
    """
    count = 0
    before: int | None = None
    for path in paths:
        for (received_at, kind), group in groupby(records(path), key=lambda record: (record.received_at, record.kind)):
            if kind == OPENED:
                feed.greeting()
            if kind != FRAME:
                continue
            if speed and before is not None and received_at > before:
                await sleep((received_at - before) / 1e9 / speed)
            before = received_at
            frames = [record.content for record in group]
            count += len(frames)
            batch = feed.parse(frames, received_at)
            for notice in batch.notices:
                feed.reply(notice)  # keeps the feed's own progress as it was; there is nobody to send it to
            if batch.rows:
                await sink(batch)
    return count
