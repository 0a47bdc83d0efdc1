from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pydantic import TypeAdapter

from monitor import queries
from monitor.settings import WebSettings
from monitor.web import alert_answers, answers
from monitor.web.api import create_app
from tests.integration.web.desk import Desk, ny

ENOUGH = 253.0
"""IWM at this price leads by 120bp."""
PARAMETERS = ("symbol", "resolution", "since", "limit")


def documented(shape: Any, body: Any) -> Any:
    """The body, if it is of that shape: every field described is there, and nothing else is."""
    adapter = TypeAdapter(shape)
    assert adapter.dump_python(adapter.validate_python(body, strict=True), by_alias=True) == body
    return body


async def get(client: httpx.AsyncClient, path: str, shape: Any) -> Any:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return documented(shape, response.json())


async def open_and_fire(desk: Desk) -> None:
    await desk.trades(ny("2026-01-23 10:00"), IWM=250.0, SPY=600.0)
    await desk.trades(ny("2026-01-23 10:05"), IWM=ENOUGH, SPY=600.0)


# --- before the first data -------------------------------------------------------------------------------------------


async def test_a_monitor_without_data_answers_everything_with_what_it_knows(client: httpx.AsyncClient):
    status = await get(client, "/api/v1/status", answers.Status)
    assert status["at"] is None
    assert status["rules"] == 2
    assert status["instances"] == 3
    assert status["ready"] is True
    assert await get(client, "/api/v1/alerts", list[alert_answers.ListedAlert]) == []
    assert await get(client, "/api/v1/transitions", list[alert_answers.TimedTransition]) == []
    assert await get(client, "/api/v1/bars?symbol=IWM", list[answers.Bar]) == []
    alert, each, series = await get(client, "/api/v1/rules", list[answers.AlertRule | answers.Series])
    assert alert["verdicts"] == {"not judged": 1}
    assert each["verdicts"] == {"not judged": 2}
    assert series == {
        "record": "size_lead",
        "value": None,
        "type": "ratio",
        "expr": "excess(IWM, SPY, 1d)",
        "labels": {"theme": "size"},
        "group": "size",
        "suspended": None,
    }


# --- an alert's life -------------------------------------------------------------------------------------------------


async def test_a_firing_alert_is_shown_with_its_threshold_and_evidence(desk: Desk, client: httpx.AsyncClient):
    await open_and_fire(desk)
    [alert] = await get(client, "/api/v1/alerts", list[alert_answers.ListedAlert])
    assert alert["alert"] == "small-caps-lead"
    assert alert["state"] == "firing"
    assert alert["since"] == "2026-01-23T15:05:00Z"
    assert alert["labels"] == {"theme": "size"}
    assert alert["value"] == pytest.approx(0.012)
    assert alert["threshold"] == {
        "expr": "size_lead",
        "value": pytest.approx(0.012),
        "op": ">",
        "level": 0.01,
        "distance": pytest.approx(0.002),
        "type": "ratio",
    }
    episode = await get(client, f"/api/v1/alerts/{alert['episode']}", alert_answers.EpisodeStory)
    assert episode["now"]["evidence"]["prices"]["IWM"] == {"price": ENOUGH, "ts": "2026-01-23T15:05:00Z"}
    [fired] = episode["timeline"]
    assert (fired["from"], fired["to"], fired["at"]) == ("inactive", "firing", "2026-01-23T15:05:00Z")
    assert fired["evidence"]["threshold"]["level"] == 0.01


async def test_an_episode_that_is_over_keeps_its_timeline(desk: Desk, client: httpx.AsyncClient):
    await open_and_fire(desk)
    [alert] = (await client.get("/api/v1/alerts")).json()
    await desk.trades(ny("2026-01-23 10:10"), IWM=250.0, SPY=600.0)
    assert (await client.get("/api/v1/alerts")).json() == []
    episode = await get(client, f"/api/v1/alerts/{alert['episode']}", alert_answers.EpisodeStory)
    assert episode["now"] is None
    assert [t["to"] for t in episode["timeline"]] == ["resolved", "firing"]


async def test_a_pending_alert_has_no_episode_yet_and_says_since_when_it_counts(desk: Desk, client: httpx.AsyncClient):
    await desk.trades(ny("2026-01-23 10:00"), IWM=250.0, SPY=600.0, **{"BTC/USD": 90_000.0})
    await desk.trades(ny("2026-01-23 10:05"), **{"BTC/USD": 99_000.0})
    [alert] = await get(client, "/api/v1/alerts", list[alert_answers.ListedAlert])
    assert (alert["member"], alert["state"], alert["episode"]) == ("BTC/USD", "pending", "")
    assert alert["since"] == "2026-01-23T15:05:00Z"
    assert alert["labels"] == {"theme": "size", "member": "BTC/USD"}
    _, each, _ = (await client.get("/api/v1/rules")).json()
    assert each["states"] == {"inactive": 1, "pending": 1}
    assert each["verdicts"] == {"true": 1, "false": 1}


async def test_the_episode_of_a_member_with_a_slash_in_its_name_is_found(desk: Desk, client: httpx.AsyncClient):
    await desk.trades(ny("2026-01-23 10:00"), **{"BTC/USD": 90_000.0})
    for minute in range(5, 75, 5):
        await desk.trades(ny(f"2026-01-23 {10 + minute // 60}:{minute % 60:02}"), **{"BTC/USD": 99_000.0})
    [alert] = (await client.get("/api/v1/alerts")).json()
    assert alert["state"] == "firing"
    assert "BTC/USD" in alert["episode"]
    for written in (alert["episode"], alert["episode"].replace("/", "%2F")):
        story = await get(client, f"/api/v1/alerts/{written}", alert_answers.EpisodeStory)
        assert story["now"]["member"] == "BTC/USD"


# --- the market ------------------------------------------------------------------------------------------------------


async def test_state_shows_last_prices_and_what_was_refused(desk: Desk, client: httpx.AsyncClient):
    await desk.trades(ny("2026-01-23 10:00"), IWM=250.0, SPY=600.0)
    await desk.quote(ny("2026-01-23 10:00") + 1, "IWM", 251.0, 250.0)
    state = await get(client, "/api/v1/state", answers.State)
    assert {"IWM", "SPY"} <= {row["symbol"] for row in state["quotes"]}
    assert state["rejected"]["counts"] == {"sim": {"crossed": 1}}
    assert state["rejected"]["examples"][0]["row"]["symbol"] == "IWM"
    assert state["rejected"]["examples"][0]["ts"] == "2026-01-23T15:00:00.000000001Z"
    one = await get(client, "/api/v1/state?symbol=SPY", answers.State)
    assert [row["symbol"] for row in one["quotes"]] == ["SPY"]
    assert "2026-01-23T15:00:00Z" in one["quotes"][0].values()


async def test_closed_bars_are_read_from_the_store(desk: Desk, client: httpx.AsyncClient):
    for minute, price in enumerate((250.0, 251.0, 252.0)):
        await desk.trades(ny(f"2026-01-23 10:0{minute}") + 1, IWM=price, SPY=600.0)
        await desk.save_bars()
    bars = await get(client, "/api/v1/bars?symbol=IWM&resolution=1m", list[answers.Bar])
    assert [(bar["ts"], bar["close"]) for bar in bars] == [
        ("2026-01-23T15:00:00Z", 250.0),
        ("2026-01-23T15:01:00Z", 251.0),
    ]
    newest = await get(client, "/api/v1/bars?symbol=IWM&resolution=1m&limit=1&since=2026-01-23", list[answers.Bar])
    assert newest == bars[1:]
    assert await get(client, "/api/v1/bars?symbol=IWM&resolution=1m&since=2026-01-24", list[answers.Bar]) == []
    assert await get(client, "/api/v1/bars?symbol=NONE&resolution=1m", list[answers.Bar]) == []


# --- operations ------------------------------------------------------------------------------------------------------


async def test_ready_says_why_not_and_healthy_does_not_mind(desk: Desk, client: httpx.AsyncClient):
    assert (await client.get("/-/ready")).text == "ready\n"
    desk.health.raise_("feed-down", "no data for 70 s", labels={"feed": "sim"})
    response = await client.get("/-/ready")
    assert (response.status_code, response.text) == (503, "feed-down: no data for 70 s\n")
    assert (await client.get("/-/healthy")).status_code == 200
    status = await get(client, "/api/v1/status", answers.Status)
    assert status["reasons"] == ["feed-down: no data for 70 s"]
    assert status["health"][0]["labels"] == {"feed": "sim"}


async def test_metrics_are_open_metrics(client: httpx.AsyncClient):
    response = await client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert any(family.name.startswith("rotation_") for family in text_string_to_metric_families(response.text))


async def test_wrong_rules_are_refused_with_file_and_line_and_the_old_ones_stay(desk: Desk, client: httpx.AsyncClient):
    good = desk.rules.read_text()
    desk.rules.write_text(good.replace("> 100bp", "> 400"))
    response = await client.post("/-/reload")
    assert response.status_code == 422
    assert f"{desk.rules}:11:" in response.text
    assert (await client.get("/api/v1/rules")).json()[0]["when"] == "size_lead > 100bp"
    desk.rules.write_text(good.replace("> 100bp", "> 400bp"))
    assert (await client.post("/-/reload")).text == "reloaded\n"
    assert (await client.get("/api/v1/rules")).json()[0]["when"] == "size_lead > 400bp"


async def test_the_description_covers_every_path_and_names_its_shapes(client: httpx.AsyncClient):
    described = (await client.get("/api/v1/openapi.json")).json()
    assert set(described["paths"]) >= {
        "/-/healthy",
        "/-/ready",
        "/-/reload",
        "/metrics",
        "/api/v1/status",
        "/api/v1/alerts",
        "/api/v1/alerts/{episode}",
        "/api/v1/transitions",
        "/api/v1/rules",
        "/api/v1/state",
        "/api/v1/bars",
        "/api/v1/events",
        "/api/v1/session",
        "/api/v1/audit",
    }
    transition = described["components"]["schemas"]["Transition"]
    assert "from" in transition["required"]
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert operation["description"], path
            assert "#/components/schemas/Problem" in str(operation["responses"]["422"]), path


# --- wrong questions -------------------------------------------------------------------------------------------------


WRONG: tuple[tuple[str, int, str], ...] = (
    ("/api/v1/transitions?limit=0", 422, "query limit: "),
    ("/api/v1/transitions?limit=1001", 422, "query limit: "),
    ("/api/v1/transitions?limit=ten", 422, "query limit: "),
    ("/api/v1/bars", 422, "query symbol: "),
    ("/api/v1/bars?symbol=", 422, "query symbol: "),
    ("/api/v1/bars?symbol=" + 65 * "X", 422, "query symbol: "),
    ("/api/v1/bars?symbol=IWM&resolution=5m", 422, "query resolution: "),
    ("/api/v1/bars?symbol=IWM&resolution=1d%0A", 422, "query resolution: "),
    ("/api/v1/bars?symbol=IWM&since=2026-02-30", 422, "query since: "),
    ("/api/v1/bars?symbol=IWM&since=99999999999999999999", 422, "query since: "),
    ("/api/v1/bars?symbol=IWM&limit=99999999999999999999", 422, "query limit: "),
    ("/api/v1/state?symbol=", 422, "query symbol"),
    ("/api/v1/state?" + "&".join(1001 * ["symbol=A"]), 422, "query symbol"),
    ("/api/v1/alerts/nothing@2026-01-23.1", 404, "there is no episode 'nothing@2026-01-23.1'"),
    ("/api/v1/alerts/%00%ff%ED%A0%80", 404, "there is no episode"),
    ("/api/v1/alerts/" + 9000 * "x", 404, "there is no episode"),
    ("/api/v1/alerts/", 404, "there is no episode"),
    ("/api/v1/nothing", 404, "Not Found"),
    ("/..%2f..%2fetc/passwd", 404, "Not Found"),
    ("/static/page.js", 404, "Not Found"),
    ("/-/reload", 405, "Method Not Allowed"),
)


async def test_a_wrong_question_gets_one_sentence(client: httpx.AsyncClient):
    for path, status, says in WRONG:
        response = await client.get(path)
        assert response.status_code == status, path
        assert documented(answers.Problem, response.json())["detail"].startswith(says), path


async def test_nothing_but_reload_takes_a_post(client: httpx.AsyncClient):
    for path in ("/api/v1/alerts", "/api/v1/events", "/metrics", "/"):
        assert (await client.post(path, content=b"\xff" * 1000)).status_code == 405, path


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text(max_size=40), query=st.text(max_size=40), name=st.sampled_from(PARAMETERS))
def test_no_question_is_a_mistake_of_ours(desk: Desk, path: str, query: str, name: str):
    async def ask() -> None:
        transport = httpx.ASGITransport(create_app(desk, WebSettings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for each in ("/api/v1/alerts/", "/api/v1/", "/"):
                assert (await client.get(each + quote(path, safe=""))).status_code < 500
            for each in ("bars", "state", "transitions"):
                response = await client.get(f"/api/v1/{each}?symbol=IWM&{name}={quote(query)}")
                assert response.status_code in {200, 422}

    asyncio.run(ask())


async def test_a_store_that_is_away_is_said_to_be(desk: Desk, client: httpx.AsyncClient):
    desk.store.server.available = False
    for path in ("/api/v1/transitions", "/api/v1/alerts/some@2026-01-23.1", "/api/v1/bars?symbol=IWM"):
        response = await client.get(path)
        assert response.status_code == 503
        assert response.json()["detail"].startswith("the store cannot be asked: ")
    assert (await client.get("/api/v1/alerts")).status_code == 200


async def test_a_bounded_list_of_alerts_keeps_the_most_severe_open_ones(desk: Desk, client: httpx.AsyncClient):
    await open_and_fire(desk)
    await desk.trades(ny("2026-01-23 10:06"), IWM=270.0, **{"BTC/USD": 99_000.0})
    everything = await desk.compute.run(queries.alerts)
    assert {(a["alert"], a["state"]) for a in everything} == {("small-caps-lead", "firing"), ("up-a-lot", "pending")}
    assert len(everything) == 3
    assert [a["alert"] for a in await desk.compute.run(queries.alerts, 1)] == ["small-caps-lead"]
