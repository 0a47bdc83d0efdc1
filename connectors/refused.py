"""What could not be read of a feed, kept to be looked at: a few frames by cause, cut to a size."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

KEPT: Final = 3
"""Of each cause, the newest."""
LONGEST: Final = 300
"""Bytes of a frame that are kept."""
CAUSES: Final = 20
"""Causes of which frames are kept; parsers have fewer."""


class RefusedFrame(NamedTuple):
    """A frame that was received at `received_at`, UTC ns, and held what `cause` says.

    `among`: how many frames were received together; where there were others the fault may be in one of them.
    """

    cause: str
    received_at: int
    frame: str
    size: int
    among: int


class RefusedFrames:
    """The newest frames of each cause; at most :data:`CAUSES` x :data:`KEPT` x :data:`LONGEST` bytes."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[RefusedFrame]] = {}

    def saw(self, frames: Sequence[bytes], received_at: int, causes: Mapping[str, int]) -> None:
        """These frames had messages that could not be read, by cause."""
        if not (causes and frames):
            return
        frame = frames[-1]
        text = bytes(frame[:LONGEST]).decode(errors="backslashreplace")
        for cause in causes:
            if cause not in self._kept and len(self._kept) >= CAUSES:
                continue
            kept = self._kept.setdefault(cause, deque(maxlen=KEPT))
            kept.append(RefusedFrame(cause, received_at, text, len(frame), len(frames)))

    def newest(self) -> list[RefusedFrame]:
        """What is kept, the newest first."""
        return sorted((f for kept in self._kept.values() for f in kept), key=lambda f: f.received_at, reverse=True)
