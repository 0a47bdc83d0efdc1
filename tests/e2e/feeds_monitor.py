"""`rotation run` with whatever feeds a test wants, in a folder of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from monitor.store.embedded import EmbeddedValkey
from tests.e2e.world import Program

RULES = """\
version: 1
groups:
  - name: coins
    rules:
      - alert: ether-leads
        when: price('ETH/USDT') > 2 * price('BTC/USDT')
"""


class Monitor:
    """The program; it can be killed and started again on what it left. `store`: an address, or its own server."""

    command: tuple[str, ...] = (str(Path(sys.executable).with_name("rotation")),)

    def __init__(self, folder: Path, feeds: dict[str, Any], store: str = "embedded", **settings: Any) -> None:
        self.folder = folder
        self.store = store if store != "embedded" else EmbeddedValkey(folder / "data").url
        (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
        config = {
            "store": {"url": store, "data_dir": str(folder / "data")},
            "calendar": "always",
            "lateness": "10m",
            "rules": ["rules.yaml"],
            "feeds": feeds,
            "web": {"listen": "127.0.0.1:0"},
            "log": {"format": "json"},
        } | settings
        (folder / "rotation.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.program: Program | None = None
        self.api = ""

    async def launch(self, **env: str) -> Program:
        """Start it, and wait for nothing."""
        config = str(self.folder / "rotation.yaml")
        self.program = await Program.start(*self.command, "run", "--config", config, env={**os.environ, **env})
        return self.program

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        program = await self.launch()
        await program.says('"started"')
        self.api = next(json.loads(line) for line in program.lines if '"started"' in line)["page"]

    async def ask(self, path: str) -> Any:
        """The API's answer."""
        async with httpx.AsyncClient(base_url=self.api) as client:
            return (await client.get(path)).raise_for_status().json()

    async def answers(self, path: str, condition: Callable[[Any], Any], patience: float = 60.0) -> Any:
        """The API's answer, once it is as wanted."""
        deadline = asyncio.get_running_loop().time() + patience
        while not condition(answer := await self.ask(path)):
            assert asyncio.get_running_loop().time() < deadline, answer
            await asyncio.sleep(0.05)
        return answer


@asynccontextmanager
async def monitor(
    folder: Path, feeds: dict[str, Any], store: str = "embedded", **settings: Any
) -> AsyncIterator[Monitor]:
    """A monitor, not started yet; it is ended with the block."""
    it = Monitor(folder, feeds, store, **settings)
    try:
        yield it
    finally:
        if it.program is not None:
            await it.program.end(signal.SIGKILL)
