"""The configuration: what can be set, where it comes from, and what is wrong with it."""

from monitor.settings.load import LoadedSettings, config_schema, is_config, load_settings
from monitor.settings.model import (
    AlpacaFeed,
    BinanceFeed,
    CoinbaseFeed,
    FeedSettings,
    FileHistory,
    KrakenFeed,
    LogSettings,
    ReceiverSettings,
    ReplayFeed,
    RouteSettings,
    Settings,
    SimulatorFeed,
    StoreSettings,
    StreamFeed,
    WebSettings,
)

__all__ = [
    "AlpacaFeed",
    "BinanceFeed",
    "CoinbaseFeed",
    "FeedSettings",
    "FileHistory",
    "KrakenFeed",
    "LoadedSettings",
    "LogSettings",
    "ReceiverSettings",
    "ReplayFeed",
    "RouteSettings",
    "Settings",
    "SimulatorFeed",
    "StoreSettings",
    "StreamFeed",
    "WebSettings",
    "config_schema",
    "is_config",
    "load_settings",
]
