"""The feed of ``type: series``: a table of external values, read again and again for what is new in it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import polars as pl
import structlog

from connectors.backlog import Backlog
from connectors.batch import Batch
from connectors.feed import FeedStatus
from connectors.rest import Rest, RestError
from monitor import clock, settings
from monitor.calendar import TradingCalendar
from monitor.data_files import DataFileError, Kind, load_table, of_table, published
from monitor.feeds import FeedState, LineFigures
from monitor.ingest.clean_batch import NO_SERIES
from monitor.metrics import FeedFigures
from monitor.positions import Place, Positions

_LOG = structlog.get_logger(__name__)
_SECOND: Final = 1_000_000_000
_SOON: Final = 60.0
"""Seconds after which a table that could not be read is tried again, at most."""


class SeriesTable:
    """A table at a web address or in a file; what it says that it did not say before is handed on."""

    def __init__(
        self,
        config: settings.SeriesFeed,
        name: str,
        backlog: Backlog,
        calendar: TradingCalendar,
        positions: Positions,
    ) -> None:
        self.name = name
        self._config, self._backlog, self._calendar, self._positions = config, backlog, calendar, positions
        self._known = NO_SERIES
        self._status, self._rows, self._trouble = FeedStatus.CONNECTING, 0, ""

    async def run(self) -> None:
        """Read the table every so often, for ever."""
        while True:
            pause = self._config.every / _SECOND
            try:
                content = await self._content()
                if content is not None:
                    await self._take(content)
            except (DataFileError, RestError) as error:
                if self._trouble != str(error):
                    _LOG.warning("series cannot be read", feed=self.name, reason=str(error))
                self._status, self._trouble = FeedStatus.BACKING_OFF, str(error)
                pause = min(pause, _SOON)
            else:
                self._status, self._trouble = FeedStatus.LIVE, ""
            await asyncio.sleep(pause)

    async def _content(self) -> tuple[pl.DataFrame, str] | None:
        """The table and its fingerprint; None where it is what it was."""
        if self._config.url is not None:
            data = await self._fetched(self._config.url.get_secret_value())
        else:
            if self._config.data is None:
                raise AssertionError("the configuration has one of the two")
            try:
                data = await asyncio.to_thread(self._config.data.read_bytes)
            except OSError as error:
                raise DataFileError(f"{self._config.data}: {error.strerror}") from error
        fingerprint = hashlib.sha256(data).hexdigest()
        if self._positions.of(self.name) == fingerprint:
            return None
        if self._config.data is not None:
            return await asyncio.to_thread(load_table, self._config.data), fingerprint
        try:
            return pl.read_csv(BytesIO(data), infer_schema=False), fingerprint
        except pl.exceptions.PolarsError as error:
            raise DataFileError(f"{self._where}: not readable as CSV: {str(error).splitlines()[0]}") from error

    async def _fetched(self, url: str) -> bytes:
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        rest = Rest(base, {}, per_minute=60, monotonic=clock.monotonic, now_ns=clock.wall_ns, attempts=3)
        async with rest:
            return await rest.get(url[len(base) :] or "/")

    async def _take(self, content: tuple[pl.DataFrame, str]) -> None:
        table, fingerprint = content
        values = await asyncio.to_thread(self._read, table)
        new = values.join(self._known, on=["ts", "series", "value"], how="anti", maintain_order="left")
        self._known = values
        if not new.height:
            self._positions.set(self.name, fingerprint)
            return
        receipt = Place(self._positions, self.name, fingerprint)
        batch = Batch(self.name, clock.wall_ns(), series=new)
        await self._backlog.put(replace(batch, receipts=(receipt,)))
        self._rows += new.height

    def _read(self, table: pl.DataFrame) -> pl.DataFrame:
        """Publications of the table. Raises DataFileError."""
        columns, path = self._config.columns, Path(self._where)
        named = {"ts": columns.ts, "value": columns.value, "published": columns.published, "series": columns.series}
        wanted = {ours: theirs for ours, theirs in named.items() if theirs is not None}
        if missing := [theirs for theirs in wanted.values() if theirs not in table.columns]:
            raise DataFileError(f"{path}: there is no column {missing[0]!r}: there is {', '.join(table.columns)}")
        ours = table.select(pl.col(theirs).alias(name) for name, theirs in wanted.items())
        if self._config.series is not None:
            ours = ours.with_columns(series=pl.lit(self._config.series))
        if ours["value"].dtype == pl.String:
            text = pl.col("value").fill_null("").str.strip_chars()
            ours = ours.filter(~text.is_in(list(self._config.missing)))
        file = of_table(path, ours)
        if file.kind is not Kind.SERIES:
            raise DataFileError(f"{path}: this is a table of {file.kind}, not of series")
        return published(file, self._calendar)

    @property
    def _where(self) -> str:
        """What messages call the table: never the address's path or query, which may hold a key."""
        if self._config.url is None:
            return str(self._config.data)
        return f"{urlsplit(self._config.url.get_secret_value()).hostname}"

    async def want(self, symbols: Collection[str]) -> None:
        """All its series are taken."""

    def line(self) -> LineFigures:
        """It has no line."""
        return LineFigures()

    def history(self) -> None:
        """It brings none."""

    def state(self) -> FeedState:
        """Whether it could be read, and how many values came."""
        rows = {"series": self._rows}
        figures = FeedFigures(name=self.name, status=self._status, rows=rows)
        details = {
            "name": self.name,
            "status": str(self._status),
            "rows": rows,
            "last_error": self._trouble or None,
        }
        return FeedState(figures, self._trouble, stopped=False, details=details)
