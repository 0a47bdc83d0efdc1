"""A service that behaves badly delays nobody but itself, and is asked again when it wants to be."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from email.utils import format_datetime

import pytest

from monitor import clock
from monitor.notify.lane import DeliveryPolicy
from monitor.notify.outbox import Notifier
from monitor.notify.receivers import open_receiver
from monitor.notify.sender import Verdict
from monitor.store.memory import MemoryStore
from tests.integration.notify.servers import mail_server, web_server
from tests.integration.notify.troublesome import (
    Behaviour,
    cuts,
    drips_its_head,
    drips_its_text,
    first,
    never_ends,
    says,
    takes_a_minute,
    troublesome,
)
from tests.unit.monitor.notify.samples import asked, compose, notification, transition, until

ON_TIME = 5.0
"""Seconds, on a busy machine; the troublesome service's deadline is longer."""


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    await store.open()
    await store.acquire("test")
    yield store
    await store.close()


@contextlib.asynccontextmanager
async def notifying(
    store: MemoryStore, urls: Mapping[str, str], deadline: float, policy: DeliveryPolicy
) -> AsyncIterator[Notifier]:
    senders = {name: open_receiver([url], deadline=deadline) for name, url in urls.items()}
    notifier = Notifier(store, senders, policy=policy)
    task = asyncio.create_task(notifier.run())
    try:
        yield notifier
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("kind", ["webhook", "apprise"])
@pytest.mark.parametrize(
    "behaviour",
    [takes_a_minute, says(429, "Retry-After: 60"), cuts, says(400), drips_its_head, drips_its_text, never_ends],
    ids=["60s", "429", "cut", "400", "drip-head", "drip-text", "endless"],
)
async def test_the_others_are_on_time(store, behaviour: Behaviour, kind):
    names = ["mail", "hook", "bad"]
    told = [n for i in range(8) for n in compose(transition(member=f"M{i}", episode=f"lead-M{i}-2026-01-23-1"), names)]
    policy = DeliveryPolicy(base=0.05, cap=0.2, grace=0.1)
    async with troublesome(behaviour) as bad:
        with mail_server() as box, web_server() as hook:
            urls = {
                "bad": bad.url if kind == "webhook" else bad.url.replace("webhook", "json"),
                "mail": f"mailto://127.0.0.1:{box.port}?from=monitor@example.com&to=desk@example.com",
                "hook": f"webhook://127.0.0.1:{hook.port}",
            }
            async with notifying(store, urls, 10.0, policy):
                loop = asyncio.get_running_loop()
                began = loop.time()
                await store.dispatch(asked(*told))
                await until(lambda: len(hook.posts) == len(box.mails) == 8, ON_TIME)
                assert loop.time() - began < ON_TIME
                await until(lambda: bool(bad.at))


@pytest.mark.parametrize(
    "behaviour", [takes_a_minute, drips_its_head, drips_its_text, never_ends], ids=["60s", "head", "text", "endless"]
)
async def test_an_attempt_ends_with_its_deadline_and_takes_no_memory(behaviour: Behaviour):
    async with troublesome(behaviour) as bad:
        sender = open_receiver([bad.url], deadline=0.5)
        loop = asyncio.get_running_loop()
        began = loop.time()
        tracemalloc.start()
        outcome = await sender.send(notification())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert loop.time() - began < 1.5
        assert outcome.verdict is Verdict.TRANSIENT
        assert most < 5_000_000
        await sender.close()


@pytest.mark.parametrize("behaviour", [drips_its_head, drips_its_text, never_ends], ids=["head", "text", "endless"])
async def test_what_apprise_sends_ends_too_and_takes_no_memory(behaviour: Behaviour, monkeypatch):
    monkeypatch.setattr("monitor.notify.apprise_sender._LONGEST", 0.5)
    async with troublesome(behaviour) as bad:
        sender = open_receiver([bad.url.replace("webhook", "json")], deadline=10)
        loop = asyncio.get_running_loop()
        began = loop.time()
        tracemalloc.start()
        outcome = await sender.send(notification())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert loop.time() - began < 5
        assert outcome.verdict is Verdict.TRANSIENT
        assert "no answer" not in outcome.detail
        assert most < 20_000_000
        await sender.close()


async def test_what_apprise_sends_is_retried_when_the_service_wants_it():
    async with troublesome(says(503, "Retry-After: 7")) as busy:
        sender = open_receiver([busy.url.replace("webhook", "json")], deadline=10)
        outcome = await sender.send(notification())
        assert (outcome.verdict, outcome.retry_after) == (Verdict.TRANSIENT, 7.0)
        await sender.close()


async def test_what_a_service_took_counts_though_its_text_never_ends():
    async def took(_state, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        await asyncio.sleep(60)

    async with troublesome(took) as slow:
        sender = open_receiver([slow.url], deadline=0.5)
        assert (await sender.send(notification())).delivered
        await sender.close()


async def test_a_message_that_the_service_calls_wrong_is_dead_at_once(store):
    async with (
        troublesome(says(400, body=b'{"error":"no such field"}')) as bad,
        notifying(store, {"desk": bad.url}, 5.0, DeliveryPolicy()),
    ):
        await store.dispatch(asked(notification()))
        await until(lambda: bool(store.server.dead))
        known = json.loads((await store.notified([notification().key]))[notification().key])
    assert known["detail"].startswith("rejected; Webhook http://127.0.0.1:")
    assert "no such field" in known["detail"]
    assert len(bad.at) == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_service_is_left_alone_for_as_long_as_it_asks(store, status, form):
    after = "1" if form == "seconds" else None
    told_off: list[float] = []

    async def busy(state, writer):
        # A date has whole seconds: two from now is between one and two.
        when = dt.datetime.fromtimestamp(clock.wall_ns() // 1_000_000_000 + 2, dt.UTC)
        await says(status, f"Retry-After: {after or format_datetime(when, usegmt=True)}")(state, writer)
        told_off.append(asyncio.get_running_loop().time())

    async with (
        troublesome(first(busy, says(200))) as server,
        notifying(store, {"desk": server.url}, 5.0, DeliveryPolicy(base=0.01, cap=0.01)),
    ):
        await store.dispatch(asked(notification("a")))
        await until(lambda: bool(told_off))
        await store.dispatch(asked(notification("b"), number=2))  # another message does not knock either
        await until(lambda: len(store.server.notified) == 2)
    assert len(server.at) == 3
    assert all(later - told_off[0] > 0.95 for later in server.at[1:])
    assert server.at[1] - told_off[0] < 4
