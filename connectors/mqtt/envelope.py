"""A message of a broker as one frame of bytes, so that captures, replays and tests need nothing else.

A frame is the length of the topic (2 bytes, big-endian), the topic and the payload, as in MQTT itself. What the
client has to tell, such as a refusal, is a message too, on a topic below ``$client/``, which no broker delivers
for a subscription to ``#``.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

CONNECTION: Final = "$client/connection"
"""Payload: :class:`Answer`. The broker's answer to the client, given only where it is a refusal."""
SUBSCRIPTION: Final = "$client/subscription"
"""Payload: a list of :class:`Granted`."""
CONFLATED: Final = "$client/conflated"
"""Payload: how many quotes gave way to a newer one of the same topic since the last such message."""
GAP: Final = "$client/gap"
"""Payload: :class:`Missing`."""

_LENGTH: Final = struct.Struct(">H")


class Answer(msgspec.Struct):
    """Why a broker refuses a client: an MQTT 5 reason code and its name."""

    code: int
    text: str


class Granted(msgspec.Struct):
    """The broker's answer for one subscription: a quality of service, or a reason code of 128 and more."""

    topic: str
    code: int


class Missing(msgspec.Struct):
    """What a source had and has no more, as far as it can be known; `text` is for people."""

    missing: int
    text: str


class Wanted(msgspec.Struct):
    """What to subscribe to: the only thing this client ever sends."""

    topics: list[str]
    qos: int


def pack(topic: str, payload: bytes) -> bytes:
    """The frame of a message.

    >>> unpack(pack("a/b", b"1"))
    ('a/b', b'1')
    """
    name = topic.encode()
    return _LENGTH.pack(len(name)) + name + payload


def unpack(frame: bytes) -> tuple[str, bytes]:
    """Topic and payload of a frame; raises ValueError where it is none."""
    topic, payload = split(frame)
    return topic.decode(), payload


def split(frame: bytes) -> tuple[bytes, bytes]:
    """The same with the topic as it came; raises ValueError where it is no frame."""
    if len(frame) < _LENGTH.size:
        raise ValueError("a frame begins with two bytes of length")
    end = _LENGTH.size + (frame[0] << 8 | frame[1])
    if len(frame) < end:
        raise ValueError("the topic is longer than the frame")
    return frame[_LENGTH.size : end], frame[end:]
