"""A real Alertmanager hears of our alerts; a real Prometheus posts its own here; karma finds what it reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from monitor import clock
from monitor.alerting.alert import fingerprint
from monitor.alerting.keep_firing import firing, keep_firing
from monitor.notify.alertmanager import AlertmanagerSender
from monitor.notify.message import Kind
from monitor.notify.receivers import open_receiver, validate
from monitor.notify.sender import Verdict
from monitor.settings.alerting import ReceiverSettings
from tests.integration.alertmanager.rig import ALERTS, free_port, needs, ours, post, program, real_alertmanager
from tests.unit.monitor.notify.samples import notification

PLAIN = "route: {receiver: x}\nreceivers: [{name: x}]\n"


async def until(found: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(60):
        while not (answer := await found()):  # noqa: ASYNC110 - another program's state
            await asyncio.sleep(0.05)
        return answer


async def get(url: str, path: str, **query: str) -> Any:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{url}/api/v2/{path}", params=query)).raise_for_status().json()


@pytest.mark.services
async def test_an_alertmanager_hears_that_an_alert_fires_and_is_over(tmp_path: Path):
    needs("prometheus-alertmanager")
    async with real_alertmanager(tmp_path, PLAIN) as real:
        sender = open_receiver([real.replace("http", "alertmanager"), "alertmanager://127.0.0.1:1"], deadline=5)
        told = replace(notification(), started_at=clock.wall_ns() - 60_000_000_000, at=clock.wall_ns())
        sent = await sender.send(told)
        assert sent.verdict is Verdict.DELIVERED, sent.detail
        (alert,) = await get(real, "alerts")
        assert alert["labels"] == {**told.labels, "alertname": told.alert, "severity": told.severity}
        assert alert["annotations"]["summary"] == told.summary
        assert alert["fingerprint"] == fingerprint(alert["labels"])
        assert alert["status"]["state"] in {"active", "unprocessed"}
        over = replace(told, kind=Kind.RESOLVED, at=clock.wall_ns())
        assert (await sender.send(over)).delivered
        assert await get(real, "alerts") == []
        await sender.close()


@pytest.mark.services
async def test_what_fires_is_told_again_until_it_is_over(tmp_path: Path):
    """An Alertmanager that has lost everything has it again; and nothing is told again of what is over."""
    needs("prometheus-alertmanager")
    async with ours() as mine, real_alertmanager(tmp_path, PLAIN) as real:
        await post(mine.url, ALERTS[1:2])
        await until(lambda: mine.told("desk"))
        assert len(firing(mine.dispatcher, "desk")) == 1
        assert firing(mine.dispatcher, "mail") == []
        sender = AlertmanagerSender([real.replace("http", "alertmanager")])
        task = asyncio.create_task(keep_firing(mine.dispatcher, {"desk": sender}, 0.05))
        (alert,) = await until(lambda: get(real, "alerts"))
        assert alert["labels"] == ALERTS[1]["labels"]

        async def later() -> bool:
            (now,) = await get(real, "alerts")
            return bool(now["endsAt"] > alert["endsAt"])

        await until(later)
        await post(mine.url, [{**ALERTS[1], "endsAt": "2026-01-23T16:00:00Z"}])

        async def over() -> bool:
            return len(await mine.told("desk")) == 2

        await until(over)
        assert firing(mine.dispatcher, "desk") == []
        task.cancel()
        await sender.close()


async def test_an_alertmanager_that_is_away_or_refuses():
    sender = AlertmanagerSender(["alertmanager://127.0.0.1:1"], deadline=5)
    away = await sender.send(notification())
    assert away.verdict is Verdict.TRANSIENT
    await sender.close()
    async with ours(web={"token": "correct-horse-battery"}) as mine:
        sender = AlertmanagerSender([mine.url.replace("http://", "alertmanager://me:wrong-password@")])
        refused = await sender.send(notification())
        assert refused.verdict is Verdict.FATAL
        assert "401" in refused.detail
        assert "wrong-password" not in refused.detail + sender.target
        await sender.close()


def test_addresses_of_alertmanagers():
    assert validate("alertmanager://am:9093/prefix") is None
    assert validate("alertmanagers://me:secret@am") is None
    for wrong in ("alertmanager://", "alertmanager://:9093", "alertmanager://am:99999", "alertmanager://am?x=1"):
        assert validate(wrong), wrong
    made = ReceiverSettings.model_validate({"type": "alertmanager", "urls": ["http://a:9093", "https://b/x"]})
    assert [u.get_secret_value() for u in made.urls] == ["alertmanager://a:9093", "alertmanagers://b/x"]
    with pytest.raises(ValidationError, match="none of an Alertmanager"):
        ReceiverSettings.model_validate({"type": "alertmanager", "urls": ["slack://a/b/c"]})
    with pytest.raises(ValueError, match="of their own"):
        open_receiver(["alertmanager://a", "console://"])


@pytest.mark.services
async def test_prometheus_posts_here(tmp_path: Path):
    """Firing, told again while it fires, and over once the rule says so."""
    needs("prometheus")
    async with ours() as mine:
        rules = tmp_path / "rules.yml"
        rule = {"alert": "up-there", "expr": "vector(1) > 0", "labels": {"severity": "page"}}
        rules.write_text(json.dumps({"groups": [{"name": "g", "interval": "500ms", "rules": [rule]}]}))
        config = {
            "global": {"evaluation_interval": "500ms", "external_labels": {"site": "x"}},
            "rule_files": [str(rules)],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [mine.url.removeprefix("http://")]}]}]},
        }
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        port = free_port()
        command = (
            "prometheus",
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-lifecycle",
            "--rules.alert.resend-delay=1s",
        )
        async with program(*command, ready=f"http://127.0.0.1:{port}/-/ready"):
            (alert,) = await until(lambda: get(mine.url, "alerts"))
            assert alert["labels"] == {"alertname": "up-there", "severity": "page", "site": "x"}
            assert alert["receivers"] == [{"name": "night"}]
            assert alert["generatorURL"].startswith("http")
            (known,) = mine.dispatcher.alerts()
            assert known.source == "external"

            async def told_again() -> bool:
                (now,) = await get(mine.url, "alerts")
                return bool(now["endsAt"] > alert["endsAt"] and now["startsAt"] == alert["startsAt"])

            await until(told_again)
            assert len(await mine.told("night")) == 1
            rules.write_text(rules.read_text().replace("vector(1) > 0", "vector(1) > 1"))
            async with httpx.AsyncClient(trust_env=False) as client:
                (await client.post(f"http://127.0.0.1:{port}/-/reload")).raise_for_status()

            async def gone() -> bool:
                return not await get(mine.url, "alerts")

            await until(gone)
            assert [key.split(":")[-3] for key in await mine.told("night")] == ["firing", "resolved"]


async def test_what_karma_reads():
    """Of `internal/mapper/v017`, whose client is generated from the same description: every field it looks at."""
    async with ours() as mine:
        await post(mine.url, ALERTS)
        status = await get(mine.url, "status")
        assert set(status) == {"cluster", "config", "uptime", "versionInfo"}
        assert status["cluster"]["peers"] == []
        assert set(status["versionInfo"]) == {
            "version", "revision", "branch", "buildUser", "buildDate", "goVersion"
        }  # fmt: skip
        groups = await get(mine.url, "alerts/groups")
        for group in groups:
            assert set(group) == {"alerts", "labels", "receiver"}
            assert set(group["receiver"]) == {"name"}
            for alert in group["alerts"]:
                assert set(alert) == {
                    "annotations", "endsAt", "fingerprint", "generatorURL", "labels", "receivers", "startsAt", "status",
                    "updatedAt",
                }  # fmt: skip
                assert set(alert["status"]) == {"state", "silencedBy", "inhibitedBy", "mutedBy"}
                assert all(isinstance(each, list) for name, each in alert["status"].items() if name != "state")
        named = {(json.dumps(g["labels"], sort_keys=True), g["receiver"]["name"]) for g in groups}
        assert ('{"theme": "size"}', "desk") in named
        silences = await get(mine.url, "silences")
        assert silences == []
        async with httpx.AsyncClient(trust_env=False, base_url=mine.url) as client:
            made = await client.post(
                "/api/v2/silences",
                json={
                    "matchers": [{"name": "theme", "value": "size", "isRegex": False, "isEqual": True}],
                    "startsAt": "2026-01-01T00:00:00.000Z",
                    "endsAt": "9999-12-31T00:00:00.000Z",
                    "createdBy": "me",
                    "comment": "by karma",
                },
            )
            assert made.status_code == 200
        (silence,) = await get(mine.url, "silences")
        assert silence["id"] == made.json()["silenceID"]
        assert set(silence) == {
            "comment", "createdBy", "endsAt", "id", "matchers", "startsAt", "status", "updatedAt"
        }  # fmt: skip
        assert silence["matchers"] == [{"name": "theme", "value": "size", "isRegex": False, "isEqual": True}]
        (alert, *_) = await get(mine.url, "alerts", filter="theme=size")
        assert alert["status"]["silencedBy"] == [silence["id"]]
        assert alert["status"]["state"] == "suppressed"
