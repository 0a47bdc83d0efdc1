"""What can be set of feeds: where market data come from, one type a vendor or way.

Durations are nanoseconds; paths are as written until they are made absolute, relative to the configuration file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from connectors.mqtt.layout import ForeignLayout, LayoutError
from monitor.settings.base import ExistingPath, FilePath, Model, Text, not_empty
from monitor.settings.durations import UNITS, Duration, PositiveDuration

_S: Final = UNITS["s"]

Symbols = Annotated[tuple[Text, ...], Field(min_length=1)]


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


class FileFeed(Model):
    """A folder into which somebody puts data files: each is taken once, when it stands still."""

    type: Literal["file"]
    folder: ExistingPath
    pattern: Annotated[tuple[Text, ...], Field(min_length=1)] = ("*.parquet", "*.pq", "*.csv")
    every: PositiveDuration = Field(default=_S, description="how often the folder is looked at")
    still: Duration = Field(default=2 * _S, description="how long size and time of a file stay before it is read")

    @field_validator("folder")
    @classmethod
    def _a_folder(cls, folder: Path) -> Path:
        if not folder.is_dir():
            raise PydanticCustomError("path", "`{path}` is no folder", {"path": str(folder)})
        return folder


class SeriesColumns(Model):
    """What the columns are called in somebody else's table."""

    ts: Text = Field(default="ts", description="what a value describes: a date or a time")
    value: Text = "value"
    published: Text | None = Field(default=None, description="when a value came out; without it, with its ts")
    series: Text | None = Field(default=None, description="the column that names the series, in a table of several")


class SeriesFeed(Model):
    """External series (a yield, a P/E) from a CSV file or a web address, read again and again."""

    type: Literal["series"]
    url: SecretStr | None = Field(default=None, description="https://HOST/PATH of a CSV")
    data: ExistingPath | None = Field(default=None, description="or a file, CSV or Parquet")
    series: Text | None = Field(default=None, description="the name of the one series in it")
    columns: SeriesColumns = SeriesColumns()
    missing: tuple[str, ...] = Field(default=("", "."), description="texts that stand where there is no value")
    every: PositiveDuration = 3600 * _S

    @field_validator("url")
    @classmethod
    def _http(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("http://", "https://")):
            raise PydanticCustomError("feed_url", "is no web address: write https://HOST/PATH")
        return url

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.url is None) == (self.data is None):
            raise PydanticCustomError("series_place", "a feed of series has either `url` or `data`")
        if (self.series is None) == (self.columns.series is None):
            raise PydanticCustomError(
                "series_name",
                "a feed of series has either `series`, its name, or `columns.series`, the column of names",
            )
        return self


class RedisFeed(StreamFeed):
    """A stream of somebody else's in Redis or Valkey, read from where it was left."""

    type: Literal["redis"]
    url: SecretStr = Field(description="redis://HOST:PORT/0, rediss:// with TLS, or unix:///PATH")  # type: ignore[assignment] # has a password
    symbols: None = Field(default=None, description="not for this feed: its stream says what there is")
    stream: Text = Field(description="its key")
    kind: Literal["quotes", "trades", "bars", "statuses"]
    begin: Literal["new", "oldest"] = Field(default="new", description="where to begin the first time")
    payload: Text | None = Field(
        default=None, description="the field that holds JSON or MessagePack; without it, the entry's fields are the row"
    )
    symbol: Text = Field(default="{symbol}", description="the instrument, of fields of a row: {base}/{quote}")
    time: Text = Field(default="ts", description="the path of the time in a row")
    unit: Literal["rfc3339", "s", "ms", "us", "ns", "received"] = "rfc3339"
    rows: str = Field(default="", description="the path of the list of rows, where a message is not a row or a list")
    fields: dict[Text, Text] = Field(default_factory=dict, description="by our names, paths in a row: {bid: best.bid}")
    bar: PositiveDuration = Field(default=60 * _S, description="how long a bar is")

    def layout(self) -> ForeignLayout:
        """How an entry is read."""
        return ForeignLayout(
            "stream", self.kind, self.symbol, self.time, self.unit, self.rows, self.fields, self.bar / _S
        )

    @field_validator("url")
    @classmethod
    def _websocket(cls, url: SecretStr) -> SecretStr:  # type: ignore[override] # another kind of address
        if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise PydanticCustomError("feed_url", "is no address of a Redis: write redis://HOST:PORT")
        return url

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        try:
            self.layout()
        except LayoutError as error:
            raise PydanticCustomError("mqtt_mapping", "{why}", {"why": str(error)}) from error
        return self


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
    feed: Text | None = Field(default=None, description="whose frames, where a folder has those of several feeds")


FeedSettings = (
    AlpacaFeed
    | MassiveFeed
    | FinnhubFeed
    | BinanceFeed
    | CoinbaseFeed
    | KrakenFeed
    | MqttFeed
    | RedisFeed
    | FileFeed
    | SeriesFeed
    | SimulatorFeed
    | ReplayFeed
)
"""One feed, told apart by `type`."""
