"""Frames captured in one run and played again in another lead to the same alerts."""

from __future__ import annotations

import pytest

from tests.e2e.test_faults import CLEAN, DAY, RULES, ended_clean, story
from tests.e2e.world import World

pytestmark = pytest.mark.realdata


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_a_capture_is_played_again(encoding, tmp_path, shared_tools, shared_data):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    async with World(first, shared_tools, shared_data, RULES) as world:
        await world.play(**DAY)
        world.settings = {"feeds": {"iex": world.feed() | {"encoding": encoding, "capture": str(tmp_path / "frames")}}}
        await world.start_daemon()
        await ended_clean(world)
        assert await world.daemon.end() == 0
    async with World(second, shared_tools, shared_data, RULES) as world:
        world.settings = {"feeds": {"iex": {"type": "replay", "data": str(tmp_path / "frames"), "speed": 0}}}
        await world.start_daemon()
        await world.reaches("2026-01-23T20:59:59")
        assert await story(world) == CLEAN
