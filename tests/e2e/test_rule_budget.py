"""A rule that starves the others, in a running daemon: suspended, told, shown, and tried again once it is edited."""

from __future__ import annotations

import pytest

from tests.e2e.test_faults import DAY, RULES
from tests.e2e.test_reload import eventually
from tests.e2e.world import World, until

pytestmark = pytest.mark.realdata

STORY = ("small-caps-fall@2026-01-23.1", "firing")
MEMBERS = ", ".join(f"M{n}" for n in range(12000))
MONSTER = f"""
universes: {{all: [{MEMBERS}]}}
groups:
  - name: big
    rules:
      - alert: monster
        each: all
        when: >-
          rank(it, all, zscore(mean(ret(it, 5m), 20m) - avg(all, ret(it, 3d)), 20m)) <= 3 and med(all, vol(it, 9d)) > 1%
"""


async def test_the_monster_goes_and_the_others_stay(tmp_path, shared_tools, shared_data):
    async with World(
        tmp_path,
        shared_tools,
        shared_data,
        RULES,
        settings={"evaluation_budget": "1ms", "rules": [str(tmp_path / "r")]},
    ) as world:
        (tmp_path / "r").mkdir()
        (tmp_path / "r" / "rules.yaml").write_text(RULES)
        (tmp_path / "r" / "big.yaml").write_text(MONSTER)
        await world.play(**DAY, speed=700)
        await world.start_daemon()
        await until(lambda: any("rule-suspended" in text for text in world.hook.texts), "the receivers are told")
        told = next(text for text in world.hook.texts if "rule-suspended" in text)
        assert "monster" in told
        assert "evaluation_budget" in told
        answers = {r.get("alert"): r for r in await world.ask("/api/v1/rules")}
        assert "suspended: it takes" in answers["monster"]["suspended"]
        assert answers["small-caps-fall"]["suspended"] is None
        status = await world.ask("/api/v1/status")
        assert [c["labels"] for c in status["health"] if c["name"] == "rule-suspended"] == [{"rule": "monster"}]
        await world.hook.expect(STORY)

        (tmp_path / "r" / "big.yaml").write_text(MONSTER.replace(MEMBERS, "IWM, SPY"))
        await eventually(world, lambda r: r["monster"]["suspended"] is None, "the edited rule is tried again")
        await until(lambda: any("rule-suspended (monster) is over" in t for t in world.hook.texts), "it is over")
