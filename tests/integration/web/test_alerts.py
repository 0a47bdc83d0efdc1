from __future__ import annotations

import asyncio
import json

from pydantic import TypeAdapter

from monitor.notify.message import Notification
from monitor.web import alert_answers
from tests.integration.web.desk import ny

EPISODE = "small-caps-lead@2026-01-23.1"
PATH = f"/api/v1/alerts/{EPISODE}"


async def lead(desk, minute: int = 0) -> None:
    """Small caps lead by 120bp."""
    await desk.trades(ny(f"2026-01-23 10:{minute:02}"), IWM=253.0, SPY=600.0)


def fits(shape, body) -> None:
    adapter = TypeAdapter(shape)
    assert adapter.dump_python(adapter.validate_python(body, strict=True), by_alias=True) == body


async def test_an_acknowledged_episode_says_by_whom_everywhere_and_can_be_given_back(desk, client):
    await lead(desk)
    assert (await client.post(f"{PATH}/ack", json={"by": "", "comment": "mine"})).json()["by"] == "local"
    ack = (await client.post(f"{PATH}/ack", json={"by": "ann", "comment": "mine"})).json()
    fits(alert_answers.Acknowledgement, ack)
    assert (ack["by"], ack["comment"]) == ("ann", "mine")
    assert (await client.get("/api/v1/alerts")).json()[0]["acknowledged"] == ack
    assert (await client.get(PATH)).json()["acknowledged"] == ack
    [verdict, _] = (await client.get("/api/v1/why/small-caps-lead")).json()["verdicts"]
    assert verdict["decisions"][-1]["reason"] == "somebody has acknowledged it"
    assert (await client.get("/api/v1/alerts", params={"acknowledged": "false"})).json() == []
    assert (await client.delete(f"{PATH}/ack")).status_code == 204
    assert (await client.get(PATH)).json()["acknowledged"] is None


async def test_what_cannot_be_acknowledged_is_refused_with_the_reason(desk, client):
    await lead(desk)
    answer = await client.post("/api/v1/alerts/nothing@1/ack", json={})
    assert (answer.status_code, answer.json()["detail"]) == (404, "no alert that fires has the episode `nothing@1`")
    assert (await client.post(f"{PATH}/ack", json={"by": "\n"})).status_code == 422
    assert (await client.post(f"{PATH}/ack", json={"who": "ann"})).status_code == 422
    await desk.trades(ny("2026-01-23 10:05"), IWM=250.0, SPY=600.0)
    assert (await client.post(f"{PATH}/ack", json={})).status_code == 404


async def test_silences_are_made_changed_and_ended(desk, client):
    await lead(desk)
    made = (await client.post("/api/v1/silences", json={"matchers": ["theme=size"], "seconds": 3600})).json()
    fits(alert_answers.Silence, made)
    assert (made["state"], made["matchers"], made["alerts"]) == ("active", ['theme="size"'], 1)
    assert (await client.get("/api/v1/alerts", params={"silenced": "true"})).json()[0]["silenced_by"] == [made["id"]]
    path = f"/api/v1/silences/{made['id']}"
    wanted = {"matchers": ["theme=size"], "starts_at": made["starts_at"], "seconds": 7200, "comment": "longer"}
    changed = (await client.put(path, json=wanted)).json()
    assert (changed["id"], changed["comment"]) == (made["id"], "longer")
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).json()["state"] == "expired"
    assert (await client.get("/api/v1/silences", params={"state": "active"})).json() == []


async def test_silences_that_make_no_sense_are_refused_with_the_reason(desk, client):
    for wanted, reason in (
        ({"matchers": ["theme"], "seconds": 1}, "is no matcher"),
        ({"matchers": ["theme=~.*"], "seconds": 1}, "matches an empty label"),
        ({"matchers": ["a=b"]}, "one of the two"),
        ({"matchers": ["a=b"], "starts_at": "2026-01-23", "seconds": 1}, "no time with its zone"),
        ({"matchers": ["a=b"], "starts_at": "2099-01-02T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z"}, "before it"),
        ({"matchers": [], "seconds": 1}, "at least 1"),
    ):
        answer = await client.post("/api/v1/silences", json=wanted)
        assert answer.status_code == 422
        assert reason in answer.json()["detail"]
    assert (await client.get("/api/v1/silences/none")).status_code == 404
    assert (await client.delete("/api/v1/silences/none")).status_code == 404


async def test_deliveries_and_transitions_are_filtered_and_paged(desk, client):
    for n in range(3):
        await lead(desk, 10 * n)
        await desk.trades(ny(f"2026-01-23 10:{10 * n + 5:02}"), IWM=250.0, SPY=600.0)
    first = await client.get("/api/v1/deliveries", params={"limit": 2, "receiver": "mail"})
    assert [(d["episode"][-1], d["outcome"]) for d in first.json()] == [("3", "waiting"), ("3", "waiting")]
    fits(list[alert_answers.Delivery], first.json())
    second = await client.get(f"/api/v1/deliveries{first.links['next']['url']}")
    assert [d["episode"][-1] for d in second.json()] == ["2", "2"]
    window = {"from": "2026-01-23T15:05:00Z", "to": "2026-01-23T15:10:00Z"}
    moves = (await client.get("/api/v1/transitions", params=window)).json()
    assert [(t["episode"][-1], t["to"]) for t in moves] == [("2", "firing"), ("1", "resolved")]
    [entry, *_] = await desk.store.take_outbox("c", 1, 0)
    await desk.store.settle_outbox(
        entry,
        Notification.decode(entry.fields).key,
        b'{"outcome":"delivered","at":"2026-01-23T15:00:01Z","attempts":2,"detail":"ok"}',
        dead=False,
    )
    delivered = (await client.get(PATH)).json()["deliveries"][-1]
    assert (delivered["outcome"], delivered["attempts"], delivered["receiver"]) == ("delivered", 2, "desk")
    assert (await client.get("/api/v1/transitions", params={"from": "yesterday"})).status_code == 422
    assert (await client.get("/api/v1/deliveries", params={"before": "x"})).status_code == 422


async def test_why_and_eval_have_the_described_shapes(desk, client):
    await lead(desk)
    answer = await client.get("/api/v1/why/small-caps-lead")
    fits(alert_answers.Why, answer.json())
    assert [d["receiver"] for d in answer.json()["deliveries"]] == ["mail", "desk"]
    assert (await client.get("/api/v1/why/nothing")).status_code == 404
    value = await client.get("/api/v1/eval", params={"expr": "excess(IWM, SPY, 1d) > 1%"})
    assert (value.json()["value"], value.json()["distance_text"]) == (1.0, "20bp")
    for wrong in ("excess(", "price(NVDA)"):
        assert (await client.get("/api/v1/eval", params={"expr": wrong})).status_code == 422


async def test_listeners_hear_of_silences_and_acknowledgements(desk, client):
    await lead(desk)
    async with client.stream("GET", "/api/v1/events") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: snapshot"
        await client.post(f"{PATH}/ack", json={"by": "ann"})
        await client.post("/api/v1/silences", json={"matchers": ["a=b"], "seconds": 60})
        name, heard = "snapshot", {}
        async with asyncio.timeout(10):
            async for line in lines:
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    heard[name] = json.loads(line.removeprefix("data: "))
                if {"ack", "silence"} <= heard.keys():
                    break
    assert heard["ack"]["acknowledged"]["by"] == "ann"
    assert heard["silence"]["matchers"] == ['a="b"']
