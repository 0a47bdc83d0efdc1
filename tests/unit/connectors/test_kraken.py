"""Kraken's messages, with the values of its own examples."""

import json

from connectors.batch import NoticeKind
from connectors.feed import Remedy
from connectors.kraken import KrakenFeed

# https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/ticker and .../trade
TICKER = {"symbol": "ALGO/USD", "bid": 0.10025, "bid_qty": 740.0, "ask": 0.10036, "ask_qty": 1361.44813783}
TRADE = {"symbol": "AAPLx/USD", "side": "sell", "price": 0.5117, "qty": 40.0, "ord_type": "market"}
TIME = {"timestamp": "2023-09-25T07:49:37.708706Z"}
STATUS = '{"channel":"status","type":"update","data":[{"system":"%s","connection_id":12393906104898154338}]}'


def feed(*symbols):
    return KrakenFeed("k", symbols=symbols or ("ALGO/USD", "AAPLx/USD"))


def message(channel, *rows):
    return json.dumps({"channel": channel, "type": "update", "data": rows})


def test_a_ticker_has_the_time_it_says_or_that_of_its_arrival():
    batch = feed().parse([message("ticker", TICKER, TICKER | TIME)], 1_700_000_000_000_000_000)
    assert batch.quotes["ts"].to_physical().to_list() == [1_700_000_000_000_000_000, 1695628177708706000]
    assert batch.quotes.drop("ts").row(0) == ("ALGO/USD", 0.10025, 0.10036, 740.0, 1361.44813783)


def test_trades_of_tokenised_shares_are_exact():
    trades = feed().parse([message("trade", TRADE | TIME | {"trade_id": 4665906})], 0).trades
    assert trades["ts"].to_physical().to_list() == [1695628177708706000]
    assert trades.drop("ts").row(0) == ("AAPLx/USD", 0.5117, 40.0, 4665906)


def test_the_snapshot_after_a_drop_brings_only_what_was_missed():
    it = feed()
    it.parse([message("trade", *(TRADE | TIME | {"trade_id": n} for n in (1, 2, 3)))], 0)
    it.greeting()
    batch = it.parse([message("trade", *(TRADE | TIME | {"trade_id": n} for n in (2, 3, 4, 5)))], 0)
    assert batch.trades["id"].to_list() == [4, 5]
    assert not batch.notices
    assert batch.unused == {"duplicate trade": 2}


def test_a_skipped_trade_is_a_gap():
    (gap,) = feed().parse([message("trade", *(TRADE | TIME | {"trade_id": n} for n in (1, 4)))], 0).notices
    assert (gap.kind, gap.missing, gap.symbol) == (NoticeKind.GAP, 2, "AAPLx/USD")


def test_a_refused_symbol_is_named_and_takes_no_other_with_it():
    refusal = (
        '{"error":"Currency pair not supported XBT/USD","method":"subscribe","success":false,"symbol":"XBT/USD",'
        '"time_in":"2018-11-12T21:14:59.545897Z","time_out":"2018-11-12T21:14:59.545901Z"}'
    )
    accepted = (
        '{"method":"subscribe","result":{"channel":"trade","snapshot":false,"symbol":"BTC/USD"},"success":true,'
        '"time_in":"2018-11-12T21:14:59.545897Z","time_out":"2018-11-12T21:14:59.545901Z"}'
    )
    refused, good = feed().parse([refusal, accepted], 0).notices
    assert (refused.kind, refused.text) == (NoticeKind.ERROR, "Currency pair not supported XBT/USD")
    assert feed().remedy(refused) is Remedy.IGNORE
    assert (good.kind, good.text) == (NoticeKind.SUBSCRIBED, "subscribed: trade BTC/USD")


def test_it_subscribes_once_the_vendor_is_online_and_waits_while_it_is_not():
    it = feed("BTC/USD", "SPY")
    it.greeting()
    (online,) = it.parse([STATUS % "online"], 0).notices
    assert [json.loads(frame)["params"] for frame in it.reply(online)] == [
        {"channel": "ticker", "event_trigger": "bbo", "symbol": ["BTC/USD"]},
        {"channel": "trade", "snapshot": True, "symbol": ["BTC/USD"]},
    ]
    assert it.reply(online) == (), "a later status is no new connection"
    (maintenance,) = it.parse([STATUS % "maintenance"], 0).notices
    assert it.remedy(maintenance) is Remedy.WAIT


def test_a_bad_row_takes_no_other_with_it():
    batch = feed().parse([message("ticker", {"symbol": 5}, TICKER)], 0)
    assert batch.quotes.height == 1
    assert batch.rejected == {"wrong type": 1}


def test_a_heartbeat_is_a_sign_of_life():
    assert [n.kind for n in feed().parse(['{"channel":"heartbeat"}'], 0).notices] == [NoticeKind.HEARTBEAT]
