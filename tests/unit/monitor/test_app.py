"""How the loops of the program end."""

import asyncio

import pytest

from monitor import app
from monitor.store.base import LeaseLost


class Deaf:
    """A feed whose client takes the first cancellation for something else."""

    def __init__(self):
        self.running = asyncio.Event()
        self.told = 0
        self.ended = False

    async def run(self):
        while self.told < 2:
            self.running.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.told += 1
        self.ended = True
        raise asyncio.CancelledError


async def test_a_feed_that_does_not_hear_the_first_time_ends_when_the_lease_is_lost(monkeypatch):
    monkeypatch.setattr(app, "_FEEDS_END", 0.01)
    deaf = Deaf()

    async def lose():
        await deaf.running.wait()
        raise LeaseLost("taken")

    async def lead():
        async with asyncio.TaskGroup() as group:
            group.create_task(app.surely_ended(deaf.run()))
            group.create_task(lose())

    leading = asyncio.create_task(lead())
    await asyncio.wait([leading], timeout=5)
    if not leading.done():
        leading.cancel()
        pytest.fail("the former leader does not stand by, and keeps its line")
    assert [type(error) for error in leading.exception().exceptions] == [LeaseLost]
    assert deaf.ended


async def test_what_ends_a_feed_is_raised():
    async def breaks():
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        await app.surely_ended(breaks())
