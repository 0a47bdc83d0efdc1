"""SIGTERM: what was decided is in the store before the process ends, and nothing outside holds up the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import msgspec
import yaml

from monitor.store.factory import open_store
from tests.e2e.world import Program

ROTATION = str(Path(sys.executable).with_name("rotation"))
RULES = """\
version: 1
groups:
  - name: fall
    rules:
      - alert: small-caps-fall
        when: ret(IWM, 1m) < -1%
"""
TRADES = """\
ts,symbol,price,size
2026-01-23T15:00:00Z,IWM,260,100
2026-01-23T15:01:00Z,IWM,255,100
2026-01-23T15:01:30Z,IWM,255,100
"""
TERMINATED_WHILE_DECIDING = """\
import os, signal, time
from monitor.pipeline import Pipeline

decide = Pipeline._step

def interrupted(pipeline, *args):
    result = decide(pipeline, *args)
    if result.transitions:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)  # the loop hears of it and ends what it can
    return result

Pipeline._step = interrupted
from monitor.cli.program import main
main()
"""


def configure(folder, receiver):
    """A tape on which the rule fires, and one receiver."""
    (folder / "rules.yaml").write_text(RULES)
    (folder / "trades.csv").write_text(TRADES)
    config = {
        "store": {"data_dir": "data"},
        "clock": "event",
        "rules": ["rules.yaml"],
        "feeds": {"tape": {"type": "replay", "data": "trades.csv", "speed": 0}},
        "receivers": {"desk": {"urls": [receiver]}},
        "web": {"listen": "127.0.0.1:0"},
    }
    path = folder / "rotation.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


async def test_what_was_decided_is_stored_before_the_end(tmp_path):
    path = configure(tmp_path, "json://127.0.0.1:1/nobody-listens")
    daemon = await Program.start(sys.executable, "-c", TERMINATED_WHILE_DECIDING, "run", "--config", str(path))
    async with asyncio.timeout(30):
        assert await daemon.process.wait() == 0, daemon.lines
    async with open_store("embedded", tmp_path / "data") as store:
        (stored,) = await store.transitions(10)
        assert stored[1]["to"] == b"firing"
        (instance,) = (await store.instances()).values()
        assert msgspec.json.decode(instance)["state"] == "firing"
        assert (await store.outbox_depth())[0] == 1


async def test_a_server_that_never_ends_its_answer_does_not_hold_up_the_end(tmp_path):
    asked = asyncio.Event()

    async def drip(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        asked.set()
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.1)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    path = configure(tmp_path, f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    daemon = await Program.start(ROTATION, "run", "--config", str(path))
    async with asyncio.timeout(30):
        await asked.wait()
    async with asyncio.timeout(15):
        assert await daemon.end() == 0
    server.close()
    await server.wait_closed()


async def test_a_terminal_that_nobody_reads_does_not_hold_up_the_end(tmp_path):
    unread, full = os.pipe()
    os.set_blocking(full, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(full, bytes(4096))
    os.set_blocking(full, True)
    path = configure(tmp_path, "console://")
    process = await asyncio.create_subprocess_exec(
        ROTATION, "run", "--config", str(path), stdout=full, stderr=asyncio.subprocess.PIPE
    )
    daemon = Program(process)
    await daemon.says('"transition"')
    async with asyncio.timeout(15):
        assert await daemon.end() == 0
    os.close(unread)
    os.close(full)
