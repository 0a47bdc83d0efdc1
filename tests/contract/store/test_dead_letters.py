from __future__ import annotations

import pytest

from monitor.store.base import DeadLetter, Dispatch, JournalId, LeaseLost, Store
from tests.contract.store.backends import Backend

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def give_up(store: Store, ms: int, *keys: str) -> list[DeadLetter]:
    """Notifications with these keys, dispatched at a time and given up; the dead letters, newest first."""
    outbox = [{"key": key.encode(), "notification": b"{}"} for key in keys]
    await store.dispatch(Dispatch(JournalId(ms, 0), outbox=outbox))
    for entry in await store.take_outbox("a", 100, 0):
        await store.settle_outbox(entry, entry.fields["key"].decode(), b"refused", dead=True)
    return await store.dead_letters(100)


async def test_dead_letters_are_listed_newest_first_a_page_at_a_time(store: Store):
    assert await store.dead_letters(10) == []
    letters = await give_up(store, 1, "a", "b", "c")
    assert [letter.fields for letter in letters] == [{"key": k, "notification": b"{}"} for k in (b"c", b"b", b"a")]
    assert {letter.outcome for letter in letters} == {b"refused"}
    first = await store.dead_letters(2)
    assert first + await store.dead_letters(2, first[-1].id) == letters


async def test_a_requeued_letter_is_handed_out_again_as_it_was_and_is_known_to_nobody(store: Store):
    _, letter = await give_up(store, 1, "a", "b")
    assert await store.requeue([letter.id]) == [letter.id]
    assert await store.notified(["a", "b"]) == {"b": b"refused"}
    assert await store.outbox_depth() == (1, 1)
    (entry,) = await store.take_outbox("another", 5, 0)
    assert entry.fields == letter.fields
    await store.settle_outbox(entry, "a", b"sent", dead=False)
    assert await store.notified(["a"]) == {"a": b"sent"}
    assert await store.outbox_depth() == (0, 1)


async def test_requeued_twice_is_requeued_once(store: Store):
    (letter,) = await give_up(store, 1, "a")
    assert await store.requeue([letter.id, letter.id]) == [letter.id]
    assert await store.requeue([letter.id, "77-0"]) == []
    assert await store.requeue([]) == []
    assert await store.outbox_depth() == (1, 0)


async def test_the_dispatcher_goes_on_where_it_was(store: Store):
    """The ids of requeued letters lie before that of any later step, whatever the server's clock says."""
    letters = await give_up(store, 1, "a", "b")
    await store.requeue([letter.id for letter in letters])
    await store.dispatch(Dispatch(JournalId(1, 1), JournalId(1, 0), outbox=[{"key": b"next"}]))
    assert [e.fields["key"] for e in await store.take_outbox("b", 5, 0)] == [b"b", b"a", b"next"]


async def test_a_letter_that_is_given_up_again_is_among_the_dead_again(store: Store):
    (letter,) = await give_up(store, 1, "a")
    for _ in range(3):
        await store.requeue([letter.id])
        (entry,) = await store.take_outbox("a", 5, 0)
        await store.settle_outbox(entry, "a", b"again", dead=True)
        (again,) = await store.dead_letters(5)
        assert (again.fields, again.outcome) == (letter.fields, b"again")
        letter = again


async def test_an_old_epoch_requeues_nothing(backend: Backend, store: Store):
    (letter,) = await give_up(store, 1, "a")
    other = await backend.connect()
    with pytest.raises(LeaseLost, match="acquire"):
        await other.requeue([letter.id])
    await other.acquire("other")
    with pytest.raises(LeaseLost):
        await store.requeue([letter.id])
    assert await other.outbox_depth() == (0, 1)
    assert await other.notified(["a"]) == {"a": b"refused"}
