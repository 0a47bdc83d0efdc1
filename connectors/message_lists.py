"""Frames that are lists of messages of several kinds, told apart by a tag: decoded, and salvaged message by message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from connectors.feed import Frame

Encoding = Literal["json", "msgpack"]
Decode = Callable[[bytes], Any]

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""All that decoding hostile bytes can raise."""


class MessageLists:
    """Frames to lists of messages; what cannot be read is counted by cause, message by message.

    Args:
        union: The union of all message types, each a tagged msgspec struct.
        kinds: The same types one by one, with their type parameters or without.
        encoding: Of the frames.
    """

    def __init__(self, union: Any, kinds: Collection[type[msgspec.Struct]], encoding: Encoding = "json") -> None:  # noqa: ANN401 - a union has no type of its own
        codec = msgspec.json if encoding == "json" else msgspec.msgpack
        self._frame: Decode = codec.Decoder(list[union]).decode
        self._raws: Decode = codec.Decoder(list[msgspec.Raw]).decode
        self._message: Decode = codec.Decoder(union).decode
        self._anything: Decode = codec.Decoder().decode
        configs = [(kind.__struct_config__, msgspec.structs.fields(kind)) for kind in kinds]
        self._tag_field = next(str(config.tag_field) for config, _ in configs)
        self._required = {
            str(config.tag): tuple(field.encode_name for field in fields if field.required)
            for config, fields in configs
        }

    def decode(self, frames: Sequence[Frame], rejected: Counter[str]) -> Iterator[list[Any]]:
        """The messages of each frame, in order; causes are added to `rejected`."""
        decode = self._frame
        for frame in frames:
            try:
                messages = decode(frame if isinstance(frame, bytes) else _encoded(frame))
            except _UNREADABLE:
                messages = self._salvage(frame, rejected)
            yield messages

    def _salvage(self, frame: Frame, rejected: Counter[str]) -> list[Any]:
        """The good messages of a frame that is not good as a whole."""
        try:
            raws = self._raws(_encoded(frame))
        except msgspec.ValidationError:
            rejected["not a list"] += 1
            return []
        except _UNREADABLE:
            rejected["malformed"] += 1
            return []
        messages = []
        for raw in raws:
            try:
                messages.append(self._message(raw))
            except _UNREADABLE:
                rejected[self._cause(raw)] += 1
        return messages

    def _cause(self, raw: msgspec.Raw) -> str:
        """Why a message could not be read."""
        try:
            content = self._anything(raw)
        except _UNREADABLE:
            return "malformed"
        kind = content.get(self._tag_field) if isinstance(content, dict) else None
        if not isinstance(kind, str) or kind not in self._required:
            return "unknown message"
        if any(name not in content for name in self._required[kind]):
            return "missing field"
        return "wrong type"


def _encoded(frame: Frame) -> bytes:
    """The bytes of a frame; half a surrogate pair, which no encoding has, becomes a question mark."""
    return frame.encode(errors="replace") if isinstance(frame, str) else frame
