"""A feed whose stream brings only what trades next: the last price of each instrument is asked for beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from connectors.backlog import Backlog
from connectors.finnhub import PER_MINUTE, REST, LastPrices, headers
from connectors.rest import Rest, RestError
from monitor import clock, settings
from monitor.feeds import Connected, FeedState
from monitor.key_lease import KeyLeases
from monitor.liveness import Liveness
from monitor.positions import Positions

_UNAUTHORIZED: Final = 401


class Seeded(Connected):
    """A supervised feed, and the last price of each instrument once it is wanted."""

    def __init__(
        self,
        config: settings.FinnhubFeed,
        name: str,
        backlog: Backlog,
        liveness: Liveness,
        positions: Positions,
        keys: KeyLeases | None = None,
    ) -> None:
        super().__init__(config, name, backlog, liveness, positions, keys)
        self._config = config
        self._asked: set[str] = set()
        self._ask: asyncio.Queue[str] = asyncio.Queue()
        self._error = ""
        self._queue(config.symbols or ())

    async def run(self) -> None:
        """Keep the connection up, and ask."""
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run())
            if self._config.seed:
                group.create_task(self._seed())

    async def want(self, symbols: Collection[str]) -> None:
        """Subscribe to what the rules need, unless the configuration says what."""
        await super().want(symbols)
        if self._config.symbols is None:
            self._queue(symbols)

    def state(self) -> FeedState:
        """As the supervisor counts, with what went wrong in asking."""
        state = super().state()
        return replace(state, details={**state.details, "seed_error": self._error or None})

    def _queue(self, symbols: Collection[str]) -> None:
        for symbol in sorted(set(symbols) - self._asked):
            self._asked.add(symbol)
            self._ask.put_nowait(symbol)

    async def _seed(self) -> None:
        """Ask for one instrument after the other; the stream goes on, whatever is answered."""
        async with Rest(
            self._config.rest or REST,
            headers(self._config.key.get_secret_value()),
            per_minute=PER_MINUTE,
            monotonic=clock.monotonic,
            now_ns=clock.wall_ns,
        ) as rest:
            prices = LastPrices(self.name, rest, clock.wall_ns)
            while True:
                symbol = await self._ask.get()
                try:
                    async for batch in prices.of([symbol]):
                        if batch.rows:
                            await self._take(batch)
                except RestError as error:
                    self._error = str(error)
                    if error.status == _UNAUTHORIZED:
                        return  # the key is wrong for all
