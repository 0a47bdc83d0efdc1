"""A watched folder as a feed: what becomes of files that nobody can read."""

import asyncio
import os
from contextlib import asynccontextmanager

from connectors.backlog import Backlog
from monitor.calendar import TradingCalendar
from monitor.folder_feed import Watched
from monitor.positions import Positions
from monitor.settings import FileFeed
from tests.e2e.world import until

CSV = "ts,symbol,price,size\n2026-01-05T15:00:00Z,AAA,10,1\n"


@asynccontextmanager
async def watching(folder):
    config = FileFeed.model_validate({"type": "file", "folder": str(folder), "every": "10ms", "still": "0s"})
    feed = Watched(config, "drop", Backlog(2**20), TradingCalendar("XNYS"), Positions())
    running = asyncio.create_task(feed.run())
    try:
        yield feed, running
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_name_that_is_no_text_is_told_and_stops_nothing(tmp_path):
    (tmp_path / os.fsdecode(b"a\xff.csv")).write_text(CSV)
    (tmp_path / "b.csv").write_text(CSV)
    async with watching(tmp_path) as (feed, running):
        await until(lambda: feed.state().details["files"] or running.done(), "a file taken")
        assert not running.done()
        state = feed.state()
    assert state.details["files"] == 1
    (name, reason), *more = state.details["refused"].items()
    assert (name, more) == ("a\\xff.csv", [])
    assert reason.endswith("its name is no UTF-8: rename it")
    reason.encode()
