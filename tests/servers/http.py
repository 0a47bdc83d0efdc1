"""A small HTTP server on loopback for what a vendor answers over REST: keeps connections, knows GET only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What is sent back: an object as JSON, or bytes as they are; None hangs up without a word."""

    status: HTTPStatus
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Answering = Callable[[str, Mapping[str, str]], Answer | None]
"""From path with query, and headers by lower-case names."""


@asynccontextmanager
async def http_server(answering: Answering) -> AsyncIterator[str]:
    """The address of a server that answers so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").split("\r\n")
                headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines if line)}
                answer = answering(first.split(" ")[1], headers)
                if answer is None:
                    break
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                fields = {"Content-Length": str(len(body)), "Content-Type": "application/json", **answer.headers}
                text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
                writer.write(f"HTTP/1.1 {answer.status} {answer.status.phrase}\r\n{text}\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
