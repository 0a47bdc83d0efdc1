"""The ceiling: receive and decode, nothing else. Prints what it took, as a line of JSON.

python -m tests.benchmarks.receiver URL --quotes 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import uvloop

from connectors.alpaca import AlpacaFeed
from connectors.batch import Batch
from connectors.supervisor import Supervisor


async def _run(url: str, encoding: str, quotes: int) -> None:
    rows, done = 0, asyncio.Event()

    async def count(batch: Batch) -> None:
        nonlocal rows
        rows += batch.rows
        if rows >= quotes:
            done.set()

    feed = AlpacaFeed("bench", key="key", secret="secret", url=url, symbols=["*"], encoding=encoding)
    running = asyncio.create_task(Supervisor(feed, count, monotonic=time.monotonic, now_ns=time.time_ns).run())
    used = time.process_time()
    await done.wait()
    ended, used = time.time_ns(), time.process_time() - used
    running.cancel()
    print(json.dumps({"quotes": rows, "ended": ended, "cpu_seconds": used}), flush=True)


def main() -> None:
    """Read the options and receive."""
    parser = argparse.ArgumentParser(description="Receive and decode, nothing else.")
    parser.add_argument("url")
    parser.add_argument("--encoding", choices=["json", "msgpack"], default="msgpack")
    parser.add_argument("--quotes", type=int, required=True)
    options = parser.parse_args()
    uvloop.run(_run(options.url, options.encoding, options.quotes))


if __name__ == "__main__":
    main()
