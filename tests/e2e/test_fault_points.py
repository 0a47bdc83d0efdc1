"""SIGKILL at each named point of commit and delivery: no alert is lost, and one comes twice only where it may.

It may where the service had answered and the store had not yet noted it; then both carry the same idempotency key.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Self

import pytest
import yaml

from monitor.fault_points import POINTS, VARIABLE
from monitor.store.embedded import EmbeddedValkey
from monitor.store.redis_store import RedisStore
from tests.e2e.world import Program, until

ROTATION = str(Path(sys.executable).with_name("rotation"))
RULES = """\
version: 1
groups:
  - name: levels
    rules:
      - {alert: small-caps-low, when: price(IWM) < 257}
      - {alert: large-caps-low, when: price(SPY) < 600}
"""
SWINGS = 5
"""How often each price falls and recovers."""
KEY = re.compile(r"(?:small|large)-caps-low@[\d-]+\.\d+:(?:firing|resolved):\d+:hook")
EXPECTED = {
    f"{rule}@2026-01-23.{number}:{kind}:{sequence}:hook"
    for rule in ("small-caps-low", "large-caps-low")
    for number in range(1, SWINGS + 1)
    for sequence, kind in ((1, "firing"), (2, "resolved"))
}
CHAINS = (
    ("commit.taken@2", "commit.written@2", "commit.told@2"),
    ("checkpoint.taken@2", "checkpoint.written@2"),
    ("dispatch.decided@2", "start.loaded", "dispatch.written@2"),
    ("outbox.read@2", "delivery.due@2", "delivery.answered@3"),
    ("settle.due@3", "settle.written@3"),
)
"""Faults of one process after the other: each point is in one. `start.loaded` follows a crash that left work."""
UNNOTED = {"delivery.answered", "settle.due"}
"""There, one message at least was answered and is not noted."""


def trades() -> str:
    """Both prices fall and recover, a minute each."""
    lines = ["ts,symbol,price,size"]
    at = dt.datetime(2026, 1, 23, 15, tzinfo=dt.UTC)
    for number in range(2 * SWINGS + 2):
        low = number % 2 and number < 2 * SWINGS
        for symbol, price in (("IWM", 255 if low else 260), ("SPY", 590 if low else 610)):
            lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ},{symbol},{price},100")
        at += dt.timedelta(minutes=1)
    return "\n".join(lines) + "\n"


@dataclass
class Hook:
    """A web server that notes the key of what it is sent, and says yes."""

    keys: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        keys = self.keys

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                keys.extend(set(KEY.findall(body)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self._http.server_port}/"
        Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


@dataclass
class Rig:
    """A monitor's configuration, its store, and the one it tells.

    `noted`: at each kill, how many messages had come and of which the store had the outcome.
    """

    config: Path
    store: RedisStore
    hook: Hook
    noted: list[tuple[int, set[str]]] = field(default_factory=list)

    async def run(self, fault: str | None) -> Program:
        """A monitor, with a fault or (None) without."""
        env = {**os.environ, **({VARIABLE: fault} if fault else {})}
        return await Program.start(ROTATION, "run", "--config", str(self.config), env=env)

    async def killed(self, fault: str) -> bool:
        """Run until the fault; whether the process came to it, and not only to the end of what there was to tell."""
        program = await self.run(fault)
        try:
            await until(lambda: program.process.returncode is not None or set(self.hook.keys) >= EXPECTED, fault)
            if program.process.returncode is None:
                await asyncio.wait([asyncio.ensure_future(program.process.wait())], timeout=2)
            return program.process.returncode == -signal.SIGKILL
        finally:
            await program.end(signal.SIGKILL)
            self.noted.append((len(self.hook.keys), set(await self.store.notified(sorted(EXPECTED)))))

    async def ends_well(self) -> None:
        """Run until all is told and noted, then end in order."""
        program = await self.run(None)
        try:
            await program.says('"started"')
            await until(lambda: set(self.hook.keys) >= EXPECTED or program.process.returncode is not None, "all told")
            async with asyncio.timeout(30):
                while (await self.store.outbox_depth())[0]:  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.02)
            assert await program.end() == 0, program.lines
        finally:
            await program.end(signal.SIGKILL)
        assert set(self.hook.keys) == EXPECTED
        for came, noted in self.noted:
            assert noted <= set(self.hook.keys[:came])
            assert not noted & set(self.hook.keys[came:]), "what the store has the outcome of came again"
        assert await self.store.outbox_depth() == (0, 0)
        assert set(await self.store.notified(sorted(EXPECTED))) == EXPECTED


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "trades.csv").write_text(trades())
    async with EmbeddedValkey(tmp_path / "server") as server, Hook() as hook:
        config = {
            "store": {"url": server.url, "data_dir": str(tmp_path / "data")},
            "clock": "event",
            "rules": ["rules.yaml"],
            "feeds": {"tape": {"type": "replay", "data": "trades.csv", "speed": 1_200}},
            "receivers": {"hook": {"urls": [hook.url]}},
            "checkpoint_every": "200ms",
            "web": {"listen": "127.0.0.1:0"},
            "log": {"format": "json"},
        }
        path = tmp_path / "rotation.yaml"
        path.write_text(yaml.safe_dump(config))
        store = RedisStore(server.url)
        await store.open()
        yield Rig(path, store, hook)
        await store.close()


def again(rig: Rig) -> dict[str, int]:
    """Keys that came more than once."""
    return {key: times for key, times in Counter(rig.hook.keys).items() if times > 1}


@pytest.mark.parametrize("chain", CHAINS, ids="+".join)
async def test_a_kill_loses_nothing(chain, rig):
    for fault in chain:
        assert await rig.killed(fault), f"{fault} was never reached"
    await rig.ends_well()
    points = {fault.partition("@")[0] for fault in chain}
    assert len(again(rig)) >= len(points & UNNOTED)
    assert max(Counter(rig.hook.keys).values()) <= 1 + len(chain)


@pytest.mark.soak
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("seed", range(30))
async def test_kills_at_moments_of_chance_lose_nothing(seed, rig):
    chance = random.Random(seed)
    reached = [each for _ in range(6) if await rig.killed(each := f"{chance.choice(POINTS)}@{chance.randint(1, 6)}")]
    await rig.ends_well()
    print(seed, reached, again(rig))  # noqa: T201 - what a soak is for


def test_each_point_is_in_a_chain():
    assert sorted(fault.partition("@")[0] for chain in CHAINS for fault in chain) == sorted(POINTS)


def test_a_fault_that_there_is_not_is_refused():
    for wrong in ("delivery.sent", "settle.due@0", "settle.due@x"):
        done = subprocess.run(
            [sys.executable, "-c", "import monitor.fault_points"],
            env={**os.environ, VARIABLE: wrong},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1
        assert b"ValueError" in done.stderr


def test_every_point_is_somewhere_in_the_program():
    """One that is nowhere would prove nothing."""
    monitor = Path(__file__).parents[2] / "monitor"
    called = Counter(
        found
        for path in monitor.rglob("*.py")
        for found in re.findall(r'\bfault\("([a-z.]+)"\)', path.read_text(encoding="utf-8"))
    )
    assert called == Counter(POINTS)
