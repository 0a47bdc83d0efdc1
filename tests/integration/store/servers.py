"""Real servers with whatever options a test wants, and a look into them past the store."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from monitor.store.base import Commit, Dispatch, JournalEntry, JournalId, Store, StoreUnavailable
from tests.contract.store.backends import program_or_skip


def free_port() -> int:
    """A port that is free, and so low that 10,000 more is a port as well: a cluster's node takes that one too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55_000:
            return port


@contextlib.asynccontextmanager
async def running(name: str, folder: Path, *options: str) -> AsyncIterator[int]:
    """A server without persistence; its port."""
    program, port = program_or_skip(name), free_port()
    process = await asyncio.create_subprocess_exec(
        str(program),
        *("--port", str(port), "--dir", str(folder), "--save", "", "--logfile", "server.log", *options),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        assert process.returncode is None, "the server ended by itself"
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def raw(url: str) -> AsyncIterator[Redis]:
    """A client of the driver's own."""
    client = Redis.from_url(url, protocol=2)
    try:
        yield client
    finally:
        await client.aclose()


async def until_open(store: Store) -> Store:
    """The store, open, as soon as its server is there."""
    async with asyncio.timeout(20):
        while True:
            try:
                await store.open()
            except StoreUnavailable:
                await asyncio.sleep(0.02)
            else:
                return store


async def until_committed(store: Store, commits: list[Commit]) -> int:
    """Repeats the commits until they are in; how often the store was away."""
    failures = 0
    async with asyncio.timeout(20):
        while True:
            try:
                await store.commit(commits)
            except StoreUnavailable:
                failures += 1
                await asyncio.sleep(0.02)
            else:
                return failures


def decided(ms: int, size: int = 100, **parts: Any) -> Commit:
    """A commit with one entry of each kind, named after its time."""
    name = b"%d" % ms
    return Commit(
        JournalEntry(JournalId(ms, 0), {"quotes": bytes(size)}),
        instances={"last": name},
        transitions=[{"episode": name}],
        **parts,
    )


def told(first: int, last: int) -> Dispatch:
    """A step with a notification for each of these times, named after it."""
    return Dispatch(JournalId(last, 0), outbox=[{"key": b"%d" % ms} for ms in range(first, last + 1)])
