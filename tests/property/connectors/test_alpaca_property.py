"""Whatever the vendor sends: what is right is read exactly, what is not is counted, nothing raises."""

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from connectors.alpaca import AlpacaFeed
from connectors.batch import SCHEMAS, Batch
from connectors.sale_conditions import is_nothing, is_volume

SECOND = 10**9
NUMBERS = st.floats(0, 1e12) | st.integers(0, 10**12)
SYMBOLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
STAMPS = st.integers(0, 2**33).flatmap(lambda seconds: st.integers(0, SECOND - 1).map(lambda r: seconds * SECOND + r))


def message(kind, **fields):
    return st.fixed_dictionaries({"T": st.just(kind), "S": SYMBOLS, **fields, "t": STAMPS})


QUOTES = message("q", bp=NUMBERS, bs=NUMBERS, ap=NUMBERS, **{"as": NUMBERS})
TRADES = message("t", p=NUMBERS, s=NUMBERS, i=st.none() | st.integers(-(2**63), 2**63 - 1))
BARS = message("b", o=NUMBERS, h=NUMBERS, l=NUMBERS, c=NUMBERS, v=NUMBERS)
STATUSES = message("s", sc=SYMBOLS, rc=SYMBOLS, rm=SYMBOLS)
FRAMES = st.lists(st.lists(QUOTES | TRADES | BARS | STATUSES, max_size=5), max_size=5)


def as_text(ns):
    seconds, rest = divmod(ns, SECOND)
    text = pl.Series([seconds * 1000]).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S")[0]
    fraction = f"{rest:09d}".rstrip("0")
    return f"{text}{'.' if fraction else ''}{fraction}Z"


def as_extension(ns):
    seconds, rest = divmod(ns, SECOND)
    if not rest and seconds < 2**32:
        return Ext(-1, seconds.to_bytes(4, "big"))
    if ns % 3:
        return Ext(-1, (rest << 34 | seconds).to_bytes(8, "big"))
    return Ext(-1, rest.to_bytes(4, "big") + seconds.to_bytes(8, "big", signed=True))


def encoded(frames, encoding):
    stamp, encode = (as_text, msgspec.json.encode) if encoding == "json" else (as_extension, msgspec.msgpack.encode)
    return [encode([m | {"t": stamp(m["t"])} for m in frame]) for frame in frames]


def rows(batch: Batch, name):
    frame = batch.frames()[name]
    assert frame.schema == SCHEMAS[name]
    return frame.with_columns(pl.col(pl.Datetime).cast(pl.Int64)).rows()


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@given(FRAMES)
def test_messages_survive_encoding_and_parsing(encoding, frames):
    batch = AlpacaFeed("a", key="", secret="", encoding=encoding).parse(encoded(frames, encoding), 1)
    sent = [m for frame in frames for m in frame]
    assert not batch.rejected
    assert rows(batch, "quotes") == [
        (m["t"], m["S"], m["bp"], m["ap"], m["bs"], m["as"]) for m in sent if m["T"] == "q"
    ]
    assert rows(batch, "trades") == [(m["t"], m["S"], m["p"], m["s"], m["i"]) for m in sent if m["T"] == "t"]
    assert rows(batch, "bars") == [
        (m["t"], m["t"] + 60 * SECOND, m["S"], m["o"], m["h"], m["l"], m["c"], m["v"]) for m in sent if m["T"] == "b"
    ]
    assert rows(batch, "statuses") == [
        (m["t"], m["S"], m["sc"], ": ".join(filter(None, (m["rc"], m["rm"])))) for m in sent if m["T"] == "s"
    ]


CONDITIONS = st.lists(st.sampled_from(["@", "I", "B", "M", "F", "T", "", " ", "AB", "I,M", "é", "@I"]), max_size=4)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@given(
    st.lists(st.tuples(st.none() | CONDITIONS | CONDITIONS.map(lambda c: c * 60), st.sampled_from("ABC")), max_size=9)
)
def test_a_print_is_what_its_conditions_say(encoding, prints):
    frame = [{"T": "t", "S": "S", "p": 1.0, "s": 2, "i": n, "c": c, "z": z, "t": n} for n, (c, z) in enumerate(prints)]
    batch = AlpacaFeed("a", key="", secret="", encoding=encoding).parse(encoded([frame], encoding), 1)
    counted = [n for n, (c, _) in enumerate(prints) if not is_nothing(c or ())]
    assert batch.trades["id"].to_list() == counted
    assert batch.trades["price"].to_list() == [
        None if is_volume(prints[n][0] or (), prints[n][1]) else 1 for n in counted
    ]
    assert batch.unused == (
        {"official open or close": len(prints) - len(counted)} if len(counted) < len(prints) else {}
    )


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_many_messages_are_read_in_parts_and_keep_their_order(encoding):
    kinds = [{"T": "t", "p": 1.0, "s": 1}, {"T": "q", "bp": 1.0, "bs": 1, "ap": 2.0, "as": 1}, {"T": "s", "sc": "T"}]
    messages = [kinds[n % 3] | {"S": f"S{n % 7}", "t": n} for n in range(5_000)]
    frames = encoded([messages[at : at + 17] for at in range(0, 5_000, 17)], encoding)
    batch = AlpacaFeed("a", key="", secret="", encoding=encoding).parse(frames, 1)
    for start, kind in enumerate(("trades", "quotes", "statuses")):
        frame = batch.frames()[kind]
        assert frame["ts"].to_physical().to_list() == list(range(start, 5_000, 3))
        assert frame["symbol"].to_list() == [f"S{n % 7}" for n in range(start, 5_000, 3)]


def checked(batch: Batch):
    """What holds for any batch at all."""
    for name, frame in batch.frames().items():
        assert frame.schema == SCHEMAS[name]
        for column in frame.select(pl.col(pl.Float64)):
            assert (column.is_finite() & (column >= 0)).all()
        assert not frame["ts"].null_count()
    assert all(count > 0 for count in batch.rejected.values())
    return sum(batch.rejected.values()) + sum(batch.unused.values()) + len(batch.notices) + batch.rows


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@given(st.data())
@settings(max_examples=300)
def test_changed_bytes_never_raise(encoding, data):
    frames = encoded(data.draw(FRAMES.filter(bool)), encoding)
    at = data.draw(st.integers(0, len(frames) - 1))
    content = bytearray(frames[at])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        if data.draw(st.booleans()):
            content[place:place] = data.draw(st.binary(min_size=1, max_size=2))
        else:
            del content[place : place + data.draw(st.integers(1, 20))]
    feed = AlpacaFeed("a", key="", secret="", encoding=encoding)
    good = checked(feed.parse([*frames[:at], *frames[at + 1 :]], 1))
    # The frame that was changed takes no other with it.
    assert checked(feed.parse([*frames[:at], bytes(content), *frames[at + 1 :]], 1)) >= good


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@given(st.lists(st.binary(max_size=200) | st.text(max_size=200), max_size=4))
def test_any_bytes_never_raise(encoding, frames):
    checked(AlpacaFeed("a", key="", secret="", encoding=encoding).parse(frames, 1))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("TStpsiobcv"), inner, max_size=6),
    max_leaves=8,
)
KINDS = st.sampled_from(["q", "t", "b", "u", "d", "s", "l", "c", "x", "success", "subscription", "error", "z"])


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@given(
    st.lists(
        ANYTHING | st.dictionaries(st.sampled_from(["S", "t", "p", "s", "bp", "code", "msg"]), ANYTHING), max_size=5
    ),
    KINDS,
)
def test_every_message_of_a_readable_frame_is_counted_once(encoding, messages, kind):
    messages = [m | {"T": kind} if isinstance(m, dict) else m for m in messages]
    encode = msgspec.json.encode if encoding == "json" else msgspec.msgpack.encode
    batch = AlpacaFeed("a", key="", secret="", encoding=encoding).parse([encode(messages)], 1)
    assert checked(batch) == len(messages)
