"""The server's own part: TLS, renewed certificates, clients that are slow or say nothing."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from monitor.settings import TlsSettings
from monitor.web import server
from monitor.web.problems import HEADERS
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


async def exchanged(port: int, *parts: bytes) -> bytes:
    """What comes back for bytes sent as they are, each part once something has come for the one before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    came = b""
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                came += await reader.read(65_536)
            came += await reader.read()
    writer.transport.abort()
    return came


@pytest.mark.parametrize(
    "sent",
    [
        b"nothing that anybody speaks\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * (2 * server.HEAD_BYTES),
    ],
)
async def test_what_is_no_http_is_refused_as_json_with_our_headers(sent: bytes):
    async with running(FastAPI()) as web:
        head, _, body = (await exchanged(web.port, sent)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert {f"{name}: {value}".encode() for name, value in HEADERS.items()} <= set(head.split(b"\r\n"))
    assert msgspec.json.decode(body) == {"detail": "Invalid HTTP request received."}


async def test_a_body_that_becomes_unreadable_once_it_is_answered_ends_the_connection_and_no_more(
    caplog: pytest.LogCaptureFixture,
):
    begun = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
    async with running(FastAPI()) as web:
        came = await exchanged(web.port, begun, b"cde no end of a chunk\r\n")
    assert came.startswith(b"HTTP/1.1 404")
    assert b"HTTP/1.1 400" not in came
    assert not [r for r in caplog.records if r.levelname == "ERROR"]


async def test_a_request_on_one_connection_too_many_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server._Protocol, "most", 1)
    app = FastAPI()
    app.get("/")(lambda: "here")
    async with running(app) as web, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{web.port}/")).json() == "here"
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(b"POST /api/v2/alerts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        async with asyncio.timeout(5):
            refused = await reader.read()
        writer.close()
    head, _, body = refused.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"\r\nretry-after: 5" in head
    assert {f"{name.lower()}: {value}".encode() for name, value in HEADERS.items()} <= set(head.split(b"\r\n"))
    assert msgspec.json.decode(body) == {"code": 503, "message": "more than 1 connections at once: try again"}


async def test_connections_that_say_nothing_keep_nobody_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server._Protocol, "most", 3)
    app = FastAPI()
    app.get("/")(lambda: "here")
    async with running(app) as web, httpx.AsyncClient(trust_env=False) as client:
        silent = [await asyncio.open_connection("127.0.0.1", web.port) for _ in range(6)]
        assert (await client.get(f"http://127.0.0.1:{web.port}/")).json() == "here"
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await silent[0][0].read() == b"", "the first is let go first"
        for _, writer in silent:
            writer.transport.abort()


@pytest.mark.parametrize("proxy", ["https_proxy", "ALL_PROXY"])
async def test_commands_believe_the_certificates_of_the_environment_and_pass_its_proxy(tmp_path, proxy):
    tls = certificate(tmp_path)
    app = FastAPI()

    @app.get("/api/v1/notify/dead")
    def none() -> list[str]:
        return []

    async def said(**env: str) -> tuple[int | None, str]:
        program = str(Path(sys.executable).with_name("rotation"))
        process = await asyncio.create_subprocess_exec(
            program, "notify", "dead", "--url", f"https://127.0.0.1:{web.port}",
            env={"PATH": "/usr/bin:/bin", proxy: "http://127.0.0.1:9", **env},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    async with running(app, tls) as web:
        code, out = await said()
        assert code == 1
        assert "CERTIFICATE_VERIFY_FAILED" in out
        code, out = await said(SSL_CERT_FILE=str(tls.cert))
        assert code == 0, out
