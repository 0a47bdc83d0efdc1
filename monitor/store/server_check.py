"""Whether a Valkey or Redis server can keep the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.store.base import StoreRefused

OLDEST_VERSION: Final = (6, 2)


def server_info(reply: bytes) -> dict[str, str]:
    """The lines ``name:value`` of INFO."""
    lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
    return {name: value for name, _, value in lines if value}


def check_server(info: Mapping[str, str], where: str) -> None:
    """Refuse a server that is too old, or that would lose entries or split a step over nodes."""
    version = info.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
        raise StoreRefused(f"{where}: version {version} is too old: Redis 6.2 or newer, or Valkey, is needed")
    if info.get("cluster_enabled") == "1":
        raise StoreRefused(f"{where}: a cluster cannot write the keys of one step together: use a single server")
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory", "0") != "0" and policy.startswith("allkeys"):
        raise StoreRefused(
            f"{where}: `maxmemory-policy {policy}` lets the server forget the journal: set it to noeviction"
        )
