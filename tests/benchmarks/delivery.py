"""From the quote that crosses a threshold to the first byte of its alert at a webhook on this machine.

More than from the transition, which is decided in between: the frame is read and filtered and the rules are evaluated
first. Every crossing makes an alert fire or end, on a quiet feed, with the embedded server and no grouping.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from tests.benchmarks.figures import Report, Target, percentile
from tests.benchmarks.processes import configure, exchange, monitor
from tests.benchmarks.tape import flip_number

RATE = 1_000
FLIPS = 20
SECONDS = 105
INSTRUMENTS, RULES = 100, 10
_WARM = 40
"""Flips at the start that are not counted: the first evaluation builds the rules' histories."""
_VALUE = re.compile(rb'"value": ?"?([0-9.]+)')
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Webhook(asyncio.Protocol):
    """Notes when the first byte of each request came, by the number of the crossing it tells of."""

    def __init__(self, told: dict[int, int]) -> None:
        self._told = told
        self._came, self._data = 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the line to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._line = transport

    def data_received(self, data: bytes) -> None:
        """Answer when the request is whole."""
        self._came = self._came or time.time_ns()
        self._data += data
        head, _, body = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        if b"above-FLIP" in body and (value := _VALUE.search(body)):
            self._told.setdefault(flip_number(float(value[1])), self._came)
        self._came, self._data = 0, b""
        self._line.write(_ANSWER)


async def measure() -> Report:
    """One run."""
    report = Report("delivery", f"quote sent to first byte at a webhook; {FLIPS} alerts a second, each by itself")
    late: list[float] = []
    beating = asyncio.create_task(beat(late))
    seen, missed, cpu = await crossings()
    beating.cancel()
    report.add("p50", percentile(seen, 0.5), "ms")
    report.add("p99", percentile(seen, 0.99), "ms", Target("<", 50), f"worst {max(seen):.1f}")
    report.add("p99 of the machine", percentile(late, 0.99), "ms", note="by which a task of 1 ms came late meanwhile")
    report.add("alerts", len(seen), "", Target(">=", 2_000), f"{missed} undone within one batch" if missed else "")
    report.add("CPU", 100 * cpu / SECONDS, "% of a core", note="monitor and store together")
    return report


async def beat(late: list[float]) -> None:
    """Note, for ever, by how many milliseconds a pause of 5 ms and then 1 ms of work are longer than that.

    An alert on its way has half a dozen such steps, so a machine on which they come late says little of the monitor.
    """
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        worked = time.thread_time()
        while time.thread_time() - worked < 0.001:
            pass
        late.append((time.perf_counter() - began) * 1e3 - 6)


@contextlib.asynccontextmanager
async def webhook(told: dict[int, int]) -> AsyncIterator[str]:
    """Its address."""
    server = await asyncio.get_running_loop().create_server(lambda: Webhook(told), "127.0.0.1", 0)
    yield f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()


async def crossings() -> tuple[list[float], int, float]:
    """Milliseconds each crossing took; how many were never told; CPU seconds."""
    told: dict[int, int] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            webhook(told) as address,
            exchange(folder, quotes=RATE * SECONDS, encoding="msgpack", rate=RATE, flips=FLIPS) as (sender, url),
        ):
            config = configure(folder, url, "msgpack", instruments=INSTRUMENTS, count=RULES)
            settings = yaml.safe_load(config.read_text())
            settings["receivers"] = {"hook": {"urls": [address]}}
            settings["route"] = {"receiver": "hook", "group_wait": "0s"}
            config.write_text(yaml.safe_dump(settings))
            async with monitor(folder, config) as running:
                before = running.cpu_seconds
                sent = json.loads(await sender.line("{"))
                await asyncio.sleep(1)
                cpu = running.cpu_seconds - before
    counted = range(_WARM, len(sent["flips"]))
    seen = [(told[n] - sent["flips"][n]) / 1e6 for n in counted if n in told]
    return seen, len(counted) - len(seen), cpu
