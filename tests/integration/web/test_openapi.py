"""All that the OpenAPI description allows, and much that it does not, sent to every route: it is never our mistake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from connectors.backlog import Backlog
from monitor.alerting import configured
from monitor.feeds import LineFigures
from monitor.positions import Positions
from monitor.settings import Settings, WebSettings
from monitor.web.application import application
from tests.integration.web.conftest import RULES
from tests.integration.web.desk import CALENDAR, Desk, closes, ny, serving

EXAMPLES = 60
"""Of each operation and kind."""
ENDLESS = "/api/v1/events"
"""A stream, which has tests of its own."""
PARTS = ("v2/", "v1/alerts", "v1/silences", "v1/feeds", "v1/notify", "v1/ingest")
REST = "everything else"
TEXT = ("/-/", "/metrics")
"""Answer in plain text, their own refusals too."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A desk with an open alert behind a real socket, in a thread of its own."""
    rules = tmp_path_factory.mktemp("rules") / "rules.yaml"
    rules.write_text(RULES)
    addresses: list[str] = []
    started, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(_serve(rules, addresses, started, stop),))
    thread.start()
    try:
        assert started.wait(60)
        yield addresses[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


class Whole(Desk):
    """The desk with all that the daemon serves: the application is the daemon's own."""

    backlog = Backlog(2**26)

    def line(self, _feed: str) -> LineFigures:
        return LineFigures()

    def application(self, web: WebSettings) -> FastAPI:
        settings = Settings(web=web)
        return application(self, settings, configured.policy(settings, CALENDAR), self.backlog, Positions())

    async def keep_all(self) -> None:
        """What is sent in is taken, and said to be in the journal."""
        while True:
            for batch in await self.backlog.take(1_000_000):
                for receipt in batch.receipts:
                    receipt()


async def _serve(rules: Path, addresses: list[str], started: threading.Event, stop: asyncio.Event) -> None:
    desk = Whole(rules, closes("2026-01-22", 30, {"IWM": 250.0, "SPY": 600.0, "BTC/USD": 90_000.0}))
    async with serving(desk, WebSettings(requests_per_second=100_000)) as url:
        taking = asyncio.create_task(desk.keep_all())
        for minute, price in enumerate((250.0, 260.0, 261.0)):
            await desk.trades(ny(f"2026-01-23 10:0{minute}"), IWM=price, SPY=600.0)
        addresses.append(url)
        started.set()
        await stop.wait()
        taking.cancel()


def part(path: str) -> str:
    """Which of :data:`PARTS` a path is of."""
    return next((name for name in PARTS if path.startswith(f"/api/{name}")), REST)


@pytest.mark.parametrize("name", [*PARTS, REST])
def test_no_request_is_answered_by_a_mistake_of_ours(url: str, name: str):
    described = httpx.get(f"{url}/api/v1/openapi.json", trust_env=False).json()
    described["paths"] = {path: m for path, m in described["paths"].items() if part(path) == name and path != ENDLESS}
    asked = 0
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        for result in schemathesis.openapi.from_dict(described).get_all_operations():
            _ask(result.ok(), client)
            asked += 1
    assert asked == sum(map(len, described["paths"].values())) > 0


def test_the_description_has_every_route_of_the_daemon(url: str):
    described = httpx.get(f"{url}/api/v1/openapi.json", trust_env=False).json()["paths"]
    routes = {"/api/v2/alerts/groups", "/api/v1/ingest", "/api/v1/feeds/{name}", "/api/v1/notify/requeue", ENDLESS}
    assert routes <= described.keys()


def _ask(operation: Any, client: httpx.Client) -> None:
    cases = st.one_of(
        operation.as_strategy(GenerationMode.POSITIVE),
        *([operation.as_strategy(GenerationMode.NEGATIVE)] if _has_input(operation) else []),
    )

    @settings(
        max_examples=EXAMPLES if _has_input(operation) else 3,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def ask(case: Any) -> None:
        response = _send(case, client)
        if response is None:
            return
        assert response.status_code < 500, case.as_curl_command()
        if response.status_code >= 400 and not operation.path.startswith(TEXT):
            said = response.json()
            assert operation.path.startswith("/api/v2/") or isinstance(said["detail"], str), case.as_curl_command()
        case.validate_response(response, checks=[status_code_conformance, response_schema_conformance])

    ask()


def _has_input(operation: Any) -> bool:
    return bool(operation.body or operation.query or operation.path_parameters)


def _send(case: Any, client: httpx.Client) -> httpx.Response | None:
    """The answer; None for what the client itself cannot put into a request."""
    sent = case.as_transport_kwargs(base_url=str(client.base_url))
    sent.pop("timeout", None)
    try:
        request = client.build_request(
            sent["method"],
            sent["url"],
            params=sent.get("params"),
            headers={k: v for k, v in (sent.get("headers") or {}).items() if isinstance(v, str)},
            json=sent.get("json"),
            content=sent.get("data") if isinstance(sent.get("data"), bytes | str) else None,
        )
    except (ValueError, TypeError, httpx.InvalidURL):
        return None
    return client.send(request)
