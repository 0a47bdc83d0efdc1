from __future__ import annotations

import pytest

from monitor.store.base import BarChunk, Checkpoint, JournalId, Store
from tests.contract.store.backends import Backend, commit

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_checkpoint_comes_back(backend: Backend, store: Store):
    assert await store.load_checkpoint() is None
    frames = {"quotes": bytes(range(256)) * 1000, "covers": b"a frame may have any name", "empty": b""}
    await store.save_checkpoint(Checkpoint(JournalId(9, 1), frames, bars=[BarChunk("1m", "a", b"bars")]))
    loaded = await (await backend.connect()).load_checkpoint()
    assert loaded == Checkpoint(JournalId(9, 1), frames)
    assert await store.load_bars("1m", ["a"]) == [BarChunk("1m", "a", b"bars")]


async def test_a_checkpoint_replaces_the_last_one_whole(store: Store):
    await store.save_checkpoint(Checkpoint(JournalId(1, 0), {"old": b"1"}))
    await store.save_checkpoint(Checkpoint(JournalId(1, 0), {"new": b"2"}))
    assert await store.load_checkpoint() == Checkpoint(JournalId(1, 0), {"new": b"2"})


@pytest.mark.parametrize("late", [JournalId(9, 5), JournalId(1, 7), JournalId(10, 4)])
async def test_a_checkpoint_that_arrives_late_is_passed_over(store: Store, late: JournalId):
    await store.save_checkpoint(Checkpoint(JournalId(10, 5), {"f": b"new"}))
    await store.save_checkpoint(Checkpoint(late, {"f": b"late"}, bars=[BarChunk("1d", "late", b"")]))
    assert await store.load_checkpoint() == Checkpoint(JournalId(10, 5), {"f": b"new"})
    assert await store.bar_chunks("1d") == []


async def test_a_checkpoint_replaces_chunks_in_the_same_step(store: Store):
    await store.save_bars([BarChunk("1m", name, b"x") for name in "abc"] + [BarChunk("1d", "a", b"day")])
    await store.save_checkpoint(
        Checkpoint(
            JournalId(1, 0),
            {},
            bars=[BarChunk("1m", "ab", b"joined"), BarChunk("1m", "c", b"rewritten")],
            replaces=[("1m", "a"), ("1m", "b"), ("1m", "c"), ("1m", "never there")],
        )
    )
    assert await store.bar_chunks("1m") == ["ab", "c"]
    assert [chunk.data for chunk in await store.load_bars("1m", ["ab", "c"])] == [b"joined", b"rewritten"]
    assert await store.bar_chunks("1d") == ["a"]


async def test_chunks_are_listed_in_order_of_time(store: Store):
    names = [f"2026-01-{day:02}" for day in (23, 5, 15)]
    await store.save_bars([BarChunk("1m", name, name.encode()) for name in names])
    assert await store.bar_chunks("1m") == sorted(names)
    assert await store.bar_chunks("1m", "2026-01-15") == ["2026-01-15", "2026-01-23"]
    assert await store.bar_chunks("1m", "2026-01-16") == ["2026-01-23"]
    assert await store.bar_chunks("1m", "2027") == []
    assert await store.bar_chunks("1d") == []


async def test_chunks_are_loaded_replaced_and_dropped(store: Store):
    await store.save_bars([BarChunk("1d", "a", b"1"), BarChunk("1d", "b", b"2")])
    await store.save_bars([BarChunk("1d", "a", b"3")])
    assert await store.load_bars("1d", ["b", "gone", "a"]) == [BarChunk("1d", "b", b"2"), BarChunk("1d", "a", b"3")]
    await store.drop_bars("1d", ["a", "gone"])
    await store.drop_bars("1d", [])
    assert await store.bar_chunks("1d") == ["b"]
    assert await store.load_bars("1d", ["a"]) == []


async def test_many_chunks(store: Store):
    names = [f"{n:05}" for n in range(9_000)]
    await store.save_checkpoint(Checkpoint(JournalId(1, 0), {}, bars=[BarChunk("1m", name, b"x") for name in names]))
    assert await store.bar_chunks("1m") == names
    assert len(await store.load_bars("1m", names)) == 9_000
    await store.drop_bars("1m", names)
    assert await store.bar_chunks("1m") == []


async def test_transitions_newest_first_and_by_episode(store: Store):
    entries = [{"episode": b"a" if n % 3 else b"b", "n": b"%d" % n} for n in range(2_500)]
    await store.commit([commit(1, transitions=entries[:2_000]), commit(2, transitions=entries[2_000:])])
    assert [int(f["n"]) for _, f in await store.transitions(3)] == [2_499, 2_498, 2_497]
    assert [int(f["n"]) for _, f in await store.transitions(2, "b")] == [2_499, 2_496]
    assert len(await store.transitions(10_000, "b")) == 834
    assert await store.transitions(5, "unknown") == []
    ids = [stream_id for stream_id, _ in await store.transitions(10_000)]
    assert len(set(ids)) == 2_500


async def test_transitions_are_bounded(backend: Backend):
    store = await backend.connect(transitions_kept=200)
    await store.acquire("a")
    for ms in range(1, 30):
        await store.commit([commit(ms, transitions=[{"ms": b"%d" % ms}] * 100)])
    kept = await store.transitions(10_000)
    assert 200 <= len(kept) <= 400
    assert kept[0][1]["ms"] == b"29"
