"""Messages that are read many at a time give what each gives by itself, whatever the others are."""

from collections import Counter

import msgspec
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from connectors.batch import SCHEMAS, Batch
from connectors.mqtt import ForeignLayout, MqttFeed
from connectors.mqtt.envelope import CONFLATED, pack

NS = 1769178600123456789
OTHERS = ForeignLayout("x/{symbol}", "trades", time="at", unit="received", fields={"price": "p"})
NUMBERS = st.floats(0, 1e6) | st.integers(0, 10**6) | st.just(float("nan")) | st.integers(-3, 2**63)
TIMES = (
    st.integers(NS, NS + 10**9)
    | st.sampled_from(["2026-01-23T14:30:00.1Z", "2026-01-23T09:30:00-05:00", "yesterday", "", None, 2**63, -(2**63)])
    | st.sampled_from([Ext(-1, bytes(4)), Ext(-1, bytes(12)), Ext(-1, b"1"), Ext(5, bytes(4)), 1.5, True])
)
NAMES = ["bid", "ask", "bid_size", "ask_size", "price", "size", "id", "open", "high", "low", "close", "volume"]
ROWS = st.fixed_dictionaries(
    {"bid": NUMBERS, "ask": NUMBERS, "price": NUMBERS},
    optional={
        "ts": TIMES,
        "symbol": st.sampled_from(["", "IWM", "BTC/USD", "é"]) | st.none(),
        "end": TIMES,
        "id": st.integers(-5, 2**64 - 1) | st.none(),
        "code": st.text(max_size=2) | st.integers(0, 9),
        "extra": st.lists(st.integers(0, 3), max_size=2) | st.dictionaries(st.text(max_size=1), st.none(), max_size=1),
        **{name: NUMBERS | st.none() | st.text(max_size=2) for name in NAMES[2:] if name not in ("price", "id")},
    },
)
GOOD_ROWS = st.fixed_dictionaries({"ts": st.integers(NS, NS + 10**9), "bid": st.floats(1, 9), "ask": st.floats(1, 9)})


def as_json(content: object) -> bytes:
    """JSON; a time stamp of MessagePack, which it has no place for, becomes the text of its bytes."""
    return msgspec.json.encode(content, enc_hook=str)


def packed(content: object) -> bytes:
    return msgspec.msgpack.encode(content)


CONTENTS = st.one_of(ROWS, GOOD_ROWS, st.lists(GOOD_ROWS, max_size=3), st.lists(ROWS, max_size=3))


@st.composite
def encoded(draw) -> bytes:
    content: bytes = draw(st.sampled_from([as_json, packed]))(draw(CONTENTS))
    return content


ENCODED = encoded()
CUT = st.builds(lambda payload, start, end: payload[start:end], ENCODED, st.integers(0, 3), st.integers(0, 60))
TRAILED = st.builds(lambda payload, rest: payload + rest, ENCODED, st.binary(max_size=2) | ENCODED)
# Two of these beside each other, or joined by a comma, would be something else than each by itself.
PIECES = st.sampled_from(
    [
        b"",
        b" ",
        b"1,2",
        b"null",
        b"[]",
        b"{}",
        b"{}{}",
        b'{"ts":1,"bid":1,"ask":2},{"ts":2,"bid":1,"ask":2}',
        b'{"ts":1,"bid":1,"ask":2},{"ts":2,"x":[1',
        b'2],"bid":1,"ask":2}',
        b'{"ts":1,"bid":1,"bid":3,"ask":2}',
        b'{"ts":1,"b\\u0069d":4,"ask":2}',
        b' {"ts":1,"bid":1,"ask":2}\n',
        b'{"ts":1,"bid":1e999,"ask":2}',
        b'{"ts":100000000000000000000000,"bid":1,"ask":2}',
        b'\xef\xbb\xbf{"ts":1}',
        b"\x80",
        b"\x90",
        b"\xc0",
        b"\xdc\x00\x01\x81\xa2ts\x01",
        b"\xde\x00\x03\xa2ts\x01\xa3bid\x01\xa3ask\x02",
        b"\x81\xa2ts\xcf",
        b"\x83\xa2ts\x01\xa3bid\x01\xa3ask\x02\x83",
    ]
)


@st.composite
def payloads(draw) -> bytes:
    content: bytes = draw(st.one_of(ENCODED, ENCODED, CUT, TRAILED, PIECES, st.binary(max_size=9)))
    return content


PAYLOADS = payloads()
TOPICS = st.sampled_from(
    [f"md/v1/lab/0/{symbol}/{kind}" for symbol in ("SPY", "BTC%2FUSD") for kind in "qtbs"]
    + [f"md/v1/lab/0/SPY{'Y' * n}/q" for n in (230, 239, 240, 241, 600)]
    + ["md/v1/lab/status", "x/SPY", "nobody/knows", CONFLATED]
)
FRAMES = st.builds(pack, TOPICS, PAYLOADS)
HOSTILE = st.binary(max_size=30) | st.text(max_size=9) | st.builds(lambda f, n: f[:n], FRAMES, st.integers(0, 25))


def feed() -> MqttFeed:
    return MqttFeed("m", url="", topics=["#"], layouts=[OTHERS])


def one_by_one(frames) -> Batch:
    return Batch.merge([feed().parse([frame], 7) for frame in frames])


def same(together: Batch, apart: Batch) -> None:
    """The same rows in the same order, and the same counts."""
    for name, frame in together.frames().items():
        assert frame.schema == SCHEMAS[name]
        assert frame.equals(apart.frames()[name]), name
        for column in frame.select(pl.col(pl.Float64)):
            assert column.to_list().__repr__() == apart.frames()[name][column.name].to_list().__repr__(), "NaN is NaN"
    assert dict(together.rejected) == dict(apart.rejected)
    assert dict(together.unused) == dict(apart.unused)
    assert together.notices == apart.notices


@given(st.lists(FRAMES | HOSTILE, min_size=1, max_size=12))
@settings(max_examples=400)
def test_any_messages(frames):
    it = feed()
    apart = one_by_one(frames)
    same(it.parse(frames, 7), apart)
    same(it.parse(frames, 7), apart)  # on topics it has met


@pytest.mark.parametrize("long", [0, 1024])
@given(
    frames=st.lists(
        st.builds(pack, st.sampled_from(["md/v1/l/0/A/q", "md/v1/l/0/B/q"]), PAYLOADS), min_size=2, max_size=6
    )
)
@example(
    frames=[pack("md/v1/l/0/A/q", b'{"ts":1,"bid":1,"ask":2},{"ts":2,"bid":1,"ask":2}'), pack("md/v1/l/0/A/q", b"")]
)
@example(frames=[pack("md/v1/l/0/A/q", b'{"ts":1,"bid":1,"ask":2}' * 2), pack("md/v1/l/0/B/q", b" ")])
@settings(max_examples=300)
def test_messages_of_one_kind_do_not_lend_each_other_what_they_lack(long, frames):
    it = feed()
    it.parse(frames, 7)
    apart = one_by_one(frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connectors.mqtt.feed._LONG", long)
        same(it.parse(frames, 7), apart)


@pytest.mark.parametrize("encode", [as_json, packed])
@given(data=st.data())
@settings(max_examples=60)
def test_one_bad_message_among_good_ones_is_the_only_one_that_is_refused(encode, data):
    good = data.draw(st.lists(st.builds(lambda row: pack("md/v1/l/0/A/q", encode(row)), GOOD_ROWS), max_size=8))
    at = data.draw(st.integers(0, len(good)))
    it = feed()
    it.parse([pack("md/v1/l/0/A/q", encode({"ts": 1, "bid": 1, "ask": 1}))], 7)
    batch = it.parse([*good[:at], pack("md/v1/l/0/A/q", b'{"ts":1,"bid":'), *good[at:]], 7)
    assert batch.quotes.height == len(good)
    assert batch.rejected == Counter(malformed=1)


@pytest.mark.parametrize("deep", [b"[" * 2000, b"\x91" * 2000, b'{"x":' * 2000])
def test_a_message_that_is_too_deep(deep):
    frames = [pack("md/v1/l/0/A/q", payload) for payload in (as_json({"ts": 1, "bid": 1, "ask": 2}), deep)]
    same(feed().parse(frames, 7), one_by_one(frames))


def test_many_messages_are_read_in_parts_and_keep_their_order():
    rows = [{"ts": NS + n, "price": n, "id": n} for n in range(5_000)]
    frames = [pack(f"md/v1/l/0/S{n % 7}/{'tq'[n % 3 == 0]}", as_json(row)) for n, row in enumerate(rows)]
    it = feed()
    for _ in range(2):
        trades = it.parse(frames, 7).trades
        assert trades["id"].to_list() == [n for n in range(5_000) if n % 3]
        assert trades["symbol"].to_list() == [f"S{n % 7}" for n in range(5_000) if n % 3]
