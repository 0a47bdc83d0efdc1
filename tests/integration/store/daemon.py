"""A daemon for tests to kill: opens the embedded store, commits for ever, prints what was acknowledged.

python daemon.py DATA_DIR
"""

from __future__ import annotations

import sys
from pathlib import Path

import structlog
import uvloop

from monitor.store.factory import open_store
from tests.integration.store.servers import decided


def say(what: str, ms: int) -> None:
    sys.stdout.write(f"{what} {ms}\n")
    sys.stdout.flush()


async def main() -> None:
    async with open_store("embedded", Path(sys.argv[1])) as store:
        await store.acquire("daemon")
        last = await store.last_journal_id()
        ms = last.ms if last else 0
        say("open", ms)
        while True:
            ms += 1
            await store.commit([decided(ms, 5_000)])
            say("acknowledged", ms)


structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
uvloop.run(main())
