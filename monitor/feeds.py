"""The configured feeds: each a task that puts batches on the backlog, and what can be told of it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import polars as pl
from pydantic import SecretStr

from connectors.backlog import Backlog
from connectors.batch import Batch
from connectors.capture import ABOUT, FRAME, SUFFIX, Capture, captured, feed_of, records, replay
from connectors.feed import FeedStatus
from connectors.refused import RefusedFrame
from connectors.replay import Replay
from connectors.simulator import DEMO_QUIET_SPEED, DEMO_SPEED, Exchange, ExchangeOptions, Session, great_rotation
from connectors.supervisor import Supervisor
from monitor import clock, settings
from monitor.calendar import TradingCalendar
from monitor.data_files import DataFileError, read
from monitor.data_playback import batches
from monitor.key_lease import KeyLease, KeyLeases
from monitor.lags import Lags, on_the_way
from monitor.liveness import Liveness
from monitor.metrics import FeedFigures
from monitor.notify.values import utc
from monitor.positions import Positions
from monitor.protocols import about, parser, protocol, transport

_HISTORY_SESSIONS: Final = 320
_LONGEST: Final = 6000
"""Sessions of a simulation without an end: years of a demo."""
_STORY_START: Final = dt.date(2026, 1, 2)
_UNTIL_MENDED: Final = "; not tried again: mend the feed's key, plan or symbols, then start the monitor again"


@dataclass(frozen=True, slots=True)
class FeedState:
    """A feed's connection at a moment; `trouble` says in words what is wrong, empty if nothing is."""

    figures: FeedFigures
    trouble: str
    stopped: bool
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LineFigures:
    """What else a feed's line counts, for its page. `gaps`, `conflated`: by symbol; `lag`: from event to receipt."""

    gaps: Mapping[str, int] = field(default_factory=dict)
    conflated: Mapping[str, int] = field(default_factory=dict)
    unreadable: Sequence[RefusedFrame] = ()
    lag: Lags = field(default_factory=Lags)


class Source(Protocol):
    """A configured feed."""

    name: str

    async def run(self) -> None:
        """Bring data until cancelled."""

    async def want(self, symbols: Collection[str]) -> None:
        """Subscribe to what the rules need, unless the configuration says what."""

    def state(self) -> FeedState:
        """How it is doing."""

    def line(self) -> LineFigures:
        """What else is counted of its line."""

    def history(self) -> pl.DataFrame | None:
        """Session closes it brings along (``ts, symbol, close``), if any."""


class Connected:
    """A feed over a supervised websocket."""

    def __init__(
        self,
        config: settings.StreamFeed,
        name: str,
        backlog: Backlog,
        liveness: Liveness,
        positions: Positions,
        keys: KeyLeases | None = None,
    ) -> None:
        """`keys`: where the vendor's key is leased; None: nobody else has it."""
        self.name = name
        self._key = KeyLease(keys, name) if keys is not None else None
        self._fixed = config.symbols
        self._backlog = backlog
        self._rows: Counter[str] = Counter()
        self._lag = Lags()
        self._liveness = liveness.of_feed()
        feed = protocol(config, name)
        connect = transport(config, feed, positions)
        self._supervisor = Supervisor(
            feed,
            self._take,
            monotonic=clock.monotonic,
            now_ns=clock.wall_ns,
            expects_data=self._liveness.expects_data,
            recorder=Capture(config.capture, name, about=about(config)) if config.capture else None,
            connect=self._key.before(connect) if self._key else connect,
        )

    async def _take(self, batch: Batch) -> None:
        if batch.rows:
            self._rows.update({kind: frame.height for kind, frame in batch.frames().items() if frame.height})
            self._liveness.came()
            durations, weight = on_the_way(batch)
            self._lag.add(durations, batch.received_at, weight)
        await self._backlog.put(batch)

    async def run(self) -> None:
        """Keep the connection up."""
        async with self._key.kept() if self._key else contextlib.nullcontext():
            await self._supervisor.run()

    async def want(self, symbols: Collection[str]) -> None:
        """Subscribe to what the rules need, unless the configuration says what."""
        if self._fixed is None:
            await self._supervisor.subscribe(symbols)

    def history(self) -> None:
        """A live feed brings none."""

    def line(self) -> LineFigures:
        """As supervisor and backlog count."""
        health = self._supervisor.health
        conflated: Mapping[str, int] = self._backlog.conflated_of.get(self.name, {})
        return LineFigures(health.gaps_of, conflated, health.unreadable.newest(), self._lag)

    def state(self) -> FeedState:
        """As the supervisor counts."""
        health = self._supervisor.health
        figures = FeedFigures(
            name=self.name,
            status=health.status,
            frames=health.frames,
            reconnects=health.reconnects,
            gaps=health.gaps,
            conflated=self._backlog.conflated[self.name],
            rows=dict(self._rows),
            rejected=dict(health.rejected),
        )
        trouble = "" if health.status is FeedStatus.LIVE else f"{health.status}: {health.last_error or 'no data yet'}"
        if health.status is FeedStatus.STOPPED:
            trouble += _UNTIL_MENDED
        if not trouble and health.offline:
            trouble = f"offline: {', '.join(sorted(health.offline))}"
        holder = self._key.holder if self._key else ""
        if holder:
            trouble = f"waiting for the key: held by {holder}"
        details = {
            "name": self.name,
            "status": str(health.status),
            "since": utc(health.since),
            "frames": health.frames,
            "bytes": health.bytes,
            "rows": dict(self._rows),
            "rejected": dict(health.rejected),
            "unused": dict(health.unused),
            "errors": dict(health.errors),
            "conflated": figures.conflated,
            "reconnects": health.reconnects,
            "silences": health.silences,
            "renewals": health.renewals,
            "gaps": health.gaps,
            "offline": sorted(health.offline),
            "key_held_by": holder or None,
            "last_error": trouble if holder else health.last_error or None,
            "last_data_at": utc(health.last_data_at) if health.last_data_at else None,
        }
        return FeedState(figures, trouble, health.status is FeedStatus.STOPPED, details)


class Simulated:
    """The embedded exchange, and a connection to it like any other."""

    def __init__(
        self, config: settings.SimulatorFeed, name: str, backlog: Backlog, liveness: Liveness, calendar: TradingCalendar
    ) -> None:
        self.name = name
        first = calendar.ordinal_on_or_before(_STORY_START) - _HISTORY_SESSIONS
        last = min(len(calendar), first + _HISTORY_SESSIONS + (config.sessions or _LONGEST))
        sessions = [Session(calendar.date(s), calendar.open_ns(s), calendar.close_ns(s)) for s in range(first, last)]
        self._scenario = great_rotation(sessions, seed=config.seed)
        paced = config.speed is not None
        self._options = ExchangeOptions(
            speed=config.speed if config.speed is not None else DEMO_SPEED,
            quiet_speed=None if paced else DEMO_QUIET_SPEED,
        )
        self._config, self._backlog, self._liveness = config, backlog, liveness
        self._wanted: Collection[str] = ()
        self._connection: Connected | None = None

    async def run(self) -> None:
        """Start the exchange, then stay connected to it; what goes wrong in playing ends the daemon."""
        async with Exchange(self._scenario, self._options) as exchange, asyncio.TaskGroup() as group:
            config = settings.AlpacaFeed(
                type="alpaca",
                key=SecretStr(self._options.key),
                secret=SecretStr(self._options.secret),
                url=exchange.url,
            )
            self._connection = Connected(config, self.name, self._backlog, self._liveness, Positions())
            await self._connection.want(self._wanted)
            group.create_task(exchange.finished())
            group.create_task(self._connection.run())

    async def want(self, symbols: Collection[str]) -> None:
        """Subscribe to what the rules need."""
        self._wanted = symbols
        if self._connection is not None:
            await self._connection.want(symbols)

    def line(self) -> LineFigures:
        """That of the connection."""
        return self._connection.line() if self._connection is not None else LineFigures()

    def history(self) -> pl.DataFrame:
        """The scenario's past."""
        return self._scenario.history()

    def state(self) -> FeedState:
        """That of the connection, or of a start not made yet."""
        if self._connection is not None:
            return self._connection.state()
        figures = FeedFigures(name=self.name, status=FeedStatus.CONNECTING)
        return FeedState(figures, "starting", stopped=False, details={"name": self.name, "status": "connecting"})


class Replayed:
    """A data file, played in event time."""

    def __init__(self, config: settings.ReplayFeed, name: str, backlog: Backlog, calendar: TradingCalendar) -> None:
        """Raises DataFileError for a file that cannot be read."""
        self.name = name
        self._backlog = backlog
        self._replay = Replay(
            name,
            batches([read(config.data)], calendar),
            backlog.put,
            speed=config.speed,
            now_ns=clock.wall_ns,
            monotonic=clock.monotonic,
        )

    async def run(self) -> None:
        """Play the file to its end."""
        await self._replay.run()

    async def want(self, symbols: Collection[str]) -> None:
        """Everything in the file is played, whatever is wanted."""

    def line(self) -> LineFigures:
        """It has no line."""
        return LineFigures()

    def history(self) -> None:
        """It brings none."""

    def state(self) -> FeedState:
        """How far it has come; its end is no trouble."""
        replay = self._replay
        rows = {"rows": replay.rows}
        figures = FeedFigures(
            name=self.name, status=replay.status, conflated=self._backlog.conflated[self.name], rows=rows
        )
        details = {
            "name": self.name,
            "status": str(replay.status),
            "rows": rows,
            "conflated": figures.conflated,
            "at": utc(replay.event_time) if replay.event_time else None,
        }
        return FeedState(figures, "", stopped=False, details=details)


class Recaptured:
    """Captured frames of a feed, through the same parser again."""

    def __init__(self, config: settings.ReplayFeed, name: str, backlog: Backlog) -> None:
        """Raises DataFileError where the folder holds no captures, or those of several feeds."""
        self.name = name
        every = sorted(config.data.glob(f"*{SUFFIX}"))
        feeds = sorted({feed_of(path) for path in every})
        if config.feed is None and len(feeds) > 1:
            raise DataFileError(f"{config.data}: frames of {', '.join(feeds)} are here: say `feed`, whose to replay")
        self._paths = captured(config.data, config.feed) if config.feed is not None else every
        if not self._paths:
            whose = f" of feed {config.feed}" if config.feed else ""
            raise DataFileError(f"{config.data}: no captured frames{whose} (*{SUFFIX}) are in this folder")
        written = next((r.content for path in self._paths for r in records(path) if r.kind == ABOUT), None)
        first = next((r.content for path in self._paths for r in records(path) if r.kind == FRAME), b"[")
        try:
            self._feed = parser(written, first, name)
        except ValueError as error:
            raise DataFileError(f"{self._paths[0]}: {error}") from error
        self._speed, self._backlog = config.speed, backlog
        self._rows = 0
        self._status = FeedStatus.CONNECTING

    async def run(self) -> None:
        """Play all files to their end."""
        self._status = FeedStatus.LIVE
        await replay(self._paths, self._feed, self._take, speed=self._speed)
        self._status = FeedStatus.STOPPED

    async def _take(self, batch: Batch) -> None:
        self._rows += batch.rows
        # Stamped anew, or latency would be measured from the day of the recording.
        await self._backlog.put(replace(batch, received_at=clock.wall_ns()))

    async def want(self, symbols: Collection[str]) -> None:
        """Everything that was captured is played, whatever is wanted."""

    def line(self) -> LineFigures:
        """It has no line."""
        return LineFigures()

    def history(self) -> None:
        """It brings none."""

    def state(self) -> FeedState:
        """How far it has come; its end is no trouble."""
        rows = {"rows": self._rows}
        figures = FeedFigures(name=self.name, status=self._status, rows=rows)
        details = {"name": self.name, "status": str(self._status), "rows": rows}
        return FeedState(figures, "", stopped=False, details=details)


class Feeds:
    """All configured feeds."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)

    async def want(self, symbols: Collection[str]) -> None:
        """Tell every feed what the rules need."""
        for source in self.sources:
            await source.want(symbols)

    def states(self) -> list[FeedState]:
        """How each is doing."""
        return [source.state() for source in self.sources]

    def line(self, name: str) -> LineFigures:
        """What else is counted of a feed's line."""
        return next((source.line() for source in self.sources if source.name == name), LineFigures())
