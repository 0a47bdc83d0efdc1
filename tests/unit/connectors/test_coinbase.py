"""Coinbase's messages, with the values of its own examples."""

import json

from connectors.batch import NoticeKind
from connectors.coinbase import CoinbaseFeed
from connectors.feed import Remedy


def feed(*symbols):
    return CoinbaseFeed("c", symbols=symbols or ("BTC/USD", "ETH/USD"))


def message(channel, sequence, **event):
    head = {"channel": channel, "client_id": "", "timestamp": "2023-02-09T20:30:37.167359596Z"}
    return json.dumps(head | {"sequence_num": sequence, "events": [event]})


# https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
TICKER = {
    "type": "ticker",
    "product_id": "BTC-USD",
    "price": "21932.98",
    "best_bid": "21931.98",
    "best_bid_quantity": "8000.21",
    "best_ask": "21933.98",
    "best_ask_quantity": "8038.07770938",
}
TRADE = {"trade_id": "12", "product_id": "ETH-USD", "price": "1260.01", "size": "0.3", "side": "BUY"}
TIME = {"time": "2019-08-14T20:42:27.265Z"}


def test_a_ticker_is_exact_to_the_nanosecond():
    quotes = feed().parse([message("ticker", 0, type="snapshot", tickers=[TICKER])], 0).quotes
    assert quotes["ts"].to_physical().to_list() == [1675974637167359596]
    assert quotes.drop("ts").row(0) == ("BTC/USD", 21931.98, 21933.98, 8000.21, 8038.07770938)


def test_the_trades_of_a_snapshot_stand_in_their_order_and_come_once():
    newest_first = [TRADE | TIME | {"trade_id": str(n)} for n in (12, 11, 10)]
    it = feed()
    first = it.parse([message("market_trades", 0, trades=newest_first)], 0)
    assert first.trades["id"].to_list() == [10, 11, 12]
    assert not first.notices
    again = it.parse([message("market_trades", 1, trades=[TRADE | TIME | {"trade_id": "13"}, *newest_first])], 0)
    assert again.trades["id"].to_list() == [13]
    assert again.unused == {"duplicate trade": 3}


def test_a_skipped_message_is_counted_and_everything_asked_for_again():
    it = feed()
    it.greeting()
    batch = it.parse([message("heartbeats", 4), message("heartbeats", 8)], 0)
    gap = next(n for n in batch.notices if n.kind is NoticeKind.GAP)
    assert gap.missing == 3
    kinds = [json.loads(frame)["type"] for frame in it.reply(gap)]
    assert kinds == ["unsubscribe", "unsubscribe", "subscribe", "subscribe"]
    it.greeting()
    assert not [n for n in it.parse([message("heartbeats", 99)], 0).notices if n.kind is NoticeKind.GAP]


def test_trades_that_a_dropped_line_has_cost_are_counted():
    it = feed()
    it.parse([message("market_trades", 0, trades=[TRADE | TIME])], 0)
    it.greeting()
    batch = it.parse([message("market_trades", 0, trades=[TRADE | TIME | {"trade_id": "15"}])], 0)
    assert [(n.kind, n.missing) for n in batch.notices] == [(NoticeKind.GAP, 2)]
    assert it.reply(batch.notices[0]) == ()


def test_an_unknown_product_takes_no_other_with_it():
    it = feed("BTC/USD", "FOO/USD")
    it.greeting()
    notices = it.parse(['{"type":"error","message":"FOO-USD is not a valid product"}'], 0).notices
    assert [n.kind for n in notices] == [NoticeKind.ERROR, NoticeKind.GAP]
    assert it.remedy(notices[0]) is Remedy.IGNORE
    assert [json.loads(frame)["product_ids"] for frame in it.reply(notices[1])] == [["BTC-USD"], ["BTC-USD"]]
    again = it.parse(['{"type":"error","message":"FOO-USD is not a valid product"}'], 0).notices
    assert [n.kind for n in again] == [NoticeKind.ERROR], "not asked for ever again"


def test_another_error_is_a_dropped_line():
    it = feed()
    (notice,) = it.parse(['{"type":"error","message":"rate limit exceeded"}'], 0).notices
    assert it.remedy(notice) is Remedy.RECONNECT


def test_a_bad_row_takes_no_other_with_it():
    batch = feed().parse([message("ticker", 0, tickers=[{"price": "1"}, TICKER])], 0)
    assert batch.quotes.height == 1
    assert batch.rejected == {"missing field": 1}


def test_heartbeats_come_with_every_subscription():
    assert [json.loads(frame)["channel"] for frame in feed().greeting()] == ["heartbeats", "ticker", "market_trades"]
