"""Frames of one JSON object each: decoded into a struct, and counted by cause where that cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from connectors.feed import Frame

UNREADABLE_FRAME: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""All that decoding hostile bytes can raise."""


def decoder(of: type) -> Callable[[bytes], Any]:
    """Decodes a frame into `of`. Exchanges write numbers as text, so that none loses a digit: both forms are read."""
    return msgspec.json.Decoder(of, strict=False).decode


def encoded(frame: Frame) -> bytes:
    """The bytes of a frame; half a surrogate pair, which no encoding has, becomes a question mark."""
    return frame.encode(errors="replace") if isinstance(frame, str) else frame


def cause(error: BaseException) -> str:
    """Why a frame could not be read, in two words."""
    if not isinstance(error, msgspec.ValidationError):
        return "malformed"
    return "missing field" if "missing required field" in str(error) else "wrong type"


def count_unreadable(error: BaseException, rejected: Counter[str]) -> None:
    """Count a frame that could not be read."""
    rejected[cause(error)] += 1


def decoded(decode: Callable[[bytes], Any], frames: Sequence[Frame], rejected: Counter[str]) -> list[Any]:
    """The content of the frames that can be read, in order; the others are counted."""
    try:
        return list(map(decode, frames))  # type: ignore[arg-type] # text is read as well, where it has an encoding
    except UNREADABLE_FRAME:
        pass  # one of them: which is found below
    found = []
    for frame in frames:
        try:
            found.append(decode(encoded(frame)))
        except UNREADABLE_FRAME as error:
            count_unreadable(error, rejected)
    return found
