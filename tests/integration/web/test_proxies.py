"""The page behind the reverse proxies that `deploy/` has files for: real ones, and those files but for the address."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from monitor.settings import TlsSettings, WebSettings
from tests.integration.web.desk import Desk, ny, serving
from tests.integration.web.test_server import OPENSSL, certificate

DEPLOY = Path(__file__).parents[3] / "deploy"
SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
HERE = "127.0.0.2"
"""The address that our client has: not the proxy's, and not one it claims."""


@dataclass(frozen=True)
class Place:
    """What of a shipped file is the reader's own: where the proxy listens, its certificate, where the monitor is."""

    folder: Path
    port: int
    tls: TlsSettings
    monitor: str


def caddy(place: Place) -> list[str]:
    text = (DEPLOY / "Caddyfile").read_text()
    assert "desk.example.com {" in text
    site = f"https://127.0.0.1:{place.port} {{\n\ttls {place.tls.cert} {place.tls.key}"
    text = text.replace("desk.example.com {", site).replace("127.0.0.1:8600", place.monitor)
    file = place.folder / "Caddyfile"
    file.write_text("{\n\tadmin off\n\tskip_install_trust\n}\n" + text)
    return ["run", "--config", str(file), "--adapter", "caddyfile"]


def nginx(place: Place) -> list[str]:
    text = (DEPLOY / "nginx.conf").read_text()
    own = {
        "listen 443 ssl": f"listen 127.0.0.1:{place.port} ssl",
        "/etc/ssl/desk.example.com/fullchain.pem": str(place.tls.cert),
        "/etc/ssl/desk.example.com/privkey.pem": str(place.tls.key),
        "127.0.0.1:8600": place.monitor,
    }
    for shipped, ours in own.items():
        assert shipped in text
        text = text.replace(shipped, ours)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {place.folder};\n" for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""
    file = place.folder / "nginx.conf"
    head = f"{user}pid {place.folder}/nginx.pid;\ndaemon off;\nevents {{}}\n"
    file.write_text(f"{head}http {{\naccess_log off;\n{temporary}{text}}}\n")
    return ["-c", str(file), "-p", str(place.folder), "-e", "stderr"]


@contextlib.asynccontextmanager
async def proxied(
    program: str, configure: Callable[[Place], list[str]], folder: Path, monitor: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the monitor through the proxy, at the path it is put under."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    place = Place(folder, port, certificate(folder), urlsplit(monitor).netloc)
    trust = ssl.create_default_context(cafile=str(place.tls.cert))
    home = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    log = (folder / "proxy.log").open("wb")
    process = await asyncio.create_subprocess_exec(program, *configure(place), env=home, stdout=log, stderr=log)
    transport = httpx.AsyncHTTPTransport(verify=trust, local_address=HERE)
    try:
        async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}/rotation", transport=transport) as client:
            async with asyncio.timeout(20):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        await client.get("/-/healthy")
                        break
                    assert process.returncode is None, (folder / "proxy.log").read_text()
                    await asyncio.sleep(0.02)
            yield client
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        log.close()


@pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate of this test")
@pytest.mark.parametrize("configure", [nginx, caddy])
async def test_signing_in_changes_and_the_stream_go_through_the_proxy(desk: Desk, tmp_path: Path, configure):
    program = shutil.which(configure.__name__, path=SBIN)
    if program is None:
        pytest.skip(f"{configure.__name__} is not installed")
    web = WebSettings(
        token=SecretStr("geheim"), trusted_proxies=("127.0.0.1",), external_url="https://127.0.0.1/rotation"
    )
    async with serving(desk, web) as monitor, proxied(program, configure, tmp_path, monitor) as page:
        await desk.trades(ny("2026-01-23 10:00"), IWM=250.0, SPY=600.0)
        origin = {"Origin": f"https://{page.base_url.netloc.decode()}"}
        assert (await page.get("/api/v1/status")).status_code == 401
        answer = await page.post("/api/v1/session", json={"token": "geheim"}, headers=origin)
        assert answer.status_code == 200, answer.text
        cookie = answer.headers["set-cookie"]
        assert "Path=/rotation" in cookie
        assert "Secure" in cookie
        assert (await page.get("/")).headers["content-type"].startswith("text/html")

        changed = origin | {"X-CSRF-Token": answer.json()["csrf"], "X-Forwarded-For": "203.0.113.9"}
        assert (await page.post("/-/reload")).status_code == 403
        assert (await page.post("/-/reload", headers=changed)).status_code == 200
        newest = (await page.get("/api/v1/audit")).json()[0]
        assert (newest["result"], newest["address"]) == ("done", HERE), "what a client says of itself is not believed"

        async with asyncio.timeout(10), page.stream("GET", "/api/v1/events") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: snapshot"
            await desk.trades(ny("2026-01-23 10:05"), IWM=253.0, SPY=600.0)
            async for line in lines:
                if line == "event: transition":
                    break
