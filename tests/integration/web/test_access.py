from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from monitor.settings import WebSettings
from monitor.web.page import PATHS
from tests.integration.web.desk import Desk, serving

TOKEN = "geheim-ü-42"
GUARDED = ("/api/v1/status", "/api/v1/openapi.json", "/api/v1/events", "/metrics", "/nothing")


def bearer(token: str) -> dict[str, bytes]:
    return {"Authorization": f"Bearer {token}".encode()}


@pytest.fixture
async def guarded(desk: Desk):
    async with (
        serving(desk, WebSettings(token=SecretStr(TOKEN))) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield client


async def test_with_a_token_nothing_but_the_page_answers_without_it(guarded: httpx.AsyncClient):
    for path in GUARDED:
        response = await guarded.get(path)
        assert response.status_code == 401, path
        assert response.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer TOKEN" in response.json()["detail"]
    for path in PATHS:
        assert (await guarded.get(path)).status_code == 200, path


async def test_a_wrong_token_is_none(guarded: httpx.AsyncClient):
    for header in (b"", b"Bearer", b"Bearer wrong", b"Basic Z2VoZWlt", b"Bearer geheim-\xff-42", TOKEN.encode()):
        assert (await guarded.get("/api/v1/status", headers={"Authorization": header})).status_code == 401, header


async def test_the_token_opens_everything_from_everywhere(guarded: httpx.AsyncClient):
    headers = bearer(TOKEN) | {"Host": b"monitor.example.com"}
    assert (await guarded.get("/api/v1/status", headers=headers)).status_code == 200
    assert (await guarded.get("/nothing", headers=headers)).status_code == 404
    assert (await guarded.post("/-/reload", headers=headers)).status_code == 200
    described = (await guarded.get("/api/v1/openapi.json", headers=headers)).json()
    assert "HTTPBearer" in described["components"]["securitySchemes"]


async def test_without_a_token_other_names_are_refused(client: httpx.AsyncClient):
    for host in ("monitor.example.com", "127.0.0.1.example.com", "10.0.0.1:8600", "", "[", "localhost:x@evil"):
        for path in ("/", "/api/v1/status"):
            response = await client.get(path, headers={"Host": host})
            assert response.status_code == 421, host
            assert "127.0.0.1 or localhost" in response.json()["detail"]


async def test_without_a_token_this_machine_is_answered(client: httpx.AsyncClient):
    for host in ("localhost", "LOCALHOST:9999", "127.0.0.1:8600", "[::1]:8600"):
        assert (await client.get("/-/healthy", headers={"Host": host})).status_code == 200, host


async def test_pages_of_others_change_nothing(client: httpx.AsyncClient):
    for origin in ("https://evil.example.com", "null", "http://127.0.0.1:1", "http://["):
        assert (await client.post("/-/reload", headers={"Origin": origin})).status_code == 403, origin
        assert (await client.get("/api/v1/status", headers={"Origin": origin})).status_code == 200, origin


async def test_our_own_page_and_programs_may_reload(client: httpx.AsyncClient):
    assert (await client.post("/-/reload", headers={"Origin": str(client.base_url)})).status_code == 200
    assert (await client.post("/-/reload")).status_code == 200


async def test_every_answer_tells_browsers_what_they_may_do_with_it(client: httpx.AsyncClient):
    for path in ("/", "/page.js", "/api/v1/status", "/nothing", "/api/v1/bars"):
        headers = (await client.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';"), path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "same-origin", path
        assert headers["cache-control"] in {"no-store", "no-cache"}, path
        assert "server" not in headers, path
