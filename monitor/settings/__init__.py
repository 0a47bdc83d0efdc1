"""The configuration: what can be set, where it comes from, and what is wrong with it."""

from monitor.settings.alerting import InhibitSettings, ReceiverSettings, RootRouteSettings, RouteSettings, TimeSettings
from monitor.settings.feeds import (
    AlpacaFeed,
    BinanceFeed,
    CoinbaseFeed,
    FeedSettings,
    FileFeed,
    FinnhubFeed,
    KrakenFeed,
    MassiveFeed,
    MqttFeed,
    RedisFeed,
    ReplayFeed,
    SeriesColumns,
    SeriesFeed,
    SimulatorFeed,
    StreamFeed,
)
from monitor.settings.history import AlpacaHistory, FileHistory, HistorySettings, MassiveHistory, VendorHistory
from monitor.settings.load import LoadedSettings, config_schema, is_config, load_settings
from monitor.settings.model import LogSettings, Settings, StoreSettings
from monitor.settings.web import TlsSettings, TokenSettings, WebSettings

__all__ = [
    "AlpacaFeed",
    "AlpacaHistory",
    "BinanceFeed",
    "CoinbaseFeed",
    "FeedSettings",
    "FileFeed",
    "FileHistory",
    "FinnhubFeed",
    "HistorySettings",
    "InhibitSettings",
    "KrakenFeed",
    "LoadedSettings",
    "LogSettings",
    "MassiveFeed",
    "MassiveHistory",
    "MqttFeed",
    "ReceiverSettings",
    "RedisFeed",
    "ReplayFeed",
    "RootRouteSettings",
    "RouteSettings",
    "SeriesColumns",
    "SeriesFeed",
    "Settings",
    "SimulatorFeed",
    "StoreSettings",
    "StreamFeed",
    "TimeSettings",
    "TlsSettings",
    "TokenSettings",
    "VendorHistory",
    "WebSettings",
    "config_schema",
    "is_config",
    "load_settings",
]
