"""The server that lives and dies with the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import structlog

from monitor.store import disk_sync, embedded
from monitor.store.base import JournalId, StoreRefused, StoreUnavailable
from monitor.store.embedded import EmbeddedValkey
from monitor.store.factory import open_store
from monitor.store.redis_store import RedisStore
from tests.contract.store.backends import commit, journal_ids
from tests.integration.store.servers import until_committed, until_open

ROOT = Path(__file__).parents[3]


def program(folder: Path, text: str) -> Path:
    """A server that is none."""
    path = folder / "server"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


async def start_daemon(folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.integration.store.daemon", str(folder)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )


async def line(daemon: asyncio.subprocess.Process) -> tuple[str, int]:
    assert daemon.stdout is not None
    words = (await asyncio.wait_for(daemon.stdout.readline(), 20)).split()
    return words[0].decode(), int(words[1])


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path):
    async with open_store("embedded", tmp_path / "new" / "data") as store:
        await store.acquire("a")
        await store.commit([commit(1, instances={"a": b"1"}), commit(2)])
    async with open_store("embedded", tmp_path / "new" / "data") as store:
        assert await journal_ids(store) == ["1-0", "2-0"]
        assert await store.instances() == {"a": b"1"}
        assert await store.acquire("b") == 2


async def test_a_daemon_that_is_killed_loses_nothing_and_can_be_started_at_once(tmp_path: Path):
    acknowledged = 0
    for _ in range(4):
        daemon = await start_daemon(tmp_path)
        kind, found = await line(daemon)
        assert kind == "open"
        assert found >= acknowledged
        for _ in range(50):
            _, acknowledged = await line(daemon)
        daemon.kill()
        # What it printed before it died counts as acknowledged.
        assert daemon.stdout is not None
        for rest in (await daemon.stdout.read()).splitlines(keepends=True):
            if rest.endswith(b"\n"):
                acknowledged = int(rest.split()[1])
        await daemon.wait()
    async with open_store("embedded", tmp_path) as store:
        last = await store.last_journal_id()
        assert last is not None
        assert last.ms >= acknowledged
        assert len(await journal_ids(store)) == len(await store.transitions(1_000_000)) == last.ms


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
async def test_the_server_ends_when_the_daemon_is_killed(tmp_path: Path):
    daemon = await start_daemon(tmp_path)
    assert (await line(daemon))[0] == "open"
    (server,) = psutil.Process(daemon.pid).children()
    daemon.kill()
    await daemon.communicate()
    await asyncio.to_thread(server.wait, 10)


async def test_a_left_over_server_is_ended_even_if_it_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    daemon = await start_daemon(tmp_path)
    assert (await line(daemon))[0] == "open"
    (server,) = psutil.Process(daemon.pid).children()
    assert (await line(daemon))[0] == "acknowledged"
    server.suspend()
    daemon.kill()
    await daemon.communicate()
    assert server.is_running()
    monkeypatch.setattr(embedded, "STOP_PATIENCE", 0.3)
    async with open_store("embedded", tmp_path) as store:
        assert await store.last_journal_id() is not None
    await asyncio.to_thread(server.wait, 10)


async def test_a_server_that_dies_is_started_again(tmp_path: Path):
    async with EmbeddedValkey(tmp_path) as server:
        store = RedisStore(server.url, timeout=1)
        await store.open()
        await store.acquire("a")
        for ms in range(1, 4):
            await store.commit([commit(ms)])
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await until_committed(store, [commit(ms)])
        assert await journal_ids(store) == ["1-0", "2-0", "3-0"]
        await store.close()


async def test_a_second_daemon_is_told_who_has_the_folder(tmp_path: Path):
    async with EmbeddedValkey(tmp_path) as first:
        with pytest.raises(StoreRefused, match=rf"another monitor \(process {os.getpid()}\) uses this data folder"):
            await EmbeddedValkey(tmp_path).start()
        store = await until_open(RedisStore(first.url))
        await store.close()
    async with EmbeddedValkey(tmp_path):
        pass


async def test_stopping_leaves_no_process_and_no_lock(tmp_path: Path):
    server = EmbeddedValkey(tmp_path)
    await server.start()
    pid = server.pid
    assert pid is not None
    await server.stop()
    await server.stop()
    assert not psutil.pid_exists(pid)
    assert server.pid is None
    await server.start()
    await server.stop()


async def test_the_end_of_a_file_that_was_cut_off_is_given_up(tmp_path: Path):
    async with open_store("embedded", tmp_path) as store:
        await store.acquire("a")
        await store.commit([commit(1), commit(2, data=bytes(10_000), instances={"a": b"2"})])
    (written,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    os.truncate(written, written.stat().st_size - 200)
    async with open_store("embedded", tmp_path) as store:
        assert await journal_ids(store) == ["1-0"]
        assert await store.instances() == {}


async def test_a_broken_file_is_an_error_that_says_what_to_do(tmp_path: Path):
    async with open_store("embedded", tmp_path) as store:
        await store.acquire("a")
    (written,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    written.write_bytes(b"this is no append only file\r\n" * 100)
    with pytest.raises(StoreRefused, match=r"(?s)Bad file format.*move .*appendonlydir away"):
        async with open_store("embedded", tmp_path):
            pytest.fail("opened")


async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path):
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    for folder in (in_the_way, in_the_way / "data"):
        with pytest.raises(StoreRefused, match=f"{folder}: the data folder cannot be used"):
            await EmbeddedValkey(folder).start()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
async def test_a_folder_without_permission_is_named(tmp_path: Path):
    tmp_path.chmod(0o500)  # noqa: ASYNC240 - a temporary file system
    with pytest.raises(StoreRefused, match="cannot be used: Permission denied"):
        await EmbeddedValkey(tmp_path).start()


async def test_a_long_path_gets_its_socket_elsewhere(tmp_path: Path):
    folder = tmp_path / ("x" * 120)
    async with EmbeddedValkey(folder) as server:
        assert server.url.startswith(f"unix://{tempfile.gettempdir()}/rotation-")
        store = await until_open(RedisStore(server.url))
        await store.close()
    Path(server.url.removeprefix("unix://")).parent.rmdir()


async def test_a_server_that_ends_at_once_is_quoted(tmp_path: Path):
    server = EmbeddedValkey(tmp_path / "data", program=program(tmp_path, "echo no such option; exit 3"))
    with pytest.raises(StoreRefused, match=r"(?s)did not start: its last words:.*no such option"):
        await server.start()


async def test_a_server_that_never_answers_is_given_up(tmp_path: Path):
    server = EmbeddedValkey(
        tmp_path / "data", program=program(tmp_path, "echo waiting; exec sleep 60"), start_timeout=0.5
    )
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"(?s)did not answer within 0.5 s.*waiting"):
        await server.start()
    assert time.monotonic() - began < 5


async def test_files_are_synced_and_a_disk_that_refuses_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail(fd: int) -> None:
        loop.call_soon_threadsafe(synced.set)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk_sync, "SYNC_EVERY", 0.01)
    monkeypatch.setattr(os, "fsync", fail)
    with structlog.testing.capture_logs() as logs:
        async with open_store("embedded", tmp_path) as store:
            await store.acquire("a")
            await store.commit([commit(1)])
            await asyncio.wait_for(synced.wait(), 5)
            assert await store.last_journal_id() == JournalId(1, 0)
    assert "Input/output error" in str([entry for entry in logs if entry["log_level"] == "error"])
