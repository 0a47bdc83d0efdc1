from __future__ import annotations

import re
import socket
from importlib import resources

import httpx
import pytest
from fastapi import FastAPI

from monitor.web.page import PATHS
from monitor.web.server import WebServer


async def test_every_file_of_the_page_is_served_and_asks_for_nothing_else(client: httpx.AsyncClient):
    files = {path.name for path in (resources.files("monitor.web") / "static").iterdir()}
    assert {"/" + name for name in files} == {"/index.html" if path == "/" else path for path in PATHS}
    for path in PATHS:
        response = await client.get(path)
        assert response.status_code == 200
        for reference in re.findall(r'(?:src|href|from)\s*=?\s*"([^"#][^"]*)"', response.text):
            if not reference.startswith("data:"):
                assert "/" + reference.removeprefix("./") in PATHS, f"{path} asks for {reference}"


async def test_a_browser_that_has_the_page_is_not_sent_it_again(client: httpx.AsyncClient):
    first = await client.get("/page.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = await client.get("/page.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.head("/")).status_code == 200


def test_a_port_that_is_taken_is_known_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        WebServer(FastAPI(), "127.0.0.1", taken.getsockname()[1])
