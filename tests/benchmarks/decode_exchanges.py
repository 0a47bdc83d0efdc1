"""What columns cost over decoding for further feeds: quotes a second, and those of msgspec decoding the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from connectors.binance import BinanceFeed
from connectors.coinbase import CoinbaseFeed
from connectors.feed import Feed
from connectors.kraken import KrakenFeed
from connectors.message_lists import Encoding
from connectors.mqtt import MqttFeed
from connectors.mqtt.envelope import pack

QUOTES: Final = 5_000
PER_FRAME: Final = 20
"""Rows in a message, where the vendor puts several into one."""

Case = tuple[Callable[[], Feed], Sequence[bytes], Callable[[], object], Callable[[], object]]


def cases() -> dict[str, Case]:
    """By feed: what makes its parser, frames of quotes, plain decoding of them, and that into structs of all fields.

    A parser that knows what it has seen needs to be a new one in each run.
    """
    return {"binance": _binance(), "coinbase": _coinbase(), "kraken": _kraken(), **_mqtt()}


def _prices() -> list[tuple[str, float]]:
    source = random.Random(1)
    return [(f"S{source.randrange(2_000):04d}", round(source.uniform(10, 700), 2)) for _ in range(QUOTES)]


def decoding(
    frames: Sequence[bytes], kind: Any, codec: Any = msgspec.json, *, strict: bool = True
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Plain decoding of frames, and that into structs, which says beforehand what is in them."""
    plain, typed = codec.Decoder().decode, codec.Decoder(kind, strict=strict).decode
    return lambda: [plain(frame) for frame in frames], lambda: [typed(frame) for frame in frames]


class _Book(msgspec.Struct):
    u: int
    s: str
    b: float
    B: float
    a: float
    A: float


class _Stream(msgspec.Struct):
    stream: str
    data: _Book


def _binance() -> Case:
    frames = [
        msgspec.json.encode(
            {
                "stream": f"{symbol.lower()}@bookTicker",
                "data": {
                    "u": 400_900_217 + n,
                    "s": symbol,
                    "b": f"{price:.8f}",
                    "B": "31.21000000",
                    "a": f"{price + 0.01:.8f}",
                    "A": "40.66000000",
                },
            }
        )
        for n, (symbol, price) in enumerate(_prices())
    ]
    return lambda: BinanceFeed("bench"), frames, *decoding(frames, _Stream, strict=False)


class _Ticker(msgspec.Struct):
    type: str
    product_id: str
    price: float
    volume_24_h: float
    best_bid: float
    best_bid_quantity: float
    best_ask: float
    best_ask_quantity: float


class _TickerEvent(msgspec.Struct):
    type: str
    tickers: list[_Ticker]


class _Tickers(msgspec.Struct):
    channel: str
    client_id: str
    timestamp: str
    sequence_num: int
    events: list[_TickerEvent]


def _coinbase() -> Case:
    rows = [
        {
            "type": "ticker",
            "product_id": f"{symbol}-USD",
            "price": f"{price}",
            "volume_24_h": "16038.28770938",
            "best_bid": f"{price}",
            "best_bid_quantity": "8000.21",
            "best_ask": f"{price + 0.01:.2f}",
            "best_ask_quantity": "8038.07770938",
        }
        for symbol, price in _prices()
    ]
    frames = [
        msgspec.json.encode(
            {
                "channel": "ticker",
                "client_id": "",
                "timestamp": f"2023-02-09T20:30:37.{n:09d}Z",
                "sequence_num": n,
                "events": [{"type": "update", "tickers": [row]}],
            }
        )
        for n, row in enumerate(rows)
    ]
    return lambda: CoinbaseFeed("bench"), frames, *decoding(frames, _Tickers, strict=False)


class _Level(msgspec.Struct):
    symbol: str
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    last: float
    volume: float


class _Levels(msgspec.Struct):
    channel: str
    type: str
    data: list[_Level]


def _kraken() -> Case:
    frames = [
        msgspec.json.encode(
            {
                "channel": "ticker",
                "type": "update",
                "data": [
                    {
                        "symbol": f"{symbol}/USD",
                        "bid": price,
                        "bid_qty": 740.0,
                        "ask": price + 0.01,
                        "ask_qty": 1361.44813783,
                        "last": price,
                        "volume": 997038.98383185,
                    }
                ],
            }
        )
        for symbol, price in _prices()
    ]
    return lambda: KrakenFeed("bench"), frames, *decoding(frames, _Levels, strict=False)


class _Quote(msgspec.Struct):
    ts: int
    symbol: str
    bid: float
    ask: float
    bid_size: float
    ask_size: float


class _OfTopic(msgspec.Struct):
    ts: int
    bid: float
    ask: float
    bid_size: float
    ask_size: float


def _mqtt() -> dict[str, Case]:
    """Messages of several quotes each, and of one each, whose instrument the topic says: the smallest there are.

    Plain decoding is given the payloads as a client hands them out; the parser finds them, and the topic, in a frame.
    """
    many = [
        {"ts": 1_769_178_600_000_000_000 + n, "symbol": s, "bid": p, "ask": p + 0.01, "bid_size": 1.0, "ask_size": 2.0}
        for n, (s, p) in enumerate(_prices())
    ]
    one = [{name: value for name, value in row.items() if name != "symbol"} for row in many]
    parts = [many[at : at + PER_FRAME] for at in range(0, QUOTES, PER_FRAME)]
    return {
        "mqtt": _of_broker("json", parts, list[_Quote]),
        "mqtt, MessagePack": _of_broker("msgpack", parts, list[_Quote]),
        "mqtt, a quote a message": _of_broker("json", one, _OfTopic),
        "mqtt, a quote a message, MessagePack": _of_broker("msgpack", one, _OfTopic),
    }


def _of_broker(encoding: Encoding, contents: Sequence[object], kind: Any) -> Case:
    codec: Any = msgspec.json if encoding == "json" else msgspec.msgpack
    payloads = [codec.encode(content) for content in contents]
    frames = [pack(f"md/v1/lab/0/S{n % 2_000:04d}/q", payload) for n, payload in enumerate(payloads)]
    feed = MqttFeed("bench", url="", topics=[])  # which remembers nothing but its topics
    return lambda: feed, frames, *decoding(payloads, kind, codec)
