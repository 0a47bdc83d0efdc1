"""Two monitors with one key of a vendor who allows one line: never two lines at a time, and never none for long.

The vendor lets in whoever comes, so that what keeps the second away is the lease alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from monitor.key_lease import LASTS
from monitor.store.embedded import EmbeddedValkey
from tests.e2e.feeds_monitor import Monitor
from tests.e2e.world import until
from tests.integration.connectors.vendor import Session, trade, vendor

SOON = LASTS + 20.0
"""Seconds for the other to lead, to wait for the lease, and to connect, on a machine that is busy."""
AN_HOUR_AHEAD = (
    "import monitor.clock as c; right = c.wall_ns; c.wall_ns = lambda: right() + 3_600_000_000_000; "
    "from monitor.cli.program import main; main()"
)


@dataclass
class Lines:
    """A vendor's lines, in the order in which they were opened: whose each is, and from when to when it was."""

    owners: list[int] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)
    closed: dict[int, float] = field(default_factory=dict)

    async def serve(self, session: Session) -> None:
        """Sign in who comes, and send prices for as long as it stays. The secret is its number."""
        number = session.number
        self.owners.append(-1)
        self.opened.append(time.monotonic())
        try:
            with contextlib.suppress(ConnectionClosed):
                await session.sign_in()
                self.owners[number] = int(session.requests[0]["secret"])
                for price in range(1, 10**9):
                    await session.say(trade(100 + price % 7))
                    await asyncio.sleep(0.02)
        finally:
            self.closed[number] = time.monotonic()

    def open(self) -> list[int]:
        """Whose lines are open now."""
        return [owner for number, owner in enumerate(self.owners) if number not in self.closed]

    def together(self) -> list[float]:
        """Seconds for which a line and its successor were both open."""
        pairs = zip(range(len(self.opened)), self.opened[1:], strict=False)
        return [self.closed.get(number, time.monotonic()) - later for number, later in pairs]


@dataclass
class Two:
    """Both monitors, the first of which leads and has the line; the vendor's lines; and the store."""

    first: Monitor
    second: Monitor
    lines: Lines
    store: EmbeddedValkey

    async def has(self, owner: int, since: float) -> float:
        """Wait until that one alone has a line; seconds since then."""
        await until(lambda: self.lines.open() == [owner], f"the line is {owner}'s: {self.lines.open()}", SOON)
        return time.monotonic() - since


@asynccontextmanager
async def two(folder: Path, *, first_clock: tuple[str, ...] = Monitor.command) -> AsyncIterator[Two]:
    lines = Lines()
    async with vendor(lines.serve, ping_interval=None) as it, EmbeddedValkey(folder / "server") as server:
        made = []
        for number in (1, 2):
            (folder / str(number)).mkdir()
            feed = {"type": "alpaca", "key": "key", "secret": str(number), "url": it.url, "symbols": ["SPY"]}
            feed["encoding"] = "json"
            made.append(Monitor(folder / str(number), {"iex": feed}, server.url))
        made[0].command = first_clock
        try:
            await made[0].start()
            await until(lambda: lines.open() == [1], "the first has the line")
            await (await made[1].launch()).says("standing by")
            yield Two(made[0], made[1], lines, server)
        finally:
            for each in made:
                if each.program is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(each.program.process.pid, signal.SIGCONT)
                    await each.program.end(signal.SIGKILL)


@pytest.mark.parametrize("ahead", [False, True], ids=["clocks agree", "an hour ahead"])
async def test_who_is_killed_is_followed_in_seconds(tmp_path, ahead):
    clock = (sys.executable, "-c", AN_HOUR_AHEAD) if ahead else Monitor.command
    async with two(tmp_path, first_clock=clock) as it:
        killed = time.monotonic()
        await it.first.program.end(signal.SIGKILL)
        print(f"killed, followed after {await it.has(2, killed):.1f} s")  # noqa: T201 - for -s
        await (await it.first.launch()).says("standing by")
        ended = time.monotonic()
        assert await it.second.program.end() == 0
        print(f"ended, followed after {await it.has(1, ended):.1f} s")  # noqa: T201 - for -s
        assert it.lines.owners == [1, 2, 1]
        assert max(it.lines.together()) < 0.1


async def test_who_was_stopped_ends_its_line_when_it_wakes_and_comes_back_when_it_may(tmp_path):
    async with two(tmp_path) as it:
        stopped = time.monotonic()
        it.first.program.process.send_signal(signal.SIGSTOP)
        await until(lambda: it.lines.open() == [1, 2], "the second has a line", SOON)  # a stopped process closes none
        print(f"stopped, followed after {time.monotonic() - stopped:.1f} s")  # noqa: T201 - for -s
        woken = time.monotonic()
        it.first.program.process.send_signal(signal.SIGCONT)
        print(f"woken, its line ended after {await it.has(2, woken):.1f} s")  # noqa: T201 - for -s
        assert time.monotonic() - woken < LASTS
        await it.first.program.says("standing by")
        ended = time.monotonic()
        assert await it.second.program.end() == 0
        await it.has(1, ended)
        assert it.lines.owners == [1, 2, 1]


async def test_a_store_that_is_away_for_longer_than_a_lease_makes_no_second_line(tmp_path):
    async with two(tmp_path) as it:
        await it.store.stop()
        away = time.monotonic()
        await until(lambda: time.monotonic() - away > LASTS + 2, "longer than a lease", SOON)
        assert it.lines.open() == [1]
        await it.store.start()
        back = time.monotonic()
        await until(lambda: it.first.program.said("standing by") or time.monotonic() - back > LASTS, "who leads", SOON)
        await until(lambda: len(it.lines.open()) == 1, "somebody has the line", SOON)
        print(f"lines of {it.lines.owners}, together {it.lines.together()}")  # noqa: T201 - for -s
        assert max(it.lines.together(), default=0.0) < 0.1
