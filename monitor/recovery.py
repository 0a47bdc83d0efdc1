"""A daemon's start: state and instances as the last process left them.

State is the stored bars, the last checkpoint and the journal after it. Nothing is decided again: each journal entry was
written in one step with its decisions, so the stored instances already stand where the last entry left them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import polars as pl

from monitor import journal
from monitor.ingest import TruthFilter
from monitor.pipeline import FEED, decode_record
from monitor.state import MarketState
from monitor.store.base import JournalId, Store
from rules.transition import InstanceRecord
from rules.view import Requirements

_FEWEST: Final = 260
_SPARE: Final = 5
"""Sessions: what is kept even if no rule asks, and what is loaded beyond what is asked for."""


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
) -> Recovered:
    """Fill an empty state with what `requirements` look back to, and an empty filter with what it last let through.

    `history`: session closes of the configuration's files, oldest first. They are the official ones and win over what
    the monitor saw itself.
    """
    checkpoint = await store.load_checkpoint()
    sessions = await load_sessions(store, requirements)
    minutes = await _load(store, "1m", await store.bar_chunks("1m") if requirements.clock_ns else [])
    frames = {name: read_frame(data) for name, data in checkpoint.frames.items()} if checkpoint else {}
    state.restore(frames, minutes, [*sessions, *history])
    entries = 0
    async for entry in store.journal(checkpoint.covers if checkpoint else None):
        batch, now = journal.decode(entry.fields)
        state.apply(batch, now)  # one by one: merged, late rows would count into other minutes
        truth.learn(batch, entry.fields.get(FEED, b"").decode() or None)
        entries += 1
    records = [decode_record(data) for data in (await store.instances()).values()]
    return Recovered(records, await store.last_journal_id(), entries)


async def load_sessions(store: Store, requirements: Requirements) -> list[pl.DataFrame]:
    """Stored session bars that rules look back to, oldest first."""
    return await _load(store, "1d", _needed(await store.bar_chunks("1d"), requirements))


def _needed(names: list[str], requirements: Requirements) -> list[str]:
    """The session chunks, named by date, that the rules look back to, and a few more."""
    since = requirements.since.isoformat() if requirements.since else None
    first = max(0, len(names) - max(requirements.sessions, _FEWEST) - _SPARE)
    return [name for place, name in enumerate(names) if place >= first or (since and name >= since)]


async def load_bars(store: Store, resolution: str, since: str) -> list[pl.DataFrame]:
    """Stored bars of a resolution from a date on, oldest first."""
    return await _load(store, resolution, await store.bar_chunks(resolution, since))


async def _load(store: Store, resolution: str, names: Sequence[str]) -> list[pl.DataFrame]:
    return [read_frame(chunk.data) for chunk in await store.load_bars(resolution, names)]


def read_frame(data: bytes) -> pl.DataFrame:
    """A frame written by :func:`monitor.pipeline.frame_bytes`."""
    return pl.read_ipc(BytesIO(data))
