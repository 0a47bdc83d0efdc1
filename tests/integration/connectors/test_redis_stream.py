"""Somebody else's stream on a real server: mapping, positions that follow receipts, and ends of the line."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from connectors.feed import Remedy
from connectors.mqtt.layout import ForeignLayout
from connectors.redis_stream import Place, RedisFeed, StreamOptions, opener, shown
from connectors.supervisor import Supervisor
from connectors.websocket import Disconnected
from tests.integration.store.servers import raw, running

QUOTES = ForeignLayout("stream", "quotes", symbol="{sym}", unit="ms", fields={"bid": "b", "ask": "a"})
AT = 1_769_180_850_000


class Reader:
    """A supervised feed, its batches and what it remembers."""

    def __init__(self, url, stream="ticks", position=None, **options):
        self.position, self.batches = position, []
        self.began = None
        line = StreamOptions(
            url=url, stream=stream, position=self._position, receipt=self._receipt, start=self._start, **options
        )
        feed = RedisFeed("r", shown=shown(url), layout=QUOTES)
        self.supervisor = Supervisor(
            feed,
            self._take,
            monotonic=time.monotonic,
            now_ns=time.time_ns,
            connect=opener(line),
            expects_data=lambda: False,
        )

    async def _position(self):
        return self.position

    def _start(self, place):
        self.began = place

    def _receipt(self, place):
        def kept():
            self.position = place

        return kept

    async def _take(self, batch):
        self.batches.append(batch)

    @property
    def rows(self):
        return [row for batch in self.batches for row in batch.quotes.select("symbol", "bid", "ask").rows()]

    async def until(self, condition):
        task = asyncio.create_task(self.supervisor.run())
        try:
            async with asyncio.timeout(20):
                while not condition():  # noqa: ASYNC110 - of another program too
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.wait([task])

    def keep(self):
        """The journal has it all."""
        for batch in self.batches:
            for receipt in batch.receipts:
                receipt()


@pytest.fixture(name="server", params=["valkey", "redis"])
async def _server(request, tmp_path):
    async with running(request.param, tmp_path) as port:
        url = f"redis://127.0.0.1:{port}/0"
        for _ in range(400):
            try:
                async with raw(url) as client:
                    await client.ping()
                break
            except ConnectionError:
                await asyncio.sleep(0.02)
            except Exception as error:  # the driver's own kind of the same
                if "onnect" not in str(error):
                    raise
                await asyncio.sleep(0.02)
        yield url


async def test_fields_of_entries_are_rows_and_a_restart_reads_on(server):
    async with raw(server) as client:
        for n in range(3):
            await client.xadd("ticks", {"sym": "IWM", "ts": AT + n, "b": f"250.{n}", "a": "251"})
        reader = Reader(server, begin="oldest")
        await reader.until(lambda: len(reader.rows) == 3)
        assert reader.rows == [("IWM", 250.0, 251.0), ("IWM", 250.1, 251.0), ("IWM", 250.2, 251.0)]
        assert reader.position is None  # the journal does not have it yet
        reader.keep()
        await client.xadd("ticks", {"sym": "SPY", "ts": AT + 9, "b": "600", "a": "601"})
        later = Reader(server, position=reader.position)
        await later.until(lambda: later.rows)
        assert later.rows == [("SPY", 600.0, 601.0)]


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
async def test_a_field_holds_the_message(server, encode):
    async with raw(server) as client:
        rows = [{"sym": s, "ts": AT, "b": 1.5, "a": 2.5} for s in ("IWM", "SPY")]
        await client.xadd("ticks", {"data": encode(rows)})
        await client.xadd("ticks", {"other": b"x"})
        reader = Reader(server, begin="oldest", payload="data")
        await reader.until(lambda: reader.supervisor.health.rejected)
        assert reader.rows == [("IWM", 1.5, 2.5), ("SPY", 1.5, 2.5)]
        assert reader.supervisor.health.rejected == {"malformed": 1}


async def test_what_cannot_be_read_says_nothing_of_what_came_before_it(server):
    """A position speaks for all entries up to it: one of junk alone waits for the receipts before it."""
    async with raw(server) as client:
        await client.xadd("ticks", {"sym": "IWM", "ts": AT, "b": "250", "a": "251"})
        reader = Reader(server, begin="oldest")
        await reader.until(lambda: reader.rows)
        await client.xadd("ticks", {"sym": "IWM", "ts": "never", "b": "250", "a": "251"})
        await reader.until(lambda: reader.supervisor.health.rejected)
        assert reader.position is None
        reader.keep()
        newest = (await client.xinfo_stream("ticks"))["last-generated-id"].decode()
        assert Place.read(reader.position) == Place(newest, 2)


async def test_a_line_that_is_opened_again_goes_on_after_what_this_process_has_in_hand(server):
    async with raw(server) as client:
        await client.xadd("ticks", {"sym": "IWM", "ts": AT, "b": "250", "a": "251"})
        reader = Reader(server, begin="oldest")
        await reader.until(lambda: reader.rows)
        await client.xadd("ticks", {"sym": "SPY", "ts": AT, "b": "600", "a": "601"})
        await reader.until(lambda: len(reader.rows) > 1)
        assert reader.position is None
        assert [symbol for symbol, _, _ in reader.rows] == ["IWM", "SPY"]


async def test_where_the_first_line_begins_is_remembered_before_anything_came(server):
    async with raw(server) as client:
        newest = await client.xadd("ticks", {"sym": "IWM", "ts": AT, "b": "250", "a": "251"})
        reader = Reader(server)
        await reader.until(lambda: reader.began)
        assert Place.read(reader.began) == Place(newest.decode(), 1)


async def add(client, *numbers, **options):
    for n in numbers:
        await client.xadd("ticks", {"sym": "IWM", "ts": AT + n, "b": f"{n}", "a": f"{n + 1}"}, **options)


async def test_what_was_trimmed_behind_the_reader_is_a_gap_at_the_start(server):
    async with raw(server) as client:
        await add(client, 1, 2, 3)
        reader = Reader(server, begin="oldest")
        await reader.until(lambda: len(reader.rows) == 3)
        reader.keep()
        await add(client, 4, 5, 6, 7, 8, maxlen=2, approximate=False)
        later = Reader(server, position=reader.position)
        await later.until(lambda: later.supervisor.health.gaps)
        assert [bid for _, bid, _ in later.rows] == [7.0, 8.0]
        assert later.supervisor.health.gaps == 3
        assert later.supervisor.health.last_error == "3 entries were trimmed or deleted before they were read"
        later.keep()
        assert Place.read(later.position).number == 8


async def test_what_is_trimmed_while_the_line_is_away_is_counted_once(server):
    async with raw(server) as client:
        await add(client, 1)
        reader = Reader(server, begin="oldest")
        await reader.until(lambda: reader.rows)
        await add(client, 2, 3, 4)
        await client.xtrim("ticks", 0, approximate=False)
        await reader.until(lambda: reader.supervisor.health.gaps)
        await add(client, 5)
        await reader.until(lambda: len(reader.rows) == 2)
        assert reader.supervisor.health.gaps == 3
        reader.keep()
        assert Place.read(reader.position).number == 5


async def test_entries_that_came_after_the_look_are_none_that_are_missing(server):
    async with raw(server) as client:
        await add(client, 1)
        reader = Reader(server, begin="oldest")
        task = asyncio.create_task(reader.until(lambda: len(reader.rows) == 4_000))
        for start in range(2, 4_001, 43):
            await add(client, *range(start, min(start + 43, 4_001)))
        await task
        reader.keep()
        assert reader.supervisor.health.gaps == 0
        assert Place.read(reader.position).number in (4_000, None)


async def test_a_stream_that_is_begun_anew_with_earlier_ids_is_read_from_its_beginning(server):
    async with raw(server) as client:
        await add(client, 1, 2)
        reader = Reader(server, begin="oldest")
        await reader.until(lambda: len(reader.rows) == 2)
        await client.delete("ticks")
        await client.xadd("ticks", {"sym": "SPY", "ts": AT, "b": "600", "a": "601"}, id="5-1")
        await reader.until(lambda: len(reader.rows) == 3)
        assert reader.rows[-1] == ("SPY", 600.0, 601.0)
        assert "begun anew" in reader.supervisor.health.last_error
        reader.keep()
        assert Place.read(reader.position) == Place("5-1", 1)


async def test_what_is_trimmed_while_the_line_is_up_is_counted(server):
    async with raw(server) as client:
        await add(client, 1)
        reader = Reader(server, begin="oldest")
        running = asyncio.create_task(reader.until(lambda: reader.supervisor.health.gaps and len(reader.rows) == 3))
        while not reader.rows:  # noqa: ASYNC110 - of another program too
            await asyncio.sleep(0.01)
        async with client.pipeline(transaction=True) as together:  # so that the reader never sees the first of them
            await add(together, 2, 3, 4)
            together.xtrim("ticks", 1, approximate=False)
            await together.execute()
        await add(client, 5)
        await running
        health = reader.supervisor.health
        assert [bid for _, bid, _ in reader.rows] == [1.0, 4.0, 5.0]
        assert (health.gaps, health.last_error) == (2, "2 entries were trimmed or deleted before they were read")
        assert health.connections == 1


async def test_a_stream_that_is_begun_anew_while_the_line_is_up_is_read_on(server):
    async with raw(server) as client:
        await add(client, 1, 2)
        reader = Reader(server, begin="oldest")
        running = asyncio.create_task(reader.until(lambda: len(reader.rows) == 3))
        while len(reader.rows) < 2:  # noqa: ASYNC110 - of another program too
            await asyncio.sleep(0.01)
        await client.delete("ticks")
        await client.xadd("ticks", {"sym": "SPY", "ts": AT, "b": "600", "a": "601"}, id="5-1")
        await running
        assert reader.rows[-1] == ("SPY", 600.0, 601.0)
        assert "begun anew" in reader.supervisor.health.last_error


async def test_a_stream_begun_anew_does_not_silence_a_reader_with_a_stored_position(server):
    async with raw(server) as client:
        await client.xadd("ticks", {"sym": "SPY", "ts": AT, "b": "600", "a": "601"}, id="5-1")
        reader = Reader(server, position="1769180850000-0/7")
        await reader.until(lambda: reader.rows)
        assert "begun anew" in reader.supervisor.health.last_error


async def test_a_position_without_a_number_counts_from_the_first_look(server):
    async with raw(server) as client:
        await add(client, 1, 2, 3)
        first = (await client.xinfo_stream("ticks"))["first-entry"][0].decode()
        reader = Reader(server, position=first)
        await reader.until(lambda: len(reader.rows) == 2)
        assert reader.supervisor.health.gaps == 0
        reader.keep()
        assert Place.read(reader.position).number == 3


async def test_a_key_that_is_no_stream_stops_the_feed(server):
    async with raw(server) as client:
        await client.set("ticks", "text")
    reader = Reader(server)
    await reader.until(lambda: reader.supervisor.health.status == "stopped")
    assert "WRONGTYPE" in reader.supervisor.health.last_error


async def test_an_address_where_nobody_listens_is_a_dropped_line_without_the_password():
    reader = Reader("redis://:pa55word@127.0.0.1:9/0")
    with pytest.raises(Disconnected) as caught:
        await reader.supervisor._connect(reader.supervisor._feed.address())
    assert caught.value.remedy is Remedy.RECONNECT
    assert "pa55word" not in str(caught.value)
