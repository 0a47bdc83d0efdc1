"""Tokens, their scopes, and what is written down about their use."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.routing import Route

from monitor.settings import WebSettings
from monitor.web.api import create_app
from monitor.web.audit import audit
from monitor.web.scopes import Scope, needed, needs
from tests.integration.web.desk import Desk, serving

TOKENS = {"looker": "read", "desk": "operate", "boss": "admin"}


@pytest.fixture
def web() -> WebSettings:
    return WebSettings.model_validate(
        {"token": "of-old", "tokens": {n: {"token": f"{n}-secret", "scope": s} for n, s in TOKENS.items()}}
    )


@pytest.fixture
async def guarded(desk: Desk, web: WebSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(desk, web) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        yield client


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}-secret"}


async def test_each_scope_opens_what_the_table_says(guarded: httpx.AsyncClient):
    asked = (("GET", "/api/v1/status"), ("POST", "/-/reload"), ("GET", "/api/v1/audit"))
    got = {
        name: [(await guarded.request(method, path, headers=bearer(name))).status_code for method, path in asked]
        for name in TOKENS
    }
    assert got == {"looker": [200, 403, 403], "desk": [200, 200, 403], "boss": [200, 200, 200]}


async def test_basic_credentials_carry_the_token_as_their_password(guarded: httpx.AsyncClient):
    assert (await guarded.get("/api/v1/status", auth=("anybody", "desk-secret"))).status_code == 200
    assert (await guarded.get("/api/v1/status", auth=("desk-secret", ""))).status_code == 401
    for raw in (b"Basic", b"Basic %%%", b"Basic " + base64.b64encode(b"nothing"), b"Digest desk-secret"):
        assert (await guarded.get("/api/v1/status", headers={"Authorization": raw})).status_code == 401, raw


async def test_who_may_not_change_is_told_which_scope_it_takes(guarded: httpx.AsyncClient):
    response = await guarded.post("/-/reload", headers=bearer("looker"))
    assert response.json()["detail"] == "this needs the scope operate, and the token 'looker' has read"


async def test_health_needs_no_token_and_says_nothing_without_one(desk: Desk, guarded: httpx.AsyncClient):
    assert (await guarded.get("/-/healthy")).text == "ok\n"
    desk.health.raise_("feed-down", "iex is silent", labels={"feed": "iex"}, at_once=True)
    without, reader = await guarded.get("/-/ready"), await guarded.get("/-/ready", headers=bearer("looker"))
    assert (without.status_code, without.text) == (503, "not ready\n")
    assert (reader.status_code, reader.text) == (503, "feed-down: iex is silent\n")


async def test_head_is_answered_as_get_without_a_body(guarded: httpx.AsyncClient):
    for path in ("/-/healthy", "/api/v1/status", "/api/v1/events", "/"):
        response = await guarded.head(path, headers=bearer("looker"))
        assert (response.status_code, response.content) == (200, b""), path


async def test_changes_and_refused_attempts_are_in_the_audit_log(guarded: httpx.AsyncClient):
    agent = {"User-Agent": "desk tool/1.0"}
    await guarded.post("/-/reload", headers=bearer("desk") | agent)
    await guarded.post("/-/reload", headers=bearer("looker"))
    await guarded.get("/api/v1/status", headers={"Authorization": "Bearer guessed"})
    await guarded.get("/api/v1/status")  # somebody who opens the page has tried nothing
    entries = (await guarded.get("/api/v1/audit", headers=bearer("boss"))).json()
    assert [(e["who"], e["what"], e["result"], e["status"]) for e in entries] == [
        ("nobody", "GET /api/v1/status", "refused", 401),
        ("looker", "POST /-/reload", "refused", 403),
        ("desk", "rules reloaded", "done", 200),
    ]
    assert {e["address"] for e in entries} == {"127.0.0.1"}
    assert entries[-1]["agent"] == "desk tool/1.0"
    assert "guessed" not in str(entries)


async def test_who_has_no_token_cannot_push_others_out_of_the_audit_log(guarded: httpx.AsyncClient):
    await guarded.post("/-/reload", headers=bearer("desk"))
    for number in range(20):
        assert (await guarded.post(f"/api/v1/made-up/{number}")).status_code == 401
        assert (await guarded.delete("/api/v1/session")).status_code == 204
        assert (await guarded.post("/api/v1/session", json={"tokens": number})).status_code == 422
    entries = (await guarded.get("/api/v1/audit", headers=bearer("boss"))).json()
    assert [(e["who"], e["what"], e["status"]) for e in entries] == [
        ("nobody", "POST /api/v1/session", 422),
        ("nobody", "DELETE /api/v1/session", 204),
        ("nobody", "POST /api/v1/made-up/0", 401),
        ("desk", "rules reloaded", 200),
    ]


async def test_refusals_of_alertmanagers_api_have_its_form_and_none_is_longer_than_can_be_read(
    guarded: httpx.AsyncClient,
):
    for method, path, headers, status in (
        ("POST", "/api/v2/silences", {}, 401),
        ("POST", "/api/v2/alerts", bearer("looker"), 403),
        ("TRACE", "/api/v2/alerts", bearer("boss"), 404),
        ("GET", "/api/v2/a%0Ab", bearer("boss"), 404),
    ):
        answer = await guarded.request(method, path, headers=headers)
        assert (answer.status_code, answer.json().keys()) == (status, {"code", "message"}), path
        assert answer.json()["code"] == status
    long = await guarded.post("/api/v1/silences", headers=bearer("desk"), json={"k" * 500_000: 1})
    assert (long.status_code, len(long.json()["detail"])) == (422, 2_000)
    many = await guarded.post("/api/v1/silences", headers=bearer("desk"), json={f"k{n}": 1 for n in range(10_000)})
    assert (many.status_code, len(many.json()["detail"])) == (422, 2_000)


async def test_the_audit_log_waits_for_a_store_that_is_away(desk: Desk, guarded: httpx.AsyncClient):
    desk.store.server.available = False
    assert (await guarded.post("/-/reload", headers=bearer("looker"))).status_code == 403
    assert (await guarded.get("/api/v1/audit", headers=bearer("boss"))).status_code == 503
    desk.store.server.available = True
    entries = (await guarded.get("/api/v1/audit", headers=bearer("boss"))).json()
    assert [e["who"] for e in entries] == ["looker"]


async def test_guessing_is_slowed_down_but_who_was_known_before_goes_on(guarded: httpx.AsyncClient):
    assert (await guarded.get("/api/v1/status", headers=bearer("looker"))).status_code == 200
    codes = [(await guarded.get("/api/v1/status", headers=bearer(f"guess{n}"))).status_code for n in range(10)]
    assert codes[:5] == [401] * 5
    assert 429 in codes[5:]
    while (refused := await guarded.get("/api/v1/status", headers=bearer("guess"))).status_code == 401:
        pass  # each of these doubles the wait
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert (await guarded.get("/api/v1/status", headers=bearer("looker"))).status_code == 200


async def test_a_flood_is_told_when_to_come_back(desk: Desk):
    web = WebSettings(requests_per_second=2)
    async with serving(desk, web) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        responses = [await client.get("/-/healthy") for _ in range(30)]
    refused = [r for r in responses if r.status_code == 429]
    assert len(refused) >= 15
    assert refused[0].headers["retry-after"] == "1"
    assert "2 requests a second" in refused[0].json()["detail"]


async def test_large_bodies_are_refused_with_and_without_a_length(guarded: httpx.AsyncClient):
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    for body in (b"x" * 2_000_000, parts()):
        response = await guarded.post("/api/v1/session", content=body, headers=bearer("desk"))
        assert response.status_code == 413
        assert response.json()["detail"] == "the body is larger than 1,048,576 bytes"


def test_a_route_that_says_nothing_is_for_readers_or_for_admins():
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/shown")
    async def shown() -> None: ...

    @app.post("/changed")
    async def changed() -> None: ...

    @app.post("/said")
    @needs(Scope.OPERATE, body=5)
    async def said(request: Request) -> None:
        audit(request, "said")

    inner, outer = APIRouter(prefix="/api"), APIRouter()

    @inner.post("/posted")
    @needs(Scope.OPERATE, body=7)
    async def posted() -> None: ...

    outer.include_router(inner)
    app.include_router(outer)

    def need(method: str, path: str) -> tuple[Scope, int]:
        found = needed(app.router.routes, {"type": "http", "method": method, "path": path, "headers": []})
        return found.scope, found.body

    assert need("GET", "/shown")[0] is Scope.READ
    assert need("POST", "/changed")[0] is Scope.ADMIN
    assert need("POST", "/said") == (Scope.OPERATE, 5)
    assert need("POST", "/api/posted") == (Scope.OPERATE, 7)
    assert need("POST", "/nowhere")[0] is Scope.ADMIN


def test_public_routes_are_these_and_no_others(desk: Desk):
    routes = [route for route in create_app(desk, WebSettings()).router.routes if isinstance(route, Route)]
    public = set()
    for route in routes:
        for method in route.methods or ():
            connection = {"type": "http", "method": method, "path": route.path, "headers": []}
            if needed(routes, connection).scope is Scope.PUBLIC and not route.path.endswith((".js", ".css")):
                public.add((method, route.path))
    assert public - {("HEAD", "/")} == {
        ("GET", "/"),
        ("GET", "/-/healthy"),
        ("GET", "/-/ready"),
        ("POST", "/api/v1/session"),
        ("DELETE", "/api/v1/session"),
    }
    desk.compute.close()
