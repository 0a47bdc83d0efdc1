"""Two monitors on one store: one leads, the other takes over, and no alert is lost or told twice."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest
import yaml

from monitor.store.embedded import EmbeddedValkey
from tests.e2e.test_faults import DAY, HYSTERESIS, ONCE
from tests.e2e.world import Program, World, until

pytestmark = pytest.mark.realdata

TAKEOVER = 10.0
"""Seconds that a take-over may last on a machine that does other things; the figure itself is printed."""


class Line:
    """A TCP line to the store that can be cut: what a partition of the network is to one daemon."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for end in self._ends:
            end.close()
        await asyncio.gather(*(end.wait_closed() for end in self._ends), return_exceptions=True)
        self._server.close()

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_unix_connection(str(self._path))
            self._ends += (back, writer)
            for source, sink in ((reader, back), (there, writer)):
                task = asyncio.create_task(self._carry(source, sink))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._whole.wait()
                sink.write(data)
                await sink.drain()
            sink.close()


class Monitor:
    """One of the two daemons."""

    def __init__(self, config: Path, line: Line) -> None:
        self._config, self.line = config, line
        self.seen = 0

    async def start(self) -> None:
        command = [str(Path(sys.executable).with_name("rotation")), "run", "--config", str(self._config)]
        self.program = await Program.start(*command, env=os.environ | {"PYTHONFAULTHANDLER": "1"})
        self.seen = 0

    async def says(self, event: str) -> dict[str, object]:
        """The next log line of an event, after those that were waited for before."""
        found = []

        def said() -> bool:
            found[:] = [n for n, text in enumerate(self.program.lines[self.seen :]) if f'"{event}"' in text]
            return bool(found) or self.program.process.returncode is not None

        try:
            await until(said, f"{event!r} in {self.program.lines[-5:]}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n" + "\n".join(await self._stacks())) from None
        assert found, "\n".join(self.program.lines[-20:])
        self.seen += found[0] + 1
        return dict(json.loads(self.program.lines[self.seen - 1]))

    async def _stacks(self) -> list[str]:
        """Where every thread of the program is; this ends it."""
        said = len(self.program.lines)
        await self.program.end(signal.SIGABRT)
        return self.program.lines[said:]


def moment(line: dict[str, object]) -> float:
    return dt.datetime.fromisoformat(str(line["ts"])).timestamp()


async def disturb(how: str, leader: Monitor) -> None:
    match how:
        case "killed":
            await leader.program.end(signal.SIGKILL)
        case "paused":
            leader.program.process.send_signal(signal.SIGSTOP)
        case "cut off":
            leader.line.cut()


async def come_back(how: str, former: Monitor) -> None:
    """It stands by again, and has written nothing meanwhile."""
    match how:
        case "killed":
            await former.start()
        case "paused":
            former.program.process.send_signal(signal.SIGCONT)
            await former.says("another monitor has taken the lease: standing by")
        case "cut off":
            former.line.mend()
            await former.says("another monitor has taken the lease: standing by")
    await former.says("standing by")


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(3, marks=pytest.mark.timeout(300)),
        pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(3000)]),
    ],
)
async def test_one_takes_over_from_the_other(rounds, tmp_path, shared_tools, shared_data):
    server = EmbeddedValkey(tmp_path / "server")
    await server.start()
    chance, times = random.Random(7), []
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        world = await stack.enter_async_context(World(tmp_path, shared_tools, shared_data, HYSTERESIS))
        await world.play(**DAY, speed=23_400 / max(60, rounds * 10))
        base = yaml.safe_load(world.configure().read_text())
        monitors = []
        for name in ("a", "b"):
            line = Line(Path(server.url.removeprefix("unix://").partition("?")[0]))
            base["store"] = {"url": await stack.enter_async_context(line)}
            config = tmp_path / f"{name}.yaml"
            config.write_text(yaml.safe_dump(base))
            monitors.append(Monitor(config, line))
        leader, other = monitors
        await leader.start()
        world.api = str((await leader.says("started"))["page"])
        await other.start()
        await other.says("standing by")
        for number in range(rounds):
            await asyncio.sleep(chance.uniform(0.2, 3.0))  # a moment of chance, not a wait for something
            how = ("killed", "paused", "cut off")[number % 3]
            before = dt.datetime.now(dt.UTC).timestamp()
            await disturb(how, leader)
            times.append(moment(await other.says("leading now")) - before)
            world.api = str((await other.says("started"))["page"])
            await come_back(how, leader)
            leader, other = other, leader
        try:
            await world.plays_out(patience=180)
            for inbox in (world.mail, world.hook):
                await inbox.expect(ONCE)
                assert set(inbox.told()) == {ONCE}
            keys = [
                text for mail in world.mail.texts for text in mail.splitlines() if text.startswith(f"key: {ONCE[0]}")
            ]
            assert len(set(keys)) == 1
        finally:
            for monitor in monitors:
                await monitor.program.end(signal.SIGKILL)
    print(  # noqa: T201 - the figure that a soak is for
        f"{rounds} take-overs: {sorted(times)[len(times) // 2]:.2f} s (median), {max(times):.2f} s (longest)"
    )
    assert max(times) < TAKEOVER
