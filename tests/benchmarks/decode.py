"""What columns cost over decoding: quotes a second of the Alpaca parser, against msgspec decoding the same bytes alone.

Decoding is of three kinds: plain, into lists and objects as they come; into structs with every field, as one would
write them; and into structs with those only that the parser uses, which does least.
All in one run and in turns, CPU time, the best of each, because a busy machine slows whoever is measured at the moment.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from connectors.alpaca import AlpacaFeed
from connectors.alpaca.messages import Quote
from connectors.message_lists import Encoding
from tests.benchmarks import decode_brokers, decode_exchanges
from tests.benchmarks.figures import Report

QUOTES = 5_000
SYMBOLS = 2_000
PER_FRAME = 20
ROUNDS = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def quotes(stamp: Callable[[int], Any]) -> list[list[dict[str, Any]]]:
    """Frames of quotes as the vendor writes them, five a millisecond, one time in ten with a trailing zero trimmed."""
    source = random.Random(1)
    now = 1_769_178_600 * 10**9
    messages = []
    for _ in range(QUOTES):
        now += source.randrange(400_000)
        price = source.uniform(10, 700)
        messages.append(
            {
                "T": "q",
                "S": f"S{source.randrange(SYMBOLS):04d}",
                "bx": "V",
                "bp": round(price, 2),
                "bs": source.randint(1, 9),
                "ax": "V",
                "ap": round(price + 0.01, 2),
                "as": source.randint(1, 9),
                "t": stamp(now),
                "c": ["R"],
                "z": "C",
            }
        )
    return [messages[at : at + PER_FRAME] for at in range(0, QUOTES, PER_FRAME)]


class EveryField(msgspec.Struct, tag="q", tag_field="T"):
    """A quote as a reader of the vendor's documentation would declare it."""

    S: str
    bx: str
    bp: float
    bs: int
    ax: str
    ap: float
    ask_size: int = msgspec.field(name="as")
    t: str = msgspec.field()
    c: list[str] = msgspec.field()
    z: str = msgspec.field()


class EveryPackedField(EveryField, tag="q", tag_field="T"):
    """The same in MessagePack."""

    t: Ext = msgspec.field()  # type: ignore[assignment] # times are extensions there


def text(ns: int) -> str:
    """RFC 3339 as Go writes it."""
    seconds, rest = divmod(ns, 10**9)
    return f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}".rstrip("0") + "Z"


def extension(ns: int) -> Ext:
    """The 64-bit time stamp of MessagePack."""
    seconds, rest = divmod(ns, 10**9)
    return Ext(-1, (rest << 34 | seconds).to_bytes(8, "big"))


def best_of_turns(*works: Callable[[], object]) -> list[float]:
    """Seconds of the quickest run of each."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for number, work in enumerate(works):
            began = time.process_time()
            work()
            best[number] = min(best[number], time.process_time() - began)
    return best


def frames_and_decoders(encoding: Encoding) -> tuple[Sequence[bytes], list[Callable[[bytes], object]]]:
    """Encoded frames, and the decoders: plain, into structs of every field, and of those the parser uses."""
    typed: list[Callable[[bytes], object]]
    if encoding == "json":
        typed = [msgspec.json.Decoder(list[EveryField]).decode, msgspec.json.Decoder(list[Quote[str]]).decode]
        return [msgspec.json.encode(frame) for frame in quotes(text)], [msgspec.json.Decoder().decode, *typed]
    typed = [msgspec.msgpack.Decoder(list[EveryPackedField]).decode, msgspec.msgpack.Decoder(list[Quote[Ext]]).decode]
    return [msgspec.msgpack.encode(frame) for frame in quotes(extension)], [msgspec.msgpack.Decoder().decode, *typed]


def measure(encoding: Encoding) -> tuple[float, list[float]]:
    """Seconds of the parser for all quotes, and of each decoder."""
    frames, decoders = frames_and_decoders(encoding)
    feed = AlpacaFeed("bench", key="", secret="", encoding=encoding)
    columns, *decoding = best_of_turns(
        lambda: feed.parse(frames, 0),
        *(lambda decode=decode: [decode(frame) for frame in frames] for decode in decoders),
    )
    return columns, decoding


async def run() -> Report:
    """Both encodings of Alpaca's quotes, then all feeds."""
    report = Report("decode", f"{QUOTES:,} quotes, {PER_FRAME} a frame: the parser against msgspec alone")
    for encoding in ("json", "msgpack"):
        columns, (plain, every, used) = measure(encoding)
        report.add(f"alpaca, {encoding}: parser", QUOTES / columns, "quotes/s of CPU")
        report.add(f"alpaca, {encoding}: parser to plain decoding", plain / columns, "")
        report.add(f"alpaca, {encoding}: parser to structs of all fields", every / columns, "")
        report.add(f"alpaca, {encoding}: parser to structs of used fields", used / columns, "")
    for name, (make, frames, plainly, typed) in (decode_brokers.cases() | decode_exchanges.cases()).items():
        parsers = iter([make() for _ in range(ROUNDS)])  # making one is no part of parsing
        columns, plain, every = best_of_turns(
            lambda made=parsers, frames=frames: next(made).parse(frames, 0),  # type: ignore[misc]
            plainly,
            typed,
        )
        report.add(f"{name}: parser", QUOTES / columns, "quotes/s of CPU")
        report.add(f"{name}: parser to plain decoding", plain / columns, "")
        report.add(f"{name}: parser to structs of all fields", every / columns, "")
    return report
