"""Alpaca's bars over REST on loopback: pages of many instruments, limits, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.servers.http import Answer, http_server

KEY, SECRET = "alpaca-key", "alpaca-secret"

Bar = dict[str, Any]


@dataclass
class Bars:
    """`script` is answered first, one entry a request; then pages of `page` bars, by symbol and time."""

    bars: Mapping[str, Sequence[Bar]]
    page: int
    script: list[Answer | None] = field(default_factory=list)
    base: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, target: str, headers: Mapping[str, str]) -> Answer | None:
        parameters = dict(parse_qsl(urlsplit(target).query))
        self.asked.append(parameters)
        if (headers.get("apca-api-key-id"), headers.get("apca-api-secret-key")) != (KEY, SECRET):
            return Answer(HTTPStatus.UNAUTHORIZED, {"message": "unauthorized."})
        if self.script:
            return self.script.pop(0)
        wanted = sorted(parameters["symbols"].split(","))
        first, last = parameters["start"][:19], parameters.get("end", "9")[:19]
        rows = [(s, b) for s in wanted for b in self.bars.get(s, ()) if first <= b["t"][:19] <= last]
        start = int(parameters.get("page_token", "0"))
        found: dict[str, list[Bar]] = {}
        for symbol, bar in rows[start : start + self.page]:
            found.setdefault(symbol, []).append(bar)
        following = str(start + self.page) if start + self.page < len(rows) else None
        return Answer(HTTPStatus.OK, {"bars": found, "next_page_token": following})


@asynccontextmanager
async def alpaca_bars(
    bars: Mapping[str, Sequence[Bar]], *, page: int = 3, script: Sequence[Answer | None] = ()
) -> AsyncIterator[Bars]:
    server = Bars(bars, page, list(script))
    async with http_server(server.answer) as base:
        server.base = base
        yield server
