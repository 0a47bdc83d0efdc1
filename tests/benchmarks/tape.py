"""Quotes as a vendor's frames, built before they are sent: only their times are written at the moment of sending.

All messages have the same length, so a block of frames is an array of bytes in which a column is a slice, and stamping
a thousand quotes is one assignment. The times a monitor sees are then those of the wall, and the generator costs a few
nanoseconds a quote.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.msgpack import Ext

from connectors.message_lists import Encoding

PER_FRAME = 20
"""Quotes in a frame."""
FRAMES = 200
"""Frames in a block."""
BLOCKS = 32
"""Blocks built; they are sent in turns."""
_SECOND = 1_000_000_000
_STAMP = "2026-01-23T14:30:00.000000000Z"
_PRICE = 888.88
_SYMBOL = "S0000"

Bytes = npt.NDArray[np.uint8]


def symbols(count: int) -> list[str]:
    """Names of equal length."""
    return [f"S{number:04d}" for number in range(count)]


def base_prices(count: int) -> npt.NDArray[np.float64]:
    """Where each instrument's prices walk about: 200 to 800, so that the flipping ones stay apart from all."""
    return np.round(np.random.default_rng(7).uniform(200, 800, count), 2)


FLIPPING = ("FLIP0", "FLIP1", "FLIP2", "FLIP3", "FLIP4")
"""Instruments that go up and down across 500, in turns."""
_NUMBERS = 9_000


@dataclass(frozen=True)
class Flip:
    """A quote put in the place of another: `number` is written into its price, so that it can be found again."""

    number: int

    @property
    def symbol(self) -> str:
        """Which instrument flips."""
        return FLIPPING[self.number % len(FLIPPING)]

    @property
    def price(self) -> float:
        """Above 500 and below it in turns; 1 cent a number."""
        up = self.number // len(FLIPPING) % 2 == 0
        return (700.0 if up else 300.0) + self.number % _NUMBERS / 100


def flip_number(price: float) -> int:
    """The number of the flip with that price; exact for the first 9,000."""
    return round((price - (700.0 if price > 500 else 300.0)) * 100)


class Tape:
    """Blocks of websocket frames, ``(BLOCKS, FRAMES, bytes of a frame)``."""

    def __init__(self, instruments: int, encoding: Encoding, *, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self._json = encoding == "json"
        template = _message(self._json)
        body, at = _frame(template, self._json)
        self.frame_bytes = len(body)
        self._blocks = np.tile(np.frombuffer(body, np.uint8), (BLOCKS, FRAMES, 1))
        shape = (BLOCKS, FRAMES, PER_FRAME)
        which = rng.integers(0, instruments, shape)
        bids = np.round(base_prices(instruments)[which] * (1 + rng.normal(0, 1e-4, shape)), 2)
        messages = self._blocks[:, :, at:].reshape(*shape, -1)
        names = np.array([s.encode() for s in symbols(instruments)]).view(np.uint8).reshape(instruments, -1)
        symbol = template.index(_SYMBOL.encode())
        self._symbol = slice(symbol, symbol + len(_SYMBOL))
        bid, ask = template.index(b"bp") + 2, template.index(b"ap") + 2
        lead = 2 if self._json else 1  # the quote mark and the colon, or the type of a float
        self._prices = [slice(start + lead, start + lead + (6 if self._json else 8)) for start in (bid, ask)]
        stamp = template.index(_STAMP.encode()) if self._json else template.index(bytes.fromhex("d7ff")) + 2
        self._stamp = slice(stamp, stamp + (len(_STAMP) if self._json else 8))
        messages[..., self._symbol] = names[which]
        for column, prices in zip(self._prices, (bids, bids + 0.02), strict=True):
            messages[..., column] = self._price_bytes(prices)
        self._messages = messages

    def block(self, number: int, now_ns: int) -> bytes:
        """A whole block, stamped; `number` counts for ever."""
        at = number % BLOCKS
        self._stamp_messages(self._messages[at], now_ns)
        return bytes(self._blocks[at].tobytes())

    def frame(self, number: int, now_ns: int, flip: Flip | None = None) -> bytes:
        """One frame, stamped, its first quote replaced by `flip`."""
        at = number // FRAMES % BLOCKS, number % FRAMES
        rows = self._messages[at]
        before = rows[0].copy()
        if flip is not None:
            rows[0, self._symbol] = np.frombuffer(flip.symbol.encode(), np.uint8)
            for column, price in zip(self._prices, (flip.price - 0.01, flip.price + 0.01), strict=True):
                rows[0, column] = self._price_bytes(np.array([price]))[0]
        self._stamp_messages(rows, now_ns)
        data = bytes(self._blocks[at].tobytes())
        rows[0] = before
        return data

    def _price_bytes(self, prices: npt.NDArray[np.float64]) -> Bytes:
        if not self._json:
            return prices.astype(">f8")[..., None].view(np.uint8)
        cents = np.round(prices * 100).astype(np.int64)
        digits = cents[..., None] // 10 ** np.arange(4, -1, -1) % 10 + ord("0")
        return np.insert(digits.astype(np.uint8), 3, ord("."), axis=-1)

    def _stamp_messages(self, messages: Bytes, now_ns: int) -> None:
        """Times a nanosecond apart, none in the next second."""
        seconds, rest = divmod(now_ns, _SECOND)
        count = np.prod(messages.shape[:-1])
        nanoseconds = np.minimum(rest + np.arange(count), _SECOND - 1).reshape(messages.shape[:-1])
        if self._json:
            prefix = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.").encode()
            messages[..., self._stamp.start : self._stamp.start + len(prefix)] = np.frombuffer(prefix, np.uint8)
            digits = nanoseconds[..., None] // 10 ** np.arange(8, -1, -1) % 10 + ord("0")
            messages[..., self._stamp.stop - 10 : self._stamp.stop - 1] = digits
        else:
            stamps = nanoseconds.astype(np.uint64) << np.uint64(34) | np.uint64(seconds)
            messages[..., self._stamp] = stamps.astype(">u8")[..., None].view(np.uint8)


def _message(json: bool) -> bytes:
    """One quote with the vendor's fields in the vendor's order."""
    content: dict[str, Any] = {
        "T": "q",
        "S": _SYMBOL,
        "bx": "V",
        "bp": _PRICE,
        "bs": 3,
        "ax": "V",
        "ap": _PRICE,
        "as": 4,
        "c": ["R"],
        "t": _STAMP if json else Ext(-1, bytes(8)),
        "z": "C",
    }
    return msgspec.json.encode(content) if json else msgspec.msgpack.encode(content)


def _frame(message: bytes, json: bool) -> tuple[bytes, int]:
    """A websocket frame of such messages, and where its first message starts; each fills the same number of bytes."""
    if json:
        payload = b"[" + b",".join([message] * PER_FRAME) + b"]"
    else:
        payload = b"\xdc" + PER_FRAME.to_bytes(2, "big") + message * PER_FRAME
    header = bytes([0x81 if json else 0x82, 126]) + len(payload).to_bytes(2, "big")
    return header + payload, len(header) + (1 if json else 3)
