"""Rules edited while the daemon runs: taken up at once, what did not change goes on, wrong files are refused."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.test_faults import DAY, RULES
from tests.e2e.world import World, until

pytestmark = pytest.mark.realdata

DEEPER = """\
      - alert: unusual
        when: zscore(excess(QQQ, SPY, 5d), 120d) < 100
"""
STORY = ("small-caps-fall@2026-01-23.1", "firing")


async def rules(world: World):
    return {rule["alert"]: rule for rule in await world.ask("/api/v1/rules") if "alert" in rule}


async def eventually(world: World, condition, what: str) -> None:
    deadline = asyncio.get_running_loop().time() + 30
    while not condition(await rules(world)):
        assert asyncio.get_running_loop().time() < deadline, f"{what}: {await rules(world)}"
        await asyncio.sleep(0.05)


async def test_rules_change_under_way(tmp_path, shared_tools, shared_data):
    async with World(
        tmp_path, shared_tools, shared_data, RULES.replace("severity", "until: price(IWM) < 1\n        severity")
    ) as world:
        await world.play(**DAY, speed=700)
        await world.start_daemon()
        await world.hook.expect(STORY)
        file = tmp_path / "rules.yaml"
        good = file.read_text()

        file.write_text(good.replace("-100bp", "-100"))
        await until(lambda: world.daemon.said("rules.yaml:6"), "the error, with its place")
        status = await world.ask("/api/v1/status")
        assert status["health"][0]["name"] == "rules-invalid"
        assert "rules.yaml:6" in status["health"][0]["reason"]
        assert (await rules(world))["small-caps-fall"]["states"].get("firing"), "the old rules go on"

        file.write_text(good + DEEPER)
        await eventually(world, lambda r: "unusual" in r, "the new rule")
        await eventually(
            world,
            lambda r: r["unusual"]["states"].get("firing"),
            "its past, and a new instrument",
        )
        assert (await world.ask("/api/v1/status"))["health"] == []
        assert world.hook.told().count(STORY) == 1, "what did not change goes on as it was"

        file.write_text(good.replace("small-caps-fall", "small-caps-drop"))
        await world.hook.expect((STORY[0], "resolved"))
        assert "rule changed" in world.hook.about(STORY[0], "resolved")
        assert await world.daemon.end() == 0
