"""Topics and payloads of a broker."""

import json

import msgspec
import pytest
from msgspec.msgpack import Ext

from connectors.batch import NoticeKind
from connectors.feed import Remedy
from connectors.mqtt import ForeignLayout, MqttFeed, MqttOptions
from connectors.mqtt.envelope import CONFLATED, CONNECTION, SUBSCRIPTION, pack
from connectors.mqtt.layout import LayoutError, Router

NS = 1769178600123456789
QUOTE = {"bid": 1.0, "ask": 2.0}


def feed(*layouts):
    return MqttFeed("m", url="mqtt://x", topics=["md/v1/#"], layouts=layouts)


def parse(topic, content, *layouts, encode=msgspec.json.encode):
    return feed(*layouts).parse([pack(topic, content if isinstance(content, bytes) else encode(content))], 77)


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
@pytest.mark.parametrize("ts", [NS, "2026-01-23T14:30:00.123456789Z", "2026-01-23T09:30:00.123456789-05:00"])
def test_a_quote_in_either_encoding_and_with_any_time(encode, ts):
    quotes = parse("md/v1/lab/3/BTC%2FUSD/q", QUOTE | {"ts": ts, "bid_size": 5}, encode=encode).quotes
    assert quotes["ts"].to_physical().to_list() == [NS]
    assert quotes.drop("ts", "ask_size").row(0) == ("BTC/USD", 1, 2, 5)
    assert quotes["ask_size"].is_nan().all(), "unknown"


def test_a_time_stamp_of_messagepack_itself():
    seconds, rest = divmod(NS, 10**9)
    stamp = Ext(-1, (rest << 34 | seconds).to_bytes(8, "big"))
    quotes = parse("md/v1/l/0/SPY/q", QUOTE | {"ts": stamp}, encode=msgspec.msgpack.encode).quotes
    assert quotes["ts"].to_physical().to_list() == [NS]


def test_the_symbol_of_a_row_goes_before_that_of_the_topic():
    rows = [{"ts": NS, "price": 1, "id": 1}, {"ts": NS, "price": 2, "symbol": "IWM"}]
    assert parse("md/v1/l/0/SPY/t", rows).trades["symbol"].to_list() == ["SPY", "IWM"]


def test_a_bar_without_an_end_is_a_minute():
    bar = {"ts": NS, "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}
    bars = parse("md/v1/l/0/SPY/b", [bar, bar | {"end": NS + 5}]).bars
    assert (bars["end"] - bars["ts"]).to_physical().to_list() == [60 * 10**9, 5]


def test_what_no_market_says_is_counted_and_good_rows_stay():
    rows = [
        {"ts": NS, "price": 1},
        {"ts": NS, "price": -1},
        {"ts": "yesterday", "price": 1},
        {"price": 1},
        {"ts": NS},
        {"ts": NS, "price": "x"},
    ]
    batch = parse("md/v1/l/0/SPY/t", rows)
    assert batch.trades.height == 1
    assert batch.rejected == {
        "missing field": 1,
        "wrong type": 1,
        "unreadable time": 1,
        "not a number": 1,
        "negative number": 1,
    }
    assert parse("md/v1/nonsense", b"1").rejected == {"unknown topic": 1}


def test_a_source_says_whether_it_is_there():
    for content in (b"offline", b'"OFFLINE"', b'{"status":"offline"}'):
        (notice,) = parse("md/v1/lab/status", content).notices
        assert (notice.kind, notice.text) == (NoticeKind.OFFLINE, "lab")
    assert parse("md/v1/lab/status", b"online").notices[0].kind is NoticeKind.ONLINE
    assert parse("md/v1/lab/status", b"perhaps").rejected == {"unknown status": 1}


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(134, Remedy.STOP), (135, Remedy.STOP), (136, Remedy.WAIT), (137, Remedy.WAIT), (128, Remedy.RECONNECT)],
)
def test_what_a_refusal_of_the_broker_is_followed_by(code, remedy):
    (notice,) = parse(CONNECTION, {"code": code, "text": "no"}).notices
    assert feed().remedy(notice) is remedy


def test_one_refused_topic_is_named_and_all_of_them_stop_the_feed():
    good, refused = parse(SUBSCRIPTION, [{"topic": "a/#", "code": 1}, {"topic": "b/#", "code": 135}]).notices
    assert good.kind is NoticeKind.SUBSCRIBED
    assert "b/#" in refused.text
    assert feed().remedy(refused) is Remedy.IGNORE
    (alone,) = parse(SUBSCRIPTION, [{"topic": "b/#", "code": 135}]).notices
    assert feed().remedy(alone) is Remedy.STOP


def test_conflated_quotes_are_counted():
    assert parse(CONFLATED, 5).unused == {"conflated quote": 5}


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("s", 1769178600),
        ("s", 1769178600.0),
        ("ms", 1769178600000),
        ("us", 1769178600000000),
        ("ns", 1769178600 * 10**9),
    ],
)
def test_units_of_foreign_times(unit, written):
    layout = ForeignLayout("x/{symbol}", "trades", time="when.at", unit=unit, fields={"price": "p.0", "id": "n"})
    trades = parse("x/SPY", {"when": {"at": written}, "p": ["1.5"], "n": 9}, layout).trades
    assert trades["ts"].to_physical().to_list() == [1769178600 * 10**9]
    assert trades.drop("ts", "size").row(0) == ("SPY", 1.5, 9)


def test_a_foreign_symbol_is_made_of_topic_and_row():
    layout = ForeignLayout("x/{venue}/#", "trades", symbol="{venue}:{ric}", unit="received")
    batch = parse("x/NY/a/b", [{"ric": "SPY", "price": 1}, {"price": 1}, 5], layout)
    assert batch.trades["symbol"].to_list() == ["NY:SPY"]
    assert batch.trades["ts"].to_physical().to_list() == [77]
    assert batch.rejected == {"no symbol": 1, "wrong type": 1}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"fields": {"bod": "b"}}, "bod"),
        ({"topic": "a/#/b"}, "a/#/b"),
        ({"topic": "a/x+"}, "a/x+"),
        ({"topic": "{a}/{a}"}, "{a}/{a}"),
        ({"topic": "{a}", "symbol": "{a}/{"}, "`{a}/{`"),
        ({"topic": "{a}", "symbol": "{a!r}"}, "`{a!r}`"),
        ({"topic": "{a}", "symbol": "{a.b}{a}"}, "`{a.b}{a}`"),
    ],
)
def test_a_mapping_that_makes_no_sense_names_what(options, word):
    with pytest.raises(LayoutError, match=r"\w") as caught:
        ForeignLayout(**{"topic": "x/{symbol}", "kind": "quotes"} | options)
    assert word in str(caught.value)


def test_only_quotes_of_one_instrument_make_way_for_newer_ones():
    many = ForeignLayout("many/{symbol}", "quotes", rows="rows")
    router = Router([ForeignLayout("x/{symbol}", "quotes"), many, ForeignLayout("y", "quotes", symbol="{s}")])
    assert [router.newest_only(t) for t in ("md/v1/l/0/SPY/q", "x/SPY")] == [True, True]
    others = ("md/v1/l/0/SPY/t", "md/v1/l/0/SPY/s", "md/v1/l/status", "many/SPY", "y", "z")
    assert not any(router.newest_only(topic) for topic in others)


def test_the_subscription_is_what_the_configuration_says():
    it = MqttFeed("m", url="mqtt://x", topics=["a/#", "b/+"], qos=1)
    assert [json.loads(frame) for frame in it.greeting()] == [{"topics": ["a/#", "b/+"], "qos": 1}]


def test_options_do_not_show_the_password():
    assert "secret" not in repr(MqttOptions("id", username="u", password="secret"))
