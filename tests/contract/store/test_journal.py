from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from monitor.store.base import Checkpoint, JournalEntry, JournalId, LeaseLost, Store, StoreRefused
from tests.contract.store.backends import Backend, commit, journal_ids

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_commit_makes_everything_visible(store: Store):
    await store.commit(
        [
            commit(
                7,
                data=b"\x00\xff",
                instances={"size": b"{}"},
                transitions=[{"episode": b"e1", "to": b"firing"}],
                quotes={"SPY": {"bid": "1.5"}},
            )
        ]
    )
    assert [entry async for entry in store.journal(None)] == [JournalEntry(JournalId(7, 0), {"quotes": b"\x00\xff"})]
    assert await store.instances() == {"size": b"{}"}
    assert [fields for _, fields in await store.transitions(10)] == [{"episode": b"e1", "to": b"firing"}]


async def test_repeating_a_commit_changes_nothing(store: Store):
    first = commit(1, instances={"a": b"1"}, transitions=[{"n": b"1"}])
    await store.commit([first])
    await store.commit([commit(2, instances={"a": b"2"})])
    await store.commit([first])
    assert await journal_ids(store) == ["1-0", "2-0"]
    assert await store.instances() == {"a": b"2"}
    assert len(await store.transitions(10)) == 1


async def test_repeating_a_group_finishes_it(store: Store):
    group = [commit(ms, transitions=[{"n": b"%d" % ms}]) for ms in range(1, 6)]
    await store.commit(group[:3])
    await store.commit(group)
    assert await journal_ids(store) == [f"{ms}-0" for ms in range(1, 6)]
    assert [fields["n"] for _, fields in await store.transitions(10)] == [b"5", b"4", b"3", b"2", b"1"]


async def test_an_instance_is_removed(store: Store):
    await store.commit([commit(1, instances={"a": b"1", "b": b"2"})])
    await store.commit([commit(2, instances={"a": None, "c": b"3", "never there": None})])
    assert await store.instances() == {"b": b"2", "c": b"3"}


async def test_where_readers_stand_is_known_with_what_they_read_and_not_without(store: Store):
    await store.commit([commit(1, positions={"inbox/a.csv": b"1"}), commit(2, positions={"inbox/a.csv": b"2"})])
    await store.commit([commit(1, positions={"inbox/a.csv": b"1", "other": b"1"})])
    assert await store.records("positions") == {"inbox/a.csv": b"2"}
    many = {f"ingest-key/{n}": b"{}" for n in range(6_001)}
    await store.commit([commit(3, positions=many)])
    assert await store.records("positions") == {"inbox/a.csv": b"2"} | many


async def test_no_commits_are_no_error(store: Store):
    await store.commit([])
    assert await store.last_journal_id() is None


async def test_a_commit_may_be_large(store: Store):
    many = 6_001
    await store.commit(
        [
            commit(
                1,
                data=bytes(3_000_000),
                instances={f"rule/{n}": b"{}" for n in range(many)},
                transitions=[{"episode": b"%d" % n} for n in range(many)],
                quotes={f"S{n}": {"bid": "1"} for n in range(many)},
            ),
            commit(1, 1, instances={f"rule/{n}": None for n in range(1, many)}, transitions=[{"episode": b"last"}]),
        ]
    )
    assert await store.instances() == {"rule/0": b"{}"}
    assert [f["episode"] for _, f in await store.transitions(2)] == [b"last", b"%d" % (many - 1)]


async def test_names_may_be_any_text(store: Store):
    await store.commit([commit(1, instances={"Größe/BRK.B {0}": b"x"}, quotes={"BTC/USD": {"bid": "1"}})])
    assert await store.instances() == {"Größe/BRK.B {0}": b"x"}


async def test_a_refused_commit_leaves_nothing_and_is_not_overtaken(store: Store):
    await store.commit([commit(1)])
    entry_without_fields = JournalEntry(JournalId(2, 0), {})
    bad = commit(2, instances={"a": b"1"}, transitions=[{"n": b"1"}], quotes={"SPY": {"bid": "1"}})
    with pytest.raises(StoreRefused):
        await store.commit([type(bad)(entry_without_fields, bad.instances, bad.transitions), commit(3)])
    assert await journal_ids(store) == ["1-0"]
    assert await store.instances() == {}
    assert await store.transitions(1) == []
    await store.commit([bad, commit(3)])
    assert await journal_ids(store) == ["1-0", "2-0", "3-0"]


async def test_epochs_rise(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    epochs = [await first.acquire("a"), await second.acquire("b"), await first.acquire("a")]
    assert epochs == sorted(set(epochs))


async def test_an_older_epoch_may_not_write(backend: Backend, store: Store):
    await store.commit([commit(1)])
    newer = await backend.connect()
    await newer.acquire("second")
    with pytest.raises(LeaseLost, match="2:second"):
        await store.commit([commit(2, instances={"a": b"1"})])
    with pytest.raises(LeaseLost, match="2:second"):
        await store.save_checkpoint(Checkpoint(JournalId(1, 0), {}))
    assert await journal_ids(newer) == ["1-0"]
    assert await newer.instances() == {}
    assert await newer.load_checkpoint() is None
    await newer.commit([commit(2)])
    assert await journal_ids(store) == ["1-0", "2-0"]


async def test_the_lease_comes_before_the_first_write(backend: Backend):
    store = await backend.connect()
    with pytest.raises(LeaseLost, match="acquire"):
        await store.commit([commit(1)])
    with pytest.raises(LeaseLost, match="acquire"):
        await store.save_checkpoint(Checkpoint(JournalId(1, 0), {}))


async def test_journal_from_a_position(store: Store):
    await store.commit([commit(1, 0), commit(1, 1), commit(2, 0), commit(10, 0)])
    assert await journal_ids(store) == ["1-0", "1-1", "2-0", "10-0"]
    assert await journal_ids(store, JournalId(1, 0)) == ["1-1", "2-0", "10-0"]
    assert await journal_ids(store, JournalId(5, 0)) == ["10-0"]
    assert await journal_ids(store, JournalId(10, 0)) == []


@pytest.mark.parametrize(("entries", "size"), [(2_500, 10), (40, 400_000)])
async def test_a_long_journal_comes_in_order(store: Store, entries: int, size: int):
    await store.commit([commit(ms, data=bytes(size)) for ms in range(1, entries + 1)])
    assert await journal_ids(store) == [f"{ms}-0" for ms in range(1, entries + 1)]


async def test_last_journal_id_is_known_when_the_journal_was_trimmed(store: Store):
    assert await store.last_journal_id() is None
    await store.commit([commit(5, 3)])
    await store.save_checkpoint(Checkpoint(JournalId(6, 0), {}))
    await store.trim_journal(6)
    assert await journal_ids(store) == []
    assert await store.last_journal_id() == JournalId(5, 3)
    await store.commit([commit(5, 3), commit(5, 2)])
    assert await journal_ids(store) == []


async def test_only_what_a_checkpoint_covers_is_trimmed(store: Store):
    await store.commit([commit(ms) for ms in range(1, 7)])
    await store.trim_journal(100)
    assert len(await journal_ids(store)) == 6
    await store.save_checkpoint(Checkpoint(JournalId(4, 0), {}))
    await store.trim_journal(3)
    assert await journal_ids(store) == ["3-0", "4-0", "5-0", "6-0"]
    await store.trim_journal(100)
    assert await journal_ids(store, JournalId(4, 0)) == ["5-0", "6-0"]


async def test_of_a_journal_of_too_many_bytes_the_oldest_are_trimmed_as_far_as_a_checkpoint_goes(store: Store):
    await store.commit([commit(ms, data=bytes(100_000)) for ms in range(1, 61)])
    await store.trim_journal(0, 2_000_000)
    assert len(await journal_ids(store)) == 60
    await store.save_checkpoint(Checkpoint(JournalId(55, 0), {}))
    await store.trim_journal(0, 60 * 200_000)
    assert len(await journal_ids(store)) == 60
    for _ in range(3):
        await store.trim_journal(0, 2_000_000)
    left = await journal_ids(store)
    assert 10 < len(left) <= 25
    assert left[-1] == "60-0"
    for _ in range(3):
        await store.trim_journal(0, 1_000)
    assert await journal_ids(store) == [f"{ms}-0" for ms in range(55, 61)]


async def test_a_cancelled_commit_leaves_the_store_usable(store: Store):
    commits = [commit(ms, data=bytes(50_000)) for ms in range(1, 30)]
    for turns in range(12):
        task = asyncio.create_task(store.commit(commits))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await store.ping()
    await store.commit(commits)
    assert await journal_ids(store) == [f"{ms}-0" for ms in range(1, 30)]


async def test_stores_write_side_by_side_in_the_order_of_each(store: Store):
    await asyncio.gather(*(store.commit([commit(ms, instances={"n": b"%d" % ms})]) for ms in range(1, 50)))
    ids = await journal_ids(store)
    assert ids == sorted(ids, key=lambda text: JournalId.parse(text).ms)
    assert await store.instances() == {"n": b"49"}


async def test_closing_twice_is_fine(backend: Backend):
    store = await backend.connect()
    await store.close()
    await store.close()
