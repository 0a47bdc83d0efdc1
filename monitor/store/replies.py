"""Fields as the protocol has them: names and values in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.store.resp import Argument


def flat(fields: Mapping[str, Argument]) -> list[Argument]:
    """Names and values in turn."""
    return [part for field in fields.items() for part in field]


def pairs(reply: Sequence[Any]) -> dict[str, Any]:
    """The fields of a hash or an entry."""
    return {reply[i].decode(): reply[i + 1] for i in range(0, len(reply), 2)}
