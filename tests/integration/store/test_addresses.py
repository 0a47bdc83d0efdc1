"""Servers as operators have them: passwords, users, certificates, and set-ups that cannot keep the contract."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from monitor.store.base import StoreRefused, StoreUnavailable
from monitor.store.factory import open_store
from monitor.store.redis_store import RedisStore
from tests.contract.store.backends import commit, journal_ids
from tests.integration.store.servers import free_port, raw, running, until_open

SERVERS = pytest.mark.parametrize("name", ["valkey", "redis"])


async def use(url: str) -> None:
    """What a daemon does first."""
    store = RedisStore(url, timeout=2)
    try:
        await until_open(store)
        await store.acquire("a")
        await store.commit([commit(1)])
        assert await journal_ids(store) == ["1-0"]
        await store.take_outbox("a", 1, 10)
    finally:
        await store.close()


async def refusal(url: str) -> str:
    """The error of a server that is there and will not do."""
    with pytest.raises(StoreRefused) as refused:
        await use(url)
    return str(refused.value)


@SERVERS
async def test_passwords_and_users(name: str, tmp_path: Path):
    users = ["--user", "monitor", "on", ">s3cret", "~*", "+@all"]
    users += ["--user", "reader", "on", ">s3cret", "~*", "+@read", "+info", "+select"]
    async with running(name, tmp_path, "--requirepass", "pa:ss@wörd", *users) as port:
        assert "put it into the store's URL" in await refusal(f"redis://127.0.0.1:{port}")
        assert "password in the store's URL is wrong" in await refusal(f"redis://:secret-guess@127.0.0.1:{port}")
        assert "secret" not in await refusal(f"redis://:secret-guess@127.0.0.1:{port}")
        assert "may not do this" in await refusal(f"redis://reader:s3cret@127.0.0.1:{port}")
        await use(f"redis://:pa%3Ass%40w%C3%B6rd@127.0.0.1:{port}/3")
        await use(f"redis://monitor:s3cret@127.0.0.1:{port}/4")


@SERVERS
async def test_servers_that_would_lose_data_are_refused(name: str, tmp_path: Path):
    async with running(name, tmp_path, "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as port:
        assert "set it to noeviction" in await refusal(f"redis://127.0.0.1:{port}")
    async with running(name, tmp_path, "--cluster-enabled", "yes") as port:
        assert "use a single server" in await refusal(f"redis://127.0.0.1:{port}")
    async with running(name, tmp_path, "--replicaof", "127.0.0.1", str(free_port())) as port:
        assert "point the store's URL at the primary" in await refusal(f"redis://127.0.0.1:{port}")


@SERVERS
async def test_a_server_that_lacks_replicas_is_waited_for(name: str, tmp_path: Path):
    async with running(name, tmp_path) as port:
        store = await until_open(RedisStore(f"redis://127.0.0.1:{port}"))
        await store.acquire("a")
        async with raw(f"redis://127.0.0.1:{port}") as client:
            await client.config_set("min-replicas-to-write", 1)
            with pytest.raises(StoreUnavailable, match=r"(?i)not enough good replicas"):
                await store.commit([commit(1)])
            await client.config_set("min-replicas-to-write", 0)
        await store.commit([commit(1)])
        await store.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a self-signed certificate for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed (Debian: apt install openssl)")
    folder = tmp_path_factory.mktemp("tls")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=store"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]

    async def make() -> None:
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, stderr=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0

    asyncio.run(make())
    return folder


async def test_tls(certificate: Path, tmp_path: Path):
    tls = ("--tls-port", str(tls_port := free_port()), "--tls-auth-clients", "optional")
    files = ("--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem")
    for file in ("cert.pem", "key.pem"):
        shutil.copy(certificate / file, tmp_path)
    async with running("redis", tmp_path, *tls, *files) as plain_port:
        await until_open(store := RedisStore(f"redis://127.0.0.1:{plain_port}"))
        await store.close()
        url = f"rediss://127.0.0.1:{tls_port}"
        cert, key = certificate / "cert.pem", certificate / "key.pem"
        assert "certificate is not accepted: self-signed certificate" in await refusal(url)
        assert "certificate is not accepted" in await refusal(f"{url}?ssl_ca_certs=/etc/ssl/certs/ca-certificates.crt")
        assert "certificate is not accepted" in await refusal(
            f"rediss://localhost:{tls_port}?ssl_ca_certs={cert}"  # the name is not in it
        )
        await use(f"{url}?ssl_ca_certs={cert}&ssl_certfile={cert}&ssl_keyfile={key}")
        with pytest.raises(StoreUnavailable):
            async with open_store(f"rediss://127.0.0.1:{plain_port}", tmp_path, time_out=0.5):
                pytest.fail("opened")


async def test_a_server_that_is_away(tmp_path: Path):
    with pytest.raises(StoreUnavailable, match="Connect"):
        async with open_store(f"redis://127.0.0.1:{free_port()}", tmp_path):
            pytest.fail("opened")
    with pytest.raises(StoreUnavailable, match="nowhere"):
        async with open_store(f"unix://{tmp_path}/nowhere.sock", tmp_path):
            pytest.fail("opened")
