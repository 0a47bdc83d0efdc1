import json

import polars as pl
import pytest

from connectors.batch import SCHEMAS, Notice, NoticeKind
from connectors.feed import Remedy
from connectors.massive import MassiveFeed
from connectors.massive.feed import LONGEST_REQUEST
from connectors.massive.order import in_order

MS = 1_000_000
# Values of the samples of https://massive.com/docs/websocket/stocks: quotes, trades, aggregates-per-minute, luld
QUOTE = {
    "ev": "Q", "sym": "MSFT", "bx": 4, "bp": 114.125, "bs": 100, "ax": 7, "ap": 114.128, "as": 160, "c": 0, "i": [604],
    "t": 1536036818784, "q": 50385480, "z": 3,
}  # fmt: skip
TRADE = {
    "ev": "T", "sym": "MSFT", "x": 4, "i": "12345", "z": 3, "p": 114.125, "s": 100, "c": [0, 12], "t": 1536036818784,
    "q": 3681328,
}  # fmt: skip
BAR = {
    "ev": "AM", "sym": "GTE", "v": 4110, "av": 9470157, "op": 0.4372, "vw": 0.4488, "o": 0.4488, "c": 0.4486,
    "h": 0.4489, "l": 0.4486, "a": 0.4352, "z": 685, "s": 1610144640000, "e": 1610144700000,
}  # fmt: skip
BAND = {"ev": "LULD", "T": "MSFT", "h": 492.99, "l": 446.04, "i": [16], "z": 3, "t": 1764086430905642800, "q": 5925769}
DAY = 86_400_000


def feed(**options):
    return MassiveFeed("m", key="hush", **{"symbols": ["SPY", "IWM"], **options})


def parse(*messages, by=None):
    return (by or feed()).parse([json.dumps(messages)], 7)


def test_messages_become_columns():
    batch = parse(QUOTE, TRADE, BAR, BAR | {"ev": "A", "e": 1610144641000}, BAND)
    assert {name: frame.schema for name, frame in batch.frames().items()} == dict(SCHEMAS)
    assert batch.quotes.select(pl.exclude("ts")).row(0) == ("MSFT", 114.125, 114.128, 100.0, 160.0)
    assert batch.trades.select(pl.exclude("ts")).row(0) == ("MSFT", 114.125, 100.0, 3681328)
    assert batch.bars.select(pl.exclude("ts", "end")).row(0) == ("GTE", 0.4488, 0.4489, 0.4486, 0.4486, 4110.0)
    assert batch.bands.select(pl.exclude("ts")).row(0) == ("MSFT", 446.04, 492.99, "16")
    assert not batch.statuses.height
    assert not batch.rejected
    assert not batch.unused


def test_times_are_milliseconds_exactly_and_nanoseconds_where_the_vendor_sends_them():
    batch = parse(QUOTE, BAR, BAND, BAND | {"t": 1764086430905})
    assert batch.quotes["ts"].cast(pl.Int64).to_list() == [1536036818784 * MS]
    assert batch.bars["ts"].cast(pl.Int64).to_list() == [1610144640000 * MS]
    assert batch.bars["end"].cast(pl.Int64).to_list() == [1610144700000 * MS]
    assert batch.bands["ts"].cast(pl.Int64).to_list() == [1764086430905642800, 1764086430905 * MS]


def test_a_trade_whose_conditions_set_no_price_is_volume_alone():
    """Odd lots (37) and average prices (2) are, extended hours (12) are not; official closes (15) are neither."""
    given = [TRADE | {"c": c, "q": n} for n, c in enumerate(([0], [14, 37, 41], [12], [2], [15], []), start=1)]
    batch = parse(*given)
    assert batch.trades["price"].to_list() == [114.125, None, 114.125, None, 114.125]
    assert batch.trades["size"].to_list() == [100.0] * 5
    assert batch.unused == {"official open or close": 1}
    late = parse(TRADE | {"c": [37], "q": 9, "s": 1}, TRADE | {"q": 8, "s": 2}, TRADE | {"c": [37], "q": 7, "s": 3})
    assert late.trades.select("id", "price").rows() == [(7, None), (8, 114.125), (9, None)]


def test_halts_and_resumptions_are_statuses_too():
    batch = parse(BAND | {"i": [17]}, BAND | {"i": [1, 18], "t": 1764086431905})
    assert batch.statuses["code"].to_list() == ["H", "T"]
    assert batch.statuses["symbol"].to_list() == ["MSFT", "MSFT"]
    assert batch.statuses["ts"].to_list() == batch.bands["ts"].to_list()
    assert batch.bands["indicator"].to_list() == ["17", "1,18"]


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (QUOTE | {"t": 10**16}, "unreadable time"),
        (QUOTE | {"bp": -1}, "negative number"),
        (QUOTE | {"q": -1}, "wrong type"),
        (QUOTE | {"t": 2**63}, "wrong type"),
        (QUOTE | {"sym": 5}, "wrong type"),
        (TRADE | {"p": None}, "wrong type"),
        (BAR | {"e": BAR["s"]}, "unreadable time"),
        (BAND | {"t": 10**15}, "unreadable time"),
        ({"ev": "T"}, "missing field"),
        ({"ev": "XT"}, "unknown message"),
    ],
)
def test_what_cannot_be_is_counted_by_cause(message, cause):
    batch = parse(message, QUOTE | {"sym": "OTHER"})
    assert batch.rejected == {cause: 1}
    assert batch.quotes["symbol"].to_list() == ["OTHER"]


def test_a_quote_again_or_late_is_no_news_and_a_gap_means_nothing():
    batch = parse(*[QUOTE | {"q": q, "bp": q} for q in (1, 2, 6, 6, 9, 7, 11)])
    assert batch.quotes["bid"].to_list() == [1, 2, 6, 9, 11]
    assert batch.unused == {"duplicate quote": 1, "late quote": 1}
    assert not batch.notices


def test_trades_are_put_in_order_and_counted_once():
    others = TRADE | {"sym": "IWM", "q": 4}
    batch = parse(*[TRADE | {"q": q} for q in (5, 7)], others, *[TRADE | {"q": q} for q in (6, 7, 8)])
    assert batch.trades.filter(symbol="MSFT")["id"].to_list() == [5, 6, 7, 8]
    assert batch.trades["symbol"].to_list() == ["MSFT", "MSFT", "IWM", "MSFT", "MSFT"]
    assert batch.unused == {"duplicate trade": 1}


def test_each_instrument_and_kind_has_its_numbers():
    one = feed()
    assert parse(QUOTE, TRADE | {"q": 1}, QUOTE | {"sym": "SPY", "q": 1}, by=one).rows == 3
    assert parse(QUOTE, QUOTE | {"q": 50385481}, by=one).rows == 1


def test_messages_without_a_number_are_all_read():
    bare = {name: value for name, value in QUOTE.items() if name != "q"}
    trade = {name: value for name, value in TRADE.items() if name != "q"}
    batch = parse(bare, bare, trade, trade)
    assert batch.quotes.height == 2
    assert batch.trades["id"].to_list() == [None, None]


def test_the_numbers_start_again_every_day():
    one = feed()
    evening = 1_769_128_200_000  # 2026-01-23 00:30 UTC, after hours of the 22nd
    parse(QUOTE | {"q": 9_000_000, "t": evening}, by=one)
    assert parse(QUOTE | {"q": 8_000_000, "t": evening + 1}, by=one).rows == 0
    morning = evening + 9 * 3_600_000
    assert parse(QUOTE | {"q": 10, "t": morning}, by=one).rows == 1
    assert parse(QUOTE | {"q": 10, "t": morning}, by=one).rows == 0
    assert parse(QUOTE | {"q": 11, "t": morning}, by=one).rows == 1


def test_a_day_that_starts_within_a_batch():
    batch = parse(*[QUOTE | {"q": q, "t": QUOTE["t"] + k * DAY} for k, q in enumerate((9, 3, 2))], by=feed())
    one = feed()
    parse(QUOTE | {"q": 9}, by=one)
    again = parse(*[QUOTE | {"q": q, "t": QUOTE["t"] + DAY} for q in (3, 4, 4)], by=one)
    assert again.quotes.height == 2
    assert batch.quotes.height >= 1


def test_one_wrong_time_does_not_keep_the_numbers():
    one = feed()
    parse(QUOTE | {"q": 9}, by=one)
    parse(QUOTE | {"sym": "X", "t": QUOTE["t"] + 400 * DAY}, by=one)
    assert parse(QUOTE | {"q": 3, "t": QUOTE["t"] + DAY}, by=one).rows == 1


def test_order_keeps_places():
    assert in_order(["A", "B", "A", "A"], [7, 5, 6, 1]) == [3, 1, 2, 0]


def test_signing_in():
    one = feed(channels=["quotes", "trades"])
    assert one.greeting() == ()
    (connected,) = parse({"ev": "status", "status": "connected", "message": "Connected Successfully"}).notices
    assert json.loads(*one.reply(connected)) == {"action": "auth", "params": "hush"}
    (signed_in,) = parse({"ev": "status", "status": "auth_success", "message": "authenticated"}).notices
    assert json.loads(*one.reply(signed_in)) == {"action": "subscribe", "params": "Q.IWM,T.IWM,Q.SPY,T.SPY"}
    (subscribed,) = parse({"ev": "status", "status": "success", "message": "subscribed to: T.SPY"}).notices
    assert subscribed == Notice(NoticeKind.SUBSCRIBED, "subscribed to: T.SPY")
    assert one.reply(subscribed) == ()
    assert [json.loads(r) for r in one.subscribe(["SPY", "XLF"])] == [
        {"action": "unsubscribe", "params": "Q.IWM,T.IWM"},
        {"action": "subscribe", "params": "Q.XLF,T.XLF"},
    ]
    one.greeting()
    assert one.subscribe(["SPY"]) == ()


def test_every_channel_has_the_vendors_prefix():
    one = feed(channels=["quotes", "trades", "bars", "second_bars", "bands"], symbols=["*"])
    (request,) = one.reply(Notice(NoticeKind.AUTHENTICATED))
    assert json.loads(request)["params"] == "Q.*,T.*,AM.*,A.*,LULD.*"


def test_a_large_subscription_is_cut():
    symbols = [f"SYM{number:05d}" for number in range(5_000)]
    requests = feed(symbols=symbols).reply(Notice(NoticeKind.AUTHENTICATED))
    parameters = [p for r in requests for p in json.loads(r)["params"].split(",")]
    assert parameters == [f"{channel}.{symbol}" for symbol in symbols for channel in "QT"]
    assert len(requests) > 1
    assert max(map(len, requests)) < LONGEST_REQUEST + 100


@pytest.mark.parametrize(
    ("source", "url"),
    [("real-time", "wss://socket.massive.com/stocks"), ("delayed", "wss://delayed.massive.com/stocks")],
)
def test_addresses(source, url):
    assert feed(source=source).address().url == url
    assert feed(url="ws://127.0.0.1:1/x").address().url == "ws://127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("code", "text", "remedy"),
    [
        ("auth_failed", "authentication failed", Remedy.STOP),
        ("auth_timeout", "No authentication request received.", Remedy.RECONNECT),
        ("max_connections", "Maximum number of websocket connections exceeded. ", Remedy.WAIT),
        ("error", "not authorized", Remedy.STOP),
        ("error", "authentication failed", Remedy.STOP),
        ("error", "invalid parameter", Remedy.IGNORE),
        ("slow_consumer", "", Remedy.RECONNECT),
        ("force_disconnect", "", Remedy.WAIT),
        ("something_new", "", Remedy.RECONNECT),
    ],
)
def test_statuses_are_told_apart(code, text, remedy):
    (notice,) = parse({"ev": "status", "status": code, "message": text}).notices
    assert notice == Notice(NoticeKind.ERROR, text.strip(), code)
    assert feed().remedy(notice) is remedy


def test_known_messages_without_a_place_are_counted():
    batch = parse({"ev": "FMV", "sym": "SPY", "fmv": 1}, {"ev": "NOI", "T": "SPY"})
    assert batch.unused == {"fair market value": 1, "imbalance": 1}
    assert not batch.rejected
