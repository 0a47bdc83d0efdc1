import asyncio
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from connectors.alpaca import AlpacaFeed
from connectors.batch import Batch
from connectors.capture import Capture, captured, records
from connectors.feed import FeedStatus
from connectors.supervisor import Supervisor, SupervisorSettings
from tests.integration.connectors.vendor import CONNECTED, error, trade, until, vendor

QUICK = SupervisorSettings(silence=5, sign_in=5, backoff=0.01, longest_backoff=0.05, wait=0.05, longest_wait=0.2)


class Watched:
    """A supervisor at work, what it handed on and how its status went."""

    def __init__(self, url, symbols=("SPY",), settings=QUICK, **options):
        self.batches: list[Batch] = []
        self.statuses: list[FeedStatus] = []
        self.feed = AlpacaFeed("iex", key="k", secret="s", url=url, symbols=symbols)
        self.supervisor = Supervisor(
            self.feed,
            self.sink,
            monotonic=time.monotonic,
            now_ns=time.time_ns,
            settings=settings,
            on_status=lambda health: self.statuses.append(health.status),
            **options,
        )
        self.health = self.supervisor.health

    async def sink(self, batch):
        self.batches.append(batch)

    @property
    def prices(self):
        return [price for batch in self.batches for price in batch.trades["price"]]


@asynccontextmanager
async def watching(url, **options):
    watched = Watched(url, **options)
    task = asyncio.create_task(watched.supervisor.run())
    try:
        yield watched
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


def sends(*prices):
    """Signs in, sends trades at these prices and stays."""

    async def script(session):
        await session.sign_in()
        for price in prices:
            await session.say(trade(price))
        await session.stay()

    return script


def sends_and_drops(*prices):
    async def script(session):
        await session.sign_in()
        for price in prices:
            await session.say(trade(price))
        session.socket.transport.close()  # what was written is sent, then the line is gone without a closing handshake

    return script


def refuses(code):
    async def script(session):
        await session.say(CONNECTED)
        await session.hear()
        await session.say(error(code))

    return script


async def test_signs_in_and_hands_on_data():
    async with vendor(sends(1, 2, 3)) as exchange, watching(exchange.url) as feed:
        await until(lambda: feed.prices == [1, 2, 3])
        assert feed.health.status is FeedStatus.LIVE
        assert feed.health.rows == 3
        assert feed.health.last_data_at == feed.batches[-1].received_at
        assert [r["action"] for r in exchange.sessions[0].requests] == ["auth", "subscribe"]


async def test_frames_that_cannot_be_read_are_counted_kept_and_no_reason_to_leave():
    async def script(session):
        await session.sign_in()
        await session.socket.send('[{"T":"t",' + "x" * 5_000)
        await session.say(trade(1))
        await session.stay()

    async with vendor(script) as exchange, watching(exchange.url) as feed:
        await until(lambda: feed.prices == [1])
        assert feed.health.rejected.total() == 1
        [kept] = feed.health.unreadable.newest()
        assert kept.cause in feed.health.rejected
        assert len(kept.frame) <= 300
        assert len(exchange.sessions) == 1
        assert feed.health.reconnects == 0


async def test_what_the_socket_has_queued_becomes_one_batch():
    async def script(session):
        await session.sign_in()
        await session.say(trade(0))
        await session.hear()
        for number in range(1, 501):
            await session.say(trade(number))
        await session.stay()

    async with vendor(script) as exchange, watching(exchange.url) as feed:
        await until(lambda: feed.prices == [0])
        await feed.supervisor.subscribe(["SPY", "IWM"])
        await until(lambda: len(feed.prices) == 501)
        assert feed.prices == list(range(501))
        assert len(feed.batches) < 250


async def test_a_drop_is_reconnected_and_the_full_set_asked_for_again():
    async with vendor(sends_and_drops(1), sends(2)) as exchange, watching(exchange.url) as feed:
        await until(lambda: feed.prices == [1, 2])
        assert feed.health.reconnects == 1
        assert feed.health.connections == 2
        assert feed.statuses == [
            FeedStatus.CONNECTING,
            FeedStatus.LIVE,
            FeedStatus.BACKING_OFF,
            FeedStatus.CONNECTING,
            FeedStatus.LIVE,
        ]
        assert [r["trades"] for r in exchange.sessions[1].requests[1:]] == [["SPY"]]
        assert feed.health.last_error


async def test_nothing_listens_and_then_something_does():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with watching(f"ws://127.0.0.1:{port}/v2/iex") as feed:
        await until(lambda: feed.health.reconnects >= 3)
        assert str(port) in feed.health.last_error
        assert "\n" not in feed.health.last_error
        assert feed.health.connections == 0


async def test_backoff_grows_until_data_arrives_and_only_then_starts_over(monkeypatch):
    bounds = []

    def uniform(low, high):
        bounds.append((low, high))
        return 0.0

    good = sends_and_drops(1)

    async def signs_in_and_drops(session):
        await session.sign_in()
        session.socket.transport.close()

    async with vendor(*[signs_in_and_drops] * 4, good, sends()) as exchange:
        feed = Watched(exchange.url, settings=replace(QUICK, backoff=0.001, longest_backoff=0.004))
        monkeypatch.setattr(feed.supervisor._random, "uniform", uniform)
        task = asyncio.create_task(feed.supervisor.run())
        await until(lambda: len(exchange.sessions) == 6)
        task.cancel()
        await asyncio.wait([task])
    assert bounds == [(0, 0.001), (0, 0.002), (0, 0.004), (0, 0.004), (0, 0.001)]


@pytest.mark.parametrize("code", [402, 405, 409])
async def test_some_errors_stop_the_feed_until_it_is_restarted(code):
    async with vendor(refuses(code), sends(1)) as exchange, watching(exchange.url) as feed:
        await until(lambda: feed.health.status is FeedStatus.STOPPED)
        assert feed.health.last_error == f"{code} because"
        assert feed.health.errors == {str(code): 1}
        await asyncio.sleep(0.1)  # many times the longest back-off
        assert len(exchange.sessions) == 1
        feed.supervisor.restart()
        await until(lambda: feed.prices == [1])


async def test_another_subscription_starts_a_stopped_feed():
    async with vendor(refuses(405), sends(1)) as exchange, watching(exchange.url, symbols=["A", "B"]) as feed:
        await until(lambda: feed.health.status is FeedStatus.STOPPED)
        await feed.supervisor.subscribe(["A"])
        await until(lambda: feed.prices == [1])
        assert exchange.sessions[1].requests[1]["trades"] == ["A"]


async def test_a_taken_line_is_waited_for():
    async with vendor(refuses(406), refuses(406), sends(1)) as exchange:
        began = time.monotonic()
        async with watching(exchange.url) as feed:
            await until(lambda: feed.prices == [1])
        assert time.monotonic() - began >= QUICK.wait + 2 * QUICK.wait, "doubled"
        assert feed.health.errors == {"406": 2}


async def test_an_error_said_before_the_line_is_cut_is_heard():
    async def script(session):
        await session.say(CONNECTED)
        await session.say(error(409))
        session.socket.transport.close()

    async with vendor(script) as exchange, watching(exchange.url) as feed:
        await until(lambda: feed.health.status is FeedStatus.STOPPED)
        assert feed.health.last_error == "409 because"


async def test_a_harmless_error_is_only_counted():
    async def script(session):
        await session.sign_in()
        await session.say(error(403), trade(1))
        await session.stay()

    async with vendor(script) as exchange, watching(exchange.url) as feed:
        await until(lambda: feed.prices == [1] and feed.health.errors)
        assert feed.health.status is FeedStatus.LIVE
        assert len(exchange.sessions) == 1


async def test_silence_is_a_fault():
    settings = replace(QUICK, silence=0.2)
    async with vendor(sends(1), sends(2)) as exchange, watching(exchange.url, settings=settings) as feed:
        await until(lambda: feed.prices == [1, 2])
        assert feed.health.silences == 1
        assert FeedStatus.SILENT in feed.statuses
        assert "no market data" in feed.health.last_error
        await until(lambda: exchange.sessions[0].socket.state.name == "CLOSED")


async def test_talk_without_market_data_is_silence():
    async def script(session):
        await session.sign_in()
        while True:
            await session.say(trade(1) | {"T": "d", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}, {"T": "zz"})
            await asyncio.sleep(0.01)

    async with vendor(script) as exchange:
        async with watching(exchange.url, settings=replace(QUICK, silence=0.2)) as feed:
            await until(lambda: feed.health.silences >= 1)
        assert feed.health.unused["daily bar"]
        assert feed.health.rejected["unknown message"] == feed.health.unused["daily bar"]
        assert not feed.batches


async def test_at_night_silence_is_no_fault():
    open_now = False
    settings = replace(QUICK, silence=0.1)
    async with (
        vendor(sends(1), sends(2)) as exchange,
        watching(exchange.url, settings=settings, expects_data=lambda: open_now) as feed,
    ):
        await until(lambda: feed.prices == [1])
        await asyncio.sleep(0.5)
        assert feed.health.silences == 0
        open_now = True
        await until(lambda: feed.prices == [1, 2])
        assert feed.health.silences == 1


async def test_a_sink_that_waits_is_no_silence_and_holds_the_vendor_back():
    room = asyncio.Event()
    async with vendor(sends(1, 2)) as exchange:
        feed = Watched(exchange.url, settings=replace(QUICK, silence=0.3))

        async def sink(batch):
            await room.wait()
            feed.batches.append(batch)

        feed.supervisor._sink = sink
        task = asyncio.create_task(feed.supervisor.run())
        await until(lambda: feed.health.rows)
        await asyncio.sleep(0.6)
        room.set()
        await until(lambda: feed.prices == [1, 2])
        assert feed.health.silences == 0
        task.cancel()
        await asyncio.wait([task])


async def test_a_vendor_that_never_signs_in_is_left():
    async def script(session):
        await session.say(CONNECTED)
        await session.stay()

    async with vendor(script, sends(1)) as exchange:
        async with watching(exchange.url, settings=replace(QUICK, sign_in=0.2)) as feed:
            await until(lambda: feed.prices == [1])
        assert feed.health.last_error == "sign-in not done within 0.2 s"


async def test_a_subscription_on_a_live_line_is_the_difference():
    async def script(session):
        await session.sign_in()
        await session.say(trade(1))
        while True:
            await session.hear()

    async with vendor(script) as exchange, watching(exchange.url) as feed:
        await until(lambda: feed.prices == [1])
        await feed.supervisor.subscribe(["SPY", "IWM"])
        await feed.supervisor.subscribe(["IWM"])
        requests = exchange.sessions[0].requests
        await until(lambda: len(requests) == 4)
        assert requests[2:] == [
            {"action": "subscribe", "trades": ["IWM"], "quotes": ["IWM"]},
            {"action": "unsubscribe", "trades": ["SPY"], "quotes": ["SPY"]},
        ]


async def test_cancelling_closes_the_line_at_once_even_when_held_back():
    async def script(session):
        await session.sign_in()
        while True:
            await session.say(*[trade(1)] * 500)

    async def full(batch):
        await asyncio.Event().wait()

    async with vendor(script) as exchange:
        feed = Watched(exchange.url)
        feed.supervisor._sink = full
        task = asyncio.create_task(feed.supervisor.run())
        await until(lambda: feed.health.rows)
        await asyncio.sleep(0.2)
        began = time.monotonic()
        task.cancel()
        await asyncio.wait([task])
        assert time.monotonic() - began < 3
        assert task.cancelled()
        await until(lambda: exchange.sessions[0].socket.state.name == "CLOSED")


async def test_cancelling_a_pause_is_immediate():
    async with vendor(refuses(402)) as exchange:
        feed = Watched(exchange.url)
        task = asyncio.create_task(feed.supervisor.run())
        await until(lambda: feed.health.status is FeedStatus.STOPPED)
        task.cancel()
        await asyncio.wait([task], timeout=1)
        assert task.cancelled()


async def test_raw_frames_are_recorded(tmp_path):
    capture = Capture(tmp_path, "iex")
    async with vendor(sends_and_drops(1), sends(2)) as exchange, watching(exchange.url, recorder=capture) as feed:
        await until(lambda: feed.prices == [1, 2])
    capture.close()
    (path,) = captured(tmp_path, "iex")
    kinds = [record.kind for record in records(path)]
    assert kinds.count(0) == 2
    assert kinds.count(1) == feed.health.frames


async def test_a_full_disk_does_not_cost_the_feed():
    class Full:
        def opened(self, received_at):
            raise OSError(28, "No space left on device")

        def received(self, received_at, frames):
            raise AssertionError("not asked again")

    async with vendor(sends(1)) as exchange, watching(exchange.url, recorder=Full()) as feed:
        await until(lambda: feed.prices == [1])
        assert "No space left" in feed.health.last_error
