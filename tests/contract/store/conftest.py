from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from monitor.store.base import Store
from monitor.store.embedded import EmbeddedValkey
from tests.contract.store.backends import PROGRAMS, Backend, memory_backend, program_or_skip, server_backend

_numbers = itertools.count()


class Servers:
    """Servers by name, each started when a test first wants it, kept for the session."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, EmbeddedValkey] = {}

    async def get(self, name: str) -> EmbeddedValkey:
        if name not in self._running:
            server = EmbeddedValkey(self._folder / name, program=program_or_skip(name))
            await server.start()
            self._running[name] = server
        return self._running[name]

    async def stop(self) -> None:
        for server in self._running.values():
            await server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    await servers.stop()


@pytest_asyncio.fixture(loop_scope="session", params=["memory", *PROGRAMS])
async def backend(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Backend]:
    if request.param == "memory":
        async with memory_backend() as memory:
            yield memory
        return
    async with server_backend(await servers.get(request.param), f"test{next(_numbers)}") as backend:
        yield backend


@pytest_asyncio.fixture(loop_scope="session")
async def store(backend: Backend) -> Store:
    """A store that holds the lease."""
    store = await backend.connect()
    await store.acquire("first")
    return store
