"""A websocket server on loopback that plays a scenario over the Alpaca v2 stock stream.

It greets, wants to be signed in to within ten seconds, takes subscriptions and answers mistakes with the vendor's
error codes. The tape is one for all clients: it starts with the first subscription, and whoever comes later joins in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Self

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from connectors.simulator.messages import CHANNELS, EMPTY_CHANNELS, Selection, decode, frames
from connectors.simulator.scenario import SECOND, Scenario, Tape
from connectors.simulator.subscriber import Subscriber

PATH: Final = "/v2/iex"
DEMO_SPEED: Final = 9360.0
"""Event seconds a second: a session of 6.5 hours takes 2.5 s."""
DEMO_QUIET_SPEED: Final = 390.0
"""A session a minute."""

_TICK: Final = 0.02
"""Seconds between two sends at least: several instants share frames rather than waking everybody for each."""
_UNPACED_INSTANTS: Final = 8
"""Instants encoded at once when nothing else says when to stop."""


class Refusal(IntEnum):
    """The vendor's error codes that the exchange uses."""

    INVALID_SYNTAX = 400
    NOT_AUTHENTICATED = 401
    AUTH_FAILED = 402
    ALREADY_AUTHENTICATED = 403
    AUTH_TIMEOUT = 404
    SYMBOL_LIMIT = 405
    CONNECTION_LIMIT = 406
    SLOW_CLIENT = 407
    INVALID_ACTION = 410

    def message(self) -> dict[str, object]:
        """As it goes to the client."""
        return {"T": "error", "code": int(self), "msg": _TEXTS[self]}


_TEXTS: Final[Mapping[Refusal, str]] = {
    Refusal.INVALID_SYNTAX: "invalid syntax",
    Refusal.NOT_AUTHENTICATED: "not authenticated",
    Refusal.AUTH_FAILED: "auth failed",
    Refusal.ALREADY_AUTHENTICATED: "already authenticated",
    Refusal.AUTH_TIMEOUT: "auth timeout",
    Refusal.SYMBOL_LIMIT: "symbol limit exceeded",
    Refusal.CONNECTION_LIMIT: "connection limit exceeded",
    Refusal.SLOW_CLIENT: "slow client",
    Refusal.INVALID_ACTION: "invalid subscribe action for this feed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOptions:
    """How the exchange plays, and whom it serves.

    Times are in seconds of the wall, speeds in event seconds a second of the wall (0: as fast as the clients read).
    """

    speed: float = DEMO_SPEED
    quiet_speed: float | None = None
    """Speed once the scenario's story is told; None: no change."""
    pause: float = 0.1
    """Between two sessions: nights and weekends are skipped."""
    steps: int = 390
    """Instants in a session: at each, every instrument is quoted and traded once."""
    port: int = 0
    """0: any that is free."""
    key: str = "key"
    secret: str = "secret"  # noqa: S105 - a simulator's, on loopback
    max_clients: int = 16
    max_symbols: int | None = None
    auth_timeout: float = 10.0
    frame: int = 200
    """Most messages in one frame."""
    backlog: int = 8 * 1024 * 1024
    """Bytes that may wait for one client; at speed 0, the tape waits for it instead ..."""
    patience: float = 5.0
    """... this long."""


class Exchange:
    """The server. `start` it, connect to the URL it returns with the key and secret of its options, `close` it.

    It is an async context manager as well. After the last session connections stay open and silent.
    """

    def __init__(self, scenario: Scenario, options: ExchangeOptions | None = None) -> None:
        self.scenario = scenario
        self.options = options or ExchangeOptions()
        self.sent = 0
        """Messages of data queued for clients so far."""
        self._clients: set[Subscriber] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._subscribed = asyncio.Event()
        self._server: Server | None = None
        self._player: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen, and return the URL.

        Raises:
            OSError: the port is taken.
        """
        self._server = await serve(
            self._serve, "127.0.0.1", self.options.port, compression=None, close_timeout=1, server_header=None
        )
        self._player = asyncio.create_task(self._play(), name="simulated exchange")
        return self.url

    @property
    def url(self) -> str:
        """Where it listens.

        Raises:
            RuntimeError: it was never started.
        """
        if self._server is None:
            raise RuntimeError("the exchange has not been started")
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{PATH}"

    async def finished(self) -> None:
        """Wait until the last session has been played.

        Raises:
            RuntimeError: it was never started.
        """
        if self._player is None:
            raise RuntimeError("the exchange has not been started")
        await asyncio.shield(self._player)

    async def close(self) -> None:
        """Stop playing, close every connection and the port. What went wrong in playing is raised here."""
        player, server = self._player, self._server
        try:
            if player is not None:
                player.cancel()
                await asyncio.wait([player])
        finally:
            if server is not None:
                server.close()
                await server.wait_closed()
            if self._leaving:
                await asyncio.wait(self._leaving)
        if player is not None and not player.cancelled() and (error := player.exception()):
            raise error

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    # ── one client ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, connection: ServerConnection) -> None:
        client = Subscriber(connection, self.options.backlog)
        pump = asyncio.create_task(client.pump())
        try:
            client.tell({"T": "success", "msg": "connected"})
            if await self._admit(client):
                async for frame in connection:
                    self._obey(client, _request(client, frame))
        except ConnectionClosed:
            pass  # a client may leave at any time
        finally:
            self._drop(client)
            pump.cancel()
            await asyncio.wait([pump])

    async def _admit(self, client: Subscriber) -> bool:
        """Sign a client in; False where it was turned away."""
        try:
            async with asyncio.timeout(self.options.auth_timeout):
                while not self._credentials(client, _request(client, await client.connection.recv())):
                    pass
        except TimeoutError:
            await client.drained()
            await client.put_out(Refusal.AUTH_TIMEOUT.message())
            return False
        if len(self._clients) >= self.options.max_clients:
            await client.drained()
            await client.put_out(Refusal.CONNECTION_LIMIT.message())
            return False
        self._clients.add(client)
        client.tell({"T": "success", "msg": "authenticated"})
        return True

    def _credentials(self, client: Subscriber, request: Mapping[str, Any] | None) -> bool:
        """Whether a request signs its client in; if not, it is told why."""
        if request is None:
            client.tell(Refusal.INVALID_SYNTAX.message())
        elif request.get("action") != "auth":
            client.tell(Refusal.NOT_AUTHENTICATED.message())
        elif (request.get("key"), request.get("secret")) != (self.options.key, self.options.secret):
            client.tell(Refusal.AUTH_FAILED.message())
        else:
            return True
        return False

    def _obey(self, client: Subscriber, request: Mapping[str, Any] | None) -> None:
        """Change a subscription, or say why not."""
        action = request.get("action") if request else None
        if action == "auth":
            client.tell(Refusal.ALREADY_AUTHENTICATED.message())
            return
        if request is None or action not in ("subscribe", "unsubscribe"):
            client.tell(Refusal.INVALID_SYNTAX.message())
            return
        wanted = {channel: symbols for channel, symbols in request.items() if channel != "action"}
        if not all(isinstance(s, list) and all(isinstance(x, str) for x in s) for s in wanted.values()):
            client.tell(Refusal.INVALID_SYNTAX.message())
        elif {channel for channel, symbols in wanted.items() if symbols} - {*CHANNELS, *EMPTY_CHANNELS}:
            client.tell(Refusal.INVALID_ACTION.message())
        else:
            self._select(client, client.selection.changed(wanted, add=action == "subscribe"))

    def _select(self, client: Subscriber, selection: Selection) -> None:
        most = self.options.max_symbols
        if most is not None and len(selection.symbols) > most:
            client.tell(Refusal.SYMBOL_LIMIT.message())
            return
        client.selection = selection
        client.tell(selection.wire())
        if any(c.selection.symbols for c in self._clients):
            self._subscribed.set()

    def _drop(self, client: Subscriber) -> None:
        self._clients.discard(client)
        if not any(c.selection.symbols for c in self._clients):
            self._subscribed.clear()

    # ── the tape ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _play(self) -> None:
        """Play every session, from the first subscription on."""
        await self._subscribed.wait()
        options = self.options
        for number in range(len(self.scenario.played)):
            told = number >= self.scenario.story and options.quiet_speed is not None
            speed = options.quiet_speed if told and options.quiet_speed is not None else options.speed
            tape = self.scenario.tape(number, options.steps)
            await (self._paced(tape, speed) if speed else self._unpaced(tape))
            await asyncio.sleep(options.pause if speed else 0)

    async def _paced(self, tape: Tape, speed: float) -> None:
        """A session by the clock, whether anybody listens or not; who cannot follow is put out."""
        loop = asyncio.get_running_loop()
        due = (tape.instants - tape.session.open) / SECOND / speed
        began = loop.time()
        done, instants = 0, len(tape.instants)
        while done < instants:
            wait = max(began + float(due[done]) - loop.time(), _TICK)
            await asyncio.sleep(wait)
            start, done = done, max(done, int(due.searchsorted(loop.time() - began, side="right")))
            for client in self._broadcast(tape, start, done):
                self._put_out(client)

    async def _unpaced(self, tape: Tape) -> None:
        """A session as fast as the slowest client reads, within the exchange's patience."""
        for start in range(0, len(tape.instants), _UNPACED_INSTANTS):
            await self._subscribed.wait()
            stop = min(start + _UNPACED_INSTANTS, len(tape.instants))
            for client in self._broadcast(tape, start, stop):
                self._put_out(client)
            await self._wait_for_clients()

    async def _wait_for_clients(self) -> None:
        waits = {asyncio.ensure_future(client.drained()): client for client in self._clients}
        if not waits:
            return
        try:
            _, late = await asyncio.wait(waits, timeout=self.options.patience)
        finally:
            for waiting in waits:
                waiting.cancel()
        for waiting in late:
            self._put_out(waits[waiting])

    def _broadcast(self, tape: Tape, start: int, stop: int) -> list[Subscriber]:
        """Queue the instants [start, stop) for every client; returns who is too far behind to be served.

        What clients with equal wishes get is encoded once.
        """
        if start == stop:
            return []
        last = stop == len(tape.instants)
        encoded: dict[tuple[Selection, bool], list[tuple[str | bytes, int]]] = {}
        behind = []
        for client in self._clients:
            wish = (client.selection, client.packed)
            if wish not in encoded:
                encoded[wish] = list(frames(tape, start, stop + last, wish[0], packed=wish[1], most=self.options.frame))
            for frame, count in encoded[wish]:
                if not client.offer(frame):
                    behind.append(client)
                    break
                self.sent += count
        return behind

    def _put_out(self, client: Subscriber) -> None:
        """Disconnect a client that reads too slowly, without waiting for it."""
        self._drop(client)
        leaving = asyncio.create_task(client.put_out(Refusal.SLOW_CLIENT.message()))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


def _request(client: Subscriber, frame: str | bytes) -> Mapping[str, Any] | None:
    """What a client asks for; None where it cannot be read."""
    try:
        request = decode(frame, packed=client.packed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return request if isinstance(request, dict) else None
