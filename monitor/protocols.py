"""Which vendor's protocol a configured feed speaks: one entry a vendor, and nothing else of the program names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.alpaca import AlpacaFeed
from connectors.binance import BinanceFeed
from connectors.coinbase import CoinbaseFeed
from connectors.feed import Feed
from connectors.kraken import KrakenFeed
from monitor import settings


def _alpaca(config: settings.AlpacaFeed, name: str) -> Feed:
    return AlpacaFeed(
        name,
        key=config.key.get_secret_value(),
        secret=config.secret.get_secret_value(),
        source=config.feed,
        url=config.url,
        channels=config.channels,
        symbols=config.symbols or (),
        encoding=config.encoding,
    )


def _exchange(feed: type[BinanceFeed | CoinbaseFeed | KrakenFeed]) -> Callable[[Any, str], Feed]:
    def make(config: settings.BinanceFeed | settings.CoinbaseFeed | settings.KrakenFeed, name: str) -> Feed:
        return feed(name, url=config.url, channels=config.channels, symbols=config.symbols or ())

    return make


_PROTOCOLS: Final[Mapping[type[settings.StreamFeed], Callable[[Any, str], Feed]]] = {
    settings.AlpacaFeed: _alpaca,
    settings.BinanceFeed: _exchange(BinanceFeed),
    settings.CoinbaseFeed: _exchange(CoinbaseFeed),
    settings.KrakenFeed: _exchange(KrakenFeed),
}
"""By the type of its settings, what makes a feed's protocol."""


def protocol(config: settings.StreamFeed, name: str) -> Feed:
    """The protocol of a feed over a supervised line, wanting the symbols that its settings name."""
    return _PROTOCOLS[type(config)](config, name)
