"""The stores that must keep the contract, and servers to run them on."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from monitor.store.base import Commit, JournalEntry, JournalId, Store
from monitor.store.embedded import EmbeddedValkey, server_program
from monitor.store.keys import Keys
from monitor.store.memory import MemoryServer, MemoryStore
from monitor.store.redis_store import RedisStore

PROGRAMS = ("valkey", "redis")


def program_or_skip(name: str) -> Path:
    """The server program of that name, or the end of the test."""
    if name == "valkey":
        return server_program()
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not installed (Debian: apt install redis-server)")
    return Path(found)


@dataclass
class Backend:
    """A place that stores connect to; each `connect` is another daemon on the same data."""

    make: Callable[..., Store]
    server: EmbeddedValkey | MemoryServer
    keys: Keys
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def connect(self, **bounds: Any) -> Store:
        """Another open store, closed when the test ends."""
        store = self.make(**bounds)
        await store.open()
        self.stack.push_async_callback(store.close)
        return store


@asynccontextmanager
async def memory_backend() -> AsyncIterator[Backend]:
    server = MemoryServer()
    backend = Backend(lambda **bounds: MemoryStore(server, **bounds), server, Keys())
    async with backend.stack:
        yield backend


@asynccontextmanager
async def server_backend(server: EmbeddedValkey, prefix: str) -> AsyncIterator[Backend]:
    keys = Keys(prefix=f"{prefix}:")
    backend = Backend(lambda **bounds: RedisStore(server.url, keys=keys, **bounds), server, keys)
    async with backend.stack:
        yield backend


def commit(ms: int, sequence: int = 0, data: bytes = b"arrow", **parts: Any) -> Commit:
    """A commit of one small journal entry, and what it led to."""
    return Commit(JournalEntry(JournalId(ms, sequence), {"quotes": data}), **parts)


async def journal_ids(store: Store, after: JournalId | None = None) -> list[str]:
    return [str(entry.id) async for entry in store.journal(after)]
