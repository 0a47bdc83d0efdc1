"""The configuration: what can be set, where it comes from, and what is wrong with it."""

from monitor.settings.alerting import InhibitSettings, ReceiverSettings, RootRouteSettings, RouteSettings, TimeSettings
from monitor.settings.feeds import (
    AlpacaFeed,
    BinanceFeed,
    CoinbaseFeed,
    FeedSettings,
    FinnhubFeed,
    KrakenFeed,
    MassiveFeed,
    MqttFeed,
    ReplayFeed,
    SimulatorFeed,
    StreamFeed,
)
from monitor.settings.load import LoadedSettings, config_schema, is_config, load_settings
from monitor.settings.model import FileHistory, LogSettings, Settings, StoreSettings
from monitor.settings.web import TlsSettings, TokenSettings, WebSettings

__all__ = [
    "AlpacaFeed",
    "BinanceFeed",
    "CoinbaseFeed",
    "FeedSettings",
    "FileHistory",
    "FinnhubFeed",
    "InhibitSettings",
    "KrakenFeed",
    "LoadedSettings",
    "LogSettings",
    "MassiveFeed",
    "MqttFeed",
    "ReceiverSettings",
    "ReplayFeed",
    "RootRouteSettings",
    "RouteSettings",
    "Settings",
    "SimulatorFeed",
    "StoreSettings",
    "StreamFeed",
    "TimeSettings",
    "TlsSettings",
    "TokenSettings",
    "WebSettings",
    "config_schema",
    "is_config",
    "load_settings",
]
