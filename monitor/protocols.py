"""Which vendor's protocol a configured feed speaks: one entry a vendor, and nothing else of the program names it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, get_args

import msgspec
from pydantic import SecretStr

from connectors.alpaca import AlpacaFeed
from connectors.binance import BinanceFeed
from connectors.coinbase import CoinbaseFeed
from connectors.feed import Feed
from connectors.finnhub import FinnhubFeed
from connectors.kraken import KrakenFeed
from connectors.massive import MassiveFeed
from connectors.mqtt import MqttFeed, MqttOptions, opener
from connectors.redis_stream import RedisFeed, StreamOptions, shown
from connectors.redis_stream import opener as stream_opener
from connectors.supervisor import Connect
from connectors.websocket import open_websocket
from monitor import settings
from monitor.positions import Place, Positions


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


def _redis(config: settings.RedisFeed, name: str) -> Feed:
    return RedisFeed(name, shown=shown(config.url.get_secret_value()), layout=config.layout())


_PROTOCOLS: Final[Mapping[type[settings.StreamFeed], Callable[[Any, str], Feed]]] = {
    settings.AlpacaFeed: _alpaca,
    settings.MassiveFeed: _massive,
    settings.FinnhubFeed: _finnhub,
    settings.BinanceFeed: _exchange(BinanceFeed),
    settings.CoinbaseFeed: _exchange(CoinbaseFeed),
    settings.KrakenFeed: _exchange(KrakenFeed),
    settings.MqttFeed: _mqtt,
    settings.RedisFeed: _redis,
}
"""By the type of its settings, what makes a feed's protocol."""


def protocol(config: settings.StreamFeed, name: str) -> Feed:
    """The protocol of a feed over a supervised line, wanting the symbols that its settings name."""
    return _PROTOCOLS[type(config)](config, name)


def transport(config: settings.StreamFeed, feed: Feed, positions: Positions) -> Connect:
    """What opens the lines of a feed; `positions` is where one that is read from a place remembers it."""
    if isinstance(config, settings.RedisFeed):
        return _stream(config, feed.name, positions)
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


def _stream(config: settings.RedisFeed, name: str, positions: Positions) -> Connect:
    async def position() -> str | None:
        return positions.of(name)

    return stream_opener(
        StreamOptions(
            url=config.url.get_secret_value(),
            stream=config.stream,
            payload=config.payload,
            begin=config.begin,
            position=position,
            receipt=partial(Place, positions, name),
            start=partial(positions.set, name),
        )
    )


_SECRET: Final = "replayed"  # noqa: S105 - what a parser is given that signs in nowhere
_PLACE: Final = ("url", "capture", "ca", "rest")
"""Keys that a parser does not need; an address may have a login."""


def about(config: settings.StreamFeed) -> bytes:
    """What a replay of a feed's frames needs to know of it: its settings, without secrets and places."""
    plain = config.model_dump(mode="json", exclude_none=True, exclude={*_PLACE, "client_id", "username"})
    secrets = {name for name in type(config).model_fields if isinstance(getattr(config, name), SecretStr)}
    return msgspec.json.encode({key: value for key, value in plain.items() if key not in secrets})


def parser(written: bytes | None, first: bytes, name: str) -> Feed:
    """The feed whose frames were captured.

    Args:
        written: What :func:`about` gave; None in captures that do not say: those are of Alpaca's stream.
        first: A frame, from which the encoding of such a one is told.
        name: What the feed is called now.

    Raises:
        ValueError: Another program wrote this, or another version.
    """
    if written is None:
        # A JSON frame starts with a bracket; in MessagePack that byte is a number, which no frame is.
        said: dict[str, Any] = {"type": "alpaca", "encoding": "json" if first[:1] in b"[{" else "msgpack"}
    else:
        said = msgspec.json.decode(written, type=dict[str, Any])
    kinds = {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in _PROTOCOLS}
    kind = kinds.get(said.get("type"))
    if kind is None:
        raise ValueError(f"frames of a feed of type {said.get('type')!r}, which this version does not read")
    for key, field in kind.model_fields.items():
        if field.is_required() and key not in said:
            said[key] = "mqtt://replay" if kind is settings.MqttFeed else "redis://replay" if key == "url" else _SECRET
    return protocol(kind.model_validate(said), name)
