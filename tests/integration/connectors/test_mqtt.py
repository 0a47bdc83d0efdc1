"""The feed over MQTT against a real Mosquitto, with paho as the publisher."""

import asyncio
import json
import signal
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import msgspec
import paho.mqtt.client as paho
import pytest

from connectors.batch import Batch
from connectors.feed import FeedStatus
from connectors.mqtt import ForeignLayout, MqttFeed, MqttOptions, opener
from connectors.supervisor import Supervisor, SupervisorSettings
from tests.integration.connectors.vendor import until
from tests.servers.mosquitto import PASSWORD, USER, broker, needs_mosquitto

pytestmark = [pytest.mark.services, needs_mosquitto]

QUICK = SupervisorSettings(silence=30, sign_in=5, backoff=0.01, longest_backoff=0.1, wait=0.05, longest_wait=0.2)
TRADES = "md/v1/lab/0/SPY/t"


class Client:
    """A supervised feed and what it handed on; `keeps`: whether it acknowledges at once."""

    def __init__(self, server, topics=("md/v1/#",), qos=0, layouts=(), keeps=True, **options):
        self.batches: list[Batch] = []
        self.keeps = keeps
        self.feed = MqttFeed("desk", url=server.url, topics=topics, qos=qos, layouts=layouts)
        options = {"client_id": "rotation-test", "session": 3600 if qos else None} | options
        self.supervisor = Supervisor(
            self.feed,
            self.sink,
            monotonic=time.monotonic,
            now_ns=time.time_ns,
            settings=QUICK,
            connect=opener(MqttOptions(**options), self.feed.router.newest_only),
        )
        self.health = self.supervisor.health

    async def sink(self, batch):
        self.batches.append(batch)
        if self.keeps:
            for receipt in batch.receipts:
                receipt()

    @property
    def ids(self):
        return [number for batch in self.batches for number in batch.trades["id"]]

    @property
    def bids(self):
        return [bid for batch in self.batches for bid in batch.quotes["bid"]]


@asynccontextmanager
async def running(client: Client):
    task = asyncio.create_task(client.supervisor.run())
    try:
        yield client
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


@contextmanager
def publisher(server, will=None):
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="publisher", clean_session=False)
    client.max_inflight_messages_set(1000)
    client.reconnect_delay_set(0.05, 0.2)
    if server.password:
        client.username_pw_set(USER, PASSWORD)
    if server.tls:
        client.tls_set(ca_certs=str(server.ca))
    if will:
        client.will_set(will[0], will[1], qos=1, retain=True)
    client.connect("localhost" if server.tls else "127.0.0.1", server.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def trade(number, price=690.0):
    return json.dumps({"ts": 1_769_178_600_000_000_000 + number, "price": price, "size": 1, "id": number})


def quote(bid):
    return json.dumps({"ts": "2026-01-23T14:30:00.123456789Z", "bid": bid, "ask": bid + 0.1, "bid_size": 1})


async def live(client: Client):
    await until(lambda: client.health.status is FeedStatus.LIVE)


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_tls_and_a_password(tmp_path, protocol, qos):
    async with broker(tmp_path, tls=True, password=True) as server:
        client = Client(server, qos=qos, protocol=protocol, username=USER, password=PASSWORD, ca=str(server.ca))
        async with running(client):
            await live(client)
            with publisher(server) as out:
                out.publish("md/v1/lab/0/BTC%2FUSD/q", quote(70_000), qos=qos)
                packed = msgspec.msgpack.encode([json.loads(trade(1)), json.loads(trade(2))])
                out.publish(TRADES, packed, qos=qos)
                await until(lambda: client.bids == [70_000] and client.ids == [1, 2])
        quotes = next(batch.quotes for batch in client.batches if batch.quotes.height)
        assert quotes["symbol"].to_list() == ["BTC/USD"]
        assert quotes["ts"].to_physical().to_list() == [1_769_178_600_123_456_789]


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_a_wrong_password_stops_the_feed_and_says_why(tmp_path, protocol):
    async with broker(tmp_path, password=True) as server:
        client = Client(server, protocol=protocol, username=USER, password="wrong")
        async with running(client):
            await until(lambda: client.health.status is FeedStatus.STOPPED)
        assert "authori" in client.health.last_error.lower()
        assert "wrong" not in client.health.last_error
        assert client.health.connections == 1


# paho 2.1 leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path):
    async with broker(tmp_path, tls=True) as server:
        client = Client(server)
        async with running(client):
            await until(lambda: client.health.reconnects >= 1)
        assert "certificate" in client.health.last_error.lower()


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_what_nobody_kept_is_sent_again(tmp_path, protocol):
    log = tmp_path / "mosquitto.log"
    async with broker(tmp_path, options=(f"log_dest file {log}", "log_type all")) as server:
        first = Client(server, qos=1, keeps=False, protocol=protocol)
        async with running(first):
            await live(first)
            with publisher(server) as out:
                for number in range(500):
                    out.publish(TRADES, trade(number), qos=1)
                await until(lambda: len(first.ids) == 500)
        second = Client(server, qos=1, protocol=protocol)
        async with running(second):
            await until(lambda: second.ids == list(range(500)))
        # The broker reads one acknowledgement at a time; who takes the session over before gets the rest.
        await until(lambda: log.read_text().count("Client rotation-test disconnected") == 2)
        third = Client(server, qos=1, protocol=protocol)
        async with running(third):
            await live(third)
            with publisher(server) as out:
                out.publish(TRADES, trade(500), qos=1)
                await until(lambda: third.ids)
        assert third.ids == [500], "what was kept came once"


async def test_the_broker_is_killed_and_nothing_of_quality_one_is_lost(tmp_path):
    async with broker(tmp_path) as server:
        client = Client(server, qos=1)
        async with running(client):
            await live(client)
            with publisher(server) as out:
                for part in range(3):
                    client.keeps = False
                    await until(out.is_connected)
                    sent = [out.publish(TRADES, trade(n), qos=1) for n in range(part * 400, part * 400 + 400)]
                    await until(lambda: all(message.is_published() for message in sent))  # noqa: B023
                    await server.save()
                    await server.end(signal.SIGKILL)
                    client.keeps = True
                    await server.start()
                    await until(lambda: set(client.ids) == set(range(part * 400 + 400)))  # noqa: B023
        assert client.health.reconnects >= 3


async def test_a_last_will_is_the_state_of_its_source(tmp_path):
    async with broker(tmp_path) as server:
        client = Client(server)
        async with running(client):
            await live(client)
            with publisher(server, will=("md/v1/lab/status", "offline")) as out:
                out.publish("md/v1/lab/status", "online", retain=True)
                out.publish(TRADES, trade(1))
                await until(lambda: client.ids == [1])
                assert client.health.offline == set()
                out.loop_stop()
                out.socket().close()  # no good-bye
                await until(lambda: client.health.offline == {"lab"})


async def test_a_foreign_layout_is_read_by_its_mapping(tmp_path):
    layout = ForeignLayout(
        "ticks/{venue}/{base}/{quote}",
        "quotes",
        symbol="{base}/{quote}",
        time="t",
        unit="ms",
        rows="data.levels",
        fields={"bid": "b.0", "ask": "a.0", "bid_size": "b.1", "ask_size": "a.1"},
    )
    message = {"data": {"levels": [{"t": 1_769_178_600_123, "b": ["70000.5", "2"], "a": ["70001", "3"]}]}}
    async with broker(tmp_path) as server:
        client = Client(server, topics=("ticks/#",), layouts=[layout])
        async with running(client):
            await live(client)
            with publisher(server) as out:
                out.publish("ticks/x/BTC/USD", json.dumps(message))
                await until(lambda: client.bids == [70_000.5])
        row = client.batches[0].quotes.row(0, named=True)
        assert (row["symbol"], row["ask"], row["bid_size"], row["ask_size"]) == ("BTC/USD", 70_001, 2, 3)


async def test_a_flood_of_quotes_is_conflated_and_trades_are_complete(tmp_path):
    async with broker(tmp_path) as server:
        client = Client(server, waiting=50_000)
        room = asyncio.Event()
        taken = client.sink

        async def held_back(batch):
            await room.wait()
            await taken(batch)

        client.supervisor._sink = held_back
        async with running(client):
            await live(client)
            with publisher(server) as out:
                for number in range(3000):
                    out.publish(f"md/v1/lab/0/S{number % 7}/q", quote(number + 1))
                    if number % 10 == 0:
                        out.publish(TRADES, trade(number))
                last = out.publish("md/v1/lab/0/END/q", quote(9_999), qos=1)
                await until(last.is_published)
                await until(lambda: client.supervisor._connection._conflated > 1000)
                room.set()
                await until(lambda: 9_999 in client.bids)
        assert client.ids == list(range(0, 3000, 10))
        assert client.health.unused["conflated quote"] + len(client.bids) == 3001
        assert client.health.unused["conflated quote"] > 1000
        assert set(client.bids) >= {float(n) for n in range(2994, 3001)}, "the newest of each instrument"


@pytest.mark.soak
async def test_a_million_of_quality_zero_and_a_hundred_thousand_of_quality_one(tmp_path):
    async with broker(tmp_path, tls=True, password=True) as server:
        login = {"username": USER, "password": PASSWORD, "ca": str(server.ca)}
        zero = Client(server, topics=("md/v1/+/+/+/q",), client_id="zero", **login)
        one = Client(server, topics=("md/v1/+/+/+/t",), qos=1, client_id="one", **login)
        for client in (zero, one):
            client.supervisor._settings = replace(QUICK, silence=3600)

        def counted():
            return zero.health.rows + zero.health.unused["conflated quote"]

        async with running(zero), running(one):
            await live(zero)
            await live(one)
            with publisher(server) as out:
                for part in range(10):
                    await until(out.is_connected)
                    for number in range(100_000):
                        out.publish(f"md/v1/lab/0/S{number % 100}/q", quote(number + 1))
                        if number % 1000 == 0:
                            await asyncio.sleep(0)
                    sent = [out.publish(TRADES, trade(n), qos=1) for n in range(part * 10_000, part * 10_000 + 10_000)]
                    await until(lambda: all(message.is_published() for message in sent), 300)  # noqa: B023
                    await until(lambda: counted() == (part + 1) * 100_000, 300)  # noqa: B023
                    await server.save()
                    await server.end(signal.SIGKILL)
                    await server.start()
                    await until(lambda: len(set(one.ids)) >= part * 10_000 + 10_000, 300)  # noqa: B023
                    await until(lambda: zero.health.connections == part + 2)  # noqa: B023
                    await live(zero)
        assert set(one.ids) == set(range(100_000))
        assert counted() == 1_000_000
