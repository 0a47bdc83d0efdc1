"""Stored bars without the prints that were taken back: minutes, and a session's close, high, low and volume."""

from __future__ import annotations

import asyncio
import math

import polars as pl
import pytest

from connectors.batch import CORRECTIONS, TIME, Batch
from monitor.calendar import TradingCalendar
from monitor.committer import Committer
from monitor.pipeline import frame_bytes
from monitor.recovery import read_frame
from monitor.revised_bars import with_revisions
from monitor.state import MarketState
from monitor.store.base import BarChunk, Checkpoint, JournalId, StoreUnavailable
from monitor.store.memory import MemoryStore
from tests.unit.monitor.state.conftest import Tape, at

GONE = (None, None)


class Kept:
    """A state, and the store its bars go to."""

    def __init__(self, nyse) -> None:
        self.tape = Tape(MarketState(nyse, clock_ns=30 * 60 * 10**9))
        self.store = MemoryStore()
        self.number = 0

    def checkpoint(self) -> Checkpoint:
        minutes, sessions = self.tape.state.closed_bars()
        revisions = self.tape.state.revisions()
        bars = [BarChunk("1d", f"{rows['ts'].item(0)}", frame_bytes(rows)) for rows in sessions.partition_by("ts")]
        if minutes.height:
            first = minutes["ts"].dt.strftime("%Y-%m-%dT%H:%M").min()
            bars.append(BarChunk("1m", str(first), frame_bytes(minutes)))
        self.number += 1
        return Checkpoint(
            JournalId(self.number, 0), {}, bars, revisions=frame_bytes(revisions) if revisions.height else b""
        )

    async def save(self) -> None:
        await self.store.save_checkpoint(await with_revisions(self.store, self.checkpoint()))

    async def stored(self, resolution: str) -> list[tuple[float, ...]]:
        """Open, high, low, close and volume of each bar, in order of time."""
        chunks = await self.store.load_bars(resolution, await self.store.bar_chunks(resolution))
        bars = pl.concat([read_frame(chunk.data) for chunk in chunks]).sort("ts")
        return bars.select("open", "high", "low", "close", "volume").rows()

    def take_back(self, price: float, size: float, of: str, when: str, new=GONE) -> None:
        rows = [(at(of), "IWM", "cancel", 1, price, size, None, *new)]
        frame = pl.DataFrame(rows, schema=CORRECTIONS.names(), orient="row")
        frame = frame.with_columns(pl.col("ts").cast(TIME)).cast(CORRECTIONS)
        self.tape.state.apply(Batch("t", 0, corrections=frame), at(when))


@pytest.fixture(scope="module")
def nyse() -> TradingCalendar:
    return TradingCalendar("XNYS")


@pytest.fixture
async def kept(nyse):
    made = Kept(nyse)
    await made.store.open()
    await made.store.acquire("test")
    for price, when in (
        (250.0, "10:00:10"),
        (299.0, "10:00:20"),  # the wrong one
        (251.0, "10:00:30"),
        (252.0, "10:01:10"),
        (249.0, "10:01:20"),
        (250.0, "10:02:10"),
    ):
        made.tape.trade("IWM", price, f"2026-01-23 {when}", 10.0)
    return made


async def test_a_high_of_a_stored_minute_is_the_next_that_is_known(kept):
    kept.tape.advance("2026-01-23 10:05:00")
    await kept.save()
    assert (await kept.stored("1m"))[0] == (250.0, 299.0, 250.0, 251.0, 30.0)
    kept.take_back(299.0, 10.0, "2026-01-23 10:00:20", "2026-01-23 10:05:10")
    await kept.save()
    assert (await kept.stored("1m"))[0] == (250.0, 251.0, 250.0, 251.0, 20.0)
    assert len(await kept.stored("1m")) == 3


@pytest.mark.parametrize("saved_first", [True, False])
async def test_the_sessions_high_is_made_again_from_its_minutes(kept, saved_first):
    kept.tape.advance("2026-01-23 10:05:00")
    if saved_first:
        await kept.save()
    kept.take_back(299.0, 10.0, "2026-01-23 10:00:20", "2026-01-23 10:05:10")
    await kept.save()
    kept.tape.advance("2026-01-26 09:30:00")
    await kept.save()
    assert await kept.stored("1d") == [(250.0, 252.0, 249.0, 250.0, 50.0)]


@pytest.mark.parametrize("saved_first", [True, False])
async def test_a_session_that_is_over_is_made_again_too(kept, saved_first):
    kept.tape.advance("2026-01-26 09:30:00")
    if saved_first:
        await kept.save()
        assert await kept.stored("1d") == [(250.0, 299.0, 249.0, 250.0, 60.0)]
    kept.take_back(299.0, 10.0, "2026-01-23 10:00:20", "2026-01-26 09:31:00", (252.5, 7.0))
    await kept.save()
    assert await kept.stored("1d") == [(250.0, 252.5, 249.0, 250.0, 57.0)]
    assert (await kept.stored("1m"))[0] == (250.0, 252.5, 250.0, 251.0, 27.0)


@pytest.mark.parametrize("saved_first", [True, False])
async def test_a_close_that_was_none_is_the_price_before_it(kept, saved_first):
    kept.tape.trade("IWM", 240.0, "2026-01-23 15:59:30", 10.0)
    kept.tape.advance("2026-01-26 09:30:00")
    if saved_first:
        await kept.save()
    kept.take_back(240.0, 10.0, "2026-01-23 15:59:30", "2026-01-26 09:31:00")
    await kept.save()
    assert await kept.stored("1d") == [(250.0, 299.0, 249.0, 250.0, 60.0)]


@pytest.mark.parametrize("saved_first", [True, False])
async def test_a_session_of_nothing_but_what_was_none_has_no_bar(nyse, saved_first):
    kept = Kept(nyse)
    await kept.store.open()
    await kept.store.acquire("test")
    kept.tape.trade("IWM", 250.0, "2026-01-23 10:00:10", 10.0)
    kept.tape.trade("SPY", 600.0, "2026-01-23 10:00:10", 10.0)
    kept.tape.advance("2026-01-26 09:30:00")
    if saved_first:
        await kept.save()
    kept.take_back(250.0, 10.0, "2026-01-23 10:00:10", "2026-01-26 09:31:00")
    await kept.save()
    assert await kept.stored("1d") == [(600.0, 600.0, 600.0, 600.0, 10.0)]
    assert math.isnan(kept.tape.state.sessions.close(kept.tape.state.session - 1)[0])


async def test_prints_of_two_days_in_one_chunk_are_both_changed(nyse):
    kept = Kept(nyse)
    await kept.store.open()
    await kept.store.acquire("test")
    for day in ("22", "23"):
        kept.tape.trade("IWM", 299.0, f"2026-01-{day} 10:00:10", 10.0)
        kept.tape.trade("IWM", 250.0, f"2026-01-{day} 10:00:20", 10.0)
    kept.tape.advance("2026-01-23 10:02:00")
    await kept.save()
    for day in ("22", "23"):
        kept.take_back(299.0, 10.0, f"2026-01-{day} 10:00:10", "2026-01-23 10:02:10")
    await kept.save()
    assert await kept.stored("1m") == [(250.0, 250.0, 250.0, 250.0, 10.0)] * 2


async def test_a_bar_in_two_chunks_is_changed_in_both(kept):
    kept.tape.advance("2026-01-23 10:05:00")
    await kept.save()
    (chunk,) = await kept.store.load_bars("1m", await kept.store.bar_chunks("1m"))
    await kept.store.save_bars([BarChunk("1m", "2026-01-23T14:59", chunk.data)])  # a merge that was cut off
    kept.take_back(299.0, 10.0, "2026-01-23 10:00:20", "2026-01-23 10:05:10")
    await kept.save()
    assert [bar[1] for bar in await kept.stored("1m")] == [251.0, 251.0, 252.0, 252.0, 250.0, 250.0]


async def test_what_is_not_stored_is_passed_over(kept):
    kept.take_back(299.0, 10.0, "2026-01-23 10:00:20", "2026-01-23 10:02:10")
    kept.tape.state.closed_bars()
    kept.take_back(251.0, 10.0, "2026-01-23 10:00:30", "2026-01-23 10:02:20")
    await kept.save()
    assert await kept.store.bar_chunks("1m") == []


class LosesAnswers(MemoryStore):
    """A store that takes the first checkpoint and does not say so."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        await super().save_checkpoint(checkpoint)
        if checkpoint.covers.ms == 2 and not self.lost:
            self.lost += 1
            raise StoreUnavailable("no answer")


async def test_a_checkpoint_that_is_written_twice_takes_no_volume_off_twice(kept):
    kept.store = LosesAnswers()
    await kept.store.open()
    await kept.store.acquire("test")
    kept.tape.advance("2026-01-23 10:05:00")
    committer = Committer(
        kept.store,
        max_bytes=10**9,
        owner="test",
        instances=lambda: asyncio.sleep(0, {}),
        on_done=lambda *_: None,
        on_trouble=lambda _: None,
    )
    running = asyncio.create_task(committer.run())
    await committer.put(kept.checkpoint())
    kept.take_back(299.0, 10.0, "2026-01-23 10:00:20", "2026-01-23 10:05:10")
    await committer.put(kept.checkpoint())
    await committer.drained()
    running.cancel()
    assert kept.store.lost == 1
    assert (await kept.stored("1m"))[0] == (250.0, 251.0, 250.0, 251.0, 20.0)
