"""Whatever is done to them, the memory store and the server hold the same."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.store.base import (
    BarChunk,
    Checkpoint,
    Commit,
    Dispatch,
    JournalEntry,
    JournalId,
    OutboxEntry,
    Store,
    StoreError,
)
from monitor.store.embedded import EmbeddedValkey
from monitor.store.keys import Keys
from monitor.store.memory import MemoryServer, MemoryStore
from monitor.store.redis_store import RedisStore

data = st.binary(max_size=4)
names = st.sampled_from(["a", "b", "c"])
positions = st.builds(JournalId, st.integers(1, 6), st.integers(0, 2))
entries = st.lists(st.fixed_dictionaries({"episode": st.sampled_from([b"e1", b"e2"]), "n": data}), max_size=2)
messages = st.lists(st.fixed_dictionaries({"key": st.sampled_from([b"a", b"b"]), "n": data}), max_size=2)
commits = st.builds(
    Commit,
    entry=st.builds(JournalEntry, positions, st.dictionaries(names, data, max_size=2)),
    instances=st.dictionaries(names, st.none() | data, max_size=3),
    transitions=entries,
    positions=st.dictionaries(names, data, max_size=2),
)
dispatches = st.builds(
    Dispatch,
    id=positions,
    previous=st.none() | positions,
    ledger=st.dictionaries(names, st.none() | data, max_size=3),
    outbox=messages,
    decisions=st.lists(st.fixed_dictionaries({"alert": st.sampled_from([b"a", b"b"])}), max_size=2),
)
chunks = st.builds(BarChunk, st.sampled_from(["1m", "1d"]), names, data)
checkpoints = st.builds(
    Checkpoint,
    positions,
    st.dictionaries(names, data, max_size=2),
    st.lists(chunks, max_size=2),
    st.lists(st.tuples(st.sampled_from(["1m", "1d"]), names), max_size=2),
)
stores = st.integers(0, 1)
steps = st.one_of(
    st.tuples(st.just("acquire"), stores, names),
    st.tuples(st.just("claim"), stores, names),
    st.tuples(st.just("renew"), stores),
    st.tuples(st.just("release"), stores),
    st.tuples(st.just("commit"), stores, st.lists(commits, max_size=3)),
    st.tuples(st.just("commit"), stores, st.lists(commits, max_size=3)),
    st.tuples(st.just("dispatch"), stores, dispatches),
    st.tuples(st.just("dispatch"), stores, dispatches),
    st.tuples(
        st.just("keep_records"), stores, st.just("silences"), st.dictionaries(names, st.none() | data, max_size=2)
    ),
    st.tuples(st.just("save_checkpoint"), stores, checkpoints),
    st.tuples(st.just("trim_journal"), stores, st.integers(0, 7)),
    st.tuples(st.just("save_bars"), stores, st.lists(chunks, max_size=2)),
    st.tuples(st.just("drop_bars"), stores, st.sampled_from(["1m", "1d"]), st.lists(names, max_size=2)),
    st.tuples(st.just("take_outbox"), stores, names, st.integers(1, 3), st.just(0)),
    st.tuples(st.just("pending_outbox"), stores, names, st.integers(1, 3), st.just(0)),
    st.tuples(st.just("settle"), stores, st.integers(0, 20), names, st.booleans()),
    st.tuples(st.just("requeue"), stores, st.lists(st.integers(0, 3), max_size=3)),
)


async def outcome(store: Store, taken: list[OutboxEntry], name: str, *arguments: Any) -> object:
    """What a step returns, or the kind of error it ends with."""
    try:
        if name == "settle":
            number, key, dead = arguments
            if taken:
                await store.settle_outbox(taken[number % len(taken)], key, b"%d" % number, dead=dead)
            return None
        if name == "requeue":
            dead = await store.dead_letters(10)
            return len(await store.requeue([dead[number % len(dead)].id for number in arguments[0] if dead]))
        result = await getattr(store, name)(*arguments)
    except StoreError as error:
        return type(error)
    if name in {"take_outbox", "pending_outbox"}:
        taken += result
    return result


async def content(store: Store) -> Mapping[str, object]:
    """Everything a store shows."""
    return {
        "journal": [entry async for entry in store.journal(None)],
        "last": await store.last_journal_id(),
        "checkpoint": await store.load_checkpoint(),
        "covers": await store.checkpoint_covers(),
        "bars": {r: await store.load_bars(r, await store.bar_chunks(r)) for r in ("1m", "1d")},
        "instances": await store.instances(),
        "transitions": await store.transitions(100),
        "of one episode": await store.transitions(3, "e1"),
        "after": await store.transitions_after("3-0", 2),
        "ledger": await store.ledger(),
        "decisions": await store.decisions(10),
        "decisions of one": await store.decisions(2, "a"),
        "silences": await store.records("silences"),
        "positions": await store.records("positions"),
        "dead": [(letter.fields, letter.outcome) for letter in await store.dead_letters(10)],
        "depth": await store.outbox_depth(),
        "notified": await store.notified(["a", "b", "c"]),
    }


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def url(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    runner.run(server.start())
    yield server.url
    runner.run(server.stop())


numbers = itertools.count()


@given(st.lists(steps, max_size=25))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_memory_and_server_agree(runner: asyncio.Runner, url: str, todo: list[tuple[Any, ...]]):
    async def compare() -> None:
        keys = Keys(f"example{next(numbers)}:")
        memory_server = MemoryServer()
        pairs: list[tuple[Store, Store]] = [
            (MemoryStore(memory_server, outcomes_kept=2), RedisStore(url, keys=keys, outcomes_kept=2)) for _ in range(2)
        ]
        taken: tuple[list[OutboxEntry], list[OutboxEntry]] = ([], [])
        for pair in pairs:
            for store in pair:
                await store.open()
        try:
            for name, number, *arguments in todo:
                first, second = pairs[number]
                assert await outcome(first, taken[0], name, *arguments) == await outcome(
                    second, taken[1], name, *arguments
                )
                assert await content(first) == await content(second)
        finally:
            for pair in pairs:
                for store in pair:
                    await store.close()

    runner.run(compare())
