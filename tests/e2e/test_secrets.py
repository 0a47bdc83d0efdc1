"""Secrets are planted wherever a configuration has some; nothing the program says or shows has any of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import websockets
import yaml

from tests.e2e.world import Program, free_port, until

PLANTED = "planted"
"""The beginning of every secret here, whatever becomes of its end."""
COMMAND = (sys.executable, "-c", "from monitor.cli.program import main; main()")
RULES = """\
version: 1
groups:
  - name: size
    rules:
      - {alert: small-caps-fall, when: "ret(IWM, 1m) < -1%"}
"""


class _Tactless(BaseHTTPRequestHandler):
    """A service that refuses, and repeats what it was sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = f"no: {self.path} {dict(self.headers)} ".encode() + body
        self.send_response(401, "no " + self.path[:50])
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST  # noqa: N815 - the server's names

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def service() -> Iterator[str]:
    """HOST:PORT of a tactless service."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Tactless)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@asynccontextmanager
async def exchange() -> AsyncIterator[str]:
    """HOST:PORT of an exchange that repeats every login and refuses it."""

    async def refuse(line: websockets.ServerConnection) -> None:
        await line.send('[{"T":"success","msg":"connected"}]')
        async for login in line:
            text = login if isinstance(login, str) else login.decode("latin-1")
            quoted = text.replace("\\", "").replace('"', "'")
            await line.send(f'[{{"T":"error","code":402,"msg":"auth failed: {quoted}","message":"{quoted}"}}]')
            await line.close(1008, text[:100].encode("ascii", "replace").decode())

    async with websockets.serve(refuse, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def configuration(folder: Path, service: str, exchange: str) -> dict[str, Any]:
    """Every place for a secret."""
    (folder / "rules.yaml").write_text(RULES)
    (folder / "secret").write_text("planted-in-a-file-&?1\n")
    return {
        "store": {"url": "embedded", "data_dir": str(folder / "data")},
        "rules": [str(folder / "rules.yaml")],
        "feeds": {
            "stocks": {
                "type": "alpaca",
                "url": f"ws://{exchange}/planted-in-a-path/v2",
                "key": "planted-alpaca-key",
                "secret": "${PLANT}",
                "encoding": "json",
            },
            "others": {"type": "massive", "url": f"ws://{exchange}/stocks", "key": "${file:secret}"},
            "trades": {
                "type": "finnhub",
                "url": f"ws://{service}/planted-socket/ws",
                "rest": f"http://{service}/planted-rest",
                "key": "planted-finnhub&key",
            },
            "desk": {
                "type": "mqtt",
                "url": f"mqtt://{service}",
                "topics": ["md/#"],
                "username": "desk",
                "password": "planted-mqtt",
            },
        },
        "receivers": {
            "hook": {"urls": [f"json://user:planted-hook@{service}/planted-path?+X-Key=planted-header"]},
            "mail": {"urls": [f"mailto://user:planted-mail@{service}?to=desk@example.com&from=a@example.com"]},
            "chat": {"urls": ["slack://plantedtoken/is/wrong"]},
        },
        "web": {
            "listen": f"127.0.0.1:{free_port()}",
            "token": "planted-web-token",
            "tokens": {"desk": {"token": "planted-desk-token", "scope": "operate"}},
        },
        "log": {"level": "debug"},
    }


async def said(*arguments: str, folder: Path) -> str:
    """All that a command writes."""
    program = await Program.start(*COMMAND, *arguments, cwd=folder, env=os.environ | {"PLANT": "planted-by-env/+"})
    async with asyncio.timeout(60):
        await program.process.wait()
    await program.end()
    return "\n".join(program.lines)


def leaks(where: str, text: str) -> list[str]:
    """What should not be there, with where it was found."""
    return [
        f"{where}: {line[max(0, line.find(PLANTED) - 100) :][:200]}" for line in text.splitlines() if PLANTED in line
    ]


async def test_no_secret_leaves_the_daemon(tmp_path: Path, service: str):
    async with exchange() as exchange_address:
        config = configuration(tmp_path, service, exchange_address)
        file = tmp_path / "rotation.yaml"
        file.write_text(yaml.safe_dump(config))
        found = leaks("check", await said("check", str(file), folder=tmp_path))
        config["receivers"].pop("chat")  # an address that cannot be: the check has said so
        file.write_text(yaml.safe_dump(config))
        found += leaks("check", await said("check", str(file), folder=tmp_path))
        env = os.environ | {"PLANT": "planted-by-env/+"}
        daemon = await Program.start(*COMMAND, "run", "--config", str(file), cwd=tmp_path, env=env)
        try:
            await daemon.says("started")
            found += await shown(f"http://{config['web']['listen']}")
            await until(lambda: daemon.said("receiver-failing") or daemon.said("dead"), "a receiver fails", 60)
            found += await shown(f"http://{config['web']['listen']}")
        finally:
            await daemon.end()
        assert daemon.said("auth failed"), "the tactless exchange was heard"
        found += leaks("log", "\n".join(daemon.lines))
        found += leaks("doctor", await said("doctor", "--config", str(file), folder=tmp_path))
    assert not found, "\n".join(found)


async def shown(url: str) -> list[str]:
    """Leaks in all that the API, the page and the metrics show, to those who may ask and to those who may not."""
    found: list[str] = []
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
        await client.post("/api/v1/session", json={"token": "planted-web-token", "more": "planted-too"})
        for token in ("planted-web-token", "planted-desk-token", "planted-guess"):
            headers = {"Authorization": f"Bearer {token}"}
            described = (await client.get("/api/v1/openapi.json", headers=headers)).json().get("paths", {})
            opened = (await client.get("/api/v1/alerts", headers=headers)).json() if described else []
            about = [f"/api/v1/alerts/{each['episode']}" for each in opened if each["episode"]]
            about += [f"/api/v1/why/{rule}" for rule in ("small-caps-fall", "feed-down")]
            for path in (*described, *about, "/", "/page.js", "/api/v1/status"):
                if path != "/api/v1/events":
                    response = await client.get(path, headers=headers)
                    found += leaks(f"GET {path}", f"{response.text}\n{response.headers}")
            found += leaks("reload", (await client.post("/-/reload", headers=headers)).text)
    return found


WRONG: tuple[tuple[str, str], ...] = (
    ("a key that does not exist", "web: {tokn: planted-1}"),
    ("a scope that does not exist", "web: {tokens: {desk: {token: planted-2, scope: wrong}}}"),
    ("two alike", "web: {token: planted-3, tokens: {desk: {token: planted-3, scope: read}}}"),
    ("a list for a secret", "web: {token: [planted-4]}"),
    ("a token in the place of its settings", "web: {tokens: {desk: planted-5}}"),
    ("no YAML", "web: {token: planted-6"),
    ("no such store", "store: {url: 'mongodb://user:planted-7@h'}"),
    ("no such receiver", "receivers: {a: {urls: ['nosuch://planted-8']}}"),
    ("a key that is a number", "feeds: {a: {type: alpaca, key: {of: 9}, secret: planted-9}}"),
    ("a path in an address", "feeds: {a: {type: alpaca, url: 'https://h/planted-11', key: a, secret: b}}"),
    ("a path in a good address", "feeds: {a: {type: massive, url: wss://h/planted-12/x, wrong: b}}"),
    ("a login in an address", "web: {external_url: 'https://user:planted-10@desk'}"),
)


@pytest.mark.parametrize("text", [text for _, text in WRONG], ids=[name for name, _ in WRONG])
async def test_a_wrong_configuration_is_shown_without_its_secrets(tmp_path: Path, text: str):
    file = tmp_path / "rotation.yaml"
    file.write_text(text + "\n")
    outputs = await asyncio.gather(
        said("check", str(file), folder=tmp_path), said("run", "--config", str(file), folder=tmp_path)
    )
    for output in outputs:
        assert output.strip()
        assert not leaks("said", output)


async def test_a_store_that_cannot_be_reached_keeps_its_password(tmp_path: Path):
    file = tmp_path / "rotation.yaml"
    config = {
        "store": {"url": f"redis://user:planted-store@127.0.0.1:{free_port()}/0?password=planted-query"},
        "web": {"listen": f"127.0.0.1:{free_port()}"},
    }
    file.write_text(yaml.safe_dump(config))
    daemon = await Program.start(*COMMAND, "run", "--config", str(file), cwd=tmp_path)
    try:
        await until(lambda: daemon.said("the store") or daemon.process.returncode is not None, "it says so")
    finally:
        await daemon.end()
    assert not leaks("log", "\n".join(daemon.lines))
    assert not leaks("doctor", await said("doctor", "--config", str(file), folder=tmp_path))
