"""From a commit in the store to mails and posts that arrived, with the faults that happen on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from monitor.notify.lane import DeliveryPolicy
from monitor.notify.outbox import Notifier
from monitor.notify.receivers import open_receiver
from monitor.notify.sender import Sender
from monitor.store.base import Store
from monitor.store.embedded import EmbeddedValkey
from monitor.store.memory import MemoryStore
from monitor.store.redis_store import RedisStore
from rules.transition import State
from tests.integration.notify.servers import free_port, mail_server, web_server
from tests.unit.monitor.notify.samples import asked, compose, transition, until

QUICK = DeliveryPolicy(base=0.05, cap=0.1, grace=2.0)


@pytest.fixture(params=["memory", "valkey"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with contextlib.AsyncExitStack() as stack:
        opened: Store
        if request.param == "memory":
            opened = MemoryStore()
        else:
            server = EmbeddedValkey(tmp_path)
            await server.start()
            stack.push_async_callback(server.stop)
            opened = RedisStore(server.url)
        await opened.open()
        stack.push_async_callback(opened.close)
        await opened.acquire("test")
        yield opened


@contextlib.asynccontextmanager
async def notifying(store: Store, urls: Mapping[str, str]) -> AsyncIterator[Notifier]:
    senders: dict[str, Sender] = {name: open_receiver([url], deadline=5.0) for name, url in urls.items()}
    notifier = Notifier(store, senders, policy=QUICK)
    task = asyncio.create_task(notifier.run())
    try:
        yield notifier
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def depth(store: Store, wanted: tuple[int, int]) -> None:
    async with asyncio.timeout(10):
        while await store.outbox_depth() != wanted:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)


def mail(port: int) -> str:
    return f"mailto://127.0.0.1:{port}?from=monitor@example.com&to=desk@example.com"


async def test_firing_and_resolved_arrive_by_mail_and_webhook(store):
    with mail_server() as box, web_server() as hook:
        async with notifying(store, {"mail": mail(box.port), "hook": f"json://127.0.0.1:{hook.port}"}):
            await store.dispatch(asked(*compose(transition(), ["mail", "hook"])))
            await store.dispatch(asked(*compose(transition(new=State.RESOLVED), ["mail", "hook"]), number=2))
            await until(lambda: len(box.mails) == len(hook.posts) == 2)
            await depth(store, (0, 0))
    assert [m["X-Rotation-State"] for m in box.mails] == ["firing", "resolved"]
    assert "Duration: 10m" in box.text(1)
    assert [post["state"] for post in hook.posts] == ["firing", "resolved"]
    keys = [n.key for kind in (State.FIRING, State.RESOLVED) for n in compose(transition(new=kind), ["mail", "hook"])]
    assert set(await store.notified(keys)) == set(keys)


async def test_a_dead_mail_server_does_not_delay_the_webhook_and_gets_its_mail_when_it_is_back(store):
    port = free_port()
    with web_server() as hook:
        async with notifying(store, {"mail": mail(port), "hook": f"json://127.0.0.1:{hook.port}"}) as notifier:
            await store.dispatch(asked(*compose(transition(), ["mail", "hook"])))
            await until(lambda: len(hook.posts) == 1)
            await until(lambda: "mail" in notifier.failing())
            with mail_server(port=port) as box:
                await until(lambda: len(box.mails) == 1)
                await until(lambda: notifier.held == 0)
    assert hook.requests == 1


async def test_a_webhook_that_refuses_for_good_ends_among_the_dead(store):
    with web_server() as hook:
        hook.status = 404
        async with notifying(store, {"hook": f"json://127.0.0.1:{hook.port}"}):
            await store.dispatch(asked(*compose(transition(), ["hook"])))
            await depth(store, (0, 1))
    assert hook.requests == QUICK.refusals


async def test_what_was_read_by_a_process_that_died_is_delivered_by_the_next(store):
    told = compose(transition(), ["hook"])
    await store.dispatch(asked(*told))
    assert len(await store.take_outbox("another", 10, 0)) == 1
    with web_server() as hook:
        async with notifying(store, {"hook": f"json://127.0.0.1:{hook.port}"}):
            await until(lambda: len(hook.posts) == 1)
        async with notifying(store, {"hook": f"json://127.0.0.1:{hook.port}"}) as notifier:
            await asyncio.sleep(0.1)
            assert notifier.held == 0
    assert [post["key"] for post in hook.posts] == [told[0].key]


async def test_a_burst_is_sent_in_parallel_and_arrives_whole(store):
    told = [
        n
        for i in range(60)
        for kind in (State.FIRING, State.RESOLVED)
        for n in compose(transition(member=f"M{i}", episode=f"lead-M{i}-2026-01-23-1", new=kind), ["mail"])
    ]
    with mail_server() as box:
        async with notifying(store, {"mail": mail(box.port)}):
            await store.dispatch(asked(*told))
            await until(lambda: len(box.mails) == 120, 30)
    arrived = [m["X-Rotation-Key"] for m in box.mails]
    assert sorted(arrived) == sorted(n.key for n in told)
    for firing, resolved in zip(told[::2], told[1::2], strict=True):
        assert arrived.index(firing.key) < arrived.index(resolved.key)
