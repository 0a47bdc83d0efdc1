from __future__ import annotations

import time

import pytest

from monitor.store.base import DECISIONS, TRANSITIONS, Dispatch, JournalId, LeaseLost, Store
from tests.contract.store.backends import Backend, commit

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANY = 350
LATER = int(time.time() * 1000) + 3_600_000
"""UTC ms in an hour: everything in the store is older."""
BLOCK = 100
"""Entries of a stream that may stay though they are too old."""


async def happen(store: Store, first: int) -> None:
    """Transitions, decisions, notifications given up and audit entries, :data:`MANY` each, from a time (UTC ms) on."""
    for ms in range(first, first + MANY):
        fields = {"key": b"%d" % ms}
        await store.commit([commit(ms, transitions=[fields])])
        await store.dispatch(Dispatch(JournalId(ms, 0), outbox=[fields], decisions=[fields]))
    for entry in await store.take_outbox("a", MANY, 0):
        await store.settle_outbox(entry, entry.fields["key"].decode(), b"refused", dead=True)
    await store.add_audit([{"entry": b"x"}] * MANY)


async def sizes(store: Store, first: int) -> dict[str, int]:
    outcomes = await store.notified([str(ms) for ms in range(first, first + MANY)])
    return {
        "transitions": len(await store.page(TRANSITIONS, "", 10_000)),
        "decisions": len(await store.page(DECISIONS, "", 10_000)),
        "outcomes": len(outcomes),
        "audit": len(await store.audit(10_000)),
        "dead": len(await store.dead_letters(10_000)),
    }


async def test_what_is_too_old_is_forgotten_in_bounded_steps_and_nothing_else(store: Store):
    await happen(store, 1)
    everything = dict.fromkeys(("transitions", "decisions", "outcomes", "audit", "dead"), MANY)
    assert await store.trim_history(1) == 0
    assert await sizes(store, 1) == everything
    gone = await store.trim_history(LATER, 120)
    assert 120 <= gone <= 5 * 120
    left = await sizes(store, 1)
    assert left["outcomes"] == MANY - 120
    assert all(MANY - 120 <= size <= MANY for size in left.values())
    while await store.trim_history(LATER, 120):
        pass
    left = await sizes(store, 1)
    assert left.pop("outcomes") == 0
    assert all(size < BLOCK for size in left.values())


async def test_what_is_kept_for_longer_than_since_1970_is_all_kept(store: Store):
    await happen(store, 1)
    before = await sizes(store, 1)
    assert await store.trim_history(-1_000) == 0
    assert await sizes(store, 1) == before


async def test_the_newest_stay(store: Store):
    await happen(store, 1)
    while await store.trim_history(MANY - 10, 1_000):
        pass
    left = await sizes(store, 1)
    assert left["outcomes"] == 11
    assert 11 <= left["transitions"] <= 11 + BLOCK
    assert 11 <= left["decisions"] <= 11 + BLOCK
    assert (left["audit"], left["dead"]) == (MANY, MANY)  # these happened now, by the server's clock
    assert (await store.transitions(1))[0][1] == {"key": b"%d" % MANY}


async def test_nothing_grows_with_uptime(store: Store):
    first, seen = 1, []
    for _ in range(4):
        await happen(store, first)
        while await store.trim_history(LATER):
            pass
        seen.append(await sizes(store, first))
        first += MANY
    assert all(size < BLOCK for each in seen for size in each.values())


async def test_an_old_epoch_forgets_nothing(backend: Backend, store: Store):
    await happen(store, 1)
    other = await backend.connect()
    with pytest.raises(LeaseLost, match="acquire"):
        await other.trim_history(LATER)
    await other.acquire("other")
    with pytest.raises(LeaseLost):
        await store.trim_history(LATER)
    assert set((await sizes(other, 1)).values()) == {MANY}
