"""Web servers on loopback that behave as badly as a service can, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Behaviour = Callable[["Troublesome", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Troublesome:
    """What a server has heard, and whether the clients have gone. `answer` is how it behaves."""

    answer: Behaviour
    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    left: int = 0

    @property
    def url(self) -> str:
        """For a receiver of the type webhook."""
        return f"webhook://127.0.0.1:{self.port}/hook"


@contextlib.asynccontextmanager
async def troublesome(answer: Behaviour) -> AsyncIterator[Troublesome]:
    """A server that reads each request whole and then behaves as told."""
    state = Troublesome(answer)

    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                text = head.decode()
                length = next(int(x.split(":")[1]) for x in text.splitlines() if x.lower().startswith("content-length"))
                state.bodies.append(await reader.readexactly(length))
                state.heads.append(text)
                state.at.append(asyncio.get_running_loop().time())
                await state.answer(state, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            state.left += 1
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def says(status: int, *headers: str, body: bytes = b"") -> Behaviour:
    """Answers at once with this."""

    async def answer(_state: Troublesome, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return answer


def first(*answers: Behaviour) -> Behaviour:
    """Each request has the next of these; the last one stays."""

    async def answer(state: Troublesome, writer: asyncio.StreamWriter) -> None:
        await answers[min(len(state.at), len(answers)) - 1](state, writer)

    return answer


async def takes_a_minute(_state: Troublesome, writer: asyncio.StreamWriter) -> None:
    """Answers after 60 s."""
    await asyncio.sleep(60)
    await says(200)(_state, writer)


async def cuts(_state: Troublesome, writer: asyncio.StreamWriter) -> None:
    """Ends the connection with a reset, without a word."""
    writer.transport.abort()
    raise ConnectionError


async def _drip(writer: asyncio.StreamWriter, text: bytes) -> None:
    for byte in text:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def drips_its_head(_state: Troublesome, writer: asyncio.StreamWriter) -> None:
    """A byte a second, from the first one on: a read never times out."""
    await _drip(writer, b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 100)


async def drips_its_text(_state: Troublesome, writer: asyncio.StreamWriter) -> None:
    """The status at once, then a byte a second."""
    writer.write(b"HTTP/1.1 503 Slow\r\nContent-Length: 5000\r\n\r\n")
    await _drip(writer, b"x" * 5_000)


async def never_ends(_state: Troublesome, writer: asyncio.StreamWriter) -> None:
    """Text without an end."""
    writer.write(b"HTTP/1.1 500 Endless\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()
