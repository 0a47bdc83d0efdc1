"""The feed of ``type: file``: data files of a watched folder, each played once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

import structlog

from connectors.backlog import Backlog
from connectors.batch import Batch
from connectors.feed import FeedStatus
from connectors.files import Folder, Found
from monitor import clock, settings
from monitor.calendar import TradingCalendar
from monitor.data_files import DataFileError, read
from monitor.data_playback import batches
from monitor.feeds import FeedState, LineFigures
from monitor.metrics import FeedFigures
from monitor.positions import Place, Positions

_LOG = structlog.get_logger(__name__)
_SECOND: Final = 1_000_000_000
_ROWS: Final = 5_000
"""Rows handed on at once."""
DONE: Final = "done"


class Watched:
    """A folder: what it has taken, and how far it is in a file, is remembered.

    A file that cannot be read whole is named once, with its row, and left where it is, until it changes.
    """

    def __init__(
        self,
        config: settings.FileFeed,
        name: str,
        backlog: Backlog,
        calendar: TradingCalendar,
        positions: Positions,
    ) -> None:
        self.name = name
        self._config, self._backlog, self._calendar, self._positions = config, backlog, calendar, positions
        self._folder = Folder(config.folder, config.pattern, config.still / _SECOND, clock.monotonic)
        self._status, self._rows, self._files = FeedStatus.CONNECTING, Counter[str](), 0
        self._refused: dict[str, str] = {}
        self._trouble = ""

    async def run(self) -> None:
        """Look at the folder, and take what is new, for ever."""
        for name, position in self._positions.below(f"{self.name}/").items():
            if position == DONE:
                self._folder.taken(name)
        while True:
            try:
                found = await asyncio.to_thread(self._folder.look)
            except OSError as error:
                self._status, self._trouble = FeedStatus.BACKING_OFF, f"{self._config.folder}: {error.strerror}"
            else:
                self._status, self._trouble = FeedStatus.LIVE, ""
                for each in found:
                    await self._take(each)
            await asyncio.sleep(self._config.every / _SECOND)

    async def _take(self, found: Found) -> None:
        name = found.path.name
        if _shown(name) != name:  # it could neither be remembered nor told
            self._refuse(found, f"{_shown(str(found.path))}: its name is no UTF-8: rename it")
            return
        try:
            data = await asyncio.to_thread(read, found.path)
            tape = _gathered(batches([data], self._calendar))
            done = self._done(found)
            for _ in range(done):  # a position is a number of batches, which the file alone decides
                next(tape, None)
            batch = await asyncio.to_thread(next, tape, None)
            while batch is not None:
                done += 1
                following = await asyncio.to_thread(next, tape, None)
                place = DONE if following is None else f"{found.version}:{done}"
                receipt = Place(self._positions, f"{self.name}/{name}", place)
                self._rows.update({kind: frame.height for kind, frame in batch.frames().items() if frame.height})
                await self._backlog.put(
                    replace(batch, feed=self.name, received_at=clock.wall_ns(), receipts=(receipt,))
                )
                batch = following
        except DataFileError as error:
            self._refuse(found, str(error))
        except OSError as error:
            self._refuse(found, f"{found.path}: {error.strerror or error}")
        else:
            self._refused.pop(name, None)
            self._folder.taken(name)
            self._files += 1
            _LOG.info("file taken", feed=self.name, file=name)

    def _refuse(self, found: Found, reason: str) -> None:
        self._refused[_shown(found.path.name)] = reason
        self._folder.refused(found)
        _LOG.warning("a file is left where it is", feed=self.name, reason=reason)

    def _done(self, found: Found) -> int:
        """How many batches of the same version of the file the journal has."""
        version, _, done = (self._positions.of(f"{self.name}/{found.path.name}") or "").rpartition(":")
        return int(done) if version == str(found.version) else 0

    async def want(self, symbols: Collection[str]) -> None:
        """Everything in a file is taken, whatever is wanted."""

    def line(self) -> LineFigures:
        """It has no line."""
        return LineFigures()

    def history(self) -> None:
        """It brings none."""

    def state(self) -> FeedState:
        """How many files, and which are wrong: that is no trouble of the feed, nothing new is none either."""
        figures = FeedFigures(
            name=self.name,
            status=self._status,
            conflated=self._backlog.conflated[self.name],
            rows=dict(self._rows),
            rejected={"unreadable file": len(self._refused)} if self._refused else {},
        )
        last = next(reversed(self._refused.values()), None)
        details = {
            "name": self.name,
            "status": str(self._status),
            "rows": dict(self._rows),
            "files": self._files,
            "refused": dict(self._refused),
            "last_error": self._trouble or last,
        }
        return FeedState(figures, self._trouble, stopped=False, details=details)


def _shown(name: str) -> str:
    """A file's name as text: bytes of it that are no UTF-8 are written as such."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _gathered(tape: Iterator[tuple[int, Batch]]) -> Iterator[Batch]:
    """Batches of at least :data:`_ROWS` rows, but the last."""
    while some := list(islice(tape, 1)):
        parts, rows = [some[0][1]], some[0][1].rows
        while rows < _ROWS and (more := next(tape, None)):
            parts.append(more[1])
            rows += more[1].rows
        yield Batch.merge(parts)
