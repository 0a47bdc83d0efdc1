"""The feed of external series: a CSV in a file or at an address, each value known from its publication, once."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
from http import HTTPStatus
from pathlib import Path

import pytest

from connectors.backlog import Backlog
from monitor import settings
from monitor.calendar import TradingCalendar
from monitor.positions import Positions
from monitor.series_feed import SeriesTable
from monitor.state import MarketState
from monitor.store.memory import MemoryStore
from tests.servers.http import Answer, http_server

CALENDAR = TradingCalendar()
MEGABYTE = 2**20
SOON = 30_000_000
"""Nanoseconds between two readings."""


class Reading:
    """A feed that runs, and what it handed on."""

    def __init__(self, positions: Positions | None = None, **config) -> None:
        self.backlog, self.positions = Backlog(MEGABYTE), positions or Positions()
        model = settings.SeriesFeed(type="series", every=SOON, **config)
        self.feed = SeriesTable(model, "macro", self.backlog, CALENDAR, self.positions)

    async def rows(self):
        """The next rows, (publication, series, value); their receipt is given, as the journal does."""
        async with asyncio.timeout(20):
            [batch] = await self.backlog.take(1_000)
        for receipt in batch.receipts:
            receipt()
        assert batch.feed == "macro"
        return [(str(ts)[:16], series, value) for ts, series, value in batch.series.iter_rows()]

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition(self.feed.state()):  # noqa: ASYNC110 - what changes is another's
                await asyncio.sleep(0.01)
        return self.feed.state()


@contextlib.asynccontextmanager
async def reading(**config):
    it = Reading(**config)
    task = asyncio.create_task(it.feed.run())
    try:
        yield it
    finally:
        task.cancel()
        await asyncio.wait([task])


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


async def test_a_month_is_known_from_its_publication_and_a_date_means_the_close_of_its_session(tmp_path):
    starts = written(
        tmp_path / "starts.csv",
        "month,released,starts\n2025-11-01,2025-12-17 13:30:00,1.31\n2025-12-01,2026-01-21 13:30:00,1.36\n",
    )
    columns = {"ts": "month", "published": "released", "value": "starts"}
    async with reading(data=starts, series="housing_starts", columns=columns) as it:
        assert await it.rows() == [
            ("2025-12-17 13:30", "housing_starts", 1.31),
            ("2026-01-21 13:30", "housing_starts", 1.36),
        ]
    yields = written(tmp_path / "yields.csv", "ts,value\n2025-11-28,4.02\n2026-01-17,4.10\n")
    async with reading(data=yields, series="ten_year") as it:
        # The first is a half day, which closes at 13:00; the second a Saturday before a holiday: Tuesday's close.
        assert await it.rows() == [("2025-11-28 18:00", "ten_year", 4.02), ("2026-01-20 21:00", "ten_year", 4.10)]


async def test_the_state_does_not_see_a_value_before_it_was_published(tmp_path):
    text = "ts,published,value\n2025-12-01,2026-01-21 13:30:00,1.36\n"
    path = written(tmp_path / "s.csv", text)
    async with reading(data=path, series="starts", columns={"published": "published"}) as it, asyncio.timeout(20):
        [batch] = await it.backlog.take(10)
    state = MarketState(CALENDAR)
    state.external.keep(["starts"])
    released = int(dt.datetime(2026, 1, 21, 13, 30, tzinfo=dt.UTC).timestamp()) * 10**9
    state.external.take(batch.series, released - 1)
    assert math.isnan(state.external.at(["starts"], released - 1)[0])
    assert state.external.at(["starts"], released).tolist() == [1.36]


async def test_what_is_new_in_the_file_is_told_and_nothing_twice(tmp_path):
    path = written(tmp_path / "y.csv", "ts,series,value\n2026-01-20,ten_year,4.1\n2026-01-20,two_year,.\n")
    async with reading(data=path, columns={"series": "series"}) as it:
        assert await it.rows() == [("2026-01-20 21:00", "ten_year", 4.1)]  # a dot stands where there is none
        path.write_text(path.read_text() + "2026-01-21,ten_year,4.2\n")
        assert await it.rows() == [("2026-01-21 21:00", "ten_year", 4.2)]
        assert it.feed.state().details["rows"] == {"series": 2}


async def test_a_restart_takes_up_nothing_that_the_journal_has(tmp_path):
    path = written(tmp_path / "y.csv", "ts,value\n2026-01-20,4.1\n")
    store = MemoryStore()
    await store.acquire("test")
    positions = Positions()
    await positions.open(store)
    async with reading(data=path, series="ten_year", positions=positions) as it:
        assert await it.rows()
    async with reading(data=path, series="ten_year", positions=positions) as it:
        await it.until(lambda state: state.details["status"] == "live")
        assert it.backlog.rows == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("when,value\n2026-01-20,4.1\n", "there is no column 'ts'"),
        ("ts,value\n2026-01-20,much\n", "much"),
        ("ts,value\n2026-01-20,4.1\n2099-01-20,4.1\n", "2099-01-20"),
    ],
)
async def test_a_table_that_is_wrong_is_named_and_read_again_when_it_is_right(tmp_path, text, said):
    path = written(tmp_path / "y.csv", text)
    async with reading(data=path, series="ten_year") as it:
        state = await it.until(lambda state: state.trouble)
        assert "y.csv" in state.trouble
        assert said in state.trouble
        assert state.details["last_error"] == state.trouble
        assert it.backlog.rows == 0
        path.write_text("ts,value\n2026-01-20,4.1\n")
        assert await it.rows() == [("2026-01-20 21:00", "ten_year", 4.1)]
        assert (await it.until(lambda state: not state.trouble)).details["last_error"] is None


async def test_an_address_is_read_again_and_its_key_is_in_no_message():
    first, second = b"DATE,DGS10\n2026-01-20,4.1\n", b"DATE,DGS10\n2026-01-20,4.1\n2026-01-21,.\n2026-01-22,4.3\n"
    tables, gone = [Answer(HTTPStatus.OK, first), Answer(HTTPStatus.OK, second)], Answer(HTTPStatus.NOT_FOUND, b"gone")
    asked = []

    def answer(target, _headers):
        asked.append(target)
        return tables.pop(0) if tables else gone

    async with http_server(answer) as base:
        columns = {"ts": "DATE", "value": "DGS10"}
        async with reading(url=f"{base}/graph.csv?api_key=hush", series="ten_year", columns=columns) as it:
            assert await it.rows() == [("2026-01-20 21:00", "ten_year", 4.1)]
            assert await it.rows() == [("2026-01-22 21:00", "ten_year", 4.3)]
            state = await it.until(lambda state: state.trouble)
            assert "404" in state.trouble
            assert "hush" not in str(state)
            assert state.details["status"] == "backing off"
    assert set(asked) == {"/graph.csv?api_key=hush"}


async def test_what_is_no_csv_is_refused_by_its_place_alone():
    answering = http_server(lambda *_: Answer(HTTPStatus.OK, b'\xff\xfe"<html'))
    async with answering as base, reading(url=f"{base}/hush/t.csv?key=hush", series="s") as it:
        state = await it.until(lambda state: state.trouble)
    assert state.trouble.startswith("127.0.0.1: ")
    assert "hush" not in state.trouble
