"""One configuration with groups, silences, routes, acknowledgements, escalation and a digest, in the real program.

It is killed in the middle; then nothing is lost and nothing doubled.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import yaml

from tests.e2e.world import Program, until

RULES = """\
groups:
  - name: levels
    hours: always
    rules:
      - {alert: lead, when: price(AAA) > 100, until: price(AAA) < 99.5, labels: {theme: size}}
      - {alert: lag, when: price(BBB) > 100, until: price(BBB) < 99.5, labels: {theme: size}}
      - {alert: quiet, when: price(CCC) > 100, until: price(CCC) < 99.5, labels: {theme: quiet}}
      - {alert: slow, when: price(DDD) > 100, until: price(DDD) < 99.5, severity: info, labels: {theme: slow}}
      - alert: late
        when: price(EEE) > 100
        until: price(EEE) < 99.5
        labels: {theme: late}
        escalate: [{after: 5s, to: chief}]
"""
RECEIVERS = ("desk", "boss", "chief", "digest")


class Desks:
    """Everybody who is told: Alertmanager's webhooks, a path a receiver."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                bodies.append((self.path.strip("/"), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self) -> Counter[tuple[str, str, str, str]]:
        """How often each receiver was told what of which alert, by severity; health alerts left out.

        What came again under its key, as it may after a kill, counts once.
        """
        once = {(receiver, body["idempotencyKey"]): body for receiver, body in list(self.bodies)}
        return Counter(
            (receiver, each["labels"]["alertname"], each["kind"], each["labels"]["severity"])
            for (receiver, _), body in once.items()
            for each in body["alerts"]
            if "theme" in each["labels"]
        )

    async def expect(self, *wanted: tuple[str, str, str, str]) -> None:
        await until(lambda: set(wanted) <= set(self.told()), f"{wanted} among {sorted(self.told())}", 40)


class Monitor:
    """The daemon over a folder."""

    def __init__(self, folder: Path, desks: Desks) -> None:
        self.folder = folder
        hook = f"webhook://127.0.0.1:{desks.server.server_port}"
        receivers: dict[str, dict[str, Any]] = {name: {"urls": [f"{hook}/{name}"]} for name in RECEIVERS}
        receivers["digest"]["digest"] = "1s"
        config = {
            "store": {"data_dir": "data"},
            "calendar": "always",
            "rules": ["rules.yaml"],
            "feeds": {"folder": {"type": "file", "folder": "prints"}},
            "receivers": receivers,
            "route": {
                "receiver": "desk",
                "group_by": ["theme"],
                "group_wait": "500ms",
                "group_interval": "500ms",
                "escalate": [{"after": "4s", "to": "boss"}],
                "routes": [{"match": ["severity=info"], "receiver": "digest", "escalate": []}],
            },
            "web": {"listen": "127.0.0.1:0", "external_url": "http://localhost:8600"},
            "log": {"format": "json"},
        }
        (folder / "prints").mkdir()
        (folder / "rotation.yaml").write_text(yaml.safe_dump(config))
        (folder / "rules.yaml").write_text(RULES)

    async def start(self) -> None:
        command = [str(Path(sys.executable).with_name("rotation")), "run", "--config", "rotation.yaml"]
        self.program = await Program.start(*command, cwd=self.folder, env=dict(os.environ))
        await self.program.says('"started"')
        self.page = next(json.loads(line) for line in self.program.lines if '"started"' in line)["page"]

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.page, trust_env=False, timeout=20) as client:
            answer = await client.post(path, json=body, **options)
            answer.raise_for_status()
            return answer

    async def quote(self, **prices: float) -> None:
        now = dt.datetime.now(dt.UTC).isoformat()
        rows = [{"ts": now, "symbol": s, "bid": p - 0.01, "ask": p + 0.01} for s, p in prices.items()]
        await self.post("/api/v1/ingest", {"quotes": rows})

    async def silence(self, matcher: str) -> None:
        await self.post(
            "/api/v1/silences", {"matchers": [matcher], "seconds": 600, "comment": "c", "created_by": "ann"}
        )


async def test_the_right_people_are_told_once_whatever_is_killed(tmp_path: Path):
    desks = Desks()
    monitor = Monitor(tmp_path, desks)
    lives = [0]
    try:
        await monitor.start()
        await monitor.silence("theme=quiet")
        await monitor.quote(AAA=100.2, BBB=100.2, CCC=100.2, DDD=100.2)
        await desks.expect(("desk", "lead", "firing", "warning"), ("desk", "lag", "firing", "warning"))
        grouped = [b for r, b in desks.bodies if r == "desk" and b["groupLabels"] == {"theme": "size"}]
        assert [len(body["alerts"]) for body in grouped] == [2], "both in one message"

        by_api, by_link = (
            next(a for a in grouped[0]["alerts"] if a["labels"]["alertname"] == n) for n in ("lead", "lag")
        )
        await monitor.post(f"/api/v1/alerts/{by_api['episode']}/ack", {"by": "ann"})
        assert re.fullmatch(r"http://localhost:8600/ack\?token=[\w.-]+", by_link["ackURL"])
        await monitor.post(by_link["ackURL"].removeprefix("http://localhost:8600"))
        await desks.expect(("desk", "lead", "note", "warning"), ("desk", "lag", "note", "warning"))
        await monitor.quote(EEE=100.2)
        await desks.expect(("desk", "late", "firing", "warning"), ("digest", "slow", "firing", "info"))

        await monitor.program.end(signal.SIGKILL)
        lives.append(len(desks.bodies))
        await monitor.start()
        await monitor.quote(EEE=100.2)  # nobody is told before the rules have been evaluated
        # The escalation of what nobody has taken on comes after the one of what somebody has would have come.
        await desks.expect(("chief", "late", "firing", "warning"))
        assert {name for receiver, name, _, _ in desks.told() if receiver in ("boss", "chief")} == {"late"}

        rules = tmp_path / "rules.yaml"
        rules.write_text(RULES.replace("{alert: lead,", "{alert: lead, severity: critical,"))
        await desks.expect(("desk", "lead", "firing", "critical"))

        await monitor.silence("theme=size")
        await monitor.program.end(signal.SIGKILL)
        lives.append(len(desks.bodies))
        await monitor.start()
        await monitor.quote(AAA=99.4, BBB=99.4, CCC=99.4, DDD=99.4, EEE=99.4)
        over = [("desk", "lag", "resolved", "warning"), ("desk", "late", "resolved", "warning")]
        over += [("chief", "late", "resolved", "warning"), ("digest", "slow", "resolved", "info")]
        await desks.expect(("desk", "lead", "resolved", "critical"), *over)
        assert await monitor.program.end() == 0

        told = desks.told()
        keys = [(receiver, body["idempotencyKey"]) for receiver, body in desks.bodies]
        for first, end in pairwise([*lives, len(keys)]):
            assert len(set(keys[first:end])) == end - first
            # A receiver whose service had just answered when the daemon was killed may hear it again.
            assert set(keys[:first]) & set(keys[first:]) <= set(keys[max(0, first - 2) : first])
        assert {what: n for what, n in told.items() if n > 1} == {}
        assert not [what for what in told if what[1] == "quiet"]
        assert {receiver for receiver, name, _, _ in told if name in ("lead", "lag")} == {"desk"}
    finally:
        await monitor.program.end(signal.SIGKILL)
        desks.server.shutdown()
        desks.server.server_close()
