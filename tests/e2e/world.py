"""Everything around the daemon, for tests that run the real program: an exchange, a mail server, a webhook, a store.

async with World(tmp_path, rules=..., ...) as world:
    await world.play(start="2026-01-23", end="2026-01-24")
    await world.start_daemon()
    await world.inbox.expect(("small-caps-fall@2026-01-23.1", "firing"))
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import httpx
import yaml
from aiosmtpd.controller import Controller

Told = tuple[str, str]
"""(episode, kind)."""

_EPISODE = re.compile(r"^Episode: (\S+)", re.MULTILINE)
_STATE = re.compile(r"^State: (\S+)", re.MULTILINE)
_PATIENCE = 60.0


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def until(condition: Callable[[], bool], what: str, patience: float = _PATIENCE) -> None:
    """Wait for a condition; fails naming it."""
    deadline = asyncio.get_running_loop().time() + patience
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {patience:g} s: {what}")
        await asyncio.sleep(0.02)


@dataclass
class Inbox:
    """What has arrived, in order, as text."""

    texts: list[str] = field(default_factory=list)

    def told(self) -> list[Told]:
        """(episode, kind) of every message, in order of arrival, health alerts left out."""
        found = []
        for text in self.texts:
            episode, state = _EPISODE.search(text), _STATE.search(text)
            if episode and state and "@" in episode[1]:
                found.append((episode[1], state[1]))
        return found

    def about(self, episode: str, kind: str) -> str:
        """The text of the first such message."""
        return next(t for t in self.texts if f"Episode: {episode}" in t and f"State: {kind}" in t)

    async def expect(self, *wanted: Told, patience: float = _PATIENCE) -> None:
        """Wait until all of these have arrived."""
        await until(lambda: set(wanted) <= set(self.told()), f"{wanted} among {self.told()}", patience)


class _Mailbox:
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        mail = message_from_bytes(envelope.content, policy=policy.default)
        body = mail.get_body(("plain",))
        self._inbox.texts.append(body.get_content().replace("\r\n", "\n"))
        return "250 OK"


def _webhook(inbox: Inbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            inbox.texts.append(json.loads(body)["message"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


class Program:
    """A process whose standard error is kept."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = [asyncio.create_task(self._read(s)) for s in (process.stdout, process.stderr) if s]

    @classmethod
    async def start(cls, *command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Program:
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, cwd=cwd, env=env))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self.lines.append(line.decode(errors="replace").rstrip())

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    async def says(self, text: str, patience: float = _PATIENCE) -> None:
        await until(
            lambda: self.said(text) or self.process.returncode is not None, f"{text!r} in {self.lines[-5:]}", patience
        )
        assert self.said(text), "\n".join(self.lines[-20:])

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(30):
            code = await self.process.wait()
        await asyncio.gather(*self._reading)
        return code


@dataclass
class World:
    """See the module. `faults` are alpaca_replay's."""

    folder: Path
    tools: Path
    data: Path
    rules: str
    store: str = "embedded"
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mail, self.hook = Inbox(), Inbox()
        self.exchange: Program | None = None
        self.daemon: Program | None = None
        self.api = ""
        self._url = ""

    async def __aenter__(self) -> Self:
        self._smtp = Controller(_Mailbox(self.mail), hostname="127.0.0.1", port=free_port())
        self._smtp.start()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _webhook(self.hook))
        Thread(target=self._http.serve_forever, daemon=True).start()
        (self.folder / "rules.yaml").write_text(self.rules)
        return self

    async def __aexit__(self, *_: object) -> None:
        for program in (self.daemon, self.exchange):
            if program is not None:
                await program.end(signal.SIGKILL)
        self._smtp.stop()
        self._http.shutdown()
        self._http.server_close()

    async def play(self, *, start: str, end: str, speed: float = 0, faults: Sequence[str] = (), port: int = 0) -> None:
        """Start the outside exchange on the recorded five-minute bars."""
        self.exchange = await Program.start(
            sys.executable,
            str(self.tools / "alpaca_replay.py"),
            *("--data", str(self.data / "bars_5min.parquet")),
            *("--start", start, "--end", end, "--speed", str(speed), "--port", str(port)),
            *(word for fault in faults for word in ("--fault", fault)),
        )
        await self.exchange.says("ws://")
        self._url = next(line for line in self.exchange.lines if line.startswith("ws://"))

    def feed(self) -> dict[str, Any]:
        """The exchange, as the configuration names it."""
        return {"type": "alpaca", "key": "key", "secret": "secret", "url": self._url}

    def configure(self) -> Path:
        """Write rotation.yaml."""
        smtp, http = self._smtp.port, self._http.server_port
        config = {
            "store": {"url": self.store, "data_dir": str(self.folder / "data")},
            "clock": "event",
            "rules": ["rules.yaml"],
            "feeds": {"iex": self.feed()},
            "history": [{"type": "file", "data": str(self.data / "daily_ohlcv_raw.parquet")}],
            "receivers": {
                "mail": {
                    "urls": [f"mailto://127.0.0.1:{smtp}?from=monitor@example.com&to=desk@example.com&mode=insecure"]
                },
                "hook": {"urls": [f"json://127.0.0.1:{http}/alerts"]},
            },
            "web": {"listen": "127.0.0.1:0"},
            "log": {"format": "json"},
        } | self.settings
        path = self.folder / "rotation.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    async def start_daemon(self) -> None:
        """Start `rotation run` and wait until it serves."""
        command = [str(Path(sys.executable).with_name("rotation")), "run", "--config", str(self.configure())]
        self.daemon = await Program.start(*command, env=dict(os.environ))
        await self.daemon.says('"started"')
        started = next(json.loads(line) for line in self.daemon.lines if '"started"' in line)
        self.api = started["page"]

    async def kill_daemon(self) -> None:
        """As `kill -9`."""
        await self.daemon.end(signal.SIGKILL)

    async def ask(self, path: str) -> Any:
        """The API's answer."""
        async with httpx.AsyncClient(base_url=self.api) as client:
            answer = await client.get(path)
            answer.raise_for_status()
            return answer.json()

    async def reaches(self, moment: str, patience: float = _PATIENCE) -> None:
        """Wait until event time has reached an RFC 3339 time."""
        deadline = asyncio.get_running_loop().time() + patience
        while ((status := await self.ask("/api/v1/status"))["at"] or "") < moment:
            assert asyncio.get_running_loop().time() < deadline, (
                f"event time {status['at']} did not reach {moment}: {status['feeds']} {self.exchange.lines[-3:]}"
            )
            await asyncio.sleep(0.05)

    async def plays_out(self, patience: float = _PATIENCE) -> None:
        """Wait until the exchange has nothing left to send.

        Its clients share one tape, and what it holds for one who is gone reaches nobody. So after a kill this ends a
        day, and no moment of the day does: it may be one of those that are lost.
        """
        await self.exchange.says("end of data", patience)


@contextlib.asynccontextmanager
async def world(*args: Any, **options: Any) -> AsyncIterator[World]:
    """A world, ended with everything in it."""
    async with World(*args, **options) as made:
        yield made
