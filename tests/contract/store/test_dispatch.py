from __future__ import annotations

import pytest

from monitor.store.base import Dispatch, JournalId, LeaseLost, Store, StoreRewound
from tests.contract.store.backends import Backend, commit

pytestmark = pytest.mark.asyncio(loop_scope="session")


def step(ms: int, previous: int | None = None, **parts) -> Dispatch:
    before = None if previous is None else JournalId(previous, 0)
    return Dispatch(JournalId(ms, 0), before, **parts)


async def test_ledger_outbox_and_decisions_are_written_together(store: Store):
    await store.dispatch(step(1, ledger={"a": b"1", "b": b"2"}, outbox=[{"key": b"k"}], decisions=[{"alert": b"x"}]))
    assert await store.ledger() == {"step": b"1-0", "a": b"1", "b": b"2"}
    (entry,) = await store.take_outbox("c", 5, 0)
    assert (entry.id, entry.fields) == ("1-1", {"key": b"k"})
    assert await store.decisions(5) == [("1-1", {"alert": b"x"})]
    assert await store.decisions(5, "y") == []


async def test_a_step_is_made_once(store: Store):
    for _ in range(2):
        await store.dispatch(step(1, ledger={"a": b"1"}, outbox=[{"key": b"k"}], decisions=[{"alert": b"x"}]))
    assert len(await store.take_outbox("c", 5, 0)) == len(await store.decisions(5)) == 1
    await store.dispatch(step(2, 1, ledger={"a": None}))
    await store.dispatch(step(1, ledger={"a": b"late"}))
    assert await store.ledger() == {"step": b"2-0"}


async def test_a_gap_shows_that_the_server_lost_what_it_had(store: Store):
    await store.dispatch(step(1))
    with pytest.raises(StoreRewound):
        await store.dispatch(step(3, 2, ledger={"a": b"1"}, outbox=[{"key": b"k"}]))
    assert await store.ledger() == {"step": b"1-0"}
    assert await store.outbox_depth() == (0, 0)


async def test_an_old_epoch_tells_nobody_and_keeps_nothing(backend: Backend, store: Store):
    other = await backend.connect()
    await other.acquire("other")
    with pytest.raises(LeaseLost):
        await store.dispatch(step(1, outbox=[{"key": b"k"}]))
    with pytest.raises(LeaseLost):
        await store.keep_records("silences", {"s": b"1"})
    assert await store.outbox_depth() == (0, 0)
    assert await store.records("silences") == {}


async def test_many_fields_fit_into_a_step(store: Store):
    fields = {f"f{n}": b"%d" % n for n in range(10_001)}
    await store.dispatch(step(1, ledger=fields, outbox=[{"key": b"%d" % n} for n in range(10_000)]))
    assert len(await store.ledger()) == 10_002
    assert (await store.outbox_depth())[0] == 10_000
    await store.dispatch(step(2, 1, ledger=dict.fromkeys(fields)))
    assert await store.ledger() == {"step": b"2-0"}


async def test_transitions_are_read_on_from_where_one_stopped(store: Store):
    await store.commit([commit(1, transitions=[{"n": b"1"}, {"n": b"2"}]), commit(2, transitions=[{"n": b"3"}])])
    first = await store.transitions_after("", 2)
    assert [fields["n"] for _, fields in first] == [b"1", b"2"]
    assert [fields["n"] for _, fields in await store.transitions_after(first[-1][0], 5)] == [b"3"]


async def test_records_are_set_and_removed(store: Store):
    await store.keep_records("silences", {"a": b"1", "b": b"2"})
    await store.keep_records("silences", {"a": None, "b": b"3", "never": None})
    assert await store.records("silences") == {"b": b"3"}
    assert await store.records("acks") == {}
    await store.keep_records("acks", {})
