"""A service that refuses what it is told, is mended, and is told again: with the real program from the command line."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import pytest
import yaml
from redis.asyncio import Redis

from monitor.fault_points import VARIABLE
from monitor.store.embedded import EmbeddedValkey
from monitor.store.keys import Keys
from monitor.store.redis_store import RedisStore
from tests.e2e.world import Program, until

ROTATION = str(Path(sys.executable).with_name("rotation"))
RULES = "{version: 1, groups: [{name: g, rules: [{alert: small-caps-low, when: price(IWM) < 257}]}]}\n"
TRADES = "ts,symbol,price,size\n2026-01-23T15:00:00Z,IWM,260,1\n2026-01-23T15:01:00Z,IWM,255,1\n"
KEY = "small-caps-low@2026-01-23.1:firing:1:hook"
FOUND = re.compile(r"[\w-]+@[\d.-]+:(?:firing|resolved|note):\d+:hook")
TOKEN = "planted-token"
BLOCK = 110
"""Entries of a stream that may stay though they are too old, and what the daemon itself adds."""


@dataclass
class Hook:
    """A web server that answers `status`, and notes the keys of what came and of what it took."""

    status: int = 400
    came: list[str] = field(default_factory=list)
    took: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                keys = sorted(set(FOUND.findall(body)))
                hook.came += keys
                hook.took += keys if hook.status == 200 else []
                self.send_response(hook.status)
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
    """A monitor's configuration, its store, and the service it tells."""

    config: Path
    server: EmbeddedValkey
    store: RedisStore
    hook: Hook
    url: str = ""

    async def start(self, fault: str | None = None) -> Program:
        """A monitor that serves, killed at a fault where one is given."""
        env = {**os.environ, **({VARIABLE: fault} if fault else {})}
        daemon = await Program.start(ROTATION, "run", "--config", str(self.config), env=env)
        await daemon.says('"started"')
        self.url = json.loads(next(line for line in daemon.lines if '"started"' in line))["page"]
        return daemon

    async def rotation(self, *words: str) -> tuple[int, str, str]:
        """What a command says: exit code, output, errors."""
        process = await asyncio.create_subprocess_exec(
            ROTATION, *words, "--url", self.url,
            env={"ROTATION_TOKEN": TOKEN, "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def depth(self, waiting: int, dead: int) -> None:
        """Wait until the outbox and the dead letters are so many."""
        async with asyncio.timeout(60):
            while await self.store.outbox_depth() != (waiting, dead):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.02)

    async def letter(self) -> dict[str, Any]:
        """The only dead letter."""
        code, out, err = await self.rotation("notify", "dead", "--format", "json")
        assert (code, err) == (0, "")
        letter: dict[str, Any] = json.loads(out)
        return letter


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "trades.csv").write_text(TRADES)
    async with EmbeddedValkey(tmp_path / "server") as server, Hook() as hook:
        config = {
            "store": {"url": server.url, "data_dir": str(tmp_path / "data")},
            "clock": "event",
            "rules": ["rules.yaml"],
            "feeds": {"tape": {"type": "replay", "data": "trades.csv", "speed": 0}},
            "receivers": {"hook": {"urls": [hook.url]}},
            "checkpoint_every": "200ms",
            "history_keep": "2h",
            "web": {"listen": "127.0.0.1:0", "token": TOKEN},
            "log": {"format": "json"},
        }
        path = tmp_path / "rotation.yaml"
        path.write_text(yaml.safe_dump(config))
        store = RedisStore(server.url)
        await store.open()
        yield Rig(path, server, store, hook)
        await store.close()


async def test_a_message_that_was_refused_arrives_once_when_the_service_is_mended(rig):
    daemon = await rig.start()
    try:
        await rig.depth(0, 1)
        letter = await rig.letter()
        assert (letter["key"], letter["receiver"], letter["alert"]) == (KEY, "hook", "small-caps-low")
        assert "400" in letter["error"]
        code, out, _ = await rig.rotation("notify", "dead")
        assert (code, len(out.splitlines())) == (0, 2)
        code, out, err = await rig.rotation("notify", "test", "hook")
        assert (code, err) == (1, "error: not reached: hook\n")
        assert out.startswith("hook (")

        rig.hook.status, before = 200, len(rig.hook.came)
        assert await rig.rotation("notify", "requeue", letter["id"]) == (0, "1 sent again\n", "")
        code, out, err = await rig.rotation("notify", "requeue", letter["id"])
        assert (code, out) == (1, "0 sent again\n")
        assert err == f"error: not among the dead letters (any more): {letter['id']}\n"
        await rig.depth(0, 0)
        assert rig.hook.took == rig.hook.came[before:] == [KEY]
        assert b'"delivered"' in (await rig.store.notified([KEY]))[KEY]
        assert (await rig.rotation("notify", "test"))[0] == 0
        assert "notify-test@" in rig.hook.took[-1]
        _, out, _ = await rig.rotation("notify", "dead", "--format", "json")
        assert out == ""
    finally:
        await daemon.end(signal.SIGKILL)


@pytest.mark.parametrize("fault", ["outbox.read", "delivery.due"])
async def test_a_daemon_that_is_killed_after_the_requeue_loses_nothing(rig, fault):
    daemon = await rig.start()
    await rig.depth(0, 1)
    await daemon.end(signal.SIGKILL)
    rig.hook.status, before = 200, len(rig.hook.came)
    killed = await rig.start(fault)
    await rig.rotation("notify", "requeue", "--all")  # the answer may come before the end, or not
    await until(lambda: killed.process.returncode is not None, "killed")
    assert await killed.end() == -signal.SIGKILL
    assert await rig.store.outbox_depth() == (1, 0)
    assert rig.hook.took == []
    daemon = await rig.start()
    try:
        await rig.depth(0, 0)
        assert rig.hook.took == rig.hook.came[before:] == [KEY]
    finally:
        assert await daemon.end() == 0


async def test_words_that_make_no_sense_are_refused_in_one_line(rig):
    daemon = await rig.start()
    try:
        for words, code, says in (
            (("requeue",), 2, "say which"),
            (("requeue", "1-0", "--all"), 2, "say which"),
            (("requeue", "x"), 1, "ids"),
            (("test", "male"), 1, "there is no receiver 'male'; there are: hook"),
        ):
            got, out, err = await rig.rotation("notify", *words)
            assert (got, out, err.count("\n")) == (code, "", 1)
            assert says in err
    finally:
        await daemon.end(signal.SIGKILL)


async def test_a_running_monitor_forgets_what_is_older_than_history_keep(rig):
    keys, many = Keys(), 2_500
    old = int(time.time() * 1000) - 3 * 3_600_000
    streams = (keys.decisions, keys.audit, keys.dead)
    async with Redis(unix_socket_path=rig.server.url.removeprefix("unix://")) as client:
        for stream in streams:
            async with client.pipeline(transaction=False) as adding:
                for number in range(many):
                    adding.xadd(stream, {"alert": "x", "entry": "{}"}, id=f"{old}-{number + 1}")
                await adding.execute()
        await client.hset(keys.notified, mapping={f"k{n}": "{}" for n in range(many)})
        await client.zadd(keys.notified_order, {f"k{n}": old for n in range(many)})

        async def left() -> int:
            return max([await client.zcard(keys.notified_order), *[await client.xlen(stream) for stream in streams]])

        daemon = await rig.start()
        try:
            async with asyncio.timeout(60):
                while await left() > BLOCK:  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.05)
            assert await client.hlen(keys.notified) == await client.zcard(keys.notified_order) <= 1
        finally:
            await daemon.end(signal.SIGKILL)
