"""A vendor's stream with nothing behind it but a tape: as fast as the client reads, or at a steady rate.

    python -m tests.benchmarks.exchange --quotes 1000000
    python -m tests.benchmarks.exchange --quotes 100000 --rate 20000 --flips 50

Prints the URL, then what it has sent as one line of JSON, and serves until it is ended. One client, which is played to
from its subscription on.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from connectors.message_lists import Encoding
from tests.benchmarks.tape import FRAMES, PER_FRAME, Flip, Tape

_TICK = 0.001


@dataclass
class Sent:
    """What went out. Times are nanoseconds UTC: of the first and the last frame, and of each flip."""

    quotes: int = 0
    began: int = 0
    ended: int = 0
    flips: list[int] = field(default_factory=list)


class Exchange:
    """Plays a tape to one client."""

    def __init__(self, tapes: dict[Encoding, Tape], *, quotes: int, rate: float | None, flips: float) -> None:
        self.quotes, self.rate, self.flips = quotes, rate, flips
        self.done: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self._tapes = tapes

    async def serve(self, line: ServerConnection) -> None:
        """Sign the client in, and play."""
        packed = line.request is not None and line.request.headers.get("Content-Type") == "application/msgpack"
        await _say(line, packed, {"T": "success", "msg": "connected"})
        await line.recv()
        await _say(line, packed, {"T": "success", "msg": "authenticated"})
        await line.recv()
        await _say(line, packed, {"T": "subscription", "quotes": ["*"]})
        if self.done.done():  # who comes again after the silence has nothing to wait for
            await line.wait_closed()
            return
        tape = self._tapes["msgpack" if packed else "json"]
        sent = await (self._flood(line, tape) if self.rate is None else self._pace(line, tape, self.rate))
        self.done.set_result(sent)
        await line.wait_closed()

    async def _flood(self, line: ServerConnection, tape: Tape) -> Sent:
        """Blocks, one after the other, whenever there is room in the socket."""
        sent = Sent(began=time.time_ns())
        while sent.quotes < self.quotes:
            line.transport.write(tape.block(sent.quotes // (FRAMES * PER_FRAME), time.time_ns()))
            await line.drain()
            sent.quotes += FRAMES * PER_FRAME
        sent.ended = time.time_ns()
        return sent

    async def _pace(self, line: ServerConnection, tape: Tape, rate: float) -> Sent:
        """The frames that are due, every millisecond; flips at even distances."""
        sent = Sent(began=time.time_ns())
        begun = time.monotonic()
        while sent.quotes < self.quotes:
            passed = time.monotonic() - begun
            while sent.quotes < min(self.quotes, passed * rate):
                flip, now = None, time.time_ns()
                if passed * self.flips > len(sent.flips):
                    flip = Flip(len(sent.flips))
                    sent.flips.append(now)
                line.transport.write(tape.frame(sent.quotes // PER_FRAME, now, flip))
                sent.quotes += PER_FRAME
            await line.drain()
            await asyncio.sleep(_TICK)
        sent.ended = time.time_ns()
        return sent


async def _say(line: ServerConnection, packed: bool, message: dict[str, Any]) -> None:
    await line.send(msgspec.msgpack.encode([message]) if packed else msgspec.json.encode([message]).decode())


async def _run(options: argparse.Namespace) -> None:
    tapes: dict[Encoding, Tape] = {options.encoding: Tape(options.instruments, options.encoding)}
    exchange = Exchange(tapes, quotes=options.quotes, rate=options.rate, flips=options.flips)
    async with serve(exchange.serve, "127.0.0.1", 0, compression=None) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2/iex", flush=True)
        print(msgspec.json.encode(await exchange.done).decode(), flush=True)
        await server.serve_forever()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="A stream of made-up quotes.")
    parser.add_argument("--quotes", type=int, required=True)
    parser.add_argument("--instruments", type=int, default=2_000)
    parser.add_argument("--encoding", choices=["json", "msgpack"], default="msgpack")
    parser.add_argument("--rate", type=float, help="quotes a second; without it, as fast as they are read")
    parser.add_argument("--flips", type=float, default=0.0, help="a second, of the flipping instruments")
    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
