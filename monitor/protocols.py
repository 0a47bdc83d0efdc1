"""Which vendor's protocol a configured feed speaks: one entry a vendor, and nothing else of the program names it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.alpaca import AlpacaFeed
from connectors.binance import BinanceFeed
from connectors.coinbase import CoinbaseFeed
from connectors.feed import Feed
from connectors.finnhub import FinnhubFeed
from connectors.kraken import KrakenFeed
from connectors.massive import MassiveFeed
from connectors.mqtt import MqttFeed, MqttOptions, opener
from connectors.supervisor import Connect
from connectors.websocket import open_websocket
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


def _massive(config: settings.MassiveFeed, name: str) -> Feed:
    return MassiveFeed(
        name,
        key=config.key.get_secret_value(),
        source=config.feed,
        url=config.url,
        channels=config.channels,
        symbols=config.symbols or (),
    )


def _finnhub(config: settings.FinnhubFeed, name: str) -> Feed:
    return FinnhubFeed(name, key=config.key.get_secret_value(), url=config.url, symbols=config.symbols or ())


def _exchange(feed: type[BinanceFeed | CoinbaseFeed | KrakenFeed]) -> Callable[[Any, str], Feed]:
    def make(config: settings.BinanceFeed | settings.CoinbaseFeed | settings.KrakenFeed, name: str) -> Feed:
        return feed(name, url=config.url, channels=config.channels, symbols=config.symbols or ())

    return make


def _mqtt(config: settings.MqttFeed, name: str) -> Feed:
    layouts = [mapping.layout() for mapping in config.mapping]
    return MqttFeed(name, url=config.url, topics=config.topics, qos=config.qos, layouts=layouts)


_PROTOCOLS: Final[Mapping[type[settings.StreamFeed], Callable[[Any, str], Feed]]] = {
    settings.AlpacaFeed: _alpaca,
    settings.MassiveFeed: _massive,
    settings.FinnhubFeed: _finnhub,
    settings.BinanceFeed: _exchange(BinanceFeed),
    settings.CoinbaseFeed: _exchange(CoinbaseFeed),
    settings.KrakenFeed: _exchange(KrakenFeed),
    settings.MqttFeed: _mqtt,
}
"""By the type of its settings, what makes a feed's protocol."""


def protocol(config: settings.StreamFeed, name: str) -> Feed:
    """The protocol of a feed over a supervised line, wanting the symbols that its settings name."""
    return _PROTOCOLS[type(config)](config, name)


def transport(config: settings.StreamFeed, feed: Feed) -> Connect:
    """What opens the lines of a feed."""
    if not isinstance(config, settings.MqttFeed) or not isinstance(feed, MqttFeed):
        return open_websocket
    options = MqttOptions(
        client_id=config.client_id or f"rotation-{socket.gethostname()}-{feed.name}",
        username=config.username,
        password=config.password.get_secret_value() if config.password else None,
        ca=str(config.ca) if config.ca else None,
        protocol=config.protocol,
        session=config.session // 10**9 if config.qos else None,
    )
    return opener(options, feed.router.newest_only)
