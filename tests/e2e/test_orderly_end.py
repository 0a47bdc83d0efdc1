"""SIGTERM while something is being decided: it is in the store, state and message alike, before the process ends."""

from __future__ import annotations

import asyncio
import sys

import msgspec
import yaml

from monitor.store.factory import open_store
from tests.e2e.world import Program

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


async def test_what_was_decided_is_stored_before_the_end(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "trades.csv").write_text(TRADES)
    config = {
        "store": {"data_dir": "data"},
        "clock": "event",
        "rules": ["rules.yaml"],
        "feeds": {"tape": {"type": "replay", "data": "trades.csv", "speed": 0}},
        "receivers": {"hook": {"urls": ["json://127.0.0.1:1/nobody-listens"]}},
        "web": {"listen": "127.0.0.1:0"},
    }
    path = tmp_path / "rotation.yaml"
    path.write_text(yaml.safe_dump(config))
    daemon = await Program.start(sys.executable, "-c", TERMINATED_WHILE_DECIDING, "run", "--config", str(path))
    async with asyncio.timeout(30):
        assert await daemon.process.wait() == 0, daemon.lines
    async with open_store("embedded", tmp_path / "data") as store:
        (stored,) = await store.transitions(10)
        assert stored[1]["to"] == b"firing"
        (instance,) = (await store.instances()).values()
        assert msgspec.json.decode(instance)["state"] == "firing"
        assert (await store.outbox_depth())[0] == 1
