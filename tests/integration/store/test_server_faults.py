"""A server that dies, hangs, forgets or refuses in the middle of the work."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.store import redis_lease
from monitor.store.base import (
    BarChunk,
    Checkpoint,
    JournalId,
    LeaseLost,
    StoreRefused,
    StoreRewound,
    StoreUnavailable,
)
from monitor.store.embedded import EmbeddedValkey
from monitor.store.keys import GROUP, Keys
from monitor.store.redis_store import RedisStore
from tests.contract.store.backends import journal_ids, program_or_skip
from tests.integration.store.servers import decided, raw, told, until_committed

TIMEOUT = 0.5
KEYS = Keys()


@pytest.fixture(params=["valkey", "redis"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    async with EmbeddedValkey(tmp_path, program=program_or_skip(request.param)) as running:
        yield running


@pytest.fixture
async def store(server: EmbeddedValkey) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url, timeout=TIMEOUT)
    await store.open()
    await store.acquire("test")
    yield store
    await store.close()


def send(server: EmbeddedValkey, what: signal.Signals) -> None:
    assert server.pid is not None
    os.kill(server.pid, what)


async def test_commits_survive_a_server_that_is_killed_again_and_again(server: EmbeddedValkey, store: RedisStore):
    rng, acknowledged, failures = random.Random(7), 0, 0

    async def killer() -> None:
        for _ in range(4):
            await asyncio.sleep(rng.uniform(0.02, 0.15))
            while server.pid is None:  # noqa: ASYNC110 - it is being started again
                await asyncio.sleep(0.01)
            send(server, signal.SIGKILL)

    killing = asyncio.create_task(killer())
    while not killing.done() or failures == 0:
        group = [decided(acknowledged + 1 + n, 20_000) for n in range(rng.randint(1, 5))]
        failures += await until_committed(store, group)
        acknowledged += len(group)
    await until_committed(store, [decided(acknowledged)])

    expected = [str(ms) for ms in range(1, acknowledged + 1)]
    assert await journal_ids(store) == [f"{ms}-0" for ms in expected]
    assert [f["episode"].decode() for _, f in await store.transitions(10_000)] == expected[::-1]
    assert await store.instances() == {"last": expected[-1].encode()}
    await killing


async def test_a_server_that_hangs_is_noticed_in_time_and_caught_up(server: EmbeddedValkey, store: RedisStore):
    await store.commit([decided(1)])
    await store.dispatch(told(1, 4))
    (entry,) = await store.take_outbox("a", 1, 0)
    send(server, signal.SIGSTOP)
    commands = [
        lambda: store.commit([decided(2), decided(3)]),
        lambda: store.commit([decided(2), decided(3)]),
        lambda: store.save_checkpoint(Checkpoint(JournalId(1, 0), {"f": bytes(5_000_000)})),
        lambda: store.settle_outbox(entry, "k", b"sent", dead=True),
        lambda: store.take_outbox("a", 1, 100),
        store.ping,
    ]
    for command in commands:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await command()
        assert time.monotonic() - began < TIMEOUT + 0.6
    send(server, signal.SIGCONT)

    await until_committed(store, [decided(2), decided(3), decided(4)])
    await store.settle_outbox(entry, "k", b"sent", dead=True)
    assert await journal_ids(store) == ["1-0", "2-0", "3-0", "4-0"]
    assert len(await store.transitions(10)) == 4
    assert await store.outbox_depth() == (3, 1)


async def test_scripts_are_sent_again_to_a_server_that_forgot_them(server: EmbeddedValkey, store: RedisStore):
    await store.commit([decided(1)])
    async with raw(server.url) as client:
        await client.script_flush()
    await store.commit([decided(2), decided(3)])
    assert await journal_ids(store) == ["1-0", "2-0", "3-0"]


async def test_a_server_that_lost_acknowledged_commits_is_not_written_on(server: EmbeddedValkey, store: RedisStore):
    await store.commit([decided(1)])
    async with raw(server.url) as client:
        await client.delete(KEYS.journal, KEYS.transitions, KEYS.outbox)
        with pytest.raises(StoreRewound, match="ends at 0-0 and 1-0 must come before 2-0"):
            await store.commit([decided(2)])
        await client.flushall()
        with pytest.raises(LeaseLost, match="gone"):
            await store.commit([decided(2)])


@pytest.mark.parametrize("key", [KEYS.journal, KEYS.instances, KEYS.transitions, KEYS.quote("SPY")])
async def test_a_key_of_another_program_refuses_the_whole_commit(server: EmbeddedValkey, store: RedisStore, key: str):
    async with raw(server.url) as client:
        await client.delete(key)
        await client.set(key, "mine")
        before = {name: await client.dump(name) for name in await client.keys()}
        with pytest.raises(StoreRefused, match=r"is a string and must be a .*another program uses this key"):
            await store.commit([decided(1, quotes={"IWM": {"bid": "1"}, "SPY": {"bid": "1"}}), decided(2)])
        assert {name: await client.dump(name) for name in await client.keys()} == before


async def test_ids_that_would_go_back_refuse_the_whole_commit(server: EmbeddedValkey, store: RedisStore):
    async with raw(server.url) as client:
        await client.xadd(KEYS.transitions, {"by": "hand"}, id="18446744073709551615-0")
        with pytest.raises(StoreRefused, match="later than 1-1"):
            await store.commit([decided(1)])
    assert await journal_ids(store) == []
    assert await store.instances() == {}


async def test_a_server_without_memory_refuses_commits_and_lets_the_journal_be_trimmed(
    server: EmbeddedValkey, store: RedisStore
):
    await store.commit([decided(ms, 50_000) for ms in range(1, 20)])
    await store.renew()
    await store.dispatch(told(1, 19))
    (entry,) = await store.take_outbox("a", 1, 0)
    async with raw(server.url) as client:
        await client.config_set("maxmemory", "1mb")
        with pytest.raises(StoreRefused, match="raise `maxmemory`"):
            await store.commit([decided(30, quotes={"SPY": {"bid": "1"}}), decided(31)])
        assert await store.last_journal_id() == JournalId(19, 0)
        assert await store.instances() == {"last": b"19"}
        await store.renew()  # who leads goes on delivering what is in the outbox
        await store.settle_outbox(entry, "k", b"sent", dead=True)
        assert await store.outbox_depth() == (18, 1)
        await store.save_checkpoint(Checkpoint(JournalId(19, 0), {"f": b"1"}, bars=[BarChunk("1m", "a", b"x")]))
        await store.trim_journal(1_000)
        assert await journal_ids(store) == ["19-0"]
        await client.config_set("maxmemory", "0")
    await store.commit([decided(30), decided(31)])
    assert await journal_ids(store, JournalId(19, 0)) == ["30-0", "31-0"]


async def test_consumers_of_former_daemons_are_forgotten(
    server: EmbeddedValkey, store: RedisStore, monkeypatch: pytest.MonkeyPatch
):
    await store.dispatch(told(1, 1))
    await store.take_outbox("holds one", 1, 0)
    await store.take_outbox("holds none", 1, 0)
    monkeypatch.setattr(redis_lease, "IDLE_CONSUMER_MS", -1)
    await store.open()
    async with raw(server.url) as client:
        consumers = await client.xinfo_consumers(KEYS.outbox, GROUP)
    assert [consumer["name"] for consumer in consumers] == [b"holds one"]


async def test_nothing_grows_with_uptime(server: EmbeddedValkey):
    store = RedisStore(server.url, transitions_kept=100, dead_kept=100, outcomes_kept=100)
    await store.open()
    await store.acquire("test")

    async def work(first: int) -> tuple[int, dict[bytes | str, int]]:
        for ms in range(first, first + 1_000, 50):
            group = [decided(n, quotes={"SPY": {"bid": str(n)}}) for n in range(ms, ms + 50)]
            await store.commit(group)
            await store.dispatch(told(ms, ms + 49))
            for entry in await store.take_outbox("a", 100, 0):
                key = entry.fields["key"].decode()
                await store.settle_outbox(entry, key, b"outcome", dead=int(key) % 2 == 0)
            await store.save_checkpoint(Checkpoint(group[-1].entry.id, {"f": b"x"}))
            await store.trim_journal(ms)
        async with raw(server.url) as client:
            sizes = {name: await client.memory_usage(name, samples=0) or 0 for name in await client.keys()}
        return len(sizes), sizes

    names, before = await work(1_000)
    names_after, after = await work(2_000)
    await store.close()
    assert names_after == names
    assert {name: size for name, size in after.items() if size > 1.2 * before[name] + 500} == {}


@pytest.mark.parametrize("key", [KEYS.outbox, KEYS.notified, KEYS.notified_order])
async def test_a_key_of_another_program_leaves_dead_letters_where_they_are(
    server: EmbeddedValkey, store: RedisStore, key: str
):
    await store.dispatch(told(1, 1))
    (entry,) = await store.take_outbox("a", 1, 0)
    await store.settle_outbox(entry, "1", b"refused", dead=True)
    (letter,) = await store.dead_letters(5)
    async with raw(server.url) as client:
        await client.set(key, "mine")
        with pytest.raises(StoreRefused, match=r"is a string and must be a .*another program uses this key"):
            await store.requeue([letter.id])
    assert await store.dead_letters(5) == [letter]


async def test_a_server_without_memory_keeps_dead_letters(server: EmbeddedValkey, store: RedisStore):
    await store.dispatch(told(1, 3))
    for entry in await store.take_outbox("a", 5, 0):
        await store.settle_outbox(entry, entry.fields["key"].decode(), b"refused", dead=True)
    letters = await store.dead_letters(5)
    async with raw(server.url) as client:
        await client.config_set("maxmemory", "1mb")
        with pytest.raises(StoreRefused, match="raise `maxmemory`"):
            await store.requeue([letter.id for letter in letters])
        assert await store.dead_letters(5) == letters
        await client.config_set("maxmemory", "0")
    assert len(await store.requeue([letter.id for letter in letters])) == 3
