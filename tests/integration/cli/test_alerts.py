from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from monitor.settings import WebSettings
from tests.integration.web.desk import Desk, closes, ny, serving

EPISODE = "small-caps-lead@2026-01-23.1"
RULES = """\
version: 1
groups:
  - name: size
    rules:
      - alert: small-caps-lead
        when: excess(IWM, SPY, 1d) > 100bp and price(SPY) > 500
        severity: critical
        labels: {theme: size}
"""


@pytest.fixture
async def monitor(tmp_path):
    """The address of a monitor in which small caps lead by 120bp."""
    (tmp_path / "rules.yaml").write_text(RULES)
    desk = Desk(tmp_path / "rules.yaml", closes("2026-01-22", 30, {"IWM": 250.0, "SPY": 600.0}))
    async with serving(desk, WebSettings(token="planted-token")) as url:
        await desk.trades(ny("2026-01-23 10:00"), IWM=253.0, SPY=600.0)
        yield url


async def rotation(*words: str, token: str = "planted-token") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("rotation")), *words,
        env={"ROTATION_TOKEN": token, "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_day_of_an_alert(monitor):
    code, out, err = await rotation("alerts", "list", "--url", monitor)
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:3] == ["small-caps-lead", "firing", "critical"]
    _, out, _ = await rotation("alerts", "why", "small-caps-lead", "--url", monitor)
    assert f"small-caps-lead is firing since 2026-01-23T15:00:00Z, episode {EPISODE}" in out
    assert "├─ excess(IWM, SPY, 1d) > 100bp = true   (120bp > 100bp, 20bp apart)" in out
    assert "│  └─ excess(IWM, SPY, 1d) = 120bp" in out
    assert "- deduplication: the receiver knows (firing, message 1)" in out
    code, out, _ = await rotation("alerts", "ack", EPISODE, "--by", "ann", "--comment", "mine", "--url", monitor)
    assert (code, out) == (0, f"{EPISODE}: acknowledged by ann\n")
    _, out, _ = await rotation("alerts", "show", EPISODE, "--url", monitor)
    assert "acknowledged by ann at " in out
    assert "inactive to firing: condition met, value 120bp" in out
    assert "desk: the receiver had not been told before; waiting" in out
    _, out, _ = await rotation("alerts", "unack", EPISODE, "--url", monitor)
    assert out == f"{EPISODE}: not acknowledged any more\n"
    _, out, _ = await rotation("alerts", "history", "--format", "json", "--url", monitor)
    assert [json.loads(line)["to"] for line in out.splitlines()] == ["firing"]


async def test_silences_from_the_command_line(monitor):
    words = ("--matcher", "theme=size", "--for", "2h", "--comment", "noise", "--url", monitor)
    code, made, _ = await rotation("silence", "add", *words)
    assert code == 0
    _, out, _ = await rotation("silence", "list", "--url", monitor)
    assert [w for w in ('theme="size"', "noise", "active", made.strip()) if w not in out] == []
    _, out, _ = await rotation("alerts", "list", "--url", monitor)
    assert f"silenced by {made.strip()}" in out
    assert (await rotation("silence", "expire", made.strip(), "--url", monitor))[0] == 0
    _, out, _ = await rotation("silence", "list", "--url", monitor)
    assert len(out.splitlines()) == 1


async def test_what_cannot_be_done_is_one_line(monitor):
    for words, token, code, says in (
        (("alerts", "why", "nothing"), "planted-token", 1, "error: there is no alert rule `nothing`"),
        (("alerts", "ack", "x@1"), "planted-token", 1, "error: no alert that fires has the episode `x@1`"),
        (("alerts", "list"), "wrong", 1, "error: the token is not known here; give --token, or set ROTATION_TOKEN"),
        (("silence", "add", "--matcher", "a", "--for", "1h", "--comment", "c"), "planted-token", 1, "is no matcher"),
        (("silence", "add", "--matcher", "a=b", "--for", "1", "--comment", "c"), "planted-token", 2, "has no unit"),
    ):
        got, out, err = await rotation(*words, "--url", monitor, token=token)
        assert (got, out, err.count("\n")) == (code, "", 1)
        assert says in err
        assert "planted-token" not in err
    got, _, err = await rotation("alerts", "list", "--url", "http://127.0.0.1:9")
    assert got == 1
    assert "is `rotation run` running?" in err


async def test_doctor_asks_the_running_monitor_for_its_problems(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    desk = Desk(tmp_path / "rules.yaml", closes("2026-01-22", 30, {"IWM": 250.0, "SPY": 600.0}))
    async with serving(desk, WebSettings(token="planted-token")) as url:
        file = tmp_path / "rotation.yaml"
        listen = url.removeprefix("http://")
        file.write_text(f"rules: [rules.yaml]\nweb: {{listen: '{listen}', token: '${{ROTATION_TOKEN}}'}}\n")
        _, well, _ = await rotation("doctor", "--config", str(file))
        assert "running, without a problem" in well
        desk.health.raise_("feed-down", "stopped: 402 auth failed; start the monitor again", labels={"feed": "iex"})
        code, out, err = await rotation("doctor", "--config", str(file))
    assert code == 1
    assert re.search("FAILED +monitor: feed-down iex", out)
    assert "monitor: feed-down iex: stopped: 402 auth failed; start the monitor again" in err
    _, gone, _ = await rotation("doctor", "--config", str(file))
    assert re.search("ok +monitor +no monitor answers at", gone), gone
