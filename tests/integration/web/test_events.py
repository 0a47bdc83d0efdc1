from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from monitor.alerting.policy import told_at_once
from monitor.web import alert_answers, answers
from monitor.web.alertmanager.routes import alertmanager
from monitor.web.api import create_app
from monitor.web.events import SNAPSHOT_EVERY
from tests.integration.web import desk as desks
from tests.integration.web.desk import Desk, ny, serving
from tests.integration.web.test_api import documented, open_and_fire

Event = tuple[str, Any]


async def events(response: httpx.Response) -> AsyncIterator[Event]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def until(stream: AsyncIterator[Event], wanted: Callable[[Event], bool]) -> Event:
    async with asyncio.timeout(10):
        async for event in stream:
            if wanted(event):
                return event
    raise AssertionError("the stream ended")


async def test_a_listener_gets_a_snapshot_at_once_and_transitions_as_they_are_committed(
    desk: Desk, client: httpx.AsyncClient
):
    await desk.trades(ny("2026-01-23 10:00"), IWM=250.0, SPY=600.0)
    async with client.stream("GET", "/api/v1/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = events(response)
        name, snapshot = await anext(stream)
        assert name == "snapshot"
        documented(answers.Snapshot, snapshot)
        assert snapshot["records"][0]["value"] == 0.0
        await desk.trades(ny("2026-01-23 10:05"), IWM=253.0, SPY=600.0)
        _, transition = await until(stream, lambda e: e[0] == "transition")
        documented(answers.Transition, transition)
        assert (transition["alert"], transition["to"]) == ("small-caps-lead", "firing")
        _, snapshot = await until(stream, lambda e: e[0] == "snapshot" and bool(e[1]["alerts"]))
        assert snapshot["alerts"][0]["episode"] == transition["episode"]
        assert snapshot["status"]["states"]["firing"] == 1


async def test_all_listeners_get_the_same_and_are_forgotten_when_they_go(desk: Desk, client: httpx.AsyncClient):
    async with client.stream("GET", "/api/v1/events") as one, client.stream("GET", "/api/v1/events") as other:
        first, second = events(one), events(other)
        await anext(first), await anext(second)
        assert desk.events.listening == 2
        await open_and_fire(desk)
        assert await until(first, lambda e: e[0] == "transition") == await until(second, lambda e: e[0] == "transition")
    async with asyncio.timeout(3 * SNAPSHOT_EVERY):
        while desk.events.listening:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)


async def test_the_server_ends_at_once_although_somebody_listens(desk: Desk):
    async with httpx.AsyncClient(trust_env=False) as client:
        async with serving(desk) as url:
            response = await client.send(client.build_request("GET", f"{url}/api/v1/events"), stream=True)
            await anext(events(response))
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 1.5
        await response.aclose()


async def test_silences_of_alertmanagers_api_are_told_as_well(desk: Desk, monkeypatch):
    def with_both(daemon, web):
        app = create_app(daemon, web)
        app.include_router(alertmanager(daemon.dispatcher, told_at_once(["desk"], desks.CALENDAR), ["desk"], "", 0))
        return app

    monkeypatch.setattr(desks, "create_app", with_both)
    async with (
        serving(desk) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
        client.stream("GET", "/api/v1/events") as response,
    ):
        stream = events(response)
        await anext(stream)
        wanted = {
            "matchers": [{"name": "alertname", "value": "lead", "isRegex": False, "isEqual": True}],
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "2199-01-01T00:00:00Z",
            "createdBy": "karma",
            "comment": "busy",
        }
        made = (await client.post("/api/v2/silences", json=wanted)).json()["silenceID"]
        _, told = await until(stream, lambda e: e[0] == "silence")
        documented(alert_answers.Silence, told)
        assert (told["id"], told["state"], told["created_by"]) == (made, "active", "karma")
        changed = wanted | {"id": made, "matchers": [wanted["matchers"][0] | {"value": "other"}]}
        other = (await client.post("/api/v2/silences", json=changed)).json()["silenceID"]
        seen = [(await until(stream, lambda e: e[0] == "silence"))[1] for _ in range(2)]
        assert {(each["id"], each["state"]) for each in seen} == {(made, "expired"), (other, "active")}
        assert (await client.delete(f"/api/v2/silence/{other}")).status_code == 200
        _, told = await until(stream, lambda e: e[0] == "silence")
        assert (told["id"], told["state"]) == (other, "expired")
        await client.delete(f"/api/v2/silence/{other}")
        added = await client.post(
            "/api/v1/silences",
            json={"matchers": ["alertname=x"], "seconds": 60, "comment": "c", "created_by": "me"},
        )
        _, told = await until(stream, lambda e: e[0] == "silence")
        assert told["id"] == added.json()["id"], "once, and nothing of what had ended before"
