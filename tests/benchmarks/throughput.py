"""The whole pipeline against the ceiling of receiving and decoding alone: how much of what can be read is decided on.

Both read the same frames from the same generator over a websocket, as fast as they can, in turns. The monitor is the
real program with its embedded store; a quote counts when its journal entry, and what it led to, is in the store.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from monitor.store.redis_store import RedisStore
from tests.benchmarks.figures import Report, Target, median
from tests.benchmarks.processes import PATIENCE, Died, configure, exchange, monitor, program, store

INSTRUMENTS = 2_000
RULES = 100
QUOTES = 3_000_000
TURNS = 3
ENCODING = "msgpack"
"""The default of an Alpaca feed."""
_ROOM_MB = 4_096
"""A backlog for all quotes of a run, so that none is conflated."""


@dataclass(frozen=True)
class Run:
    """Quotes that arrived at the end of the line, in how many seconds from the first frame sent, at what CPU time."""

    quotes: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Quotes a second."""
        return self.quotes / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of CPU a quote, of all processes but the generator."""
        return self.cpu_seconds / self.quotes * 1e6


async def measure() -> Report:
    """Run both in turns."""
    report = Report(
        "pipeline", f"{INSTRUMENTS:,} instruments, {RULES} rules, 20 quotes a frame, {ENCODING}, sent as fast as read"
    )
    ceilings, wholes = [], []
    for _ in range(TURNS):
        ceilings.append(await ceiling(ENCODING))
        wholes.append(await whole(ENCODING, backlog_mb=_ROOM_MB))
    json_ceiling, json_whole = await ceiling("json"), await whole("json", backlog_mb=_ROOM_MB)
    shipped = await whole(ENCODING, backlog_mb=None)
    ratios = [w.rate / c.rate for w, c in zip(wholes, ceilings, strict=True)]
    report.add(
        "receive and decode alone",
        median([c.rate for c in ceilings]),
        "quotes/s",
        note=f"best {max(c.rate for c in ceilings):,.0f}",
    )
    report.add(
        "whole pipeline, none conflated",
        median([w.rate for w in wholes]),
        "quotes/s",
        note=f"best {max(w.rate for w in wholes):,.0f}",
    )
    report.add("ratio", median(ratios), "", Target(">=", 0.5), "turns " + " ".join(f"{r:.2f}" for r in ratios))
    report.add("CPU of receiving and decoding", median([c.cost for c in ceilings]), "us/quote")
    report.add("CPU of the whole, store included", median([w.cost for w in wholes]), "us/quote")
    report.add(
        "ratio in JSON",
        json_whole.rate / json_ceiling.rate,
        "",
        Target(">=", 0.5),
        f"{json_whole.rate:,.0f} of {json_ceiling.rate:,.0f} quotes/s",
    )
    report.add("as shipped: applied", shipped.rate, "quotes/s", note="the backlog bounded as in the program")
    report.add("as shipped: conflated", 1 - shipped.quotes / QUOTES, "of all quotes")
    return report


async def ceiling(encoding: str) -> Run:
    """Receive and decode alone."""
    with TemporaryDirectory() as folder:
        async with (
            exchange(Path(folder), quotes=QUOTES, encoding=encoding) as (sender, url),
            program(
                Path(folder), "tests.benchmarks.receiver", url, "--encoding", encoding, "--quotes", str(QUOTES)
            ) as reader,
        ):
            sent = json.loads(await sender.line("{"))
            done = json.loads(await reader.line("{"))
            return Run(done["quotes"], (done["ended"] - sent["began"]) / 1e9, done["cpu_seconds"])


async def whole(encoding: str, *, backlog_mb: int | None) -> Run:
    """The monitor, until the last quote is in its journal; where it conflates, until no more come."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with exchange(folder, quotes=QUOTES, encoding=encoding) as (sender, url):
            config = configure(folder, url, encoding, instruments=INSTRUMENTS, count=RULES)
            async with monitor(folder, config, backlog_mb=backlog_mb) as running, store(folder) as opened:
                before = running.cpu_seconds
                sent = asyncio.create_task(sender.line("{"))
                rows, ended = await _journalled(opened, sent, all_of_them=backlog_mb is not None)
                return Run(rows, (ended - json.loads(await sent)["began"]) / 1e9, running.cpu_seconds - before)


async def _journalled(opened: RedisStore, sent: asyncio.Task[str], *, all_of_them: bool) -> tuple[int, int]:
    """Quotes in the journal, and when the last of them was seen there (ns UTC)."""
    rows, last, at = 0, None, time.time_ns()
    deadline = time.monotonic() + PATIENCE
    while rows < QUOTES and (all_of_them or not sent.done() or time.time_ns() - at < 1e9):
        before = rows
        async for entry in opened.journal(last):
            rows, last = rows + _height(entry.fields.get("quotes")), entry.id
        if rows > before:
            at = time.time_ns()
        if time.monotonic() > deadline:
            raise Died(f"{rows:,} of {QUOTES:,} quotes are in the journal after {PATIENCE:g} s")
        await asyncio.sleep(0.01)
    return rows, at


def _height(data: bytes | None) -> int:
    """Rows of a journal entry, reading one column of it."""
    return pl.read_ipc_stream(BytesIO(data), columns=[0]).height if data else 0
