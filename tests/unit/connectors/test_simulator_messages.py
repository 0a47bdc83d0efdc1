"""What the exchange writes is the vendor's format, in both encodings, in time order, and only what was asked for."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.simulator import Tape, great_rotation
from connectors.simulator.messages import Selection, decode, encode, frames, times
from tests.unit.connectors.simulator_sessions import SESSIONS

EVERYTHING = Selection(*(frozenset({"*"}),) * 3)
STEPS = 130


@pytest.fixture(scope="module")
def tape() -> Tape:
    return great_rotation(SESSIONS).tape(0, STEPS)


def messages(tape, start, stop, selection=EVERYTHING, *, packed=False, most=100) -> list[dict[str, Any]]:
    sent = frames(tape, start, stop, selection, packed=packed, most=most)
    read = [decode(frame, packed=packed) for frame, _ in sent]
    assert [len(chunk) for chunk in read] == [count for _, count in sent]
    assert all(count <= most for _, count in sent)
    return [message for chunk in read for message in chunk]


def test_the_first_messages_are_a_quote_and_a_trade_in_the_vendors_words(tape):
    quote, trade = messages(tape, 0, 1)[:2]
    assert quote == {
        "T": "q",
        "S": "SPY",
        "bx": "V",
        "bp": tape.bid[0, 0],
        "bs": tape.bid_size[0, 0],
        "ax": "V",
        "ap": tape.ask[0, 0],
        "as": tape.ask_size[0, 0],
        "c": ["R"],
        "z": "C",
        "t": "2026-01-02T14:30:00.971000000Z",
    }
    assert trade == {
        "T": "t",
        "S": "SPY",
        "i": 1,
        "x": "V",
        "p": tape.price[0, 0],
        "s": tape.size[0, 0],
        "c": ["@"],
        "z": "C",
        "t": "2026-01-02T14:30:00.971500000Z",
    }


def test_a_bar_covers_its_minute_and_comes_after_it(tape):
    sent = messages(tape, 0, STEPS + 2)
    first = next(i for i, m in enumerate(sent) if m["T"] == "b")
    bar = sent[first]
    assert bar == {
        "T": "b",
        "S": "SPY",
        "o": tape.bars.open[0, 0],
        "h": tape.bars.high[0, 0],
        "l": tape.bars.low[0, 0],
        "c": tape.bars.close[0, 0],
        "v": tape.bars.volume[0, 0],
        "n": 1,
        "vw": tape.bars.vwap[0, 0],
        "t": "2026-01-02T14:30:00.000000000Z",
    }
    assert sent[first - 1]["t"] < "2026-01-02T14:31" <= sent[first + 29]["t"]
    assert [m["T"] for m in sent[-29:]] == ["b"] * 29
    assert sent[-1]["t"] == "2026-01-02T20:59:00.000000000Z"


@pytest.mark.parametrize("packed", [False, True])
def test_any_split_of_the_session_gives_the_same_messages(tape, packed):
    whole = messages(tape, 0, STEPS + 2, packed=packed, most=7)
    parts = [0, 1, 2, 50, 51, STEPS + 2]
    split = [m for a, b in itertools.pairwise(parts) for m in messages(tape, a, b, packed=packed)]
    assert split == whole
    counts = {kind: sum(m["T"] == kind for m in whole) for kind in "qtb"}
    assert counts == {"q": 29 * (STEPS + 1), "t": 29 * (STEPS + 1), "b": 29 * len(tape.bars.start)}


def test_only_what_is_selected_is_sent(tape):
    selection = Selection(trades=frozenset({"IWM"}), quotes=frozenset({"SPY", "IWM", "NOBODY"}))
    sent = messages(tape, 0, 2, selection)
    assert [(m["T"], m["S"]) for m in sent] == [("q", "SPY"), ("q", "IWM"), ("t", "IWM")] * 2
    assert messages(tape, 0, STEPS + 2, Selection()) == []
    bars = messages(tape, 0, STEPS + 2, Selection(bars=frozenset({"IWM"})))
    assert {(m["T"], m["S"]) for m in bars} == {("b", "IWM")}
    assert len(bars) == len(tape.bars.start)


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000_000))
def test_times_keep_their_nanoseconds(nanoseconds):
    (text,) = times(np.array([nanoseconds]), packed=False)
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    assert text == f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
    (packed,) = times(np.array([nanoseconds]), packed=True)
    value = int.from_bytes(packed.data, "big")
    assert (packed.code, value & (1 << 34) - 1, value >> 34) == (-1, seconds, rest)
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(packed))
    # Python's datetime has no nanoseconds, and the decoder rounds them.
    assert abs(
        read - dt.datetime.fromtimestamp(seconds, dt.UTC) - dt.timedelta(microseconds=rest / 1000)
    ) <= dt.timedelta(microseconds=1)


def test_a_selection_grows_and_shrinks_by_channel():
    one = Selection().changed({"trades": ["IWM", "SPY"], "statuses": ["*"]}, add=True)
    two = one.changed({"trades": ["SPY"], "quotes": ["IWM"]}, add=False).changed({"bars": ["QQQ"]}, add=True)
    assert two.symbols == {"IWM", "QQQ", "*"}
    assert two.wire() == {
        "T": "subscription",
        "trades": ["IWM"],
        "quotes": [],
        "bars": ["QQQ"],
        "updatedBars": [],
        "dailyBars": [],
        "statuses": ["*"],
        "lulds": [],
        "corrections": ["IWM"],
        "cancelErrors": ["IWM"],
    }


def test_a_frame_is_read_by_the_encoding_of_its_client():
    request = {"action": "subscribe", "trades": ["IWM"]}
    for packed in (False, True):
        assert decode(encode(request, packed=packed), packed=packed) == request
    assert decode('{"action": "auth"}', packed=True) == {"action": "auth"}
    assert decode(b'{"action": "auth"}', packed=False) == {"action": "auth"}
    with pytest.raises(msgspec.DecodeError):
        decode(b"\xc1", packed=True)
