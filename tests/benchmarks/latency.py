"""From the frame to the outbox: how long after a quote was sent the notification it leads to stands in the store.

The generator sends at a steady rate. Twenty times a second it puts in a quote that crosses a threshold, of which a rule
without `for` tells at once; the price says which quote it was. An observer waits at the outbox, on the same clock.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from monitor.notify.message import Notification
from monitor.store.embedded import EmbeddedValkey
from monitor.store.keys import Keys
from tests.benchmarks.figures import Report, Target, percentile
from tests.benchmarks.processes import configure, exchange, monitor
from tests.benchmarks.tape import flip_number

INSTRUMENTS = 2_000
RULES = 100
RATES = (20_000, 100_000)
SECONDS = 20
FLIPS = 20
_WARM = 40
"""Flips at the start that are not counted: the first evaluation builds the rules' histories."""


async def measure() -> Report:
    """One run a rate."""
    report = Report(
        "latency",
        f"frame sent to outbox entry; {INSTRUMENTS:,} instruments, {RULES} rules, {FLIPS} crossings a second",
    )
    for rate in RATES:
        seen, missed, cpu = await crossings(rate)
        where = f"at {rate:,} quotes/s"
        slow = Target("<", 20) if rate == RATES[0] else None
        report.add(f"{where}: p50", percentile(seen, 0.5), "ms")
        report.add(f"{where}: p99", percentile(seen, 0.99), "ms", slow, f"worst {max(seen):.1f}")
        report.add(
            f"{where}: crossings seen", len(seen), "", note=f"{missed} undone within one batch" if missed else ""
        )
        report.add(f"{where}: CPU", 100 * cpu / SECONDS, "% of a core", note="monitor, store and console together")
    return report


async def crossings(rate: int) -> tuple[list[float], int, float]:
    """Milliseconds each crossing took; how many were never told; CPU seconds."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with exchange(folder, quotes=rate * SECONDS, encoding="msgpack", rate=rate, flips=FLIPS) as (sender, url):
            config = configure(folder, url, "msgpack", instruments=INSTRUMENTS, count=RULES)
            async with monitor(folder, config) as running:
                before = running.cpu_seconds
                told: dict[int, int] = {}
                stop = [False]
                watching = asyncio.create_task(asyncio.to_thread(_watch, folder, told, stop))
                sent = json.loads(await sender.line("{"))
                await asyncio.sleep(0.5)
                stop[0] = True
                await watching
                cpu = running.cpu_seconds - before
        counted = range(_WARM, len(sent["flips"]))
        seen = [(told[n] - sent["flips"][n]) / 1e6 for n in counted if n in told]
        return seen, len(counted) - len(seen), cpu


def _watch(folder: Path, told: dict[int, int], stop: list[bool]) -> None:
    """Note when each crossing's notification is there, by its number."""
    address = EmbeddedValkey(folder / "data").url.removeprefix("unix://")
    outbox = Keys().outbox
    with redis.Redis(unix_socket_path=address) as client:
        last: bytes | str = "0"
        while not stop[0]:
            streams = client.xread({outbox: last}, block=200)
            now = time.time_ns()
            for entry, fields in streams[0][1] if streams else ():
                last = entry
                note = Notification.decode({k.decode(): v for k, v in fields.items()})
                if note.alert.startswith("above-") and note.value is not None:
                    told.setdefault(flip_number(note.value), now)
