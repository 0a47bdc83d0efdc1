"""A real Mosquitto on loopback: with TLS and passwords or without, persistent, killed when a test wants it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")

USER, PASSWORD = "desk", "a-secret-word"


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass
class Broker:
    """A Mosquitto that can be killed and started again with what it had written."""

    folder: Path
    tls: bool = False
    password: bool = False
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtts://localhost:{self.port}" if self.tls else f"mqtt://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        """Its certificate, which signs itself."""
        return self.folder / "certificate.pem"

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        if PROGRAM is None:
            raise FileNotFoundError("mosquitto")
        self.process = await asyncio.create_subprocess_exec(
            PROGRAM, "-c", str(self._configuration()), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; SIGUSR1 first has it write what it keeps."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()

    async def save(self) -> None:
        """Have it write its database now: Mosquitto 2.0 does so by itself only every so often."""
        if self.process is None:
            return
        database = self.folder / "mosquitto.db"
        before = database.stat().st_mtime_ns if database.exists() else 0
        self.process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(20):
            while not database.exists() or database.stat().st_mtime_ns == before:  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.02)

    def _configuration(self) -> Path:
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {self.folder}/",
            "max_queued_messages 0",
            "max_inflight_messages 1000",
            "set_tcp_nodelay true",
            "user root",
            *self.options,
        ]
        if self.password:
            passwords = self.folder / "passwords"
            if not passwords.exists():
                subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, USER, PASSWORD], check=True)
            lines += ["allow_anonymous false", f"password_file {passwords}"]
        else:
            lines.append("allow_anonymous true")
        if self.tls:
            key = self.folder / "key.pem"
            if not self.ca.exists():
                subprocess.run(
                    [
                        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                        *("-nodes", "-days", "2", "-keyout", key, "-out", self.ca, "-subj", "/CN=localhost"),
                        *("-addext", "subjectAltName=DNS:localhost"),
                    ],
                    check=True,
                    capture_output=True,
                )
            lines += [f"certfile {self.ca}", f"keyfile {key}"]
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


@contextlib.asynccontextmanager
async def broker(folder: Path, **options: object) -> AsyncIterator[Broker]:
    """A broker for one test."""
    it = Broker(folder, **options)
    await it.start()
    try:
        yield it
    finally:
        await it.end(signal.SIGKILL)
