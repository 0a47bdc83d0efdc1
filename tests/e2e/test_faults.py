"""Faults of the feed and of the store: the alerts are those of the clean run, and what was wrong is visible."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import random
import shutil
import signal

import pytest

from monitor.store.embedded import EmbeddedValkey
from tests.e2e.test_january_2026 import stories
from tests.e2e.world import World, until

pytestmark = pytest.mark.realdata

RULES = """\
version: 1
groups:
  - name: size
    rules:
      - alert: small-caps-fall
        when: excess(IWM, SPY, 1d) < -100bp
        severity: critical
"""
CLEAN = [
    ("small-caps-fall@2026-01-23.1", "firing", "2026-01-23T15:07:30Z"),
    ("small-caps-fall@2026-01-23.1", "resolved", "2026-01-23T15:11:15Z"),
    ("small-caps-fall@2026-01-23.2", "firing", "2026-01-23T15:12:30Z"),
    ("small-caps-fall@2026-01-23.2", "resolved", "2026-01-23T15:22:30Z"),
    ("small-caps-fall@2026-01-23.3", "firing", "2026-01-23T15:27:30Z"),
    ("small-caps-fall@2026-01-23.3", "resolved", "2026-01-23T15:32:30Z"),
    ("small-caps-fall@2026-01-23.4", "firing", "2026-01-23T15:35:00Z"),
]
DAY = {"start": "2026-01-23T14:30", "end": "2026-01-23T21:00"}  # before and after, crypto alone trades


async def story(world: World) -> list[tuple[str, str, str]]:
    told: list[tuple[str, str, str]] = stories(await world.ask("/api/v1/transitions?limit=1000"))
    return told


async def feed(world: World):
    return (await world.ask("/api/v1/status"))["feeds"][0]


async def ended_clean(world: World, patience: float = 60.0) -> None:
    """The day is over, its alerts are the clean run's, and each was told once."""
    await world.reaches("2026-01-23T20:59:59", patience)
    assert await story(world) == CLEAN
    for inbox in (world.mail, world.hook):
        await inbox.expect(*(s[:2] for s in CLEAN))
        assert len(inbox.told()) == len(CLEAN)


@pytest.mark.parametrize(
    ("fault", "cause"), [("dup@5", "duplicate"), ("late@7", "late"), ("cross@5", "crossed"), ("spike@7", "spike")]
)
async def test_wrong_data_is_counted_and_has_no_effect(fault, cause, tmp_path, shared_tools, shared_data):
    async with World(tmp_path, shared_tools, shared_data, RULES) as world:
        await world.play(**DAY, faults=[fault])
        await world.start_daemon()
        await ended_clean(world)
        rejected = (await world.ask("/api/v1/state"))["rejected"]
        assert rejected["counts"]["iex"][cause] > 100
        assert any(example["cause"] == cause for example in rejected["examples"])


async def test_garbage_is_counted_and_has_no_effect(tmp_path, shared_tools, shared_data):
    async with World(tmp_path, shared_tools, shared_data, RULES) as world:
        await world.play(**DAY, faults=["garbage@50"])
        await world.start_daemon()
        await ended_clean(world)
        assert sum((await feed(world))["rejected"].values()) > 50


async def test_a_dropped_line_is_taken_up_again(tmp_path, shared_tools, shared_data):
    async with World(tmp_path, shared_tools, shared_data, RULES) as world:
        await world.play(**DAY, speed=20_000, faults=["drop@400"])
        await world.start_daemon()
        await ended_clean(world)
        assert (await feed(world))["reconnects"] >= 1


async def test_a_silent_line_is_found_and_replaced(tmp_path, shared_tools, shared_data):
    async with World(tmp_path, shared_tools, shared_data, RULES) as world:
        await world.play(**DAY, speed=20_000, faults=["stall@400"])
        await world.start_daemon()
        await ended_clean(world, patience=90)
        assert (await feed(world))["silences"] >= 1


@pytest.mark.parametrize(("fault", "status", "says"), [("refuse", "backing off", "406"), ("badkey", "stopped", "402")])
async def test_a_refusal_is_not_retried_like_a_dropped_line(fault, status, says, tmp_path, shared_tools, shared_data):
    async with World(tmp_path, shared_tools, shared_data, RULES) as world:
        await world.play(**DAY, faults=[fault])
        await world.start_daemon()
        deadline = asyncio.get_running_loop().time() + 30
        while (seen := await feed(world))["status"] != status:
            assert asyncio.get_running_loop().time() < deadline, seen
            await asyncio.sleep(0.05)
        assert says in seen["last_error"]
        assert seen["reconnects"] == 0
        while says not in str((await world.ask("/api/v1/status"))["health"]):
            assert asyncio.get_running_loop().time() < deadline, "no health condition says so"
            await asyncio.sleep(0.05)
        told = str((await world.ask("/api/v1/status"))["health"])
        assert ("start the monitor again" in told) == (status == "stopped"), "what does not mend itself says what to do"


HYSTERESIS = RULES.replace("severity", "until: excess(IWM, SPY, 1d) > -50bp\n        severity")
ONCE = ("small-caps-fall@2026-01-23.1", "firing")


async def killed_and_started(world: World, times: int) -> None:
    """Play the day slowly enough for `times` kills, spread over it at moments of chance."""
    await world.play(**DAY, speed=23_400 / max(times, 8))
    chance = random.Random(23)
    opening = dt.datetime(2026, 1, 23, 14, 30, tzinfo=dt.UTC)
    for minute in sorted(chance.uniform(1, 330) for _ in range(times)):
        await world.start_daemon()
        await world.reaches((opening + dt.timedelta(minutes=minute)).isoformat())
        await world.kill_daemon()
    await world.start_daemon()
    await world.plays_out(patience=120)


@pytest.mark.parametrize("times", [4, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_kill_loses_no_alert_and_tells_none_twice(times, tmp_path, shared_tools, shared_data):
    async with World(tmp_path, shared_tools, shared_data, HYSTERESIS) as world:
        await killed_and_started(world, times)
        for inbox in (world.mail, world.hook):
            await inbox.expect(ONCE)
            assert set(inbox.told()) == {ONCE}
        keys = [line for text in world.mail.texts for line in text.splitlines() if line.startswith("key:")]
        assert len(set(keys)) == 1


@contextlib.asynccontextmanager
async def frozen(server: EmbeddedValkey):
    """The server stands still and goes on."""
    os.kill(server.pid, signal.SIGSTOP)
    yield
    os.kill(server.pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def stopped(server: EmbeddedValkey):
    """The server ends and is started again on its files."""
    await server.stop()
    yield
    await server.start()


@contextlib.asynccontextmanager
async def emptied(server: EmbeddedValkey):
    """The server ends, and comes back having lost everything."""
    async with stopped(server):
        yield
        shutil.rmtree(server._folder / "appendonlydir")


@pytest.mark.parametrize("away", [frozen, stopped, emptied])
@pytest.mark.parametrize("seconds", [2, pytest.param(30, marks=pytest.mark.soak)])
async def test_the_store_may_be_away(away, seconds, tmp_path, shared_tools, shared_data):
    async with EmbeddedValkey(tmp_path / "valkey") as server:
        options = {"store": {"url": server.url}}
        async with World(tmp_path, shared_tools, shared_data, RULES, settings=options) as world:
            await world.play(**DAY, speed=1_500)
            await world.start_daemon()
            await world.reaches("2026-01-23T14:50:00Z")
            async with away(server):
                await until(lambda: world.daemon.said("store does not take writes"), "the outage noticed")
                began = asyncio.get_running_loop().time()
                await until(lambda: asyncio.get_running_loop().time() - began > seconds, "a while")
            await until(lambda: world.daemon.said("store takes writes again"), "the store back")
            await world.reaches("2026-01-23T20:59:59")
            for inbox in (world.mail, world.hook):
                await inbox.expect(*(s[:2] for s in CLEAN))
                assert sorted(inbox.told()) == sorted(s[:2] for s in CLEAN)
