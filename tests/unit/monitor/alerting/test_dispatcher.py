from __future__ import annotations

import asyncio
import contextlib

import pytest

from monitor.alerting.alert import Posted, of_condition
from monitor.alerting.decision import Reason
from monitor.alerting.dispatcher import Dispatcher
from monitor.alerting.policy import told_at_once
from monitor.alerting.silences import UnknownSilence
from monitor.alerting.verdict import Verdict
from monitor.notify.compose import describe
from monitor.notify.message import Kind, Notification
from monitor.pipeline import Result, encode_transition
from monitor.store.base import ACKS, LeaseLost, StoreUnavailable
from monitor.store.memory import MemoryServer, MemoryStore
from rules.transition import State
from tests.contract.store.backends import commit
from tests.unit.monitor.alerting.samples import AT, HOUR, MINUTE, calendar, silence
from tests.unit.monitor.notify.samples import notification, transition, until


class Clock:
    wall, seconds = AT, 0.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    return MemoryServer()


async def started(server, clock, event_time: int = AT) -> Dispatcher:
    store = MemoryStore(server)
    await store.acquire("me")
    policy = told_at_once(["desk", "mail"], calendar())
    dispatcher = Dispatcher(store, policy, exact=False, wall=lambda: clock.wall, monotonic=lambda: clock.seconds)
    await dispatcher.load(event_time)
    return dispatcher


async def committed(dispatcher: Dispatcher, number: int, *transitions) -> Result:
    notices = tuple(describe(t) for t in transitions)
    entries = [encode_transition(t, n) for t, n in zip(transitions, notices, strict=True)]
    result = Result(commit(number, transitions=entries), transitions, AT, AT, notices)
    await dispatcher._store.commit([result.commit])
    return result


async def told(dispatcher: Dispatcher) -> list[str]:
    entries = await dispatcher._store.take_outbox("c", 100, 0)
    return [Notification.decode(e.fields).key for e in entries]


async def test_what_was_committed_is_in_the_outbox_after_one_step(server, clock):
    dispatcher = await started(server, clock)
    dispatcher.committed([await committed(dispatcher, 1, transition())])
    await dispatcher.step()
    episode = transition().episode
    assert await told(dispatcher) == [f"{episode}:firing:1:{r}" for r in ("desk", "mail")]
    (_, fields), *_ = await dispatcher._store.decisions(10, "small-caps-turn")
    assert Verdict.decode(fields).last.reason is Reason.TOLD
    assert [v.last.reason for v in dispatcher.explain("small-caps-turn")] == [Reason.ALREADY_TOLD] * 2


async def test_what_was_committed_and_not_dispatched_is_dispatched_after_a_restart_once(server, clock):
    dispatcher = await started(server, clock)
    await committed(dispatcher, 1, transition(), transition(alert="b", episode="b@1"))
    again = dispatcher
    for _ in range(2):
        again = await started(server, clock)
        await again.step()
        assert len(server.outbox) in {0, 4}
        again.committed([await committed(again, 2)])
        await again.step()
        assert len(server.outbox) == 4
    assert {a.name for a in again.alerts()} == {"small-caps-turn", "b"}


async def test_people_are_told_after_a_while_even_if_no_data_comes(server, clock):
    dispatcher = await started(server, clock)
    await committed(dispatcher, 1, transition())
    again = await started(server, clock)
    clock.seconds = 30.0
    await again.step()
    assert len(await told(again)) == 2


async def test_a_server_that_lost_everything_is_given_it_again(server, clock):
    dispatcher = await started(server, clock)
    dispatcher.committed([await committed(dispatcher, 1, transition())])
    await dispatcher.step()
    for table in (server.ledger, server.outbox, server.decisions):
        table.clear()
    server.step = None
    await dispatcher._store.acquire("me")
    dispatcher.committed([await committed(dispatcher, 2, transition(new=State.RESOLVED))])
    await dispatcher.step()
    assert [key.split(":")[1] for key in await told(dispatcher)] == ["firing", "firing", "resolved", "resolved"]


async def test_a_stale_leader_tells_nobody(server, clock):
    stale = await started(server, clock)
    stale.committed([await committed(stale, 1, transition())])
    await started(server, clock)
    with pytest.raises(LeaseLost):
        await stale.step()
    assert server.outbox == {}


async def test_a_silence_holds_from_now_on_and_over_a_restart(server, clock):
    dispatcher = await started(server, clock)
    made = await dispatcher.set_silence(silence("alert=small-caps-turn"))
    again = await started(server, clock)
    again.committed([await committed(again, 1, transition())])
    await again.step()
    assert await told(again) == []
    await again.expire_silence(made)
    await again.step()
    assert len(await told(again)) == 2
    assert [s.id for s in again.list_silences()] == [made]
    with pytest.raises(UnknownSilence):
        await again.expire_silence("nobody")


async def test_a_silence_that_ends_by_itself_lets_alerts_through(server, clock):
    dispatcher = await started(server, clock)
    await dispatcher.set_silence(silence("alert=small-caps-turn", ends_at=AT + MINUTE))
    dispatcher.committed([await committed(dispatcher, 1, transition())])
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.drained()
    assert server.outbox == {}
    server.changed.clear()
    clock.wall += MINUTE
    async with asyncio.timeout(5):
        await server.changed.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_an_acknowledgement_is_read_when_somebody_says_so(server, clock):
    dispatcher = await started(server, clock)
    await dispatcher._store.keep_records(ACKS, {transition().episode: b'{"by": "me", "at": 1}'})
    await dispatcher.acks_changed()
    dispatcher.committed([await committed(dispatcher, 1, transition())])
    await dispatcher.step()
    assert await told(dispatcher) == []


async def test_a_receiver_is_not_told_about_itself(server, clock):
    dispatcher = await started(server, clock)
    dispatcher.book.evaluated()
    failing = notification("e1", alert="receiver-failing", labels={"source": "monitor", "receiver": "mail"})
    dispatcher.post([of_condition(failing)])
    await dispatcher.step()
    assert await told(dispatcher) == ["e1:firing:1:desk"]


async def test_what_the_last_process_was_ill_with_is_over_with_it(server, clock):
    dispatcher = await started(server, clock)
    dispatcher.book.evaluated()
    dispatcher.post([of_condition(notification("e1", alert="feed-down", labels={"feed": "iex"}))])
    await dispatcher.step()
    again = await started(server, clock)
    again.book.evaluated()
    await again.step()
    assert [key.split(":")[1] for key in await told(again)] == ["firing", "firing", "resolved", "resolved"]


async def test_anothers_alert_ends_unless_it_is_posted_again(server, clock):
    dispatcher = await started(server, clock)
    dispatcher.book.evaluated()
    posted = Posted(labels={"alertname": "disk", "severity": "critical"}, annotations={"summary": "full"})
    running = asyncio.create_task(dispatcher.run())
    for _ in range(3):
        await dispatcher.receive([posted])
        clock.wall += 4 * MINUTE
    assert [(a.name, a.summary) for a in dispatcher.alerts()] == [("disk", "full")]
    clock.wall += HOUR
    await dispatcher.drained()
    assert dispatcher.alerts() == []
    kinds = [Notification.decode(w.fields).kind for w in server.outbox.values()]
    assert kinds == [Kind.FIRING, Kind.FIRING, Kind.RESOLVED, Kind.RESOLVED]
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_reload_that_makes_a_rule_more_severe_is_told(server, clock):
    dispatcher = await started(server, clock)
    dispatcher.committed([await committed(dispatcher, 1, transition())])
    await dispatcher.step()
    dispatcher.rules_changed({"small-caps-turn": "critical"})
    await dispatcher.step()
    assert [key.split(":")[2] for key in await told(dispatcher)] == ["1", "1", "2", "2"]


async def test_a_reload_does_not_open_again_what_has_ended_meanwhile(server, clock):
    dispatcher = await started(server, clock)
    dispatcher.committed([await committed(dispatcher, 1, transition())])
    await dispatcher.step()
    dispatcher.committed([await committed(dispatcher, 2, transition(new=State.RESOLVED))])
    dispatcher.rules_changed({"small-caps-turn": "critical"})
    await dispatcher.step()
    assert [key.split(":")[1] for key in await told(dispatcher)] == ["firing", "firing", "resolved", "resolved"]
    assert dispatcher.alerts() == []


class ShakyStore(MemoryStore):
    """Answers may get lost on the way: of the next write, or of the next read."""

    lost = read_fails = False

    async def keep_records(self, name, records):
        await super().keep_records(name, records)
        if self.lost:
            self.lost = False
            raise StoreUnavailable("no answer in time")

    async def records(self, name):
        if self.read_fails:
            raise StoreUnavailable("no answer in time")
        return await super().records(name)


@contextlib.asynccontextmanager
async def shaky(server, clock):
    """A dispatcher that runs, on a store that loses answers, with an alert that fires."""
    store = ShakyStore(server)
    await store.acquire("me")
    policy = told_at_once(["desk", "mail"], calendar())
    dispatcher = Dispatcher(store, policy, exact=False, wall=lambda: clock.wall, monotonic=lambda: clock.seconds)
    await dispatcher.load(AT)
    dispatcher.committed([await committed(dispatcher, 1, transition())])
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.drained()
    yield dispatcher, store
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_an_acknowledgement_that_is_stored_holds_whether_or_not_the_store_answers_after_it(server, clock):
    async with shaky(server, clock) as (dispatcher, store):
        store.read_fails = True
        await dispatcher.acknowledge(transition().episode, "ann")
        assert dispatcher.acks[transition().episode].by == "ann"


@pytest.mark.parametrize("what", ["silence", "ack"])
async def test_what_was_stored_though_the_answer_was_lost_holds_here_as_it_does_for_the_next_leader(
    server, clock, what
):
    async with shaky(server, clock) as (dispatcher, store):
        said = {
            "ack": lambda: dispatcher.acknowledge(transition().episode, "ann"),
            "silence": lambda: dispatcher.set_silence(silence("alert=small-caps-turn")),
        }
        store.lost = True
        with pytest.raises(StoreUnavailable):
            await said[what]()
        await until(lambda: bool(dispatcher.acks if what == "ack" else dispatcher.list_silences()))


async def test_a_store_that_does_not_take_who_is_told_is_trouble_until_it_does(server, clock):
    dispatcher, said = await started(server, clock), []
    dispatcher.on_trouble = said.append
    dispatcher.committed([await committed(dispatcher, 1, transition())])
    server.available = False
    stepping = asyncio.create_task(dispatcher.step())
    await until(lambda: bool(said))
    server.available = True
    await stepping
    assert set(said[:-1]) == {"the memory store is switched off"}
    assert said[-1] is None
