from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from monitor.notify.lane import DeliveryPolicy
from monitor.notify.message import Kind, Notification
from monitor.notify.outbox import Notifier
from monitor.notify.sender import Delivery, Verdict
from monitor.store.base import Dispatch, JournalId, LeaseLost, OutboxEntry, StoreRefused
from monitor.store.memory import MemoryServer, MemoryStore
from tests.unit.monitor.notify.samples import AT, ScriptedSender, asked, notification, until

QUICK = DeliveryPolicy(base=0.001, cap=0.005, grace=1.0)
BUSY = Delivery(Verdict.TRANSIENT, "busy")
REFUSED = Delivery(Verdict.FATAL, "403")
OK = Delivery(Verdict.DELIVERED, "ok")


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.open()
    await store.acquire("test")
    return store


@contextlib.asynccontextmanager
async def running(notifier: Notifier) -> AsyncIterator[Notifier]:
    task = asyncio.create_task(notifier.run())
    try:
        yield notifier
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def outcome(store: MemoryStore, told: Notification) -> dict[str, object]:
    known = await store.notified([told.key])
    return msgspec.json.decode(known[told.key], type=dict[str, object])


async def test_a_notification_is_delivered_and_settled_with_its_outcome(store):
    sender, told = ScriptedSender(), notification()
    async with running(Notifier(store, {"desk": sender}, now=lambda: AT)):
        await store.dispatch(asked(told))
        await until(lambda: bool(store.server.notified))
    assert sender.delivered == [told.key]
    assert (await outcome(store, told)) == {
        "outcome": "delivered",
        "at": "2026-01-23T15:07:30Z",
        "attempts": 1,
        "detail": "scripted: ok",
    }
    assert await store.outbox_depth() == (0, 0)
    assert sender.closed


async def test_sending_starts_at_the_commit_and_not_at_the_next_read(store):
    sender = ScriptedSender()
    async with running(Notifier(store, {"desk": sender})):
        await asyncio.sleep(0.05)  # the notifier is blocked in its read
        loop = asyncio.get_running_loop()
        started = loop.time()
        await store.dispatch(asked(notification()))
        await until(lambda: bool(sender.attempts))
        assert loop.time() - started < 1.0  # a busy machine; the read blocks for 5 s


async def test_what_a_crash_left_comes_before_anything_new(store):
    old, new = notification("a"), notification("b")
    await store.dispatch(asked(old))
    assert len(await store.take_outbox("notifier", 10, 0)) == 1  # read and then killed
    await store.dispatch(asked(new, number=2))
    sender = ScriptedSender()
    async with running(Notifier(store, {"desk": sender})):
        await until(lambda: len(sender.delivered) == 2)
    assert sender.delivered == [old.key, new.key]


async def test_what_the_store_knows_as_delivered_is_settled_and_not_sent(store):
    told, counted = notification(), []
    await store.dispatch(asked(told))
    [entry] = await store.take_outbox("another", 1, 0)
    await store.settle_outbox(entry, told.key, b'{"outcome":"delivered"}', dead=False)
    await store.dispatch(asked(told, number=2))
    sender = ScriptedSender()
    async with running(Notifier(store, {"desk": sender}, on_outcome=lambda *what: counted.append(what))):
        await until(lambda: not store.server.outbox)
    assert sender.attempts == []
    assert counted == [("desk", "skipped")]
    assert await store.notified([told.key]) == {told.key: b'{"outcome":"delivered"}'}


async def test_a_transient_failure_is_retried_until_it_works(store):
    sender, told, counted = ScriptedSender([BUSY, BUSY, RuntimeError("a bug")]), notification(), []
    async with running(Notifier(store, {"desk": sender}, policy=QUICK, on_outcome=lambda *what: counted.append(what))):
        await store.dispatch(asked(told))
        await until(lambda: bool(store.server.notified))
    assert len(sender.attempts) == 4
    assert (await outcome(store, told))["attempts"] == 4
    assert counted == [("desk", "failed")] * 3 + [("desk", "delivered")]


@pytest.mark.parametrize(
    ("policy", "answer", "reason", "attempts"),
    [
        (DeliveryPolicy(base=0.001, cap=0.002, max_attempts=5), BUSY, "failed 5 times; busy", 5),
        (DeliveryPolicy(base=0.001, cap=0.002), REFUSED, "refused 3 times; 403", 3),
        (DeliveryPolicy(), Delivery(Verdict.REJECTED, "400"), "rejected; 400", 1),
        (
            DeliveryPolicy(base=0.001, max_age=0.05),
            Delivery(Verdict.TRANSIENT, "429", 99.0),
            "failed for 0.0 hours; 429",
            2,
        ),
        (DeliveryPolicy(base=0.001, cap=0.002, max_age=0.0), BUSY, "failed for 0.0 hours; busy", 1),
    ],
)
async def test_a_message_is_given_up_for_a_reason_and_kept_among_the_dead(store, policy, answer, reason, attempts):
    sender, told = ScriptedSender([answer] * 50), notification()
    async with running(Notifier(store, {"desk": sender}, policy=policy)):
        await store.dispatch(asked(told))
        await until(lambda: bool(store.server.dead))
    assert len(sender.attempts) == attempts
    assert (await outcome(store, told))["detail"] == reason
    assert (await outcome(store, told))["outcome"] == "dead"
    assert store.server.dead[0].fields["key"] == told.key.encode()


async def test_the_back_off_is_no_shorter_than_what_the_service_asks_for(store):
    sender = ScriptedSender([Delivery(Verdict.TRANSIENT, "429", 0.5)])
    loop = asyncio.get_running_loop()
    async with running(Notifier(store, {"desk": sender}, policy=QUICK)):
        began = loop.time()
        await store.dispatch(asked(notification("a")))
        await until(lambda: bool(sender.attempts))
        # That another message goes through does not cut it short.
        await store.dispatch(asked(notification("b"), number=2))
        await until(lambda: len(sender.delivered) == 1)
        await until(lambda: len(sender.delivered) == 2)
        assert loop.time() - began >= 0.5
    assert sender.attempts == [notification(e).key for e in ("a", "b", "a")]


async def test_refusals_count_only_when_they_come_running(store):
    sender = ScriptedSender([REFUSED, REFUSED, BUSY, REFUSED, REFUSED, OK])
    async with running(Notifier(store, {"desk": sender}, policy=QUICK)):
        await store.dispatch(asked(notification()))
        await until(lambda: bool(sender.delivered))
    assert len(sender.attempts) == 6


async def test_an_unknown_receiver_is_dead_at_once(store):
    told = notification(receiver="nobody")
    async with running(Notifier(store, {"desk": ScriptedSender(), "mail": ScriptedSender()})):
        await store.dispatch(asked(told))
        await until(lambda: bool(store.server.dead))
    assert (await outcome(store, told))["detail"] == "no receiver of this name is configured; there are: desk, mail"


@pytest.mark.parametrize(
    "fields",
    [
        {"key": b"k", "notification": b"{"},
        {"key": b"k"},
        {},
        {"key": b"\xff\xfe", "notification": b"{}"},
        {"key": b"k", "notification": b'{"episode": 3}'},
        {"key": b"k", "notification": b"[]"},
    ],
)
async def test_an_entry_that_cannot_be_read_is_dead_and_the_next_is_delivered(store, fields):
    sender, good = ScriptedSender(), notification()
    bad = Dispatch(JournalId(1, 0), outbox=[fields, good.encode()])
    async with running(Notifier(store, {"desk": sender})):
        await store.dispatch(bad)
        await until(lambda: bool(sender.delivered) and bool(store.server.dead) and not store.server.outbox)
    assert b"not a notification" in store.server.dead[0].outcome


async def test_resolved_waits_for_its_firing_and_other_episodes_do_not(store):
    sender = ScriptedSender([BUSY])
    sender.gate = asyncio.Event()
    first = [notification("a"), notification("a", Kind.RESOLVED)]
    other = notification("b")
    policy = DeliveryPolicy(base=30.0, grace=0.1)
    async with running(Notifier(store, {"desk": sender}, policy=policy)):
        await store.dispatch(asked(*first, other))
        await until(lambda: len(sender.attempts) == 2)
        assert sender.attempts == [first[0].key, other.key]
        sender.gate.set()
        # The other episode's success says that the receiver is back: the firing does not sit out its 30 s.
        await until(lambda: len(sender.delivered) == 3)
    assert sender.delivered == [other.key, first[0].key, first[1].key]


async def test_a_stuck_receiver_does_not_delay_another(store):
    stuck, quick = ScriptedSender(gate=asyncio.Event()), ScriptedSender()
    policy = DeliveryPolicy(grace=0.05)
    told = [notification(f"e{i}", receiver=name) for i in range(20) for name in ("stuck", "quick")]
    async with running(Notifier(store, {"stuck": stuck, "quick": quick}, policy=policy)):
        await store.dispatch(asked(*told))
        await until(lambda: len(quick.delivered) == 20)
        assert stuck.delivered == []
        assert stuck.most_under_way == policy.parallel
        assert quick.most_under_way <= policy.parallel


async def test_what_finds_no_room_stays_in_the_outbox_and_comes_in_order(store):
    sender = ScriptedSender(gate=asyncio.Event())
    policy = DeliveryPolicy(parallel=1, room=4, grace=0.1)
    told = [notification(f"e{i}", kind) for i in range(6) for kind in (Kind.FIRING, Kind.RESOLVED)]
    notifier = Notifier(store, {"desk": sender, "mail": ScriptedSender()}, policy=policy)
    async with running(notifier):
        await store.dispatch(asked(*told))
        await until(lambda: bool(sender.attempts))
        assert notifier.held == 4
        await store.dispatch(asked(notification("late"), number=2))
        await store.dispatch(asked(notification("other", receiver="mail"), number=3))
        await until(lambda: len(store.server.notified) == 1)  # the other receiver is not held up
        assert notifier.held == 4
        assert sender.gate is not None
        sender.gate.set()
        await until(lambda: len(sender.delivered) == 13)
    assert sorted(sender.delivered) == sorted({n.key for n in told} | {notification("late").key})
    for i in range(6):
        mine = [key for key in sender.delivered if key.startswith(f"e{i}:")]
        assert mine == [notification(f"e{i}").key, notification(f"e{i}", Kind.RESOLVED).key]


async def test_the_store_away_delays_the_note_and_sends_nothing_twice(store):
    sender, told = ScriptedSender(gate=asyncio.Event()), [notification("a"), notification("b")]
    assert sender.gate is not None
    async with running(Notifier(store, {"desk": sender}, policy=QUICK)):
        await store.dispatch(asked(*told))
        await until(lambda: len(sender.attempts) == 2)
        store.server.available = False
        sender.gate.set()
        await until(lambda: len(sender.delivered) == 2)
        await asyncio.sleep(0.3)  # a few tries to note it
        assert store.server.notified == {}
        store.server.available = True
        await until(lambda: len(store.server.notified) == 2)
        await store.dispatch(asked(notification("c"), number=2))
        await until(lambda: len(sender.delivered) == 3)
    assert sender.attempts == [told[0].key, told[1].key, notification("c").key]


async def test_starting_while_the_store_is_away(store):
    sender = ScriptedSender()
    await store.dispatch(asked(notification()))
    store.server.available = False
    async with running(Notifier(store, {"desk": sender})):
        await asyncio.sleep(0.05)
        store.server.available = True
        await until(lambda: bool(sender.delivered))


class LosesAnswers(MemoryStore):
    """Hands notifications out, and the first answer is lost on the way."""

    lost = 0

    async def take_outbox(self, consumer: str, count: int, block_ms: int) -> list[OutboxEntry]:
        entries = await super().take_outbox(consumer, count, block_ms)
        if entries and not self.lost:
            self.lost = len(entries)
            raise StoreRefused("the connection broke")
        return entries


async def test_an_answer_lost_on_the_way_is_read_again():
    store, sender = LosesAnswers(), ScriptedSender()
    await store.acquire("test")
    async with running(Notifier(store, {"desk": sender})):
        await store.dispatch(asked(notification()))
        await until(lambda: bool(sender.delivered))
    assert store.lost == 1


async def test_an_entry_with_the_key_of_one_under_way_is_not_sent(store):
    sender, told = ScriptedSender(gate=asyncio.Event()), notification()
    assert sender.gate is not None
    notifier = Notifier(store, {"desk": sender})
    async with running(notifier):
        await store.dispatch(asked(told))
        await until(lambda: bool(sender.attempts))
        await store.dispatch(asked(told, number=2))
        await asyncio.sleep(0.05)
        sender.gate.set()
        await until(lambda: bool(store.server.notified))
    async with running(Notifier(store, {"desk": sender})):
        await until(lambda: not store.server.outbox)
    assert sender.attempts == [told.key]


async def test_another_daemon_taking_over_ends_the_run(store, monkeypatch):
    async def refused(*args: object, **named: object) -> None:
        raise LeaseLost("epoch 2 holds the lease")

    monkeypatch.setattr(store, "settle_outbox", refused)
    await store.dispatch(asked(notification()))
    with pytest.raises(LeaseLost):
        await Notifier(store, {"desk": ScriptedSender()}, policy=QUICK).run()


async def test_a_server_that_was_emptied_is_nobody_taking_over(store):
    """Whoever commits takes the lease anew and writes again what is lacking; what was sent is not sent again."""
    sender, told = ScriptedSender(gate=asyncio.Event()), notification()
    assert sender.gate is not None
    async with running(Notifier(store, {"desk": sender}, policy=QUICK)):
        await store.dispatch(asked(told))
        await until(lambda: len(sender.attempts) == 1)
        emptied = store.server
        store.server = MemoryServer()
        sender.gate.set()
        await asyncio.sleep(0.3)  # a few tries to note it
        await store.acquire("test")
        await store.dispatch(asked(told))
        await until(lambda: told.key in store.server.notified and not store.server.outbox)
    assert emptied.notified == {}
    assert sender.attempts == [told.key]


async def test_what_was_given_up_is_among_the_dead_of_a_server_that_was_emptied(store):
    told = notification()
    async with running(Notifier(store, {"desk": ScriptedSender([Delivery(Verdict.REJECTED, "400")])}, policy=QUICK)):
        await store.dispatch(asked(told))
        await until(lambda: len(store.server.dead) == 1)
        store.server = MemoryServer()
        await store.acquire("test")
        await store.dispatch(asked(told))
        await until(lambda: told.key in store.server.notified)
    assert [letter.fields["key"] for letter in store.server.dead] == [told.key.encode()]


async def test_a_stop_lets_a_send_under_way_finish(store):
    sender, told = ScriptedSender(gate=asyncio.Event()), notification()
    assert sender.gate is not None
    task = asyncio.create_task(Notifier(store, {"desk": sender}).run())
    await store.dispatch(asked(told, notification("waiting", receiver="desk")))
    await until(lambda: len(sender.attempts) == 2)
    task.cancel()
    await asyncio.sleep(0)
    sender.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(store.server.notified) == 2
    assert sender.closed


async def test_a_stop_abandons_what_outlasts_the_grace_and_it_is_sent_by_the_next_run(store):
    stuck, told = ScriptedSender(gate=asyncio.Event()), notification()
    task = asyncio.create_task(Notifier(store, {"desk": stuck}, policy=DeliveryPolicy(grace=0.05)).run())
    await store.dispatch(asked(told))
    await until(lambda: bool(stuck.attempts))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 2)
    assert store.server.notified == {}
    sender = ScriptedSender()
    async with running(Notifier(store, {"desk": sender})):
        await until(lambda: bool(sender.delivered))


async def test_a_stop_does_not_wait_for_back_off(store):
    sender = ScriptedSender([BUSY])
    task = asyncio.create_task(Notifier(store, {"desk": sender}, policy=DeliveryPolicy(base=300.0)).run())
    await store.dispatch(asked(notification()))
    await until(lambda: bool(sender.attempts) and sender.under_way == 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)


async def test_a_receiver_that_fails_and_comes_back_is_reported_once_each(store):
    heard: list[tuple[str, str | None]] = []
    sender = ScriptedSender([BUSY] * 5)
    notifier = Notifier(store, {"desk": sender}, policy=QUICK, on_failing=lambda *what: heard.append(what))
    async with running(notifier):
        await store.dispatch(asked(notification()))
        await until(lambda: bool(sender.delivered))
        await until(lambda: len(heard) == 2)
        assert notifier.failing() == {}
    assert heard == [("desk", "busy"), ("desk", None)]


async def test_deliver_now_needs_no_store_and_sends_once():
    store = MemoryStore(MemoryServer(available=False))
    sender, told = ScriptedSender(), notification("store-down-2026-01-23-1")
    notifier = Notifier(store, {"desk": sender})
    async with running(notifier):
        await notifier.deliver_now([told, told, notification(receiver="nobody")])
        await until(lambda: notifier.held == 0)
        await notifier.deliver_now([told])
        await asyncio.sleep(0.02)
    assert sender.attempts == [told.key]


async def test_thousands_of_messages_after_a_long_outage_arrive_once_each(store):
    told = [notification(f"e{i}", kind) for i in range(1_000) for kind in (Kind.FIRING, Kind.RESOLVED)]
    await store.dispatch(asked(*told))
    await store.take_outbox("notifier", 10_000, 0)
    store.server.clock = lambda base=store.server.clock: base() + 60.0  # handed out a minute ago
    sender = ScriptedSender()
    async with running(Notifier(store, {"desk": sender}, policy=DeliveryPolicy(room=5_000))):
        await until(lambda: len(store.server.notified) == 2_000, 30)
    assert len(sender.attempts) == len(set(sender.attempts)) == 2_000


def test_back_off_doubles_up_to_its_cap_with_jitter():
    import random

    policy = DeliveryPolicy(base=1.0, cap=300.0)
    chance = random.Random(7)
    for attempts, most in [(1, 1.0), (2, 2.0), (5, 16.0), (9, 256.0), (10, 300.0), (5_000, 300.0)]:
        waits = [policy.wait(attempts, chance) for _ in range(50)]
        assert all(most / 2 <= wait <= most for wait in waits)
        assert len(set(waits)) > 1


async def test_a_message_whose_end_is_still_being_noted_is_not_forgotten(store):
    """Requeued now, it would be marked as done with by the note that is still to come."""
    sender, told = ScriptedSender([Delivery(Verdict.REJECTED, "400")], gate=asyncio.Event()), notification()
    await store.dispatch(asked(told))
    async with running(Notifier(store, {"desk": sender}, policy=QUICK)) as notifier:
        await until(lambda: sender.under_way == 1)
        assert notifier.forget([told.key]) == set()
        store.server.available = False
        sender.gate.set()
        await until(lambda: notifier.held == 0)
        assert notifier.forget([told.key]) == set()
        store.server.available = True
        await until(lambda: bool(store.server.dead))
        await until(lambda: notifier.forget([told.key]) == {told.key})
        [letter] = await store.dead_letters(5)
        await store.requeue([letter.id])
        await until(lambda: sender.delivered == [told.key])


async def test_what_is_requeued_is_passed_over_while_its_end_is_remembered(store):
    """Why the notifier has to forget before the store requeues."""
    sender, told = ScriptedSender([Delivery(Verdict.REJECTED, "400")]), notification()
    await store.dispatch(asked(told))
    async with running(Notifier(store, {"desk": sender}, policy=QUICK)):
        await until(lambda: bool(store.server.dead))
        await store.requeue([(await store.dead_letters(1))[0].id])
        await until(lambda: not store.server.outbox)
    assert sender.delivered == []
