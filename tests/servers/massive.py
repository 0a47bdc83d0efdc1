"""Massive on loopback: its stream and its aggregates, as its documentation and its own client have them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.servers.http import Answer, http_server

KEY = "massive-key"
CONNECTIONS = 1

Message = dict[str, Any]


def status(code: str, text: str) -> list[Message]:
    return [{"ev": "status", "status": code, "message": text}]


@dataclass
class Stream:
    """The stocks cluster: one connection a key; sends what :meth:`publish` is given to who subscribed to it."""

    refused: Mapping[str, str] = field(default_factory=dict)
    """By channel prefix, the message with which its subscription is refused."""
    url: str = ""
    lines: dict[ServerConnection, set[str]] = field(default_factory=dict)
    requests: list[Message] = field(default_factory=list)

    async def serve(self, line: ServerConnection) -> None:
        await line.send(json.dumps(status("connected", "Connected Successfully")))
        try:
            signed_in = False
            while True:
                request = json.loads(await line.recv())
                self.requests.append(request)
                if request["action"] == "auth":
                    signed_in = await self._sign_in(line, request["params"])
                elif signed_in:
                    await self._change(line, request)
        except ConnectionClosed:
            self.lines.pop(line, None)

    async def _sign_in(self, line: ServerConnection, key: str) -> bool:
        if key != KEY:
            await line.send(json.dumps(status("auth_failed", "authentication failed")))
            await line.close(1008)
            return False
        await line.send(json.dumps(status("auth_success", "authenticated")))
        if len(self.lines) >= CONNECTIONS:
            await line.send(json.dumps(status("max_connections", "Maximum number of websocket connections exceeded. ")))
            await line.close(1008)
            return False
        self.lines[line] = set()
        return True

    async def _change(self, line: ServerConnection, request: Message) -> None:
        for parameter in request["params"].split(","):
            prefix = parameter.partition(".")[0]
            if prefix in self.refused:
                await line.send(json.dumps(status("error", self.refused[prefix])))
            elif request["action"] == "subscribe":
                self.lines[line].add(parameter)
                await line.send(json.dumps(status("success", f"subscribed to: {parameter}")))
            else:
                self.lines[line].discard(parameter)
                await line.send(json.dumps(status("success", f"unsubscribed to: {parameter}")))

    async def publish(self, *messages: Message) -> None:
        """Send each line those of `messages` that it subscribed to, in one frame."""
        for line, wanted in list(self.lines.items()):
            mine = [m for m in messages if {f"{m['ev']}.{m.get('sym', m.get('T'))}", f"{m['ev']}.*"} & wanted]
            if mine:
                await line.send(json.dumps(mine))


@asynccontextmanager
async def massive_stream(refused: Mapping[str, str] | None = None) -> AsyncIterator[Stream]:
    stream = Stream(refused or {})
    async with serve(stream.serve, "127.0.0.1", 0, close_timeout=0.2) as server:
        stream.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stocks"
        yield stream


@dataclass
class Aggregates:
    """Bars over REST in pages; `limited` requests are refused with 429 first."""

    bars: Mapping[str, Sequence[Message]]
    page: int = 3
    limited: int = 0
    base: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, target: str, headers: Mapping[str, str]) -> Answer:
        self.asked.append(target)
        if headers.get("authorization") != f"Bearer {KEY}":
            return Answer(HTTPStatus.UNAUTHORIZED, {"status": "ERROR", "error": "Unknown API Key"})
        if self.limited:
            self.limited -= 1
            return Answer(
                HTTPStatus.TOO_MANY_REQUESTS,
                {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"},
            )
        parts = urlsplit(target)
        # /v2/aggs/ticker/AAPL/range/1/minute/FROM/TO
        _, _, _, _, ticker, _, _, _, first, last = parts.path.split("/")
        start = int(parse_qs(parts.query).get("cursor", ["0"])[0])
        rows = [bar for bar in self.bars.get(ticker, ()) if int(first) <= bar["t"] <= int(last)]
        body: Message = {
            "ticker": ticker,
            "status": "OK",
            "request_id": "r",
            "adjusted": False,
            "queryCount": len(rows),
        }
        body["resultsCount"] = body["count"] = len(rows[start : start + self.page])
        if rows:
            body["results"] = rows[start : start + self.page]
        if start + self.page < len(rows):
            # As the vendor's, the address of the next page names the vendor's host.
            body["next_url"] = f"https://api.massive.com{parts.path}?cursor={start + self.page}"
        return Answer(HTTPStatus.OK, body)


@asynccontextmanager
async def massive_aggregates(
    bars: Mapping[str, Sequence[Message]], *, page: int = 3, limited: int = 0
) -> AsyncIterator[Aggregates]:
    aggregates = Aggregates(bars, page, limited)
    async with http_server(aggregates.answer) as base:
        aggregates.base = base
        yield aggregates
