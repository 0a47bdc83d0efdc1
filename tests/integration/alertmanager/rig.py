"""The monitor's Alertmanager API on a real socket, a real Alertmanager with the same configuration, and their tools."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI

from monitor.alerting import configured
from monitor.alerting.dispatcher import Dispatcher
from monitor.alerting.policy import Policy
from monitor.calendar import TradingCalendar
from monitor.notify.message import Notification
from monitor.settings import Settings, WebSettings
from monitor.store.memory import MemoryStore
from monitor.web.access import Access, Guard
from monitor.web.alertmanager.original import original
from monitor.web.alertmanager.routes import alertmanager
from monitor.web.audit import Audit
from monitor.web.server import WebServer

CALENDAR = TradingCalendar()
CONFIG = """\
store: {url: embedded}
feeds: {}
receivers:
  desk: {urls: ["console://"]}
  mail: {urls: ["console://"]}
  night: {urls: ["console://"]}
mute_times:
  nights: [{times: ["22:00-06:00"], weekdays: ["friday-monday"]}]
  turn: [{dates: ["2026-12-24..2027-01-05"], zone: Europe/Berlin}]
  europe: [{trading: [extended, closed], times: ["08:00-22:00"], zone: Europe/Berlin}]
route:
  receiver: desk
  group_by: [theme]
  group_wait: 0s
  group_interval: 1s
  repeat: [30m, next_open]
  routes:
    - {match: ["severity=critical"], receiver: [desk, mail], continue: true, group_by: ["..."]}
    - {match: ['severity=~"critical|page"'], receiver: night}
    - match: ['alert=~"feed-.*"']
      receiver: mail
      group_by: []
      routes: [{match: ["theme!=size"], receiver: [night, mail]}]
inhibit: [{source: [alert=feed-down], target: ['severity=~".+"'], equal: [feed]}]
"""
START, END = "2026-01-23T15:00:00.000Z", "2199-01-01T00:00:00.000Z"
ALERTS = [
    {"labels": labels, "annotations": notes, "startsAt": START, "endsAt": END, "generatorURL": "http://x.example/g"}
    for labels, notes in [
        ({"alertname": "small-caps-lead", "severity": "critical", "theme": "size"}, {"summary": "Small caps\n lead"}),
        ({"alertname": "small-caps-lead", "severity": "warning", "theme": "size", "member": "IWM"}, {}),
        ({"alertname": "feed-down", "severity": "warning", "feed": "sim", "theme": "size"}, {"summary": "no data"}),
        ({"alertname": "stale", "severity": "info", "feed": "sim"}, {"runbook": "http://x.example/r"}),
        ({"alertname": "ünï", "severity": "page", "sector": 'a "b", c\\d'}, {"summary": "x", "z": "ü"}),
    ]
]


def needs(*programs: str) -> None:
    """Skip the test where the machine has not got these programs."""
    missing = [each for each in programs if shutil.which(each) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Ours:
    """A dispatcher behind the API."""

    url: str
    dispatcher: Dispatcher
    store: MemoryStore
    policy: Policy
    original: str
    _seen: list[Notification] = field(default_factory=list)

    async def told(self, receiver: str) -> list[str]:
        """Keys of what a receiver has been sent so far."""
        entries = await self.store.take_outbox("test", 1_000, 0)
        self._seen += [Notification.decode(each.fields) for each in entries]
        return [each.key for each in self._seen if each.receiver == receiver]


@contextlib.asynccontextmanager
async def ours(config: str = CONFIG, web: Mapping[str, Any] | None = None) -> AsyncIterator[Ours]:
    """The API over a dispatcher that has seen the rules evaluated."""
    settings = Settings.model_validate(yaml.safe_load(config))
    policy = configured.policy(settings, CALENDAR)
    store = MemoryStore()
    await store.acquire("test")
    dispatcher = Dispatcher(store, policy, exact=False)
    await dispatcher.load(0)
    dispatcher.committed([])
    text = original(settings, policy)
    app = FastAPI()
    guard = Guard(WebSettings.model_validate({"requests_per_second": 10_000} | dict(web or {})), Audit(store))
    app.add_middleware(Access, guard=guard, routes=app.router.routes)
    app.include_router(alertmanager(dispatcher, policy, list(settings.receivers), text, 1_769_180_400_000_000_000))
    server = WebServer(app, "127.0.0.1", 0)
    tasks = [asyncio.create_task(each) for each in (server.run(), dispatcher.run())]
    try:
        yield Ours(f"http://127.0.0.1:{server.port}", dispatcher, store, policy, text)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@contextlib.asynccontextmanager
async def program(*command: str, ready: str) -> AsyncIterator[None]:
    """A program that runs until the end, once it answers 200 at `ready`."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
            while True:
                assert process.returncode is None, f"{command[0]} ended with {process.returncode}"
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(ready)).status_code == httpx.codes.OK:
                        break
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def real_alertmanager(folder: Path, config: str) -> AsyncIterator[str]:
    """Debian's Alertmanager with this configuration; its address."""
    (folder / "alertmanager.yml").write_text(config)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = (
        "prometheus-alertmanager",
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    async with program(*command, ready=f"{url}/-/ready"):
        yield url


async def run(*command: str, given: str | None = None, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a program."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=None if env is None else dict(env),
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate(given.encode() if given is not None else None)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def post(url: str, alerts: Sequence[Mapping[str, Any]]) -> None:
    """Post alerts."""
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(f"{url}/api/v2/alerts", json=list(alerts))).raise_for_status()
