from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from connectors.batch import TRADES, Batch
from connectors.feed import FeedStatus
from connectors.replay import HOUR_NS, Replay

SECOND = 1_000_000_000


class Wall:
    """A clock that only sleeping, and a slow sink, move; the seconds slept are kept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wall_ns(self) -> int:
        return round(self.now * SECOND)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def tape(*seconds: float) -> list[tuple[int, Batch]]:
    return [(round(s * SECOND), Batch("file", 0, trades=TRADES.to_frame(eager=True))) for s in seconds]


async def play(wall: Wall, recorded, speed: float, slow: float = 0.0) -> list[tuple[float, Batch]]:
    got: list[tuple[float, Batch]] = []

    async def sink(batch: Batch) -> None:
        got.append((wall.now - 1000, batch))
        wall.now += slow

    feed = Replay("tape", recorded, sink, speed=speed, now_ns=wall.wall_ns, monotonic=wall.monotonic, sleep=wall.sleep)
    await feed.run()
    assert feed.status is FeedStatus.STOPPED
    assert feed.batches == len(got)
    return got


async def test_batches_come_at_the_distances_of_their_times():
    got = await play(Wall(), tape(0, 60, 90, 90.5), speed=10)
    assert [at for at, _ in got] == pytest.approx([0, 6, 9, 9.05])


async def test_they_carry_the_feed_and_when_they_came():
    wall = Wall()
    got = await play(wall, tape(0, 60), speed=1)
    assert [(b.feed, b.received_at) for _, b in got] == [("tape", 1000 * SECOND), ("tape", 1060 * SECOND)]


async def test_a_night_is_not_waited_for():
    night = HOUR_NS / SECOND * 17
    got = await play(Wall(), tape(0, 3600, 3600 + night, 3660 + night), speed=60)
    assert [at for at, _ in got] == pytest.approx([0, 60, 120, 121])


async def test_unpaced_others_still_run():
    wall = Wall()
    got = await play(wall, tape(*range(100)), speed=0)
    assert [at for at, _ in got] == [0] * 100
    assert wall.slept == [0] * 100


async def test_after_a_slow_sink_the_tape_catches_up():
    got = await play(Wall(), tape(0, 1, 2, 3), speed=1, slow=1.5)
    assert [at for at, _ in got] == pytest.approx([0, 1.5, 3, 4.5])
    got = await play(Wall(), tape(0, 1, 9), speed=1, slow=1.5)
    assert [at for at, _ in got] == pytest.approx([0, 1.5, 9])


async def test_the_tape_is_read_one_batch_at_a_time():
    read: list[int] = []

    def lazy() -> Iterator[tuple[int, Batch]]:
        for time, batch in tape(0, 1, 2):
            read.append(time)
            yield time, batch

    handed: list[int] = []

    async def sink(batch: Batch) -> None:
        handed.append(len(read))

    wall = Wall()
    feed = Replay("t", lazy(), sink, speed=0, now_ns=wall.wall_ns, monotonic=wall.monotonic)
    assert feed.status is FeedStatus.CONNECTING
    await feed.run()
    assert handed == [1, 2, 3]
    assert (feed.event_time, feed.rows) == (2 * SECOND, 0)


async def test_it_can_be_cancelled_in_the_middle():
    got = asyncio.Event()

    async def sink(batch: Batch) -> None:
        got.set()

    wall = Wall()
    feed = Replay("t", tape(0, 3000), sink, speed=1, now_ns=wall.wall_ns, monotonic=wall.monotonic)
    task = asyncio.create_task(feed.run())
    await got.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert feed.batches == 1


@pytest.mark.parametrize("speed", [-1.0, float("inf"), float("nan")])
def test_a_speed_that_is_none(speed):
    wall = Wall()
    with pytest.raises(ValueError, match="event seconds a second"):
        Replay("t", [], None, speed=speed, now_ns=wall.wall_ns, monotonic=wall.monotonic)
