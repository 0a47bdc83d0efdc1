"""What can be set, with its defaults: ``rotation.yaml`` as types.

Durations are nanoseconds. Secrets are `SecretStr`: they show as asterisks in every repr, log and dump. Paths are as
written until :func:`monitor.settings.load_settings` makes them absolute, relative to the configuration file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from connectors.mqtt.layout import ForeignLayout, LayoutError
from monitor.settings.alerting import InhibitSettings, ReceiverSettings, RootRouteSettings, TimeSettings
from monitor.settings.base import ExistingPath, FilePath, Model, Name, Text, not_empty
from monitor.settings.durations import UNITS, Duration, PositiveDuration
from monitor.settings.web import WebSettings
from rules.diagnostics import did_you_mean

_S: Final = UNITS["s"]
_CALENDARS: Final = frozenset(
    {"always", "XNYS", "XNAS", "XLON", "XETR", "XPAR", "XAMS", "XSWX", "XTKS", "XHKG", "XTSE", "XASX"}
)
"""Names that need no looking up."""

EMBEDDED: Final = "embedded"
"""The store's word for a server of its own."""

CONSOLE: Final = "console"
"""The receiver there is where none is configured."""

Symbols = Annotated[tuple[Text, ...], Field(min_length=1)]


class StoreSettings(Model):
    """Where everything is kept that must survive a restart."""

    url: SecretStr = Field(
        default=SecretStr("embedded"),
        description="embedded (a server in data_dir), or redis://, rediss://, unix:// of a Redis >= 6.2 or Valkey",
    )
    data_dir: FilePath = Field(default=Path("rotation-data"), description="folder of the embedded store")

    @property
    def embedded(self) -> bool:
        """Whether the daemon starts its own server."""
        return self.url.get_secret_value() == EMBEDDED

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text == EMBEDDED or text.startswith(("redis://", "rediss://", "unix://")):
            return url
        scheme = text.partition("://")[0] if "://" in text else ""
        if scheme == "redis+cluster":
            raise PydanticCustomError(
                "store_url", "redis+cluster:// is not in this version: use embedded, redis://, rediss:// or unix://"
            )
        shown = f"`{scheme}://` is no store" if scheme.replace("+", "").isalnum() else "is no address of a store"
        raise PydanticCustomError(
            "store_url",
            "{shown}: write embedded, redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH",
            {"shown": shown},
        )


class StreamFeed(Model):
    """A vendor's stream over a websocket, kept up by the supervisor."""

    type: str
    url: str | None = Field(default=None, description="another address that speaks the same protocol: wss://HOST/PATH")
    symbols: Symbols | None = Field(default=None, description="what to subscribe to; without it, what the rules need")
    capture: FilePath | None = Field(default=None, description="folder for raw frames, the newest 2 GiB of them")

    @field_validator("url")
    @classmethod
    def _websocket(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("ws://", "wss://")):
            raise PydanticCustomError("feed_url", "is no websocket address: write wss://HOST/PATH")
        return url


QuotesOrTrades = Annotated[tuple[Literal["quotes", "trades"], ...], Field(min_length=1)]


class AlpacaFeed(StreamFeed):
    """A stock stream of Alpaca, or anything that speaks its protocol."""

    type: Literal["alpaca"]
    feed: Literal["iex", "sip", "delayed_sip", "test"] = Field(default="iex", description="iex: one venue, free")
    key: SecretStr
    secret: SecretStr
    channels: Annotated[
        tuple[Literal["quotes", "trades", "bars", "updatedBars", "statuses", "lulds"], ...], Field(min_length=1)
    ] = ("quotes", "trades")
    encoding: Literal["json", "msgpack"] = "msgpack"

    _secrets = field_validator("key", "secret")(not_empty)


class MassiveFeed(StreamFeed):
    """The stocks stream of Massive, formerly Polygon."""

    type: Literal["massive"]
    feed: Literal["real-time", "delayed"] = Field(default="real-time", description="delayed: 15 minutes late")
    key: SecretStr
    channels: Annotated[
        tuple[Literal["quotes", "trades", "bars", "second_bars", "bands"], ...], Field(min_length=1)
    ] = ("quotes", "trades")

    _secrets = field_validator("key")(not_empty)


class FinnhubFeed(StreamFeed):
    """Trades from Finnhub, and last prices to begin with."""

    type: Literal["finnhub"]
    key: SecretStr
    seed: bool = Field(default=True, description="ask for the last price of each instrument when it is subscribed to")
    rest: str | None = Field(default=None, description="another address for last prices: https://HOST/PATH")

    _secrets = field_validator("key")(not_empty)

    @field_validator("rest")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise PydanticCustomError("feed_url", "is no web address: write https://HOST/PATH")
        return url


class BinanceFeed(StreamFeed):
    """Binance's spot streams, free; `url: wss://stream.binance.us:9443/stream` is Binance.US."""

    type: Literal["binance"]
    channels: QuotesOrTrades = ("quotes", "trades")


class CoinbaseFeed(StreamFeed):
    """Coinbase's market data, free."""

    type: Literal["coinbase"]
    channels: QuotesOrTrades = ("quotes", "trades")


class KrakenFeed(StreamFeed):
    """Kraken's spot stream, free; shares as tokens are AAPLx/USD."""

    type: Literal["kraken"]
    channels: QuotesOrTrades = ("quotes", "trades")


class MqttMapping(Model):
    """How somebody else's topics and messages are read."""

    topic: Text = Field(description="ticks/{venue}/{symbol}: parts with names; + is any part, # at the end any more")
    kind: Literal["quotes", "trades", "bars", "statuses"]
    symbol: Text = Field(default="{symbol}", description="of named parts of the topic and fields: {base}/{quote}")
    time: Text = Field(default="ts", description="the path of the time in a row")
    unit: Literal["rfc3339", "s", "ms", "us", "ns", "received"] = "rfc3339"
    rows: str = Field(default="", description="the path of the list of rows, where a message is not a row or a list")
    fields: dict[Text, Text] = Field(default_factory=dict, description="by our names, paths in a row: {bid: best.bid}")
    bar: PositiveDuration = Field(default=60 * _S, description="how long a bar is")

    def layout(self) -> ForeignLayout:
        """The same for the feed."""
        return ForeignLayout(
            self.topic, self.kind, self.symbol, self.time, self.unit, self.rows, self.fields, self.bar / _S
        )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        try:
            self.layout()
        except LayoutError as error:
            raise PydanticCustomError("mqtt_mapping", "{why}", {"why": str(error)}) from error
        return self


class MqttFeed(StreamFeed):
    """Topics of an MQTT broker: md/v1/{source}/{shard}/{symbol}/{q|t|b|s}, and others by `mapping`."""

    type: Literal["mqtt"]
    url: str = Field(description="mqtt://HOST:PORT, or mqtts://HOST:PORT with TLS")
    symbols: None = Field(default=None, description="not for this feed: its topics say what is wanted")
    topics: Annotated[tuple[Text, ...], Field(min_length=1)]
    qos: int = Field(default=0, ge=0, le=1, description="1: acknowledged once the journal has it, so nothing is lost")
    username: str | None = None
    password: SecretStr | None = None
    ca: ExistingPath | None = Field(default=None, description="certificates that the broker's is checked against")
    client_id: Text | None = Field(default=None, description="without it, one of the machine's and the feed's name")
    protocol: Literal["3.1.1", "5"] = "5"
    session: Duration = Field(default=24 * UNITS["h"], description="qos 1: how long the broker keeps what we miss")
    mapping: tuple[MqttMapping, ...] = ()

    @field_validator("url")
    @classmethod
    def _websocket(cls, url: str | None) -> str | None:
        try:
            parts = urlsplit(url or "")
            port = 1 if parts.port is None else parts.port
            good = parts.scheme in ("mqtt", "mqtts") and parts.hostname and port and parts.username is None
        except ValueError:
            good = False
        if not good:
            raise PydanticCustomError(
                "feed_url", "is no address of a broker: write mqtt://HOST:PORT or mqtts://HOST:PORT, without a password"
            )
        return url


class SimulatorFeed(Model):
    """The embedded exchange, playing a scenario over a vendor's protocol."""

    type: Literal["simulator"]
    scenario: Literal["great-rotation"] = "great-rotation"
    speed: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="event seconds a second; 0: as fast as it is read; without it, the story in a minute, then slower",
    )
    seed: int = Field(default=1, ge=0)
    sessions: int | None = Field(default=None, ge=1, description="how many sessions to play; without it, for ever")


class ReplayFeed(Model):
    """A data file, or a folder of captured frames, played in the order and at the distances of its times."""

    type: Literal["replay"]
    data: ExistingPath
    speed: float = Field(default=60.0, ge=0, allow_inf_nan=False, description="event seconds a second; 0 is at once")


FeedSettings = (
    AlpacaFeed
    | MassiveFeed
    | FinnhubFeed
    | BinanceFeed
    | CoinbaseFeed
    | KrakenFeed
    | MqttFeed
    | SimulatorFeed
    | ReplayFeed
)
"""One feed, told apart by `type`."""


class FileHistory(Model):
    """Bars of a file, imported at start."""

    type: Literal["file"]
    data: ExistingPath


class LogSettings(Model):
    """What is logged, and how."""

    format: Literal["auto", "console", "json"] = Field(
        default="auto", description="auto: console on a terminal, else json"
    )
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Model):
    """The whole configuration."""

    store: StoreSettings = StoreSettings()
    calendar: Text = Field(default="XNYS", description="an exchange of exchange_calendars")
    clock: Literal["wall", "event"] = Field(
        default="wall", description="event: time is what the data says (replays, the simulator)"
    )
    rules: tuple[ExistingPath, ...] = Field(default=(), description="rule files and folders, relative to this file")
    feeds: dict[Name, Annotated[FeedSettings, Field(discriminator="type")]] = Field(default_factory=dict)
    history: tuple[FileHistory, ...] = ()
    receivers: Annotated[dict[Name, ReceiverSettings], Field(min_length=1)] = Field(
        default_factory=lambda: {CONSOLE: ReceiverSettings(urls=(SecretStr("console://"),))}
    )
    route: RootRouteSettings | None = Field(default=None, description="without it, every receiver is told")
    inhibit: tuple[InhibitSettings, ...] = Field(default=(), description="alerts that are not told while others fire")
    mute_times: dict[Name, tuple[TimeSettings, ...]] = Field(
        default_factory=dict, description="times by name, for `mute` of a route"
    )
    web: WebSettings = WebSettings()
    lateness: Duration = Field(default=30 * _S, description="how far behind the newest event a quote or trade may be")
    stale_after: PositiveDuration = Field(default=900 * _S, description="age at which a price is no longer known")
    evaluate_every: PositiveDuration = Field(default=1 * _S, description="shortest event time between evaluations")
    evaluation_budget: PositiveDuration = Field(
        default=_S // 10, description="processor time of an evaluation beyond which the costliest rules are suspended"
    )
    price: Literal["auto", "last", "mid"] = Field(default="auto", description="auto: last trade if the feed has trades")
    checkpoint_every: PositiveDuration = 30 * _S
    journal_keep: PositiveDuration = 24 * UNITS["h"]
    log: LogSettings = LogSettings()

    @field_validator("calendar")
    @classmethod
    def _known_calendar(cls, name: str) -> str:
        if name in _CALENDARS:
            return name
        # Imported here: building a calendar takes a second, which the usual names need not wait for.
        from monitor.calendar import CalendarError, TradingCalendar  # noqa: PLC0415

        try:
            TradingCalendar(name)
        except CalendarError as error:
            alike = did_you_mean(name, _CALENDARS)
            text = f"there is no calendar `{name}`{alike}" if alike else str(error)
            raise PydanticCustomError("calendar", "{text}", {"text": text}) from None
        return name

    @property
    def told(self) -> tuple[str, ...]:
        """Names of the receivers that are told unless a rule says otherwise."""
        return self.route.receiver if self.route else tuple(self.receivers)

    def secrets(self) -> list[str]:
        """Every secret text, for masking in logs; the address of a store without a password is none."""
        store = self.store.url.get_secret_value()
        public = None if "@" in store or "?" in store else store
        return [text for secret in _secrets(self) if (text := secret.get_secret_value()) != public]


def _secrets(value: object) -> Iterator[SecretStr]:
    """Every secret in a model, however deep."""
    if isinstance(value, SecretStr):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _secrets(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from _secrets(each)
