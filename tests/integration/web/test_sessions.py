"""Signing in to the page: the cookie, what a change takes beside it, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from monitor.settings import WebSettings
from tests.integration.web.desk import Desk, serving

PROXY = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.fixture
def web() -> WebSettings:
    return WebSettings(
        token=SecretStr("geheim-ü-42"),
        trusted_proxies=("127.0.0.1",),
        external_url="https://desk.example.com/rotation",
    )


@pytest.fixture
async def page(desk: Desk, web: WebSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at the page, in as far as requests show it."""
    async with serving(desk, web) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        client.headers["Origin"] = url
        yield client


async def sign_in(page: httpx.AsyncClient) -> dict[str, Any]:
    response = await page.post("/api/v1/session", json={"token": "geheim-ü-42"})
    assert response.status_code == 200, response.text
    page.cookies.clear()  # its path is the proxy's, which this client does not go through
    page.headers["Cookie"] = response.headers["set-cookie"].partition(";")[0]
    said: dict[str, Any] = response.json()
    return said


async def test_a_token_shown_once_opens_the_page_until_signing_out(page: httpx.AsyncClient):
    assert (await page.get("/api/v1/session")).status_code == 401
    session = await sign_in(page)
    assert (session["name"], session["scope"]) == ("token", "admin")
    assert (await page.get("/api/v1/status")).status_code == 200
    assert (await page.get("/api/v1/session")).json() == session
    assert (await page.delete("/api/v1/session", headers={"X-CSRF-Token": session["csrf"]})).status_code == 204
    assert (await page.get("/api/v1/status")).status_code == 401


async def test_a_wrong_token_opens_nothing_and_sets_no_cookie(page: httpx.AsyncClient):
    response = await page.post("/api/v1/session", json={"token": "geheim"})
    assert response.status_code == 401
    assert "set-cookie" not in response.headers
    for body in (b"", b"{}", b'{"token": 1}', b'{"token": "\\ud800"}', b'{"token": "a", "more": 1}', b"\xff"):
        response = await page.post("/api/v1/session", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in {400, 401, 422, 429}, body
        assert isinstance(response.json()["detail"], str)


async def test_the_cookie_is_for_this_host_only_and_out_of_reach_of_scripts(page: httpx.AsyncClient):
    for headers, secure in (({}, False), (PROXY, True)):
        response = await page.post("/api/v1/session", json={"token": "geheim-ü-42"}, headers=headers)
        _, *attributes = response.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=strict", "Path=/rotation"} <= set(attributes)
        assert not any(a.startswith("Domain") for a in attributes)
        assert ("Secure" in attributes) is secure
        assert ("strict-transport-security" in response.headers) is secure


async def test_a_change_by_cookie_takes_the_sessions_own_word_and_our_origin(page: httpx.AsyncClient):
    csrf = (await sign_in(page))["csrf"]

    async def reload(**headers: str | None) -> int:
        sent = dict(page.headers) | {name.replace("_", "-"): value for name, value in headers.items()}
        request = page.build_request("POST", "/-/reload")
        request.headers = httpx.Headers({name: value for name, value in sent.items() if value is not None})
        request.headers["Host"] = page.base_url.netloc.decode()
        return (await page.send(request)).status_code

    assert await reload() == 403
    assert await reload(x_csrf_token="guessed") == 403
    assert await reload(x_csrf_token=csrf, origin=None) == 403
    assert await reload(x_csrf_token=csrf, origin="https://evil.example.com") == 403
    assert await reload(x_csrf_token=csrf, sec_fetch_site="cross-site") == 403
    assert await reload(x_csrf_token=csrf) == 200
    assert await reload(x_csrf_token=csrf, origin="https://desk.example.com") == 200


async def test_event_streams_work_with_the_cookie_and_end_with_the_session(page: httpx.AsyncClient):
    csrf = (await sign_in(page))["csrf"]
    async with asyncio.timeout(20), page.stream("GET", "/api/v1/events") as stream:
        parts = stream.aiter_bytes()
        assert (await anext(parts)).startswith(b"event: snapshot")
        assert (await page.delete("/api/v1/session", headers={"X-CSRF-Token": csrf})).status_code == 204
        async for part in parts:
            assert b"snapshot" not in part or part.count(b"event: snapshot") == 1


async def test_the_client_behind_a_trusted_proxy_is_who_is_written_down(page: httpx.AsyncClient):
    forged = PROXY | {"X-Forwarded-For": "10.9.9.9, 203.0.113.9"}
    await page.post("/api/v1/session", json={"token": "wrong"}, headers=forged)
    await sign_in(page)
    ours, forged_one = (await page.get("/api/v1/audit")).json()
    assert (ours["who"], ours["result"], ours["address"]) == ("token", "done", "127.0.0.1")
    assert (forged_one["who"], forged_one["result"], forged_one["address"]) == ("nobody", "refused", "203.0.113.9")


async def test_below_a_path_the_page_is_found_with_and_without_it(page: httpx.AsyncClient):
    assert (await page.get("/")).text == (await page.get("/rotation/")).text
    assert (await page.get("/rotation")).headers["location"] == "/rotation/"
    await sign_in(page)
    for path in ("/api/v1/status", "/rotation/api/v1/status"):
        assert (await page.get(path)).status_code == 200
    assert (await page.get("/rotation/api/v1/nothing")).status_code == 404


async def test_without_a_token_a_proxy_is_refused(desk: Desk):
    async with serving(desk) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        assert (await client.get("/api/v1/status", headers=PROXY)).status_code == 421
        assert (await client.get("/api/v1/session")).json()["name"] == "local"
