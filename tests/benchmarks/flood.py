"""A vendor's stream that sends ten times what its reader can take, of all kinds at once.

    python -m tests.benchmarks.flood --seconds 60

First it sends quotes as fast as they are read, which is what the reader can take. Then it offers ten times that: quotes
that the full line does not take are given up, as a vendor does for a slow reader, and counted; trades, halts and
corrections wait for room. Prints the URL, then what it did as one line of JSON, and serves until it is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import uvloop
from msgspec.msgpack import Ext
from websockets.asyncio.server import ServerConnection, serve

from tests.benchmarks.tape import FRAMES, PER_FRAME, Tape

TIMES: Final = 10
"""What is offered, in what the reader can take."""
TRADED: Final = 50
HALTED: Final = 5
_TICK: Final = 0.002
_FULL: Final = 2**19
"""Bytes that wait for the socket; a block of quotes is not added to more."""
_BLOCK: Final = FRAMES * PER_FRAME
_FIRST_ID: Final = 1_000_000


@dataclass
class Offered:
    """What went out, what was given up; `capacity`: quotes a second that the reader took with nothing else to do."""

    capacity: float = 0.0
    quotes: int = 0
    given_up: int = 0
    trades: int = 0
    statuses: int = 0
    corrections: int = 0
    began: int = 0
    ended: int = 0


class Flood:
    """Plays to one client."""

    def __init__(self, tape: Tape, seconds: float, calibrating: float) -> None:
        self.done: asyncio.Future[Offered] = asyncio.get_running_loop().create_future()
        self._tape, self._seconds, self._calibrating = tape, seconds, calibrating
        self._offered = Offered()

    async def serve(self, line: ServerConnection) -> None:
        """Sign the client in, and play."""
        for message in ({"T": "success", "msg": "connected"}, {"T": "success", "msg": "authenticated"}):
            await line.send(msgspec.msgpack.encode([message]))
            await line.recv()
        await line.send(msgspec.msgpack.encode([{"T": "subscription", "quotes": ["*"]}]))
        if not self.done.done():
            line.transport.set_write_buffer_limits(_FULL)
            await self._calibrate(line)
            await self._overload(line)
            self.done.set_result(self._offered)
        await line.wait_closed()

    async def _calibrate(self, line: ServerConnection) -> None:
        began, blocks = time.monotonic(), 0
        while time.monotonic() - began < self._calibrating:
            self._quotes(line)
            await line.drain()
            blocks += 1
        self._offered.capacity = blocks * _BLOCK / (time.monotonic() - began)

    async def _overload(self, line: ServerConnection) -> None:
        offered = self._offered
        began, due_from = time.monotonic(), offered.quotes
        offered.began = time.time_ns()
        while (passed := time.monotonic() - began) < self._seconds:
            due = due_from + int(passed * TIMES * offered.capacity)
            while offered.quotes + offered.given_up < due:
                if line.transport.get_write_buffer_size() < _FULL:
                    self._quotes(line)
                else:
                    offered.given_up += due - offered.quotes - offered.given_up
            await line.send(msgspec.msgpack.encode(self._others()))
            await asyncio.sleep(_TICK)
        offered.ended = time.time_ns()

    def _quotes(self, line: ServerConnection) -> None:
        line.transport.write(self._tape.block(self._offered.quotes // _BLOCK, time.time_ns()))
        self._offered.quotes += _BLOCK

    def _others(self) -> list[dict[str, Any]]:
        """Ten trades; with every tenth ten of them a halt or its end, and a correction of the last trade."""
        offered, stamp = self._offered, _stamp(time.time_ns())
        found: list[dict[str, Any]] = []
        for _ in range(10):
            number = offered.trades
            trade = {"S": f"T{number % TRADED:04d}", "i": _FIRST_ID + number, "x": "V", "p": 100.0, "s": 10, "t": stamp}
            found.append({"T": "t", **trade, "c": ["@"], "z": "C"})
            offered.trades += 1
        if offered.trades % 100 == 0:
            halt = offered.statuses // HALTED % 2 == 0
            symbol = f"H{offered.statuses % HALTED:04d}"
            found.append({"T": "s", "S": symbol, "sc": "H" if halt else "T", "sm": "", "rc": "", "t": stamp, "z": "C"})
            offered.statuses += 1
            last = _FIRST_ID + offered.trades - 1
            fixed = {"oi": last, "op": 100.0, "os": 10, "oc": ["@"], "ci": last + 2**40, "cp": 100.01, "cs": 10}
            symbol = f"T{(offered.trades - 1) % TRADED:04d}"
            found.append({"T": "c", "S": symbol, "x": "V", **fixed, "cc": ["@"], "t": stamp, "z": "C"})
            offered.corrections += 1
        return found


def _stamp(ns: int) -> Ext:
    seconds, rest = divmod(ns, 10**9)
    return Ext(-1, (rest << 34 | seconds).to_bytes(8, "big"))


async def _run(options: argparse.Namespace) -> None:
    flood = Flood(Tape(options.instruments, "msgpack"), options.seconds, options.calibrating)
    async with serve(flood.serve, "127.0.0.1", 0, compression=None) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2/iex", flush=True)
        print(msgspec.json.encode(await flood.done).decode(), flush=True)
        await server.serve_forever()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="Ten times what the reader can take.")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--calibrating", type=float, default=3.0, help="seconds")
    parser.add_argument("--instruments", type=int, default=2_000)
    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
