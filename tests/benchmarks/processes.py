"""The programs of a benchmark: an exchange, and a monitor with its store, each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from monitor import clock
from monitor.store.embedded import EmbeddedValkey
from monitor.store.redis_store import RedisStore
from tests.benchmarks.market import days_before, history, rules
from tests.benchmarks.tape import FLIPPING, base_prices, symbols

PATIENCE = 120.0
"""Seconds after which a benchmark fails rather than waits."""


class Died(Exception):
    """A program of the benchmark ended by itself; the text is the end of what it said."""


@dataclass
class Program:
    """A process, and the lines of its standard output."""

    process: asyncio.subprocess.Process
    said: Path

    async def line(self, containing: str = "", patience: float = PATIENCE) -> str:
        """The next line with that text; `patience`: seconds to wait for it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(patience):
            while data := await self.process.stdout.readline():
                if containing in (text := data.decode()):
                    return text
        raise Died(f"{self.said.name}: {self.said.read_text()[-2000:]}")

    async def drop(self) -> None:
        """Read what it prints, and forget it."""
        assert self.process.stdout is not None
        while await self.process.stdout.read(65_536):
            pass

    async def says(self, text: str) -> None:
        """Wait until that is in what it says on standard error."""
        async with asyncio.timeout(PATIENCE):
            while text not in (said := self.said.read_text()):
                if self.process.returncode is not None:
                    raise Died(f"{self.said.name}: {said[-2000:]}")
                await asyncio.sleep(0.01)

    @property
    def cpu_seconds(self) -> float:
        """Of the process and its children, so far."""
        me = psutil.Process(self.process.pid)
        times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
        return float(sum(t.user + t.system for t in times))

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and wait."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            await self.process.wait()


@asynccontextmanager
async def program(folder: Path, *command: str) -> AsyncIterator[Program]:
    """A running ``python -m ...``; it is ended with the block. What it says on standard error goes to a file."""
    said = folder / f"{command[0]}.log"
    with said.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *command, stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    running = Program(process, said)
    try:
        yield running
    finally:
        await running.end(signal.SIGTERM if command[0].endswith("monitor") else signal.SIGKILL)


@asynccontextmanager
async def exchange(
    folder: Path, *, quotes: int, encoding: str, rate: float = 0, flips: float = 0
) -> AsyncIterator[tuple[Program, str]]:
    """The generator and its URL."""
    options = ["--quotes", str(quotes), "--encoding", encoding, "--flips", str(flips)]
    options += ["--rate", str(rate)] if rate else []
    async with program(folder, "tests.benchmarks.exchange", *options) as running:
        yield running, (await running.line("ws://")).strip()


def configure(folder: Path, url: str, encoding: str, *, instruments: int, count: int) -> Path:
    """The configuration of a monitor that watches the exchange with so many rules."""
    names, prices = symbols(instruments), base_prices(instruments)
    (folder / "rules.yaml").write_text(rules(names, count, flipping=FLIPPING))
    today = dt.datetime.fromtimestamp(clock.wall_ns() / 1e9, dt.UTC).date()
    history(names, prices.tolist(), days_before(today, 320)).write_parquet(folder / "history.parquet")
    config: dict[str, Any] = {
        "store": {"url": "embedded", "data_dir": str(folder / "data")},
        "calendar": "always",
        "clock": "wall",
        "rules": ["rules.yaml"],
        "feeds": {
            "bench": {"type": "alpaca", "key": "k", "secret": "s", "url": url, "encoding": encoding, "symbols": ["*"]}
        },
        "history": [{"type": "file", "data": "history.parquet"}],
        "web": {"listen": "127.0.0.1:0"},
        "log": {"format": "json"},
    }
    path = folder / "rotation.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@asynccontextmanager
async def monitor(folder: Path, config: Path, *, backlog_mb: int | None = None) -> AsyncIterator[Program]:
    """A monitor that has started; what it writes to the console is read and dropped."""
    options = ["--backlog-mb", str(backlog_mb)] if backlog_mb else []
    async with program(folder, "tests.benchmarks.monitor", "--config", str(config), *options) as running:
        await running.says('"started"')
        reading = asyncio.create_task(running.drop())
        yield running
        reading.cancel()


@asynccontextmanager
async def store(folder: Path) -> AsyncIterator[RedisStore]:
    """The running monitor's store, to look into."""
    opened = RedisStore(EmbeddedValkey(folder / "data").url)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()
