import json

import msgspec
import polars as pl
import pytest
from msgspec.msgpack import Ext

from connectors.alpaca import AlpacaFeed
from connectors.alpaca.feed import LONGEST_REQUEST
from connectors.batch import SCHEMAS, Notice, NoticeKind
from connectors.feed import Remedy
from connectors.timestamps import rfc3339

AT = "2026-01-23T14:30:05.123456789Z"
NS = rfc3339(AT)
QUOTE = {"T": "q", "S": "IWM", "bx": "V", "bp": 252.1, "bs": 2, "ax": "V", "ap": 252.2, "as": 3, "c": ["R"], "z": "B"}
TRADE = {"T": "t", "S": "SPY", "i": 52983525029461, "x": "V", "p": 690.25, "s": 100, "c": ["@"], "z": "B"}
BAR = {"T": "b", "S": "SPY", "o": 690, "h": 691.5, "l": 689.5, "c": 691, "v": 12345, "n": 4, "vw": 690.4}
UPDATED = BAR | {"T": "u", "c": 692}
# The fields of https://docs.alpaca.markets/docs/real-time-stock-pricing-data, section LULD
BAND = {"T": "l", "S": "IONM", "u": 3.24, "d": 2.65, "i": "B", "z": "C"}
# https://forum.alpaca.markets/t/message-type-c/8116: a frame of 20 January 2022
CORRECTION = {
    "T": "c", "S": "IWM", "x": "D", "oi": 79372207866957, "op": 208.65, "os": 14950, "oc": [" ", "7", "V"],
    "ci": 79372223926359, "cp": 208.65, "cs": 14950, "cc": [" ", "7", "Z", "V"], "z": "B",
}  # fmt: skip
# The fields of alpaca-py 0.44, `alpaca/data/mappings.py`: TRADE_CANCEL_MAPPING
CANCEL = {"T": "x", "S": "GOOGL", "i": 465, "x": "D", "p": 1350.6, "s": 12, "a": "C", "z": "C"}
# Values of the sample of https://docs.alpaca.markets/docs/real-time-stock-pricing-data: an odd lot.
ODD_LOT = {"T": "t", "i": 96921, "S": "AAPL", "x": "D", "p": 126.55, "s": 1, "c": ["@", "I"], "z": "C"}
STATUS = {"T": "s", "S": "AAPL", "sc": "H", "sm": "Trading Halt", "rc": "T12", "rm": "Information Requested", "z": "C"}


def feed(**options):
    return AlpacaFeed("iex", key="PK1", secret="hush", **{"symbols": ["SPY", "IWM"], **options})


def at(message, time=AT):
    return message | {"t": time}


def parse(*messages, **options):
    return feed(**options).parse([json.dumps(messages)], 7)


def test_messages_become_columns():
    batch = parse(at(QUOTE), at(TRADE), at(BAR), at(UPDATED), at(STATUS))
    assert batch.feed == "iex"
    assert batch.received_at == 7
    assert {name: frame.schema for name, frame in batch.frames().items()} == dict(SCHEMAS)
    times = {name: frame["ts"].cast(pl.Int64).to_list() for name, frame in batch.frames().items() if frame.height}
    assert times == {"quotes": [NS], "trades": [NS], "bars": [NS, NS], "statuses": [NS]}
    assert batch.quotes.row(0)[1:] == ("IWM", 252.1, 252.2, 2.0, 3.0)
    assert batch.trades.row(0)[1:] == ("SPY", 690.25, 100.0, 52983525029461)
    assert batch.bars.row(0)[2:] == ("SPY", 690.0, 691.5, 689.5, 691.0, 12345.0)
    assert batch.bars["end"].cast(pl.Int64).to_list() == [NS + 60 * 10**9] * 2
    assert batch.bars["close"].to_list() == [691.0, 692.0]
    assert batch.statuses.row(0)[1:] == ("AAPL", "H", "T12: Information Requested")
    assert not batch.rejected
    assert not batch.unused


def test_a_trade_whose_conditions_set_no_price_is_volume_alone():
    given = [
        ODD_LOT,
        TRADE,
        TRADE | {"c": [" ", "T"]},
        TRADE | {"c": [" ", "B"], "z": "A"},
        TRADE | {"c": ["@", "B"], "z": "C"},
        TRADE | {"c": [" ", "7", "V"]},
        TRADE | {"c": ["@", "M"]},
        TRADE | {"c": None},
    ]
    batch = parse(*(at(row) for row in given))
    assert batch.trades["price"].to_list() == [None, 690.25, 690.25, None, 690.25, None, 690.25]
    assert batch.trades["size"].to_list() == [1.0, *[100.0] * 6]
    assert batch.unused == {"official open or close": 1}
    assert not batch.rejected


def test_text_and_bytes_read_alike():
    text = json.dumps([at(QUOTE)])
    assert feed().parse([text], 0).quotes.equals(feed().parse([text.encode()], 0).quotes)


def test_messagepack_reads_like_json():
    seconds, rest = divmod(NS, 10**9)
    stamp = Ext(-1, (rest << 34 | seconds).to_bytes(8, "big"))
    messages = [QUOTE, TRADE, BAR, UPDATED, STATUS, BAND, CORRECTION, CANCEL]
    packed = feed(encoding="msgpack").parse([msgspec.msgpack.encode([at(m, stamp) for m in messages])], 7)
    plain = parse(*[at(m) for m in messages])
    for name, frame in packed.frames().items():
        assert frame.equals(plain.frames()[name]), name


def test_known_messages_without_a_place_are_counted():
    batch = parse(at(BAR | {"T": "d"}), at(BAR | {"T": "d", "S": "IWM"}))
    assert batch.unused == {"daily bar": 2}
    assert not batch.rejected
    assert batch.rows == 0


def test_limit_bands():
    batch = parse(at(BAND), at(BAND | {"u": -1}))
    assert batch.bands.row(0)[1:] == ("IONM", 2.65, 3.24, "B")
    assert batch.bands["ts"].cast(pl.Int64).to_list() == [NS]
    assert batch.rejected == {"negative number": 1}


def test_corrections_and_cancels_keep_their_order_and_name_the_print():
    error = CANCEL | {"a": "E"}
    batch = parse(at(CANCEL), at(CORRECTION | {"cp": 208.6, "cs": 100}), at(error), at({**error, "a": "?", "i": None}))
    rows = batch.corrections.select(pl.exclude("ts")).rows()
    assert rows[1] == ("IWM", "correction", 79372207866957, 208.65, 14950.0, 79372223926359, 208.6, 100.0)
    assert [row[:6] for row in rows if row[1] != "correction"] == [
        ("GOOGL", "cancel", 465, 1350.6, 12.0, None),
        ("GOOGL", "error", 465, 1350.6, 12.0, None),
        ("GOOGL", "cancel", None, 1350.6, 12.0, None),
    ]
    assert batch.corrections["new_price"].is_nan().to_list() == [True, False, True, True]
    assert batch.corrections["new_size"].is_nan().to_list() == [True, False, True, True]
    assert batch.corrections.schema == SCHEMAS["corrections"]


@pytest.mark.parametrize("broken", [{"cp": -1}, {"os": None}, {"t": "never"}, {"oi": 2**63}])
def test_a_correction_that_cannot_be_is_refused(broken):
    batch = parse(at(CORRECTION) | broken)
    assert batch.corrections.height == 0
    assert sum(batch.rejected.values()) == 1


@pytest.mark.parametrize("source", ["iex", "sip", "delayed_sip", "test"])
def test_every_stream_has_its_address(source):
    # https://docs.alpaca.markets/docs/real-time-stock-pricing-data and .../docs/streaming-market-data (test stream)
    assert feed(source=source).address().url == f"wss://stream.data.alpaca.markets/v2/{source}"


def test_every_channel_can_be_subscribed():
    channels = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")
    (request,) = feed(channels=channels, symbols=["SPY"]).reply(Notice(NoticeKind.AUTHENTICATED))
    assert json.loads(request) == {"action": "subscribe", **{channel: ["SPY"] for channel in channels}}
    answer = {
        "T": "subscription",
        **{channel: ["SPY"] for channel in channels},
        "corrections": ["SPY"],
        "cancelErrors": ["SPY"],
    }
    (notice,) = parse(answer).notices
    assert notice.text == "trades 1, quotes 1, bars 1, updated bars 1, daily bars 1, statuses 1, limit bands 1"


@pytest.mark.parametrize(
    ("frame", "causes"),
    [
        (b"", {"malformed": 1}),
        (b'[{"T":"q","S":', {"malformed": 1}),
        (b"\xff\xfe", {"malformed": 1}),
        ("\ud800", {"malformed": 1}),
        ("[" * 100_000, {"malformed": 1}),
        ('{"not":"a list"}', {"not a list": 1}),
        ('"a list"', {"not a list": 1}),
        ("[1, [], null, {}]", {"unknown message": 4}),
        ('[{"T":"zz"},{"T":["q"]},{"T":7}]', {"unknown message": 3}),
        ('[{"T":"q","S":"SPY"}]', {"missing field": 1}),
        ('[{"T":"t","S":"IWM","p":"NaN","t":"yesterday"}]', {"missing field": 1}),
        (json.dumps([at(TRADE | {"p": "NaN"})]), {"wrong type": 1}),
        (json.dumps([at(TRADE | {"p": None})]), {"wrong type": 1}),
        (json.dumps([at(TRADE | {"S": 5})]), {"wrong type": 1}),
        (json.dumps([at(TRADE | {"i": 2**63})]), {"wrong type": 1}),
        (json.dumps([TRADE | {"t": 1769178605}]), {"wrong type": 1}),
        (json.dumps([TRADE | {"t": "yesterday"}]), {"unreadable time": 1}),
        (json.dumps([at(BAR, "2026-01-23")]), {"unreadable time": 1}),
        (json.dumps([at(STATUS, "")]), {"unreadable time": 1}),
        (json.dumps([at(TRADE | {"p": -1})]), {"negative number": 1}),
        (json.dumps([at(QUOTE | {"bs": -1, "ap": -2})]), {"negative number": 1}),
        (json.dumps([at(BAR | {"v": -1}, "")]), {"unreadable time": 1}),
        (b'[{"T":"t","S":"SPY","p":NaN,"s":1,"t":""}]', {"malformed": 1}),
        (b'[{"T":"t","S":"SPY","p":1e999,"s":1,"t":""}]', {"malformed": 1}),
        (b'[{"T":"t","S":"\xff","p":1,"s":1,"t":""}]', {"malformed": 1}),
    ],
)
def test_what_cannot_be_read_is_counted_by_cause(frame, causes):
    batch = feed().parse([frame], 0)
    assert batch.rejected == causes
    assert batch.rows == 0
    assert not batch.notices


def test_good_messages_beside_bad_ones_survive():
    bad = [at(QUOTE | {"bp": "x"}), {"T": "zz"}, at(QUOTE | {"ap": -1}), at(QUOTE, "never"), {"T": "q"}]
    mixed = [message for one in bad for message in (at(QUOTE), one)]
    batch = feed().parse([b"\x00", json.dumps(mixed), json.dumps([at(TRADE)])], 0)
    assert batch.quotes.height == 5
    assert batch.trades.height == 1
    assert sum(batch.rejected.values()) == 6
    assert batch.quotes["bid"].to_list() == [252.1] * 5


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_messagepack_carries_numbers_that_are_none(number):
    stamp = Ext(-1, bytes(8))
    frame = msgspec.msgpack.encode([at(TRADE, stamp), at(TRADE | {"p": number}, stamp)])
    batch = feed(encoding="msgpack").parse([frame], 0)
    assert batch.trades["price"].to_list() == [690.25]
    assert batch.rejected == {"not a number": 1}


def test_zero_prices_pass_for_the_filter_to_judge():
    assert parse(at(QUOTE | {"bp": 0, "bs": 0})).quotes["bid"].to_list() == [0.0]


def test_signing_in():
    iex = feed()
    assert iex.greeting() == ()
    (connected,) = parse({"T": "success", "msg": "connected"}).notices
    assert connected.kind is NoticeKind.CONNECTED
    (request,) = iex.reply(connected)
    assert json.loads(request) == {"action": "auth", "key": "PK1", "secret": "hush"}
    (authenticated,) = parse({"T": "success", "msg": "authenticated"}).notices
    (request,) = iex.reply(authenticated)
    assert json.loads(request) == {"action": "subscribe", "trades": ["IWM", "SPY"], "quotes": ["IWM", "SPY"]}
    (subscribed,) = parse({"T": "subscription", "trades": ["SPY"], "quotes": ["IWM", "SPY"], "lulds": []}).notices
    assert subscribed == Notice(NoticeKind.SUBSCRIBED, "trades 1, quotes 2")
    assert iex.reply(subscribed) == ()


def test_messagepack_signs_in_in_messagepack():
    packed = feed(encoding="msgpack")
    assert packed.address().headers == {"Content-Type": "application/msgpack"}
    (request,) = packed.reply(Notice(NoticeKind.CONNECTED))
    assert msgspec.msgpack.decode(request)["action"] == "auth"
    frame = msgspec.msgpack.encode([{"T": "success", "msg": "connected"}])
    assert packed.parse([frame], 0).notices == (Notice(NoticeKind.CONNECTED, "connected"),)


def test_only_the_difference_is_subscribed_once_signed_in():
    iex = feed()
    assert iex.subscribe(["SPY", "QQQ"]) == ()
    iex.reply(Notice(NoticeKind.AUTHENTICATED))
    assert [json.loads(r) for r in iex.subscribe(["SPY", "XLF"])] == [
        {"action": "unsubscribe", "trades": ["QQQ"], "quotes": ["QQQ"]},
        {"action": "subscribe", "trades": ["XLF"], "quotes": ["XLF"]},
    ]
    assert iex.subscribe(["XLF", "SPY"]) == []
    iex.greeting()
    assert iex.subscribe(["SPY"]) == ()
    (request,) = iex.reply(Notice(NoticeKind.AUTHENTICATED))
    assert json.loads(request)["quotes"] == ["SPY"]


def test_nothing_wanted_asks_for_nothing():
    assert feed(symbols=[]).reply(Notice(NoticeKind.AUTHENTICATED)) == []


def test_a_large_subscription_is_cut_to_the_vendors_limit():
    symbols = [f"SYM{number:05d}" for number in range(10_000)]
    requests = feed(symbols=symbols, channels=["trades", "quotes", "bars"]).reply(Notice(NoticeKind.AUTHENTICATED))
    assert len(requests) > 1
    assert max(len(request) for request in requests) <= LONGEST_REQUEST
    assert [s for request in requests for s in json.loads(request)["bars"]] == symbols


def test_the_address_follows_the_source():
    assert feed().address().url == "wss://stream.data.alpaca.markets/v2/iex"
    assert feed(source="delayed_sip").address().url == "wss://stream.data.alpaca.markets/v2/delayed_sip"
    assert feed(url="ws://127.0.0.1:1/v2/x").address().url == "ws://127.0.0.1:1/v2/x"


def test_errors_carry_code_and_text():
    (notice,) = parse({"T": "error", "code": 406, "msg": "connection limit exceeded"}).notices
    assert notice == Notice(NoticeKind.ERROR, "connection limit exceeded", 406)


@pytest.mark.parametrize(
    ("remedy", "codes"),
    [
        (Remedy.STOP, [400, 402, 405, 409, 410, 412, 413]),
        (Remedy.WAIT, [406]),
        (Remedy.RECONNECT, [401, 404, 407, 500, 599, None]),
        (Remedy.IGNORE, [403]),
    ],
)
def test_errors_are_told_apart(remedy, codes):
    assert {feed().remedy(Notice(NoticeKind.ERROR, "", code)) for code in codes} == {remedy}


def test_the_secret_is_not_in_any_text():
    assert "hush" not in repr(feed()) + str(vars(feed()).get("name"))
