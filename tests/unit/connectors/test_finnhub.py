import json

import polars as pl
import pytest

from connectors.batch import Notice, NoticeKind
from connectors.feed import Remedy
from connectors.finnhub import FinnhubFeed

# The sample of https://finnhub.io/docs/api/websocket-trades
SAMPLE = '{"data":[{"p":7296.89,"s":"BINANCE:BTCUSDT","t":1575526691134,"v":0.011467}],"type":"trade"}'


def feed(**options):
    return FinnhubFeed("f", key="hush", **{"symbols": ["SPY", "AAPL"], **options})


def trade(**fields):
    return json.dumps({"type": "trade", "data": [{"p": 1, "s": "SPY", "t": 1575526691134, "v": 1} | fields]})


def test_prints_become_columns():
    batch = feed().parse([SAMPLE], 7)
    assert batch.trades.with_columns(pl.col("ts").cast(pl.Int64)).row(0) == (
        1575526691134_000_000,
        "BINANCE:BTCUSDT",
        7296.89,
        0.011467,
        None,
    )
    assert batch.received_at == 7


def test_the_key_is_in_the_address_that_is_connected_to_and_in_no_text():
    address = feed().address()
    assert address.target() == "wss://ws.finnhub.io?token=hush"
    assert "hush" not in repr(address) + str(address) + repr(feed())
    assert feed(url="ws://127.0.0.1:1/x?a=b").address().target() == "ws://127.0.0.1:1/x?a=b&token=hush"


def test_everything_is_asked_for_at_once_and_then_the_difference():
    one = feed()
    assert one.subscribe(["SPY", "AAPL"]) == ()
    assert [json.loads(r) for r in one.greeting()] == [
        {"type": "subscribe", "symbol": "AAPL"},
        {"type": "subscribe", "symbol": "SPY"},
    ]
    assert [json.loads(r) for r in one.subscribe(["SPY", "QQQ"])] == [
        {"type": "unsubscribe", "symbol": "AAPL"},
        {"type": "subscribe", "symbol": "QQQ"},
    ]
    assert one.reply(Notice(NoticeKind.HEARTBEAT)) == ()


def test_odd_lots_are_volume_and_no_price_and_an_official_close_is_neither():
    # The conditions of prints as the vendor sent them on 2022-12-29 (AAPL, TSLA); the last two by its sheet of codes.
    conditions = [["1", "24", "12"], ["1"], ["1", "8", "24"], None, ["1", "8", "24", "12"], ["16"], ["20", "12"]]
    rows = [{"c": c, "p": n, "s": "SPY", "t": 1575526691134, "v": 5} for n, c in enumerate(conditions, 1)]
    batch = feed().parse([json.dumps({"type": "trade", "data": rows})], 0)
    assert batch.trades.select("price", "size").rows() == [(None, 5), (2, 5), (3, 5), (4, 5), (None, 5)]
    assert batch.unused == {"official open or close": 2}
    assert not batch.rejected


def test_an_odd_lot_beside_a_bad_print_is_still_no_price():
    rows = [{"p": p, "s": "SPY", "t": 1575526691134, "v": 1, "c": ["1", "12"]} for p in ("x", 2)]
    batch = feed().parse([json.dumps({"type": "trade", "data": rows})], 0)
    assert batch.trades["price"].to_list() == [None]
    assert batch.rejected == {"wrong type": 1}


@pytest.mark.parametrize(
    ("frame", "causes"),
    [
        ("", {"malformed": 1}),
        ("[1]", {"wrong type": 1}),
        ("{}", {"missing field": 1}),
        ('{"type":"riddle"}', {"unknown message": 1}),
        ('{"type":"trade","data":7}', {"wrong type": 1}),
        (trade(p="x"), {"wrong type": 1}),
        (trade(c="12"), {"wrong type": 1}),
        (trade(t=-1), {"wrong type": 1}),
        (trade(t=2**62), {"unreadable time": 1}),
        (trade(p=-1), {"negative number": 1}),
        ('{"type":"trade","data":[{"p":1,"s":"SPY","v":1}]}', {"missing field": 1}),
        ('{"type":"trade","msg":[]}', {"wrong type": 1}),
    ],
)
def test_what_cannot_be_read_is_counted_by_cause(frame, causes):
    batch = feed().parse([frame], 0)
    assert batch.rejected == causes
    assert batch.rows == 0


def test_good_prints_beside_bad_ones_survive():
    rows = [{"p": p, "s": "SPY", "t": 1575526691134, "v": 1} for p in (1, "x", 2, None, 3)]
    batch = feed().parse([json.dumps({"type": "trade", "data": rows})], 0)
    assert batch.trades["price"].to_list() == [1, 2, 3]
    assert batch.rejected == {"wrong type": 2}


def test_pings_and_news():
    batch = feed().parse(['{"type":"ping"}', '{"type":"news","data":[]}'], 0)
    assert batch.notices == (Notice(NoticeKind.HEARTBEAT),)
    assert batch.unused == {"news": 1}


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("Subscribing to too many symbols", Remedy.IGNORE),
        ("Invalid symbol SYM", Remedy.IGNORE),
        ("Invalid API key", Remedy.STOP),
        ("You need a premium plan", Remedy.STOP),
        ("Something else", Remedy.RECONNECT),
    ],
)
def test_errors_are_told_apart_by_their_words(text, remedy):
    (notice,) = feed().parse([json.dumps({"type": "error", "msg": text})], 0).notices
    assert notice == Notice(NoticeKind.ERROR, text)
    assert feed().remedy(notice) is remedy
