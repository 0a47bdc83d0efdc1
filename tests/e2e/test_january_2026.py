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


def stories(transitions):
    """(episode, state, time) of what people are told, oldest first."""
    told = [t for t in reversed(transitions) if t["episode"] and t["to"] in ("firing", "resolved")]
    return [(t["episode"], t["to"], t["at"]) for t in told if t["from"] != "recovering" or t["to"] == "resolved"]


async def test_the_reversal_and_the_streak(tmp_path, shared_tools, shared_data):
    async with World(tmp_path, shared_tools, shared_data, RULES) as world:
        await world.play(start="2026-01-14", end="2026-01-24")
        await world.start_daemon()
        await world.reaches("2026-01-23T20:59:00Z")
        told = stories(await world.ask("/api/v1/transitions?limit=1000"))

        rules = ("small-caps-fall", "small-caps-streak")
        first = {rule: next(s for s in told if s[0].startswith(rule)) for rule in rules}
        assert first["small-caps-streak"] == ("small-caps-streak@2026-01-15.1", "firing", "2026-01-15T14:32:30Z")
        assert first["small-caps-fall"] == ("small-caps-fall@2026-01-23.1", "firing", "2026-01-23T15:07:30Z")
        assert ("small-caps-streak@2026-01-15.1", "resolved") in [s[:2] for s in told]

        for inbox in (world.mail, world.hook):
            await inbox.expect(*(s[:2] for s in told))
            assert len(inbox.told()) == len(told)
            text = inbox.about("small-caps-fall@2026-01-23.1", "firing")
            assert "excess(IWM, SPY, 1d) = -10" in text
            assert "IWM 26" in text
            assert "SPY 68" in text
        assert await world.daemon.end() == 0
        logged = [json.loads(line) for line in world.daemon.lines if line.startswith("{")]
        assert [record for record in logged if record["level"] == "error"] == []
