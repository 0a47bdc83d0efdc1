"""A daemon's start: state and instances as the last process left them.

State is the stored bars, the last checkpoint and the journal after it. Nothing is decided again: each journal entry was
written in one step with its decisions, so the stored instances already stand where the last entry left them.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import polars as pl

from monitor import journal
from monitor.calendar import TradingCalendar
from monitor.corporate_actions import Action
from monitor.corporate_actions.screen import Objection, screened
from monitor.data_files import DataFileError, Kind, published, read
from monitor.ingest import TruthFilter
from monitor.pipeline import CHUNK_NAME, FEED, decode_record
from monitor.silence import CADENCES
from monitor.state import MINUTE_COLUMNS, SESSION_BARS, SESSION_COLUMNS, MarketState, by_minute
from monitor.store.base import BarChunk, JournalId, Store
from rules.transition import InstanceRecord
from rules.view import Requirements

_SECOND: Final = 1_000_000_000
_SENT_AGAIN_MS: Final = 10_000
"""How long before the end of a process its acknowledgements may have got lost on their way."""
_TRADES: Final = ("version", "now", "event_time", "trades")
_AHEAD: Final = 2
"""Chunks read at a time: unpacking them is the larger part, and polars does it outside of the interpreter's lock."""
STORED_SERIES: Final = "series"
"""What the store calls the chunks of external series: one a series, named as it is."""
_FEWEST: Final = 260
_SPARE: Final = 5
"""Sessions: what is kept even if no rule asks, and what is loaded beyond what is asked for."""


def read_history(paths: Sequence[Path], calendar: TradingCalendar) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Files that are the past: frames of session bars, and of external series by publication.

    Raises:
        DataFileError: one cannot be read, or holds something else.
    """
    files = [read(path) for path in paths]
    if wrong := next((f for f in files if not (f.sessions or f.kind is Kind.SERIES)), None):
        raise DataFileError(f"{wrong.path}: history is session bars, with a date as ts, or external series")
    series = [published(f, calendar) for f in files if f.kind is Kind.SERIES]
    return [f.frame for f in files if f.kind is not Kind.SERIES], series


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found in the store."""

    records: list[InstanceRecord]
    last_id: JournalId | None
    entries: int


async def recover(
    store: Store,
    state: MarketState,
    truth: TruthFilter,
    requirements: Requirements,
    history: Sequence[pl.DataFrame],
    series: Sequence[pl.DataFrame] = (),
) -> Recovered:
    """Fill an empty state with what `requirements` look back to, and an empty filter with what it last let through.

    `history`: session closes of the configuration's files, oldest first. They are the official ones and win over what
    the monitor saw itself. `series`: external series of such files; they win over those in the store.
    """
    recovery = Recovery(store, state, truth)
    await recovery.begin(requirements, history, series)
    return await recovery.finish()


class Recovery:
    """The start of a daemon in three parts, of which one that stands by repeats the second."""

    def __init__(self, store: Store, state: MarketState, truth: TruthFilter, actions: Sequence[Action] = ()) -> None:
        self._store, self._state, self._truth = store, state, truth
        self._at: JournalId | None = None
        self._actions = actions
        self.objections: list[Objection] = []
        """What was not taken in of the history, and why."""
        self.cadences = pl.DataFrame(schema=CADENCES)
        """How often each instrument came on each feed, as the last checkpoint knows it."""
        state.actions.know(actions)

    async def begin(
        self, requirements: Requirements, history: Sequence[pl.DataFrame], series: Sequence[pl.DataFrame]
    ) -> None:
        """Load the last checkpoint and the stored bars."""
        store, state = self._store, self._state
        checkpoint = await store.load_checkpoint()
        frames = {name: read_frame(data) for name, data in checkpoint.frames.items()} if checkpoint else {}
        sessions = await load_sessions(store, requirements)
        minutes = await _minutes(store, state, frames, requirements)
        for frame in [*await load_series(store, requirements), *series]:
            state.external.include(frame)
        looked_at = pl.col("symbol").is_in(requirements.instruments)
        others = [frame.filter(~looked_at) for frame in history]  # nobody is asked about what no rule looks at
        history, self.objections = screened([frame.filter(looked_at) for frame in history], sessions, self._actions)
        state.restore(frames, minutes, [*sessions, *history, *others])
        for feed, newest in frames["watermarks"].iter_rows() if "watermarks" in frames else ():
            self._truth.resume(feed, newest)
        self.cadences = frames.get("cadences", self.cadences)
        self._at = checkpoint.covers if checkpoint else None
        if checkpoint:
            await self._know_again(checkpoint.covers)

    async def follow(self) -> None:
        """Come up to the newest checkpoint of the daemon that leads.

        Its journal is applied and not the checkpoint itself, which is far more; what came of bars on the way is stored.
        """
        covers = await self._store.checkpoint_covers()
        if covers is None or (self._at is not None and covers <= self._at):
            return
        await self._apply(covers)
        self._at = covers
        self._state.closed_bars()
        self._state.revisions()

    async def finish(self) -> Recovered:
        """Apply the journal after the checkpoint, and read what the last leader decided. Needs the lease."""
        await self.follow()
        entries = await self._apply(None)
        records = [decode_record(data) for data in (await self._store.instances()).values()]
        return Recovered(records, await self._store.last_journal_id(), entries)

    async def _know_again(self, covers: JournalId) -> None:
        """Learn the trades shortly before the checkpoint: who had not heard that they are kept sends them again."""
        since = JournalId(max(0, covers.ms - _SENT_AGAIN_MS), 0)
        async for entry in self._store.journal(since):
            if entry.id > covers:
                break
            if "trades" in entry.fields:
                batch, _ = journal.decode({name: entry.fields[name] for name in _TRADES})
                self._truth.learn(batch)

    async def _apply(self, until: JournalId | None) -> int:
        """Apply the journal from where the state stands; one by one: merged, late rows count into other minutes."""
        entries = 0
        async for entry in self._store.journal(self._at):
            if until is not None and entry.id > until:
                break
            batch, now = journal.decode(entry.fields)
            self._state.apply(batch, now)
            self._truth.learn(batch, entry.fields.get(FEED, b"").decode() or None)
            entries += 1
        return entries


async def _minutes(
    store: Store, state: MarketState, frames: Mapping[str, pl.DataFrame], requirements: Requirements
) -> Iterator[pl.DataFrame]:
    """The minute bars that clock windows look back to, oldest first; read as they are asked for."""
    volumes = by_minute(requirements)
    if not (frames and (requirements.clock_ns or volumes or state.keeps_minutes)):
        return iter(())
    names = await store.bar_chunks("1m")
    calendar, until = state.calendar, frames["state"]["minute_end"][0]
    if until:
        oldest = calendar.minute_end(max(0, calendar.minute_at(until) - state.kept_minutes))
        if volumes:
            oldest = min(oldest, state.oldest_volume_close(until))
        since = dt.datetime.fromtimestamp(oldest // _SECOND, dt.UTC).strftime(CHUNK_NAME)
        # A chunk is named by its first minute: the one before may reach into what is needed.
        names = names[max(0, bisect_left(names, since) - 1) :]
    return _read_ahead(await store.load_bars("1m", names), MINUTE_COLUMNS + (("volume",) if volumes else ()))


def _read_ahead(chunks: Sequence[BarChunk], columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The chunks' frames; while one is worked on, threads read the next."""
    with ThreadPoolExecutor(_AHEAD) as pool:
        coming: deque[Future[pl.DataFrame]] = deque()
        for chunk in chunks:
            coming.append(pool.submit(read_frame, chunk.data, columns))
            if len(coming) > _AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


async def load_sessions(store: Store, requirements: Requirements) -> list[pl.DataFrame]:
    """Stored session bars that rules look back to, in one frame, oldest first; none where nothing is stored."""
    names = _needed(await store.bar_chunks("1d"), requirements)
    chunks = await store.load_bars("1d", names)
    # At once: taken in one after the other, 250 sessions of 10,000 instruments take three times as long.
    columns = SESSION_COLUMNS + (("volume",) if requirements.volume_sessions or requirements.profile_sessions else ())
    schema = pl.Schema({name: SESSION_BARS[name] for name in columns})
    frames = [frame.cast(schema) for frame in _read_ahead(chunks, columns)]
    return [pl.concat(frames)] if frames else []


async def load_series(store: Store, requirements: Requirements) -> list[pl.DataFrame]:
    """What was imported of the external series that rules look at."""
    if not requirements.series:
        return []
    return [read_frame(chunk.data) for chunk in await store.load_bars(STORED_SERIES, list(requirements.series))]


def _needed(names: list[str], requirements: Requirements) -> list[str]:
    """The session chunks, named by date, that the rules look back to, and a few more."""
    since = requirements.since.isoformat() if requirements.since else None
    volumes = max(requirements.volume_sessions, requirements.profile_sessions)
    first = max(0, len(names) - max(requirements.sessions + volumes, _FEWEST) - _SPARE)
    return [name for place, name in enumerate(names) if place >= first or (since and name >= since)]


async def load_bars(store: Store, resolution: str, since: str) -> list[pl.DataFrame]:
    """Stored bars of a resolution from a date on, oldest first."""
    return await _load(store, resolution, await store.bar_chunks(resolution, since))


async def _load(store: Store, resolution: str, names: Sequence[str]) -> list[pl.DataFrame]:
    return [read_frame(chunk.data) for chunk in await store.load_bars(resolution, names)]


def read_frame(data: bytes, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """A frame written by :func:`monitor.pipeline.frame_bytes`, or some columns of it."""
    return pl.read_ipc(BytesIO(data), columns=None if columns is None else list(columns))
