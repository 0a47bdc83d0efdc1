"""Massive (formerly Polygon): the stocks stream, and aggregates over REST."""

from connectors.massive.feed import MassiveFeed

__all__ = ["MassiveFeed"]
