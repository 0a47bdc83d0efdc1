"""Which vendor's protocol a configured feed speaks: one entry a vendor, and nothing else of the program names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.alpaca import AlpacaFeed
from connectors.feed import Feed
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


_PROTOCOLS: Final[Mapping[type[settings.StreamFeed], Callable[[Any, str], Feed]]] = {
    settings.AlpacaFeed: _alpaca,
}
"""By the type of its settings, what makes a feed's protocol."""


def protocol(config: settings.StreamFeed, name: str) -> Feed:
    """The protocol of a feed over a supervised line, wanting the symbols that its settings name."""
    return _PROTOCOLS[type(config)](config, name)
