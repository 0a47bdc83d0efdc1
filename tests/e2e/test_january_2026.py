"""The model case on recorded prices, through a real socket, store, mail server and webhook."""

from __future__ import annotations

import json

import pytest

from tests.e2e.world import World

pytestmark = pytest.mark.realdata

RULES = """\
version: 1
groups:
  - name: size
    rules:
      - alert: small-caps-fall
        when: excess(IWM, SPY, 1d) < -100bp
        severity: critical
      - alert: small-caps-streak
        when: streak(ret(IWM, 1d) > ret(SPY, 1d)) >= 10
        severity: warning
"""


async def test_the_reversal_and_the_streak(tmp_path, shared_tools, shared_data):
    async with World(tmp_path, shared_tools, shared_data, RULES) as world:
        await world.play(start="2026-01-02", end="2026-01-27")
        await world.start_daemon()
        await world.reaches("2026-01-26T20:59:00Z")
        timeline = [t for t in reversed(await world.ask("/api/v1/transitions?limit=1000")) if t["episode"]]
        falls = [t for t in timeline if t["alert"] == "small-caps-fall"]
        assert [(t["episode"], t["to"], t["at"]) for t in falls][0] == (
            "small-caps-fall@2026-01-23.1",
            "firing",
            "2026-01-23T15:07:30Z",
        )
        streaks = [t for t in timeline if t["alert"] == "small-caps-streak"]
        assert (streaks[0]["episode"], streaks[0]["at"]) == ("small-caps-streak@2026-01-15.1", "2026-01-15T14:32:30Z")
        told = {(t["episode"], t["to"]) for t in timeline if t["to"] in ("firing", "resolved")}
        assert ("small-caps-streak@2026-01-15.1", "resolved") in told
        for inbox in (world.mail, world.hook):
            await inbox.expect(*told)
            assert len(inbox.told()) == len(told)
        text = world.mail.about("small-caps-fall@2026-01-23.1", "firing")
        assert "excess(IWM, SPY, 1d)" in text
        assert "IWM" in text
        assert "SPY" in text
        assert await world.daemon.end() == 0
        assert not [line for line in world.daemon.lines if line.startswith("{") and json.loads(line)["level"] == "error"]
