"""Bars of the past: every page, in order, at the vendor's pace, and from where one stopped."""

import asyncio
import datetime as dt
import itertools
import json
import time
from http import HTTPStatus

import polars as pl
import pytest
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame

from connectors.alpaca.history import AlpacaBars, headers
from connectors.bar_source import resumed
from connectors.batch import BARS
from connectors.massive.history import MassiveBars
from connectors.massive.history import headers as massive_headers
from connectors.rest import Rest, RestError
from connectors.timestamps import rfc3339
from tests.servers.alpaca_bars import KEY, SECRET, alpaca_bars
from tests.servers.http import Answer, http_server
from tests.servers.massive import KEY as MASSIVE_KEY
from tests.servers.massive import massive_aggregates

START = rfc3339("2026-01-23T14:30:00Z")
END = START + 3_600 * 10**9
MINUTE = 60 * 10**9
SYMBOLS = ("IWM", "QQQ", "SPY")


class Clock:
    """Time that passes only where somebody waits."""

    def __init__(self):
        self.now = 1_000.0
        self.waits: list[float] = []

    async def sleep(self, seconds):
        if seconds > 0:
            self.waits.append(round(seconds, 3))
        self.now += seconds

    def monotonic(self):
        return self.now

    def now_ns(self):
        return 1_769_178_600 * 10**9 + int((self.now - 1_000) * 10**9)


@pytest.fixture(name="clock")
def _clock():
    return Clock()


def client(base, clock, head=None, **options):
    head = headers(KEY, SECRET) if head is None else head
    return Rest(
        base,
        head,
        **{"per_minute": 6000, "monotonic": clock.monotonic, "now_ns": clock.now_ns, "sleep": clock.sleep, **options},
    )


def bars(count=5):
    """By instrument, minutes whose close tells them apart, in Alpaca's words."""
    return {
        symbol: [
            {"t": f"2026-01-23T14:{30 + k}:00Z", "o": 1, "h": 9, "l": 1, "c": n + k / 10, "v": k, "n": 1, "vw": 1}
            for k in range(count)
        ]
        for n, symbol in enumerate(SYMBOLS, start=1)
    }


def aggregates(count=5):
    """The same in Massive's words."""
    return {
        symbol: [
            {"t": (START + k * MINUTE) // 10**6, **{key: bar[key] for key in "ohlcv"}} for k, bar in enumerate(some)
        ]
        for symbol, some in bars(count).items()
    }


async def taken(source, *args):
    return [frame async for frame in source.bars(*args)]


def closes(frames):
    return [] if not frames else list(pl.concat(frames).select("symbol", "close").iter_rows())


WANTED = [(symbol, n + k / 10) for n, symbol in enumerate(SYMBOLS, start=1) for k in range(5)]


async def test_alpaca_pages(clock):
    async with alpaca_bars(bars()) as server, client(server.base, clock) as rest:
        frames = await taken(AlpacaBars(rest), SYMBOLS, START, END, "1m")
    assert all(frame.schema == BARS for frame in frames)
    assert [frame.height for frame in frames] == [3] * 5
    assert closes(frames) == WANTED
    every = pl.concat(frames)
    assert (every["end"].cast(pl.Int64) - every["ts"].cast(pl.Int64)).to_list() == [MINUTE] * 15
    assert every["ts"].cast(pl.Int64).min() == START
    first = server.asked[0]
    assert first["adjustment"] == "raw"
    assert first["feed"] == "iex"
    assert first["timeframe"] == "1Min"
    assert first["end"] == "2026-01-23T15:29:59.999999999Z", "the vendor's end is inclusive, ours is not"


async def test_alpacas_own_client_reads_the_server(clock):
    async with alpaca_bars(bars(), page=4) as server:
        theirs = StockHistoricalDataClient(KEY, SECRET, url_override=server.base)
        request = StockBarsRequest(
            symbol_or_symbols=list(SYMBOLS),
            timeframe=TimeFrame.Minute,
            start=dt.datetime(2026, 1, 23, 14, 30, tzinfo=dt.UTC),
            end=dt.datetime(2026, 1, 23, 15, 30, tzinfo=dt.UTC),
        )
        read = await asyncio.to_thread(theirs.get_stock_bars, request)
    assert [(bar.symbol, bar.close) for symbol in SYMBOLS for bar in read[symbol]] == WANTED


async def test_massive_pages(clock):
    async with (
        massive_aggregates(aggregates()) as server,
        client(server.base, clock, massive_headers(MASSIVE_KEY)) as rest,
    ):
        frames = await taken(MassiveBars(rest), [*SYMBOLS, "NONE"], START, END, "1m")
    assert all(frame.schema == BARS for frame in frames)
    assert closes(frames) == WANTED
    assert "adjusted=false" in server.asked[0]
    assert len(server.asked) == 3 * 2 + 1


@pytest.mark.parametrize("stop", range(1, 15))
async def test_what_is_left_after_a_row(clock, stop):
    async with alpaca_bars(bars()) as server, client(server.base, clock) as rest:
        source = AlpacaBars(rest)
        before = pl.concat(await taken(source, SYMBOLS, START, END, "1m")).head(stop)
        last = (before["symbol"][-1], int(before["ts"].cast(pl.Int64)[-1]))
        after = [frame async for frame in resumed(source, SYMBOLS, START, END, "1m", last)]
    assert closes([before, *after]) == WANTED


async def test_nothing_is_asked_for_no_time(clock):
    async with alpaca_bars(bars()) as server, client(server.base, clock) as rest:
        assert await taken(AlpacaBars(rest), SYMBOLS, END, START, "1m") == []
        assert await taken(AlpacaBars(rest), (), START, END, "1m") == []
    assert not server.asked


async def test_many_instruments_are_asked_for_in_several_requests(clock):
    symbols = [f"SYM{n:04d}" for n in range(2_000)]
    async with alpaca_bars({}) as server, client(server.base, clock) as rest:
        await taken(AlpacaBars(rest), symbols, START, END, "1d")
    assert [s for asked in server.asked for s in asked["symbols"].split(",")] == symbols
    assert max(len(asked["symbols"]) for asked in server.asked) <= 6_000


async def test_bars_that_cannot_be_are_counted_and_left_out(clock):
    wrong = {
        "SPY": [bars()["SPY"][0] | {"c": -1}, bars()["SPY"][1] | {"t": "2026-01-23T14:31:00Zulu"}, bars()["SPY"][2]]
    }
    async with alpaca_bars(wrong) as server, client(server.base, clock) as rest:
        source = AlpacaBars(rest)
        frames = await taken(source, ["SPY"], START, END, "1m")
    assert closes(frames) == [("SPY", 3.2)]
    assert source.rejected == {"negative number": 1, "unreadable time": 1}


LIMITED = HTTPStatus.TOO_MANY_REQUESTS


@pytest.mark.parametrize(
    ("head", "wait"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Fri, 23 Jan 2026 14:30:09 GMT"}, 9),
        ({"X-RateLimit-Reset": str(1_769_178_600 + 12)}, 12),
        ({"Retry-After": "soon"}, 1),
        ({"Retry-After": "86400"}, 120),
        ({}, 1),
    ],
)
async def test_a_limit_is_waited_for_as_long_as_the_vendor_says(clock, head, wait):
    script = [Answer(LIMITED, {"message": "too many requests."}, head)]
    async with alpaca_bars(bars(), page=100, script=script) as server, client(server.base, clock) as rest:
        assert closes(await taken(AlpacaBars(rest), SYMBOLS, START, END, "1m")) == WANTED
    assert sum(clock.waits) == pytest.approx(wait, abs=0.02)


async def test_the_last_request_of_a_period_is_not_followed_before_the_next(clock):
    head = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(1_769_178_600 + 30)}
    script = [Answer(HTTPStatus.OK, {"bars": {}, "next_page_token": "0"}, head)]
    async with alpaca_bars(bars(), page=100, script=script) as server, client(server.base, clock) as rest:
        assert closes(await taken(AlpacaBars(rest), SYMBOLS, START, END, "1m")) == WANTED
    assert clock.waits == [pytest.approx(30, abs=0.02)]


async def test_requests_are_spread_over_the_minute(clock):
    async with alpaca_bars(bars()) as server, client(server.base, clock, per_minute=200) as rest:
        await taken(AlpacaBars(rest), SYMBOLS, START, END, "1m")
    assert clock.waits == [0.3] * 4


async def test_what_may_pass_is_tried_again(clock):
    script = [Answer(HTTPStatus.BAD_GATEWAY, b"<html>"), None, Answer(HTTPStatus.SERVICE_UNAVAILABLE)]
    async with alpaca_bars(bars(), page=100, script=script) as server, client(server.base, clock) as rest:
        assert closes(await taken(AlpacaBars(rest), SYMBOLS, START, END, "1m")) == WANTED
    assert len(server.asked) == 4
    assert clock.waits == [1.0, 2.0, 4.0]


async def test_what_does_not_pass_is_an_error_after_some_attempts(clock):
    async with (
        http_server(lambda path, head: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"message": "out of\norder"})) as base,
        client(base, clock) as rest,
    ):
        with pytest.raises(RestError, match=r"/v2/stocks/bars: 500 .*order") as raised:
            await taken(AlpacaBars(rest), SYMBOLS, START, END, "1m")
    assert raised.value.status == 500
    assert "\n" not in str(raised.value)
    assert "symbols" not in str(raised.value)


async def test_nobody_there(clock):
    async with client("http://127.0.0.1:9", clock, attempts=2) as rest:
        with pytest.raises(RestError) as raised:
            await rest.get("/x")
    assert raised.value.status == 0


async def test_a_wrong_key_is_refused_at_once_and_not_shown(clock):
    async with alpaca_bars(bars()) as server, client(server.base, clock, headers("k", "hush-hush")) as rest:
        with pytest.raises(RestError, match=r"401 .*unauthorized") as raised:
            await taken(AlpacaBars(rest), SYMBOLS, START, END, "1m")
    assert len(server.asked) == 1
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("source", [AlpacaBars, MassiveBars])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"bars":5,"results":5}', b'{"bars":{"A":[{}]},"results":[{}]}', b"\xff", b"[" * 9_999],
)
async def test_an_answer_that_cannot_be_read_is_an_error(clock, source, body):
    async with http_server(lambda path, head: Answer(HTTPStatus.OK, body)) as base, client(base, clock) as rest:
        with pytest.raises(RestError, match="cannot be read"):
            await taken(source(rest), ["SPY"], START, END, "1m")


async def test_a_page_that_is_its_own_next_page_ends(clock):
    page = json.dumps({"bars": {}, "next_page_token": "a"}).encode()
    async with http_server(lambda path, head: Answer(HTTPStatus.OK, page)) as base, client(base, clock) as rest:
        with pytest.raises(RestError, match="same page"):
            await taken(AlpacaBars(rest), ["SPY"], START, END, "1m")


@pytest.mark.parametrize("source", [AlpacaBars, MassiveBars])
async def test_pages_in_a_circle_end(clock, source):
    pages = itertools.cycle({"next_page_token": name, "next_url": f"https://x/{name}"} for name in "abc")
    async with (
        http_server(lambda path, head: Answer(HTTPStatus.OK, next(pages))) as base,
        client(base, clock) as rest,
    ):
        with pytest.raises(RestError, match="same page"):
            await taken(source(rest), ["SPY"], START, END, "1m")


async def test_an_address_of_the_next_page_that_is_none_is_an_error(clock):
    page = {"results": [], "next_url": "https://[x/v2"}
    async with http_server(lambda path, head: Answer(HTTPStatus.OK, page)) as base, client(base, clock) as rest:
        with pytest.raises(RestError, match="next page cannot be read"):
            await taken(MassiveBars(rest), ["SPY"], START, END, "1m")


async def test_the_real_clock_paces_too():
    async with alpaca_bars(bars(), page=100) as server:
        rest = Rest(server.base, headers(KEY, SECRET), per_minute=1200, monotonic=time.monotonic, now_ns=time.time_ns)
        async with rest:
            began = time.monotonic()
            for _ in range(5):
                await taken(AlpacaBars(rest), ["SPY"], START, END, "1m")
    assert time.monotonic() - began >= 4 * 0.05
