"""A card for every feed: how to make it, and a session as its vendor would send it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from connectors.alpaca import AlpacaFeed
from connectors.binance import BinanceFeed
from connectors.coinbase import CoinbaseFeed
from connectors.feed import Feed, Frame
from connectors.finnhub import FinnhubFeed
from connectors.kraken import KrakenFeed
from connectors.massive import MassiveFeed
from connectors.mqtt import MqttFeed
from connectors.mqtt.envelope import GAP, SUBSCRIPTION, pack
from connectors.mqtt.layout import ForeignLayout
from connectors.redis_stream import TOPIC, RedisFeed

SECRET = "a-secret-word"


@dataclass(frozen=True)
class Card:
    """A feed, and what its vendor might send."""

    make: Callable[[], Feed]
    """A new feed that wants some instruments, with `SECRET` wherever it takes credentials."""
    session: Sequence[Frame]
    """From the first frame of a connection to market data of some instruments."""
    rows: int
    """Market data rows in `session`."""
    others: tuple[str, str] = ("XLF", "XLK")
    """Two instruments that it does not want yet."""
    requests: int = 1
    """Messages that ask for one more instrument."""
    signs_in: bool = True
    """Whether the vendor answers before data; where it does not, an open line can be asked for more at once."""


ALPACA = (
    '[{"T":"success","msg":"connected"}]',
    '[{"T":"success","msg":"authenticated"}]',
    '[{"T":"subscription","trades":["SPY"],"quotes":["SPY"]}]',
    (
        '[{"T":"q","S":"SPY","bp":690.1,"bs":1,"ap":690.2,"as":2,"t":"2026-01-23T14:30:00.123456789Z"},'
        '{"T":"t","S":"SPY","i":1,"p":690.15,"s":10,"t":"2026-01-23T14:30:00.5Z"}]'
    ),
    (
        '[{"T":"t","S":"IWM","i":2,"p":252.1,"s":10,"t":"2026-01-23T14:30:01Z"},'
        '{"T":"b","S":"SPY","o":1,"h":2,"l":1,"c":2,"v":9,"t":"2026-01-23T14:30:00Z"},'
        '{"T":"s","S":"SPY","sc":"H","t":"2026-01-23T14:30:02Z"}]'
    ),
)

# Values of the vendor's own examples: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
BINANCE = (
    '{"result":null,"id":1}',
    (
        '{"stream":"bnbusdt@bookTicker","data":{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000",'
        '"a":"25.36520000","A":"40.66000000"}}'
    ),
    (
        '{"stream":"bnbbtc@trade","data":{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100",'
        '"T":1672515782136,"m":true,"M":true}}'
    ),
)

# https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
COINBASE = (
    (
        '{"channel":"subscriptions","client_id":"","timestamp":"2023-02-09T20:30:37.1Z","sequence_num":0,'
        '"events":[{"subscriptions":{"ticker":["BTC-USD"]}}]}'
    ),
    (
        '{"channel":"ticker","client_id":"","timestamp":"2023-02-09T20:30:37.167359596Z","sequence_num":1,"events":'
        '[{"type":"snapshot","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"21932.98","best_bid":'
        '"21931.98","best_bid_quantity":"8000.21","best_ask":"21933.98","best_ask_quantity":"8038.07770938"}]}]}'
    ),
    (
        '{"channel":"market_trades","client_id":"","timestamp":"2023-02-09T20:19:35.39625135Z","sequence_num":2,'
        '"events":[{"type":"snapshot","trades":[{"trade_id":"12","product_id":"ETH-USD","price":"1260.01",'
        '"size":"0.3","side":"BUY","time":"2019-08-14T20:42:27.265Z"}]}]}'
    ),
)

# https://docs.kraken.com/exchange/api-reference/spot-websocket-v2: status, ticker, trade
KRAKEN = (
    (
        '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",'
        '"connection_id":12393906104898154338}]}'
    ),
    (
        '{"method":"subscribe","result":{"channel":"ticker","snapshot":true,"symbol":"ALGO/USD"},"success":true,'
        '"time_in":"2023-09-25T09:04:31.742599Z","time_out":"2023-09-25T09:04:31.742648Z"}'
    ),
    (
        '{"channel":"ticker","type":"snapshot","data":[{"symbol":"ALGO/USD","bid":0.10025,"bid_qty":740.0,'
        '"ask":0.10036,"ask_qty":1361.44813783,"last":0.10035,"volume":997038.98383185}]}'
    ),
    (
        '{"channel":"trade","type":"update","data":[{"symbol":"MATIC/USD","side":"sell","price":0.5117,"qty":40.0,'
        '"ord_type":"market","trade_id":4665906,"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
    ),
    '{"channel":"heartbeat"}',
)

# Values of the samples of https://massive.com/docs/websocket/stocks (trades, quotes, aggregates-per-minute, luld) and
# of https://massive.com/docs/websocket/quickstart
MASSIVE = (
    '[{"ev":"status","status":"connected","message":"Connected Successfully"}]',
    '[{"ev":"status","status":"auth_success","message":"authenticated"}]',
    (
        '[{"ev":"status","status":"success","message":"subscribed to: T.MSFT"},'
        '{"ev":"status","status":"success","message":"subscribed to: Q.MSFT"}]'
    ),
    (
        '[{"ev":"Q","sym":"MSFT","bx":4,"bp":114.125,"bs":100,"ax":7,"ap":114.128,"as":160,"c":0,"i":[604],'
        '"t":1536036818784,"q":50385480,"z":3},'
        '{"ev":"T","sym":"MSFT","x":4,"i":"12345","z":3,"p":114.125,"s":100,"c":[0,12],"t":1536036818785,"q":3681328}]'
    ),
    (
        '[{"ev":"AM","sym":"GTE","v":4110,"av":9470157,"op":0.4372,"vw":0.4488,"o":0.4488,"c":0.4486,"h":0.4489,'
        '"l":0.4486,"a":0.4352,"z":685,"s":1610144640000,"e":1610144700000}]'
    ),
    '[{"ev":"LULD","T":"MSFT","h":492.99,"l":446.04,"i":[16],"z":3,"t":1764086430905642800,"q":5925769}]',
    '[{"ev":"T","sym":"SPY","x":4,"i":"12346","z":2,"p":690.15,"s":0.5,"c":[37],"t":1769178600500,"q":7}]',
)

# Values of the sample of https://finnhub.io/docs/api/websocket-trades
FINNHUB = (
    '{"type":"ping"}',
    '{"data":[{"p":7296.89,"s":"BINANCE:BTCUSDT","t":1575526691134,"v":0.011467}],"type":"trade"}',
    (
        '{"data":[{"c":["1","24","12"],"p":129.58,"s":"AAPL","t":1672348887666,"v":1},'
        '{"c":null,"p":129.575,"s":"AAPL","t":1672348887785,"v":1}],"type":"trade"}'
    ),
)

# Our own layout of topics in both encodings, and one of somebody else's.
SIDES = {"bid": "b.0", "bid_size": "b.1", "ask": "a.0", "ask_size": "a.1"}
THEIRS = ForeignLayout("t/{symbol}", "quotes", time="t", unit="ms", fields=SIDES)
MQTT = (
    pack(SUBSCRIPTION, b'[{"topic":"md/v1/#","code":1}]'),
    pack("md/v1/lab/status", b"online"),
    pack("md/v1/lab/0/SPY/q", b'{"ts":1769178600123456789,"bid":690.1,"ask":690.2,"bid_size":1,"ask_size":2}'),
    pack("md/v1/lab/0/SPY/t", msgspec.msgpack.encode({"ts": 1769178600500000000, "price": 690.15, "size": 9, "id": 1})),
    pack(
        "md/v1/lab/0/IWM/b",
        b'[{"ts":"2026-01-23T14:30:00Z","open":1,"high":2,"low":1,"close":2,"volume":9},'
        b'{"ts":"2026-01-23T14:31:00Z","open":2,"high":2,"low":1,"close":1,"volume":3}]',
    ),
    pack("md/v1/lab/0/SPY/s", b'{"ts":1769178602000000000,"code":"H","reason":"T12"}'),
    pack("t/QQQ", b'{"t":1769178603000,"b":[620.1,3],"a":[620.2,4]}'),
)

# Entries by a mapping, and what the line itself has to say.
ENTRIES = ForeignLayout(TOPIC, "trades", "{s}", time="at", unit="ms", fields={"price": "p", "size": "q"})
REDIS = (
    pack(TOPIC, b'{"s":"SPY","at":1769178600123,"p":"690.15","q":10}'),
    pack(TOPIC, b'{"s":"IWM","at":1769178600124,"p":252.1,"q":5}'),
    pack(GAP, b'{"missing":3,"text":"3 entries were trimmed or deleted before they were read"}'),
)

PAIRS = ("SOL/USD", "XRP/USD")

CARDS = {
    "alpaca": Card(lambda: AlpacaFeed("a", key="k", secret=SECRET, symbols=["SPY", "IWM"]), ALPACA, 5),
    "massive": Card(lambda: MassiveFeed("m", key=SECRET, symbols=["MSFT"], channels=["trades"]), MASSIVE, 5),
    "finnhub": Card(lambda: FinnhubFeed("f", key=SECRET, symbols=["AAPL"]), FINNHUB, 3, signs_in=False),
    "binance": Card(lambda: BinanceFeed("b", symbols=["BNB/USDT", "BNB/BTC"]), BINANCE, 2, PAIRS),
    "coinbase": Card(lambda: CoinbaseFeed("c", symbols=["BTC/USD", "ETH/USD"]), COINBASE, 2, PAIRS, 2),
    "kraken": Card(lambda: KrakenFeed("k", symbols=["ALGO/USD", "MATIC/USD"]), KRAKEN, 2, PAIRS, 2),
}
"""Feeds over a websocket."""

BROKERS = {
    "mqtt": Card(
        lambda: MqttFeed("q", url="mqtt://broker", topics=["md/v1/#", "t/#"], layouts=[THEIRS]),
        MQTT,
        6,
        requests=0,
        signs_in=False,
    ),
    "redis": Card(lambda: RedisFeed("r", shown="redis://store", layout=ENTRIES), REDIS, 2, requests=0, signs_in=False),
}
"""Feeds whose wanted set is in the configuration, over a client of their own."""
