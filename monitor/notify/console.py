"""``console://``: alerts on the terminal."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TextIO
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from monitor.notify import values
from monitor.notify.message import Notification
from monitor.notify.render import render
from monitor.notify.sender import Delivery, Verdict

SCHEME: Final = "console"
_RULE: Final = "-" * 80


def validate(url: str) -> str | None:
    """What is wrong with a ``console:`` address; None if nothing is."""
    parts = urlsplit(url)
    if parts.netloc or parts.path.strip("/") or parts.query:
        return "console:// takes nothing after it"
    return None


class ConsoleSender:
    """Prints each message as a block of lines. `stream` is standard output unless given."""

    target: str = "console"

    def __init__(self, stream: TextIO | None = None, zone: ZoneInfo = values.NEW_YORK) -> None:
        self._stream = stream
        self._zone = zone
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="notify-console")

    async def send(self, notification: Notification) -> Delivery:
        """Print; in a thread of its own, since a terminal that is paused blocks whoever writes to it."""
        message = render(notification, self._zone)
        block = f"{_RULE}\n{message.title}\n\n{message.text.rstrip()}\n{_RULE}\n"
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._print, block)
        except (OSError, RuntimeError, ValueError) as error:  # the terminal is gone, or the stream or this is closed
            return Delivery(Verdict.TRANSIENT, f"console: {error}")
        return Delivery(Verdict.DELIVERED, "printed")

    async def close(self) -> None:
        """Let the thread end with what it is printing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _print(self, block: str) -> None:
        stream = self._stream or sys.stdout
        encoding = getattr(stream, "encoding", None) or "utf-8"
        # A terminal that has no `é` gets `\xe9`: better than no message.
        stream.write(block.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
