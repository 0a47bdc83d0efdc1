from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from monitor.store.base import Dispatch, JournalId, LeaseLost, OutboxEntry, Store
from tests.contract.store.backends import Backend

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def ask(store: Store, ms: int, count: int) -> None:
    """A step of the dispatcher that asks for `count` notifications."""
    await store.dispatch(Dispatch(JournalId(ms, 0), outbox=[{"key": b"%d:%d" % (ms, n)} for n in range(count)]))


def keys(entries: list[OutboxEntry]) -> list[str]:
    return [entry.fields["key"].decode() for entry in entries]


async def test_each_notification_is_handed_out_once_in_order(backend: Backend, store: Store):
    await ask(store, 1, 2)
    await ask(store, 2, 1)
    other = await backend.connect()
    first, second = await store.take_outbox("a", 2, 0), await other.take_outbox("b", 5, 0)
    assert keys(first) == ["1:0", "1:1"]
    assert keys(second) == ["2:0"]
    assert {entry.deliveries for entry in first + second} == {1}
    assert await store.take_outbox("a", 5, 0) == []
    assert await store.outbox_depth() == (3, 0)


async def test_a_delivered_notification_is_gone_and_its_outcome_kept(store: Store):
    await ask(store, 1, 2)
    first, second = await store.take_outbox("a", 2, 0)
    await store.settle_outbox(first, "k1", b"sent", dead=False)
    assert await store.outbox_depth() == (1, 0)
    assert await store.notified(["k1", "k2"]) == {"k1": b"sent"}
    assert await store.pending_outbox("a", 5, 0) == [OutboxEntry(second.id, 2, second.fields)]
    assert await store.notified([]) == {}


async def test_a_notification_that_was_given_up_is_among_the_dead_once(store: Store):
    await ask(store, 1, 1)
    (entry,) = await store.take_outbox("a", 1, 0)
    for _ in range(2):
        await store.settle_outbox(entry, "k", b"no such channel", dead=True)
    assert await store.outbox_depth() == (0, 1)
    assert await store.notified(["k"]) == {"k": b"no such channel"}
    assert await store.pending_outbox("a", 5, 0) == []


async def test_unsettled_notifications_go_to_whoever_asks_and_are_counted(backend: Backend, store: Store):
    await ask(store, 1, 3)
    taken = await store.take_outbox("killed", 3, 0)
    assert await store.pending_outbox("next", 5, idle_ms=3_600_000) == []
    other = await backend.connect()
    assert keys(await other.pending_outbox("next", 2, 0)) == ["1:0", "1:1"]
    again = await other.pending_outbox("next", 5, 0)
    assert {entry.id: entry.deliveries for entry in again} == {taken[0].id: 3, taken[1].id: 3, taken[2].id: 2}
    await other.acquire("next")
    await other.settle_outbox(again[0], "k", b"", dead=False)
    assert await other.outbox_depth() == (2, 0)
    with pytest.raises(LeaseLost):
        await store.settle_outbox(again[1], "k2", b"", dead=False)
    assert await other.outbox_depth() == (2, 0)
    assert await other.notified(["k2"]) == {}


async def test_taking_waits_for_the_next_step(store: Store):
    taking = asyncio.create_task(store.take_outbox("a", 5, 30_000))
    await store.ping()
    assert not taking.done()
    await ask(store, 1, 1)
    assert keys(await asyncio.wait_for(taking, 5)) == ["1:0"]


async def test_taking_gives_up_after_a_while(store: Store):
    assert await store.take_outbox("a", 5, 20) == []
    await ask(store, 1, 1)
    assert len(await store.take_outbox("a", 5, 20)) == 1


async def test_nothing_is_lost_when_taking_is_cancelled(store: Store):
    for ms in range(1, 20):
        taking = asyncio.create_task(store.take_outbox("a", 5, 30_000))
        writing = asyncio.create_task(ask(store, ms, 1))
        for _ in range(ms):
            await asyncio.sleep(0)
        taking.cancel()
        with suppress(asyncio.CancelledError):
            await taking
        await writing
    new, pending = await store.take_outbox("a", 50, 0), await store.pending_outbox("a", 50, 0)
    assert {entry.id for entry in new + pending} == {f"{ms}-1" for ms in range(1, 20)}


async def test_outcomes_and_dead_letters_are_bounded(backend: Backend):
    store = await backend.connect(outcomes_kept=5, dead_kept=100)
    await store.acquire("a")
    await ask(store, 1, 400)
    for entry in await store.take_outbox("a", 400, 0):
        await store.settle_outbox(entry, entry.id, b"x", dead=True)
    known = await store.notified([f"1-{n}" for n in range(1, 401)])
    assert len(known) == 5
    waiting, dead = await store.outbox_depth()
    assert waiting == 0
    assert 100 <= dead <= 300
