"""What columns cost over decoding for brokers' feeds: as `decode_exchanges`, for quotes and trades of shares.

A third of the trades are odd lots, which are volume and no price. Alpaca's quotes are in `decode`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from connectors.alpaca import AlpacaFeed
from connectors.feed import Feed
from connectors.finnhub import FinnhubFeed
from connectors.massive import MassiveFeed
from tests.benchmarks.decode_exchanges import PER_FRAME, QUOTES, Case, decoding


class _Quote(msgspec.Struct, tag="Q", tag_field="ev"):
    sym: str
    bx: int
    bp: float
    bs: int
    ax: int
    ap: float
    ask_size: int = msgspec.field(name="as")
    c: int = 0
    i: list[int] = []
    t: int = 0
    q: int = 0
    z: int = 0


class _Trade(msgspec.Struct, tag="T", tag_field="ev"):
    sym: str
    x: int
    i: str
    z: int
    p: float
    s: float
    c: list[int] = []
    t: int = 0
    q: int = 0


class _Print(msgspec.Struct):
    c: list[str]
    p: float
    s: str
    t: int
    v: float


class _Prints(msgspec.Struct):
    data: list[_Print]
    type: str


class _AlpacaTrade(msgspec.Struct, tag="t", tag_field="T"):
    i: int
    S: str
    x: str
    p: float
    s: int
    t: str
    c: list[str]
    z: str


def cases() -> dict[str, Case]:
    """By feed: what makes its parser, frames, plain decoding of them, and that into structs of all fields."""
    source = random.Random(1)
    now = 1_769_178_600_000
    quotes, trades, prints, odd_lots = [], [], [], []
    for number in range(QUOTES):
        now += source.randrange(2)
        symbol, price = f"S{source.randrange(2_000):04d}", round(source.uniform(10, 700), 2)
        book = {"bx": 4, "bp": price, "bs": 100, "ax": 7, "ap": round(price + 0.01, 2), "as": 160, "c": 0, "i": [604]}
        quotes.append({"ev": "Q", "sym": symbol, **book, "t": now, "q": 50_385_480 + number, "z": 3})
        odd = not source.randrange(3)
        codes = [14, 37] if odd else [14]
        trade = {"x": 4, "i": str(52_983_525 + number), "z": 3, "p": price, "s": 100, "c": codes}
        trades.append({"ev": "T", "sym": symbol, **trade, "t": now, "q": 3_681_328 + number})
        prints.append({"c": ["1", "8", "24"], "p": price, "s": symbol, "t": now, "v": 10})
        stamp = f"2026-01-23T14:30:{number // 100:02d}.{number % 100:02d}{source.randrange(10**7):07d}Z"
        odd_lot = {"i": 52_983_525 + number, "S": symbol, "x": "V", "p": price, "s": 10, "t": stamp}
        odd_lots.append({"T": "t", **odd_lot, "c": ["@", "I"] if odd else ["@"], "z": "C"})
    return {
        "massive": _case(lambda: MassiveFeed("bench", key=""), list[_Quote], _parts(quotes)),
        "massive, trades": _case(lambda: MassiveFeed("bench", key=""), list[_Trade], _parts(trades)),
        "alpaca, trades": _case(lambda: AlpacaFeed("bench", key="", secret=""), list[_AlpacaTrade], _parts(odd_lots)),
        "finnhub": _case(
            lambda: FinnhubFeed("bench", key=""), _Prints, [{"data": p, "type": "trade"} for p in _parts(prints)]
        ),
    }


def _parts(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    return [rows[at : at + PER_FRAME] for at in range(0, len(rows), PER_FRAME)]


def _case(make: Callable[[], Feed], kind: Any, contents: Sequence[object]) -> Case:
    frames = [msgspec.json.encode(content) for content in contents]
    return make, frames, *decoding(frames, kind)
