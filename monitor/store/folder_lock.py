"""One daemon a data folder, and no daemon before the server of the last one has ended.

Two files are locked: ``daemon.lock`` by the daemon, ``server.lock`` by its server, which inherits the lock. The kernel
lets go of a lock when the last process that has it ends, however it ends, so neither lock outlives its reason, and a
process id found in a locked file is right: it cannot have been given to another process.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from pathlib import Path
from typing import Final

from monitor.store.base import StoreRefused, StoreUnavailable

POLL: Final = 0.02
"""Seconds between two looks at a lock; locks cannot be waited for without a thread."""


class FolderLock:
    """An exclusive lock on a file, with the process id of its holder inside."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The file descriptor that carries the lock; who inherits it holds the lock as well."""
        if self._fd is None:
            raise RuntimeError(f"{self._path} is not locked")
        return self._fd

    def take(self) -> bool:
        """Lock the file, unless somebody else has; True if it is ours now."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        self._fd = fd
        return True

    def sign(self) -> None:
        """Write this process's id into the file."""
        os.pwrite(self.fd, f"{os.getpid()}\n".encode(), 0)

    def holder(self) -> int | None:
        """The process id in the file."""
        text = self._path.read_text(encoding="ascii").strip()
        return int(text) if text.isdecimal() else None

    def release(self) -> None:
        """Let go of our share of the lock; whoever inherited it keeps it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def lock_for_daemon(path: Path) -> FolderLock:
    """The daemon's lock on its data folder. Raises StoreRefused where another daemon has it."""
    lock = FolderLock(path)
    if not lock.take():
        raise StoreRefused(
            f"{path.parent}: another monitor (process {lock.holder()}) uses this data folder: "
            "stop it, or give this one another folder"
        )
    lock.sign()
    return lock


async def lock_for_server(path: Path, patience: float) -> FolderLock:
    """The lock a new server will inherit, once the server of a daemon that was killed has ended.

    On Linux the kernel has told that server to end, elsewhere we do; after `patience` seconds it is killed. The signal
    goes to the server's process group: a process that rewrites the append-only file may outlive the server.
    """
    lock = FolderLock(path)
    if lock.take():
        return lock
    for sent in (signal.SIGTERM, signal.SIGKILL):
        _signal_group(lock.holder(), sent)
        try:
            async with asyncio.timeout(patience):
                while not lock.take():  # noqa: ASYNC110 - another process lets go of it
                    await asyncio.sleep(POLL)
        except TimeoutError:
            continue
        return lock
    raise StoreUnavailable(f"{path.parent}: the server of an earlier monitor (process {lock.holder()}) does not end")


def _signal_group(leader: int | None, sent: signal.Signals) -> None:
    """Signal the process group of a left-over server, which may end at any moment."""
    if leader is None:
        return
    try:
        os.killpg(leader, sent)
    except ProcessLookupError:
        return
