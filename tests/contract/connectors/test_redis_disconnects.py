"""However the line to somebody's Redis ends, the feed comes back and reads every entry once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from connectors import redis_stream
from tests.contract.connectors.cards import SECRET
from tests.integration.connectors.test_redis_stream import Reader, add
from tests.integration.connectors.vendor import until
from tests.integration.store.servers import raw, running
from tests.servers.relay import ENDS, Relay, answers

pytestmark = pytest.mark.timeout(60)


async def ends_in_mid_answer(relay: Relay) -> None:
    await relay.says(b"*1\r\n*2\r\n$5\r\nticks\r\n*1\r\n*2\r\n$3\r\n1-")
    relay.close()


KINDS = ENDS | {
    "ended in mid-answer": ends_in_mid_answer,
    "nonsense": answers(b"\xff\xfe\xfd\r\n"),
    "loading": answers(b"-LOADING server is loading the dataset in memory\r\n"),
    "too many clients": answers(b"-ERR max number of clients reached\r\n"),
    "master down": answers(b"-MASTERDOWN Link with MASTER is down\r\n"),
    "stream deleted meanwhile": answers(b"-UNBLOCKED the stream key no longer exists\r\n"),
}


@pytest.mark.parametrize("kind", [*KINDS, "killed by the server"])
@pytest.mark.parametrize("server", ["valkey", "redis"])
async def test_comes_back(kind, server, tmp_path, monkeypatch):
    monkeypatch.setattr(redis_stream, "_PATIENCE", 1.5)
    async with running(server, tmp_path, "--requirepass", SECRET) as port:
        relay = Relay(port)
        async with relay.serving() as between, raw(f"redis://:{SECRET}@127.0.0.1:{port}/0") as client:
            await until_there(client)
            await add(client, 1)
            reader = Reader(f"redis://:{SECRET}@127.0.0.1:{between}/0", begin="oldest")
            health = reader.supervisor.health
            task = asyncio.create_task(reader.until(lambda: len(reader.rows) == 3 and health.connections > 1))
            await until(lambda: reader.rows or task.done(), 10)
            if kind == "killed by the server":
                await client.execute_command("CLIENT", "KILL", "TYPE", "normal")
            else:
                await KINDS[kind](relay)
            await add(client, 2, 3)
            await task
    assert [bid for _, bid, _ in reader.rows] == [1.0, 2.0, 3.0]
    assert health.gaps == 0
    assert health.reconnects > 0
    assert health.last_error
    assert SECRET not in health.last_error


async def until_there(client) -> None:
    """The server answers."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Exception):
                await client.ping()
                return
            await asyncio.sleep(0.02)
