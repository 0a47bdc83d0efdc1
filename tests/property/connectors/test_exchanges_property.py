"""Whatever bytes the feeds without a key and a broker bring: nothing raises, nothing grows, every frame is counted."""

import random

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import SCHEMAS, Batch
from connectors.binance import BinanceFeed
from connectors.coinbase import CoinbaseFeed
from connectors.kraken import KrakenFeed
from connectors.mqtt import ForeignLayout, MqttFeed
from connectors.mqtt.envelope import CONNECTION, SUBSCRIPTION, pack
from connectors.sequence import Consecutive

FOREIGN = ForeignLayout("x/{a}/{symbol}", "trades", time="t", unit="ms", rows="d.rows", fields={"price": "p.0"})
MAKERS = {
    "binance": lambda: BinanceFeed("f", symbols=["BTC/USDT"]),
    "coinbase": lambda: CoinbaseFeed("f", symbols=["BTC/USD"]),
    "kraken": lambda: KrakenFeed("f", symbols=["BTC/USD"]),
    "mqtt": lambda: MqttFeed("f", url="mqtt://x", topics=["#"], layouts=[FOREIGN]),
}
GOOD = {
    "binance": [
        b'{"stream":"a","data":{"u":400900217,"s":"BNBUSDT","b":"25.35","B":"31.21","a":"25.36","A":"40.66"}}',
        b'{"stream":"a","data":{"e":"trade","s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782136}}',
        b'{"result":null,"id":1}',
    ],
    "coinbase": [
        (
            b'{"channel":"ticker","timestamp":"2023-02-09T20:30:37.167359596Z","sequence_num":1,"events":[{"tickers":[{'
            b'"product_id":"BTC-USD","best_bid":"1","best_bid_quantity":"8","best_ask":"2","best_ask_quantity":"8"}]}]}'
        ),
        (
            b'{"channel":"market_trades","timestamp":"2023-02-09T20:19:35.3Z","sequence_num":2,"events":[{"trades":[{'
            b'"trade_id":"12","product_id":"ETH-USD","price":"1260.01","size":"0.3","time":"2019-08-14T20:42:27.265Z"}]}]}'
        ),
        b'{"type":"error","message":"BTC-USD is no product"}',
    ],
    "kraken": [
        b'{"channel":"ticker","data":[{"symbol":"A/USD","bid":0.1,"bid_qty":740.0,"ask":0.2,"ask_qty":1361.4}]}',
        (
            b'{"channel":"trade","data":[{"symbol":"M/USD","price":0.5,"qty":40.0,"trade_id":4665906,'
            b'"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
        ),
        b'{"channel":"status","data":[{"system":"online"}]}',
    ],
    "mqtt": [
        pack("md/v1/l/0/SPY/q", b'{"ts":"2026-01-23T14:30:00.1Z","bid":690.1,"ask":690.2,"bid_size":1}'),
        pack("md/v1/l/0/SPY/t", msgspec.msgpack.encode([{"ts": 1769178600000000001, "price": 690.1, "id": 7}])),
        pack("md/v1/l/0/SPY/b", b'{"ts":1,"end":2,"open":1,"high":2,"low":1,"close":2,"volume":3}'),
        pack("x/y/SPY", b'{"d":{"rows":[{"t":1769178600123,"p":["1.5"]},{"t":1.5,"p":[2]}]}}'),
        pack("md/v1/l/status", b'{"status":"offline"}'),
        pack(SUBSCRIPTION, b'[{"topic":"a","code":1}]'),
        pack(CONNECTION, b'{"code":135,"text":"no"}'),
    ],
}


def checked(batch: Batch) -> int:
    for name, frame in batch.frames().items():
        assert frame.schema == SCHEMAS[name]
        if frame.height:
            assert not frame["ts"].null_count()
        for column in frame.select(pl.col("^(bid|ask|price|open|high|low|close)$")):
            assert (column.is_finite() & (column >= 0)).all()
    assert all(count > 0 for count in batch.rejected.values())
    return sum(batch.rejected.values()) + sum(batch.unused.values()) + len(batch.notices) + batch.rows


def mutated(frame: bytes, source: random.Random) -> bytes:
    content = bytearray(frame)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(content) + 1)
        match source.randrange(4):
            case 0:
                content[at:at] = source.randbytes(source.randint(1, 3))
            case 1:
                del content[at : at + source.randint(1, 20)]
            case 2:
                content[at : at + 1] = source.choice([b'"', b"-", b"9", b"[", b"{}", b"1e999", b"null", b",", b"\xff"])
            case _:
                content[at:at] = content[source.randrange(len(content) + 1) :][:30]
    return bytes(content)


@pytest.mark.parametrize("name", MAKERS)
@given(st.integers(0, 2**32))
@settings(max_examples=50)
def test_changed_frames_never_raise_and_are_counted(name, seed):
    source = random.Random(seed)
    feed = MAKERS[name]()
    for _ in range(20):
        assert checked(feed.parse([mutated(source.choice(GOOD[name]), source)], 1)) >= 1


@pytest.mark.parametrize("name", MAKERS)
@given(st.lists(st.binary(max_size=200) | st.text(max_size=200), max_size=4))
def test_any_bytes_never_raise(name, frames):
    assert checked(MAKERS[name]().parse(frames, 1)) >= len(frames)


WORDS = """stream data e s u b t p T id channel events tickers trades product_id symbol bid price qty timestamp
    sequence_num ts d rows code topic system type"""
KEYS = st.sampled_from(WORDS.split())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)
TOPICS = st.sampled_from(
    [f"md/v1/l/0/S/{kind}" for kind in "qtbs"] + ["md/v1/l/status", "x/y/S", CONNECTION, SUBSCRIPTION, "none"]
)


@given(st.lists(st.dictionaries(KEYS, ANYTHING, max_size=8) | ANYTHING, max_size=4), TOPICS, st.booleans())
@settings(max_examples=100)
def test_any_content_never_raises(contents, topic, packed):
    for content in contents:
        frame = msgspec.json.encode(content)
        for name in ("binance", "coinbase", "kraken"):
            checked(MAKERS[name]().parse([frame], 1))
        payload = msgspec.msgpack.encode(content) if packed else frame
        checked(MAKERS["mqtt"]().parse([pack(topic, payload)], 1))


@given(st.lists(st.integers(0, 60), max_size=80))
def test_numbers_in_any_order_are_fresh_once(numbers):
    it = Consecutive()
    fresh = [number for number in numbers if it.fresh("S", number)]
    assert len(fresh) == len(set(fresh))
    if numbers:
        assert {n for n in numbers if n >= numbers[0]} >= set(fresh)
        missing = set(range(numbers[0], max(numbers))) - set(numbers)
        assert sum(it.taken().values()) == len(missing)


@pytest.mark.soak
@pytest.mark.parametrize("name", MAKERS)
def test_ten_million_changed_frames(name):
    psutil = pytest.importorskip("psutil")
    process = psutil.Process()
    source = random.Random(1)
    feed = MAKERS[name]()
    settled = 0
    for round_ in range(1000):
        checked(feed.parse([mutated(source.choice(GOOD[name]), source) for _ in range(10_000)], 1))
        if round_ == 100:
            settled = process.memory_info().rss
    assert process.memory_info().rss < settled + 100 * 2**20
