"""Bringing what the embedded server has written from the system's memory to the disk."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import structlog

SYNC_EVERY: Final = 1.0
"""Seconds between two syncs: what a failing machine may lose, near enough."""

_log = structlog.get_logger(__name__)


async def sync_for_ever(folder: Path) -> None:
    """Sync the append-only files below `folder` once a second, in a thread; log a disk that refuses, and try again."""
    while True:
        await asyncio.sleep(SYNC_EVERY)
        try:
            await asyncio.to_thread(sync, folder)
        except OSError as fault:
            _log.error("the store's files could not be synced to the disk", folder=str(folder), error=str(fault))


def sync(folder: Path) -> None:
    """Return when what was written to the append-only files is on the disk; unchanged files cost nothing."""
    for path in folder.glob("appendonlydir/*.aof"):
        try:
            fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # the server has replaced it by a rewritten one, which it synced itself
            continue
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
