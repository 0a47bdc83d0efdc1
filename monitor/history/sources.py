"""Vendors' bars by the configuration: which source a feed or an entry of ``history`` means, with its key and pace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from connectors.action_source import ActionSource
from connectors.alpaca import history as alpaca
from connectors.alpaca.actions import AlpacaActions
from connectors.bar_source import BarSource
from connectors.massive import history as massive
from connectors.massive.actions import MassiveActions
from connectors.rest import Rest
from monitor import clock
from monitor.settings import (
    AlpacaFeed,
    AlpacaHistory,
    MassiveFeed,
    MassiveHistory,
    Settings,
    VendorHistory,
)


class NoSource(ValueError):
    """The configuration names no such source of history; the text says what to write."""


def vendor_entries(settings: Settings) -> list[VendorHistory]:
    """The entries of ``history`` that are vendors."""
    return [entry for entry in settings.history if isinstance(entry, VendorHistory)]


def entry_of(settings: Settings, feed: str) -> VendorHistory:
    """What a feed's vendor has of the past: as an entry of ``history`` says, or by that vendor's defaults.

    Raises:
        NoSource: There is no such feed, or its vendor has no bars.
    """
    config = settings.feeds.get(feed)
    if config is None:
        raise NoSource(f"there is no feed `{feed}`: there is {', '.join(settings.feeds) or 'none'}")
    if not isinstance(config, AlpacaFeed | MassiveFeed):
        raise NoSource(f"feed `{feed}` is of type {config.type}, which has no bars of the past: alpaca and massive do")
    for entry in vendor_entries(settings):
        if entry.type == config.type and entry.feed in {None, feed}:
            return entry.model_copy(update={"feed": feed})
    kind = AlpacaHistory if isinstance(config, AlpacaFeed) else MassiveHistory
    return kind.model_validate({"type": config.type, "from": "1970-01-01", "feed": feed})


@asynccontextmanager
async def opened(settings: Settings, entry: VendorHistory) -> AsyncIterator[BarSource]:
    """The source of an entry.

    Raises:
        NoSource: No key stands in it, nor in a feed of the same vendor.
    """
    async with _client(settings, entry) as rest:
        if isinstance(entry, AlpacaHistory):
            yield alpaca.AlpacaBars(rest, source=entry.source, adjustment=entry.adjustment)
        elif isinstance(entry, MassiveHistory):
            yield massive.MassiveBars(rest, adjusted=entry.adjusted)


@asynccontextmanager
async def opened_actions(settings: Settings, entry: VendorHistory) -> AsyncIterator[ActionSource]:
    """The corporate actions of an entry's vendor.

    Raises:
        NoSource: No key stands in it, nor in a feed of the same vendor.
    """
    async with _client(settings, entry) as rest:
        yield AlpacaActions(rest) if isinstance(entry, AlpacaHistory) else MassiveActions(rest)


def _client(settings: Settings, entry: VendorHistory) -> Rest:
    key = _secret(settings, entry, "key")
    if isinstance(entry, AlpacaHistory):
        headers = alpaca.headers(key, _secret(settings, entry, "secret"))
        base, pace = entry.url or alpaca.REST, entry.per_minute or alpaca.PER_MINUTE
    else:
        headers = massive.headers(key)
        base, pace = entry.url or massive.REST, entry.per_minute or massive.PER_MINUTE
    return Rest(base, headers, per_minute=pace, monotonic=clock.monotonic, now_ns=clock.wall_ns)


def _secret(settings: Settings, entry: VendorHistory, name: str) -> str:
    """A key of the entry, or of the feed it names, or of the first of the same vendor."""
    places = [entry, *(f for n, f in settings.feeds.items() if f.type == entry.type and entry.feed in {None, n})]
    for place in places:
        found = getattr(place, name, None)
        if isinstance(found, SecretStr):
            return found.get_secret_value()
    raise NoSource(f"history of type {entry.type} needs `{name}`: write it there, or configure a feed of that type")
