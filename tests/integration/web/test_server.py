"""The server's own part: TLS, renewed certificates, clients that are slow or say nothing."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from monitor.settings import TlsSettings
from monitor.web import server
from monitor.web.server import WebServer

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificates of these tests")


def certificate(folder: Path, name: str = "127.0.0.1") -> TlsSettings:
    """A certificate that signs itself, in place of the one before."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    made = [str(OPENSSL), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
    subprocess.run([*made, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return TlsSettings(cert=cert, key=key)


@contextlib.asynccontextmanager
async def running(app: FastAPI, tls: TlsSettings | None = None) -> AsyncIterator[WebServer]:
    web = WebServer(app, "127.0.0.1", 0, tls)
    task = asyncio.create_task(web.run())
    try:
        yield web
    finally:
        task.cancel()
        await asyncio.wait([task])


async def presented(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return shown


async def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(tmp_path: Path):
    tls = certificate(tmp_path)
    app = FastAPI()
    app.get("/")(lambda: "here")
    trust = ssl.create_default_context(cafile=str(tls.cert))
    async with running(app, tls) as web:
        async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
            assert (await client.get(f"https://127.0.0.1:{web.port}/")).json() == "here"
        first = await presented(web.port)
        certificate(tmp_path)
        web.renew()
        second = await presented(web.port)
        assert second != first
        tls.key.write_text("nothing")
        web.renew()
        assert await presented(web.port) == second


def test_a_certificate_that_cannot_be_used_is_known_at_the_start(tmp_path: Path):
    tls = certificate(tmp_path)
    tls.key.write_text("nothing")
    with pytest.raises(OSError, match=r"`web\.tls`: .*cert\.pem and .*key\.pem cannot be used"):
        WebServer(FastAPI(), "127.0.0.1", 0, tls)


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
async def test_who_says_no_more_is_let_go(sent: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server._Protocol, "head_time", 0.1)
    async with running(FastAPI()) as web:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(sent)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.transport.abort()


async def test_more_headers_than_anybody_sends_are_refused():
    async with running(FastAPI()) as web:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * (2 * server.HEAD_BYTES))
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.transport.abort()
