"""What every feed keeps, whatever its vendor. A new feed adds one card here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl
import pytest

from connectors.alpaca import AlpacaFeed
from connectors.batch import SCHEMAS, Batch, Notice, NoticeKind
from connectors.binance import BinanceFeed
from connectors.capture import Capture, captured, replay
from connectors.coinbase import CoinbaseFeed
from connectors.feed import Feed, Frame, Remedy
from connectors.kraken import KrakenFeed

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

PAIRS = ("SOL/USD", "XRP/USD")

CARDS = {
    "alpaca": Card(lambda: AlpacaFeed("a", key="k", secret=SECRET, symbols=["SPY", "IWM"]), ALPACA, 5),
    "binance": Card(lambda: BinanceFeed("b", symbols=["BNB/USDT", "BNB/BTC"]), BINANCE, 2, PAIRS),
    "coinbase": Card(lambda: CoinbaseFeed("c", symbols=["BTC/USD", "ETH/USD"]), COINBASE, 2, PAIRS, 2),
    "kraken": Card(lambda: KrakenFeed("k", symbols=["ALGO/USD", "MATIC/USD"]), KRAKEN, 2, PAIRS, 2),
}


@pytest.fixture(params=CARDS, name="card")
def _card(request) -> Card:
    return CARDS[request.param]


def content(batch: Batch):
    """All that a batch says, comparable."""
    return (
        {name: frame.rows() for name, frame in batch.frames().items()},
        batch.notices,
        dict(batch.rejected),
        dict(batch.unused),
        batch.feed,
    )


def test_the_session_is_read_in_full(card):
    feed = card.make()
    batch = feed.parse(card.session, 123)
    assert batch.rows == card.rows
    assert not batch.rejected
    assert batch.feed == feed.name
    assert batch.received_at == 123


def test_frames_have_the_declared_schemas_and_utc_times(card):
    for frames in (card.session, [], [b"\x00"]):
        batch = card.make().parse(frames, 0)
        for name, frame in batch.frames().items():
            assert frame.schema == SCHEMAS[name]


def test_bad_bytes_never_raise_and_are_counted(card):
    hostile: list[Frame] = [b"", "", b"\x00\xff", "\ud800", "null", "[]]", b"[" * 100_000, b"\x81" * 100_000]
    for frame in card.session:
        data = frame.encode() if isinstance(frame, str) else frame
        hostile += [data[:cut] for cut in range(1, len(data), 7)]
        hostile += [data[:at] + b"\xff" + data[at + 1 :] for at in range(0, len(data), 7)]
    for frame in hostile:
        batch = card.make().parse([frame], 0)
        assert batch.rejected or batch.notices or batch.rows or batch.unused
    whole = card.make().parse([*hostile, *card.session, *hostile], 0)
    assert whole.rows >= card.rows


def test_parsing_together_says_what_parsing_apart_says(card):
    together = card.make().parse(card.session, 9)
    feed = card.make()
    apart = Batch.merge([feed.parse([frame], 9) for frame in card.session])
    assert content(together) == content(apart)


def test_text_and_bytes_are_the_same(card):
    as_bytes = [frame.encode() if isinstance(frame, str) else frame for frame in card.session]
    assert content(card.make().parse(card.session, 0)) == content(card.make().parse(as_bytes, 0))


def test_parsing_keeps_arrival_order_within_an_instrument(card):
    batch = card.make().parse(card.session, 0)
    for frame in batch.frames().values():
        for _, rows in frame.group_by("symbol" if "symbol" in frame.columns else "series"):
            assert all(a <= b for a, b in pairwise(rows["ts"]))


async def test_a_capture_replays_to_the_same_batches(card, tmp_path):
    feed = card.make()
    capture = Capture(tmp_path, "card")
    live = []
    for at, frame in enumerate(card.session):
        data = frame.encode() if isinstance(frame, str) else frame
        capture.received(at, [data])
        live.append(feed.parse([data], at))
    capture.close()
    replayed: list[Batch] = []

    async def keep(batch: Batch) -> None:
        replayed.append(batch)

    assert await replay(captured(tmp_path, "card"), card.make(), keep) == len(card.session)
    assert [(content(b), b.received_at) for b in replayed] == [(content(b), b.received_at) for b in live if b.rows]


def test_a_new_connection_forgets_the_old_one(card):
    feed = card.make()

    def connect():
        sent = [*feed.greeting()]
        for frame in card.session:
            for notice in feed.parse([frame], 0).notices:
                sent += feed.reply(notice)
        return sent

    first = connect()
    assert connect() == first, "sign-in and the full subscription again"
    feed.greeting()
    assert not list(feed.subscribe(card.others[:1])), "nothing is asked before sign-in"


def test_the_wanted_set_is_sent_as_a_difference(card):
    feed = card.make()
    feed.greeting()
    for frame in card.session:
        for notice in feed.parse([frame], 0).notices:
            feed.reply(notice)
    feed.subscribe(card.others[:1])
    assert list(feed.subscribe(card.others[:1])) == []
    assert len(feed.subscribe(card.others)) == card.requests


def test_an_error_nobody_knows_is_a_dropped_line(card):
    assert card.make().remedy(Notice(NoticeKind.ERROR, "news", 987_654)) is Remedy.RECONNECT


def test_the_secret_is_not_where_logs_look(card):
    feed = card.make()
    assert SECRET not in repr(feed)
    assert SECRET not in str(feed)
    assert SECRET not in repr(feed.address())


def test_numbers_in_frames_are_numbers(card):
    for frame in card.make().parse(card.session, 0).frames().values():
        for column in frame.select(pl.col(pl.Float64)):
            assert column.is_finite().all()
