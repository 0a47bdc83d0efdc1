"""Binance's messages, with the values of its own examples."""

import json

from connectors.batch import NoticeKind
from connectors.binance import MOST_STREAMS, BinanceFeed
from connectors.feed import Remedy


def feed(*symbols):
    return BinanceFeed("b", symbols=symbols or ("BNB/USDT",))


def book(number, bid="25.35190000", symbol="BNBUSDT"):
    # https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#individual-symbol-book-ticker-streams
    data = {"u": number, "s": symbol, "b": bid, "B": "31.21000000", "a": "25.36520000", "A": "40.66000000"}
    return json.dumps({"stream": f"{symbol.lower()}@bookTicker", "data": data})


def trade(number, symbol="BNBUSDT"):
    # ...#trade-streams; older answers have the orders' ids as `b` and `a`
    data = {"e": "trade", "E": 1672515782136, "s": symbol, "t": number, "p": "0.001", "q": "100", "b": 88, "a": 50}
    return json.dumps({"stream": "x", "data": data | {"T": 1672515782136, "m": True, "M": True}})


def test_a_book_ticker_has_the_time_of_its_arrival():
    quotes = feed().parse([book(400900217)], 123).quotes
    assert quotes["ts"].to_physical().to_list() == [123]
    assert quotes.drop("ts").row(0) == ("BNB/USDT", 25.3519, 25.3652, 31.21, 40.66)


def test_an_older_book_is_dropped_and_a_count_that_starts_anew_is_not():
    it = feed()
    assert it.parse([book(9_000_000), book(8_999_999), book(9_000_000)], 0).quotes.height == 1
    assert it.parse([book(9_000_001)], 0).quotes.height == 1
    assert it.parse([book(5)], 0).quotes.height == 1


def test_a_trade_has_milliseconds_and_our_name():
    trades = feed().parse([trade(12345)], 0).trades
    assert trades["ts"].to_physical().to_list() == [1672515782136000000]
    assert trades.drop("ts").row(0) == ("BNB/USDT", 0.001, 100, 12345)


def test_a_skipped_trade_is_a_gap_and_one_that_comes_after_all_fills_it():
    it = feed()
    batch = it.parse([trade(1), trade(5)], 0)
    assert [(n.kind, n.missing, n.symbol) for n in batch.notices] == [(NoticeKind.GAP, 3, "BNB/USDT")]
    assert "BNB/USDT" in batch.notices[0].text
    late = it.parse([trade(3), trade(3), trade(5)], 0)
    assert late.trades["id"].to_list() == [3]
    assert late.unused == {"duplicate trade": 2}


def test_the_end_of_the_server_asks_for_another_line():
    for frame in (
        '{"stream":"","data":{"e":"serverShutdown","E":1770123456789}}',
        '{"e":"serverShutdown","E":1770123456789}',
        '{"event":{"e":"serverShutdown","E":1770123456789}}',
    ):
        assert [n.kind for n in feed().parse([frame], 0).notices] == [NoticeKind.RENEW]


def test_a_refused_request_stops_and_others_reconnect():
    frames = ['{"code":2,"msg":"Invalid request: too many parameters"}', '{"error":{"code":3,"msg":"x"},"id":1}']
    notices = feed().parse(frames, 0).notices
    assert [(n.kind, n.code) for n in notices] == [(NoticeKind.ERROR, 2), (NoticeKind.ERROR, 3)]
    assert [feed().remedy(n) for n in notices] == [Remedy.STOP, Remedy.STOP]


def test_no_more_streams_are_asked_for_than_a_line_may_have():
    it = feed(*(f"C{n:04d}/USDT" for n in range(2000)))
    requests = [json.loads(frame) for frame in it.greeting()]
    assert sum(len(r["params"]) for r in requests) == MOST_STREAMS
    assert [r["id"] for r in requests] == list(range(1, len(requests) + 1))


def test_shares_of_an_exchange_are_not_asked_for():
    assert json.loads(feed("SPY", "IWM").greeting()[0])["method"] == "LIST_SUBSCRIPTIONS"
