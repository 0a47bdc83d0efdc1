"""Whatever arrives, a parser of any vendor says what it could read and counts the rest: no exception, no growth."""

import itertools

import msgspec
import polars as pl
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from connectors.alpaca import AlpacaFeed
from connectors.batch import SCHEMAS, Batch
from tests.contract.connectors.cards import ALPACA, BROKERS, CARDS, Card
from tests.property.connectors.mutation import mutated

TOGETHER = 50
"""Frames in one call: a frame of polars costs more than a message."""


UNSAYING = {card.make().name for card in BROKERS.values()}


def packed(frame: str) -> bytes:
    """A frame of Alpaca's in MessagePack."""
    messages = json_messages(frame)
    return msgspec.msgpack.encode([m | {"t": Ext(-1, bytes(8))} if "t" in m else m for m in messages])


def json_messages(frame: str):
    return msgspec.json.decode(frame)


KNOWN = CARDS | BROKERS
ALL = KNOWN | {"alpaca in MessagePack": Card(lambda: AlpacaFeed("a", key="", secret="", encoding="msgpack"), (), 5)}
FRAMES = {name: [f.encode() if isinstance(f, str) else f for f in card.session] for name, card in KNOWN.items()} | {
    "alpaca in MessagePack": [packed(frame) for frame in ALPACA]
}


UNSAID = ("size", "bid_size", "ask_size", "volume")
"""What a broker's message may leave out, and then is unknown."""


def check(batch: Batch) -> None:
    """What holds for any batch at all."""
    for name, frame in batch.frames().items():
        assert frame.schema == SCHEMAS[name]
        assert not frame["ts"].null_count()
        if name in ("quotes", "trades", "bars"):
            for column in frame.select(pl.col(pl.Float64)):
                possible = column.is_finite() & (column >= 0)
                if batch.feed in UNSAYING and column.name in UNSAID:
                    possible |= column.is_nan()
                assert possible.all(), (name, column)
    assert all(count > 0 for count in batch.rejected.values())
    assert len(batch.rejected) < 20, "causes are few, whatever the vendor sends"
    assert len(batch.unused) < 20


def run(name: str, count: int, seed: int) -> int:
    """Parse `count` changed frames; the rows read."""
    feed = ALL[name].make()
    rows = 0
    frames = mutated(FRAMES[name], count, seed)
    while some := list(itertools.islice(frames, TOGETHER)):
        batch = feed.parse(some, 1)
        rows += batch.rows
        if not rows % 7:
            check(batch)
    return rows


@pytest.mark.parametrize("name", ALL)
def test_changed_frames(name):
    assert run(name, 5_000, seed=1), "some are still good"


@pytest.mark.parametrize("name", ALL)
@given(st.data())
@settings(max_examples=60)
def test_changed_frames_beside_good_ones(name, data):
    frames = FRAMES[name]
    seed = data.draw(st.integers(0, 2**32))
    hostile = list(mutated(frames, data.draw(st.integers(1, 5)), seed))
    feed = ALL[name].make()
    batch = feed.parse([*hostile, *frames], 1)
    check(batch)
    again = ALL[name].make().parse([*hostile, *frames], 1)
    assert all(again.frames()[kind].equals(frame) for kind, frame in batch.frames().items())
    assert (dict(again.rejected), again.notices) == (dict(batch.rejected), batch.notices)


@pytest.mark.parametrize("name", ALL)
@given(st.lists(st.binary(max_size=200) | st.text(max_size=200), max_size=4))
def test_any_bytes(name, frames):
    check(ALL[name].make().parse(frames, 1))


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ALL)
def test_ten_million_changed_frames(name):
    run(name, 200_000, seed=0)
    before = psutil.Process().memory_info().rss
    for seed in range(1, 11):
        run(name, 1_000_000, seed)
    assert psutil.Process().memory_info().rss < before + 64 * 2**20
