"""What the API refuses and what it takes, beside a real Alertmanager; patterns, sizes, silences."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.alerting.matchers import parse
from tests.integration.alertmanager.rig import ALERTS, START, needs, ours, real_alertmanager

SILENCE: dict[str, Any] = {
    "matchers": [{"name": "theme", "value": "size", "isRegex": False}],
    "startsAt": "0001-01-01T00:00:00.000Z",
    "endsAt": "2199-01-01T00:00:00.000Z",
    "createdBy": "me",
    "comment": "",
}
UNKNOWN = "b63d4f6a-0d4a-4d7c-8b32-000000000000"
CALLS: list[tuple[str, str, Any]] = [
    ("POST", "alerts", []),
    ("POST", "alerts", {}),
    ("POST", "alerts", "nope"),
    ("POST", "alerts", ""),
    ("POST", "alerts", "null"),
    ("POST", "alerts", [{"labels": {}}]),
    ("POST", "alerts", [{"labels": {"a": ""}}]),
    ("POST", "alerts", [{"annotations": {}}]),
    ("POST", "alerts", [{"labels": {"a b": "x"}}]),
    ("POST", "alerts", [{"labels": {"a": "x"}, "annotations": {"a-b": "x"}}]),
    ("POST", "alerts", [{"labels": {"a": 5}}]),
    ("POST", "alerts", [{"labels": {"a": "x"}, "startsAt": "tomorrow"}]),
    ("POST", "alerts", [{"labels": {"a": "x"}, "generatorURL": "::bad"}]),
    ("POST", "alerts", [{"labels": {"a": "x"}, "generatorURL": "", "extra": 1}]),
    ("POST", "alerts", [{"labels": {"a": "x"}, "startsAt": "2026-01-02T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z"}]),
    ("POST", "alerts", [{"labels": {"a": "x"}, "startsAt": "0001-01-01T00:00:00.000Z"}]),
    ("GET", "alerts?filter=bad", None),
    ("GET", "alerts?filter=a%3D~%28", None),
    ("GET", "alerts?receiver=%28", None),
    ("GET", "alerts?active=maybe", None),
    ("GET", "alerts?nothing=known", None),
    ("GET", "alerts/groups?filter=bad", None),
    ("GET", "silences?filter=bad", None),
    ("POST", "silences", {**SILENCE, "matchers": []}),
    ("POST", "silences", {**SILENCE, "matchers": [{"name": "a", "value": "x"}]}),
    ("POST", "silences", {**SILENCE, "matchers": [{"name": "a", "value": "(", "isRegex": True}]}),
    ("POST", "silences", {**SILENCE, "matchers": [{"name": "a", "value": ".*", "isRegex": True}]}),
    ("POST", "silences", {**SILENCE, "matchers": [{"name": "a b", "value": "x", "isRegex": False}]}),
    ("POST", "silences", {**SILENCE, "endsAt": "2026-01-01T00:00:00.000Z"}),
    ("POST", "silences", {**SILENCE, "startsAt": "2199-01-02T00:00:00.000Z"}),
    ("POST", "silences", {**SILENCE, "endsAt": None}),
    ("POST", "silences", {**SILENCE, "id": UNKNOWN}),
    ("POST", "silences", {"comment": "x"}),
    ("GET", f"silence/{UNKNOWN}", None),
    ("PUT", "alerts", []),
    ("OPTIONS", "alerts", None),
    ("PATCH", f"silence/{UNKNOWN}", None),
    ("GET", "nothing", None),
]


async def called(client: httpx.AsyncClient, method: str, path: str, body: Any) -> tuple[int, str, Any]:
    """Status, what kind of body, and the code of an error that has one."""
    content = body if isinstance(body, str) else None if body is None else json.dumps(body)
    answer = await client.request(
        method, f"/api/v2/{path}", content=content, headers={"Content-Type": "application/json"}
    )
    if not answer.content:
        return answer.status_code, "nothing", None
    said = answer.json()
    return answer.status_code, type(said).__name__, said["code"] if isinstance(said, dict) and "code" in said else None


@pytest.mark.services
async def test_answers_are_those_of_an_alertmanager(tmp_path: Path):
    needs("prometheus-alertmanager")
    async with (
        ours() as mine,
        real_alertmanager(tmp_path, mine.original) as real,
        httpx.AsyncClient(trust_env=False, base_url=mine.url) as ask_us,
        httpx.AsyncClient(trust_env=False, base_url=real) as ask_them,
    ):
        differing = []
        for call in CALLS:
            we, they = await called(ask_us, *call), await called(ask_them, *call)
            if we[0] != they[0] or (they[1] != "nothing" and we != they):
                differing.append((call, we, they))
        assert differing == []


async def test_too_much_is_refused_with_the_reason():
    async with ours() as mine, httpx.AsyncClient(trust_env=False, base_url=f"{mine.url}/api/v2") as client:
        for labels, annotations in (
            ({"a": "x" * 5_000}, {}),
            ({"a" * 300: "x"}, {}),
            ({f"a{n}": "x" for n in range(101)}, {}),
            ({"a": "x"}, {"text": "x" * 40_000}),
        ):
            answer = await client.post("/alerts", json=[{"labels": labels, "annotations": annotations}])
            assert answer.status_code == 400
            assert "invalid" in answer.json()
        answer = await client.post("/alerts", json=[{"labels": {"a b": "x"}}, {"labels": {"good": "x"}}])
        assert answer.status_code == 400
        assert [alert["labels"] for alert in (await client.get("/alerts")).json()] == [{"good": "x"}]
        plain = await client.post("/alerts", content="[]", headers={"Content-Type": "text/plain"})
        assert plain.status_code == 415
        assert (await client.head("/alerts")).status_code == 200
        deep = await client.post("/alerts", content="[" * 100_000)
        assert deep.status_code == 400


async def test_a_silence_through_its_life():
    async with ours() as mine, httpx.AsyncClient(trust_env=False, base_url=f"{mine.url}/api/v2") as client:
        first = (await client.post("/silences", json=SILENCE)).json()["silenceID"]
        known = (await client.get(f"/silence/{first}")).json()
        assert known["status"] == {"state": "active"}
        assert known["matchers"] == [{"isEqual": True, "isRegex": False, "name": "theme", "value": "size"}]
        longer = {**known, "endsAt": "9999-12-31T00:00:00.000Z"}
        assert (await client.post("/silences", json=longer)).json()["silenceID"] == first
        assert (await client.get(f"/silence/{first}")).json()["endsAt"].startswith("2262-04-11")
        other = {**known, "matchers": [{"name": "theme", "value": "rates", "isRegex": False}]}
        second = (await client.post("/silences", json=other)).json()["silenceID"]
        assert second != first
        states = {each["id"]: each["status"]["state"] for each in (await client.get("/silences")).json()}
        assert states == {first: "expired", second: "active"}
        found = (await client.get("/silences", params={"filter": "theme=rates"})).json()
        assert [each["id"] for each in found] == [second]
        for _ in range(2):  # the second time it has expired
            gone = await client.delete(f"/silence/{second}")
            assert (gone.status_code, gone.content) == (200, b"")
        assert (await client.delete(f"/silence/{UNKNOWN}")).status_code == 404
        assert (await client.get("/silence/nope")).status_code == 404


async def test_a_pattern_cannot_hang_it():
    """Backtracking would take this one longer than the sun will last."""
    hostile = "(a+)+$"
    labels = {"alertname": "a" * 3_000 + "b"}
    started = time.perf_counter()
    assert not parse(f"alertname=~{hostile}").matches(labels)
    async with ours() as mine, httpx.AsyncClient(trust_env=False, base_url=f"{mine.url}/api/v2") as client:
        await client.post("/alerts", json=[{"labels": labels}])
        assert (await client.get("/alerts", params={"filter": f"alertname=~{hostile}"})).json() == []
        for refused in ("(?=a)", r"(a)\1", "((a{1,1000}){1,1000}){1,1000}"):
            answer = await client.get("/alerts", params={"filter": f"alertname=~{refused}"})
            assert answer.status_code == 400
    assert time.perf_counter() - started < 30


async def test_thousands_of_alerts():
    async with ours() as mine, httpx.AsyncClient(trust_env=False, base_url=mine.url, timeout=60) as client:
        alerts = [
            {"labels": {"alertname": f"a{n % 7}", "theme": "size", "member": f"M{n}"}, "startsAt": START}
            for n in range(3_000)
        ]
        assert (await client.post("/api/v2/alerts", json=alerts)).status_code == 200
        assert (await client.post("/api/v2/silences", json=SILENCE)).status_code == 200
        found = (await client.get("/api/v2/alerts")).json()
        assert len(found) == len(alerts)
        assert all(each["status"]["state"] == "suppressed" for each in found)
        assert [each["fingerprint"] for each in found] == sorted(each["fingerprint"] for each in found)
        (group,) = (await client.get("/api/v2/alerts/groups")).json()
        assert len(group["alerts"]) == len(alerts)
        assert (await client.get("/api/v2/alerts", params={"silenced": "false"})).json() == []


async def test_alert_is_another_word_for_the_name_of_its_rule():
    async with ours() as mine, httpx.AsyncClient(trust_env=False, base_url=f"{mine.url}/api/v2") as client:
        await client.post("/alerts", json=ALERTS)
        found = (await client.get("/alerts", params={"filter": "alert=feed-down"})).json()
        assert [each["labels"]["alertname"] for each in found] == ["feed-down"]
