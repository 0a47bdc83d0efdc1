"""The configuration: what can be set, where it comes from, and what is wrong with it."""

from monitor.settings.load import LoadedSettings, config_schema, is_config, load_settings
from monitor.settings.model import (
    AlpacaFeed,
    FeedSettings,
    FileHistory,
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
    "FeedSettings",
    "FileHistory",
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
