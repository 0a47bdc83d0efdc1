"""From the store's URL to a store that is open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from monitor.store.base import Store
from monitor.store.keys import Keys
from monitor.store.redis_store import RedisStore

EMBEDDED: Final = "embedded"


@asynccontextmanager
async def open_store(
    url: str, data_dir: Path, *, keys: Keys | None = None, time_out: float = 5.0
) -> AsyncIterator[Store]:
    """The open store at `url`: ``embedded`` (its files in `data_dir`), ``redis://``, ``rediss://`` or ``unix://``.

    Raises StoreRefused for a URL, folder or server that cannot serve, StoreUnavailable for a server that is away.
    """
    if url == EMBEDDED:
        from monitor.store.embedded import EmbeddedValkey  # noqa: PLC0415 - exists on Linux and macOS only

        async with (
            EmbeddedValkey(data_dir) as server,
            open_store(server.url, data_dir, keys=keys, time_out=time_out) as store,
        ):
            yield store
        return
    store = RedisStore(url, keys=keys, timeout=time_out)
    try:
        await store.open()
        yield store
    finally:
        await store.close()
