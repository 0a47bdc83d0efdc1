"""A daemon that stands by refuses everything, in the form of the API that was asked, and says who leads."""

from __future__ import annotations

import httpx
import pytest

from monitor.web.problems import HEADERS
from monitor.web.standby import Standing


@pytest.fixture
def standby() -> httpx.AsyncClient:
    standing = Standing("/rotation")
    standing.leader = "7:desk-1:4711"
    return httpx.AsyncClient(transport=httpx.ASGITransport(standing), base_url="http://localhost")


@pytest.mark.parametrize("prefix", ["", "/rotation"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/-/ready"),
        ("OPTIONS", "/api/v1/alerts"),
        ("TRACE", "/api/v1/alerts"),
        ("POST", "/-/healthy"),
        ("POST", "/ack?token=x"),
        ("POST", "/api/v1/ingest"),
        ("POST", "/api/v1/notify/requeue"),
        ("DELETE", "/api/v1/silences/x%0Ay"),
    ],
)
async def test_everything_is_for_the_leader(standby: httpx.AsyncClient, prefix: str, method: str, path: str):
    async with standby:
        answer = await standby.request(method, prefix + path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["detail"].startswith("standing by: desk-1:4711 leads (epoch 7); nothing was changed")
    assert all(answer.headers[name] == value for name, value in HEADERS.items())


@pytest.mark.parametrize("path", ["/api/v2/alerts", "/rotation/api/v2/silences"])
async def test_alertmanagers_api_is_refused_in_its_own_form(standby: httpx.AsyncClient, path: str):
    async with standby:
        answer = await standby.post(path, json=[])
    assert answer.json()["code"] == answer.status_code == 503
    assert "nothing was changed" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/-/healthy", "/rotation/-/healthy"])
async def test_it_lives(standby: httpx.AsyncClient, path: str):
    async with standby:
        answer = await standby.get(path)
        assert (await standby.head(path)).status_code == 200
    assert (answer.status_code, answer.text) == (200, "standing by\n")
    assert all(answer.headers[name] == value for name, value in HEADERS.items())
