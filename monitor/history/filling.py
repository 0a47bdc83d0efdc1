"""What is missing of the past, filled in from vendors beside a running daemon.

Rules that need it are unknown until it is there: it is taken in at once when it is. A vendor that refuses or is away
is a health condition, and the monitor goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

import structlog

from connectors.rest import RestError
from monitor import clock
from monitor.calendar import TradingCalendar
from monitor.health import HealthBoard
from monitor.history.backfill import backfill, last_session
from monitor.history.sources import NoSource, opened, vendor_entries
from monitor.settings import Settings, VendorHistory
from monitor.store.base import LeaseLost, Store, StoreError

HISTORY_INCOMPLETE: Final = "history-incomplete"
"""The health condition; labelled by the vendor."""
BOUND: Final = 900.0
"""Seconds that a vendor has to fill what is missing."""

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Filling:
    """Everything that filling needs.

    `instruments`: what the rules look at. `taken`: called when something new is stored, to take it in.
    """

    settings: Settings
    calendar: TradingCalendar
    store: Store
    health: HealthBoard
    instruments: Callable[[], Awaitable[Collection[str]]]
    taken: Callable[[], Awaitable[None]]
    bound: float = BOUND

    async def run(self) -> None:
        """Fill what is missing of each vendor, once."""
        for entry in vendor_entries(self.settings):
            about = {"source": entry.type}
            try:
                async with asyncio.timeout(self.bound):
                    missing = await self._fill(entry)
            except LeaseLost:
                return
            except TimeoutError:
                reason = f"{entry.type} had not given all of it within {self.bound:g} s; the next start goes on"
            except (NoSource, RestError, StoreError) as error:
                reason = str(error)
            else:
                reason = missing
            if reason:
                _LOG.warning("history is incomplete", source=entry.type, reason=reason)
                self.health.raise_(HISTORY_INCOMPLETE, reason, labels=about)
            else:
                self.health.clear(HISTORY_INCOMPLETE, labels=about)

    async def _fill(self, entry: VendorHistory) -> str:
        """What is missing still, in words; empty where nothing is."""
        symbols = entry.symbols or sorted(await self.instruments())
        last = last_session(self.calendar, clock.wall_ns())
        if last < entry.since or not symbols:
            return ""
        try:
            async with opened(self.settings, entry) as source:
                filled = await backfill(source, self.store, self.calendar, symbols, entry.since, last)
        finally:
            await self.taken()  # what came before an error is good
        _LOG.info("history filled in", source=entry.type, bars=filled.bars, gaps=len(filled.missing))
        # An instrument that was not listed yet has no bars before its first: only holes behind it are missing.
        empty = sorted({gap.symbol for gap in filled.missing if gap.last == last})
        lacking = [f"{entry.type} has no bars up to {last} of {', '.join(empty[:10])}"] if empty else []
        return "; ".join([*lacking, *filled.refused.lines])
