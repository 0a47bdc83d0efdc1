"""``console://``: alerts on the terminal."""

from __future__ import annotations

import asyncio
import sys
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
        self._turn = asyncio.Lock()

    async def send(self, notification: Notification) -> Delivery:
        """Print; in a thread, since a terminal that is paused blocks whoever writes to it."""
        message = render(notification, self._zone)
        block = f"{_RULE}\n{message.title}\n\n{message.text.rstrip()}\n{_RULE}\n"
        async with self._turn:
            try:
                await asyncio.to_thread(self._print, block)
            except (OSError, ValueError) as error:  # the terminal is gone, or the stream is closed
                return Delivery(Verdict.TRANSIENT, f"console: {error}")
        return Delivery(Verdict.DELIVERED, "printed")

    async def close(self) -> None:
        """Nothing to let go of."""

    def _print(self, block: str) -> None:
        stream = self._stream or sys.stdout
        encoding = getattr(stream, "encoding", None) or "utf-8"
        # A terminal that has no `é` gets `\xe9`: better than no message.
        stream.write(block.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
