"""Finnhub on loopback: its stream of trades and its quote endpoint."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.servers.http import Answer, http_server

KEY = "finnhub-key"


@dataclass
class Finnhub:
    """The stream, `most` instruments a line, and last prices; `limited` requests of those are refused first."""

    most: int
    prices: Mapping[str, tuple[float, int]]
    limited: int = 0
    url: str = ""
    base: str = ""
    lines: dict[ServerConnection, set[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def admit(self, line: ServerConnection, request: Request) -> Response | None:
        if parse_qs(urlsplit(request.path).query).get("token") != [KEY]:
            return line.respond(HTTPStatus.UNAUTHORIZED, "Invalid API key\n")
        return None

    async def serve(self, line: ServerConnection) -> None:
        wanted = self.lines.setdefault(line, set())
        try:
            await line.send('{"type":"ping"}')
            while True:
                request = json.loads(await line.recv())
                if request["type"] == "unsubscribe":
                    wanted.discard(request["symbol"])
                elif len(wanted) >= self.most:
                    await line.send(json.dumps({"msg": "Subscribing to too many symbols", "type": "error"}))
                elif not request["symbol"].isupper():
                    await line.send(json.dumps({"msg": f"Invalid symbol {request['symbol']}", "type": "error"}))
                else:
                    wanted.add(request["symbol"])
        except ConnectionClosed:
            del self.lines[line]

    async def publish(self, *trades: dict[str, Any]) -> None:
        for line, wanted in list(self.lines.items()):
            if mine := [trade for trade in trades if trade["s"] in wanted]:
                await line.send(json.dumps({"data": mine, "type": "trade"}))

    def answer(self, target: str, headers: Mapping[str, str]) -> Answer:
        self.asked.append(target)
        if headers.get("x-finnhub-token") != KEY:
            return Answer(HTTPStatus.UNAUTHORIZED, {"error": "Invalid API key"})
        if self.limited:
            self.limited -= 1
            return Answer(HTTPStatus.TOO_MANY_REQUESTS, {"error": "API limit reached."}, {"Retry-After": "0"})
        price, at = self.prices.get(parse_qs(urlsplit(target).query)["symbol"][0], (0, 0))
        return Answer(HTTPStatus.OK, {"c": price, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": at})


@asynccontextmanager
async def finnhub(
    *, most: int = 50, prices: Mapping[str, tuple[float, int]] | None = None, limited: int = 0
) -> AsyncIterator[Finnhub]:
    server = Finnhub(most, prices or {}, limited)
    async with (
        serve(server.serve, "127.0.0.1", 0, process_request=server.admit, close_timeout=0.2) as stream,
        http_server(server.answer) as base,
    ):
        server.url = f"ws://127.0.0.1:{stream.sockets[0].getsockname()[1]}"
        server.base = base
        yield server
