"""Opens what the configuration names: rules, feeds, the store, receivers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from connectors.backlog import Backlog
from monitor import clock, settings
from monitor.calendar import TradingCalendar
from monitor.charts.theme import Theme
from monitor.feeds import Connected, Recaptured, Replayed, Simulated, Source
from monitor.folder_feed import Watched
from monitor.key_lease import KeyLeases
from monitor.liveness import Liveness
from monitor.notify.credentials import Credentials
from monitor.notify.receivers import open_receiver
from monitor.notify.sender import Sender
from monitor.pictures.painter import Painter
from monitor.positions import Positions
from monitor.rule_files import read_rules
from monitor.seeded import Seeded
from monitor.series_feed import SeriesTable
from monitor.store.base import Store, StoreUnavailable
from monitor.store.factory import open_store
from rules.ruleset import RuleSet

_LOG = structlog.get_logger(__name__)
_SECOND: Final = 1_000_000_000
_STORE_PATIENCE: Final = 60.0
"""Seconds for which a store that is away is waited for at the start."""
ZONE: Final = ZoneInfo("America/New_York")


class StartError(Exception):
    """The daemon cannot start; the text says why and what to do, in one line."""


def open_rules(config: settings.Settings) -> RuleSet:
    """The rules. Raises StartError where they have errors, which the log then has."""
    loaded = read_rules(config.rules, config.receivers)
    for diagnostic in loaded.diagnostics:
        _LOG.warning("rules", problem=diagnostic.render())
    if loaded.ruleset is None:
        raise StartError("the rules have errors: `rotation check` shows them all")
    return loaded.ruleset


def open_feed(
    config: settings.FeedSettings,
    name: str,
    backlog: Backlog,
    liveness: Liveness,
    calendar: TradingCalendar,
    positions: Positions,
    keys: KeyLeases,
) -> Source:
    """The feed of that type and name."""
    match config:
        case settings.FinnhubFeed():
            return Seeded(config, name, backlog, liveness, positions, keys)
        case settings.StreamFeed():
            return Connected(config, name, backlog, liveness, positions, keys)
        case settings.FileFeed():
            return Watched(config, name, backlog, calendar, positions)
        case settings.SeriesFeed():
            return SeriesTable(config, name, backlog, calendar, positions)
        case settings.SimulatorFeed():
            return Simulated(config, name, backlog, liveness, calendar)
        case settings.ReplayFeed(data=data) if data.is_dir():
            return Recaptured(config, name, backlog)
        case settings.ReplayFeed():
            return Replayed(config, name, backlog, calendar)


async def wait_for_store(stack: contextlib.AsyncExitStack, config: settings.Settings) -> Store:
    """The open store. One that is away is waited for: it may be starting as well."""
    deadline = clock.monotonic() + _STORE_PATIENCE
    while True:
        attempt = open_store(config.store.url.get_secret_value(), config.store.data_dir)
        try:
            async with contextlib.AsyncExitStack() as opening:
                store = await opening.enter_async_context(attempt)
                stack.push_async_exit(opening.pop_all())
                return store
        except StoreUnavailable as error:
            if clock.monotonic() > deadline:
                raise
            _LOG.warning("the store is away; trying again", error=str(error))
            await asyncio.sleep(1)


def open_sender(name: str, config: settings.ReceiverSettings, painter: Painter, page: str) -> Sender:
    """The way to a receiver. Raises StartError for an address that cannot be used."""
    urls = [url.get_secret_value() for url in config.urls]
    try:
        pictures = painter.on(Theme(config.picture)) if config.picture else None
        return open_receiver(
            urls,
            deadline=config.deadline / _SECOND,
            zone=ZONE,
            pictures=pictures,
            page=page,
            credentials=Credentials(
                token=config.token.get_secret_value() if config.token else "",
                key=config.signing_key.get_secret_value() if config.signing_key else "",
            ),
        )
    except ValueError as error:
        raise StartError(f"receiver `{name}`: {error}") from error
