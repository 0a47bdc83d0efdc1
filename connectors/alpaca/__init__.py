"""Alpaca Markets: the v2 stock stream."""

from connectors.alpaca.feed import AlpacaFeed

__all__ = ["AlpacaFeed"]
