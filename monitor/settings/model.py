"""What can be set, with its defaults: ``rotation.yaml`` as types.

Durations are nanoseconds. Secrets are `SecretStr`: they show as asterisks in every repr, log and dump. Paths are as
written until :func:`monitor.settings.load_settings` makes them absolute, relative to the configuration file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from monitor.settings.alerting import InhibitSettings, ReceiverSettings, RootRouteSettings, TimeSettings
from monitor.settings.base import ExistingPath, FilePath, Model, Name, Text
from monitor.settings.corporate_actions import FileActions
from monitor.settings.durations import DAY, UNITS, Age, Duration, PositiveDuration
from monitor.settings.feeds import FeedSettings
from monitor.settings.heartbeat import HeartbeatSettings
from monitor.settings.history import FileHistory, HistorySettings
from monitor.settings.web import WebSettings
from rules.diagnostics import did_you_mean

_S: Final = UNITS["s"]
_CALENDARS: Final = frozenset(
    {"always", "XNYS", "XNAS", "XLON", "XETR", "XPAR", "XAMS", "XSWX", "XTKS", "XHKG", "XTSE", "XASX"}
)
"""Names that need no looking up."""
_KEY: Final = 12
"""Characters from which on a piece of a path is taken for a key, rather than for a word such as ``websocket``."""

EMBEDDED: Final = "embedded"
"""The store's word for a server of its own."""

CONSOLE: Final = "console"
"""The receiver there is where none is configured."""


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
    history: tuple[Annotated[HistorySettings, Field(discriminator="type")], ...] = ()
    corporate_actions: tuple[FileActions, ...] = Field(
        default=(), description="splits, dividends and new symbols: ts, symbol, kind and ratio, amount or new"
    )
    dividends: Literal["ignore", "adjust"] = Field(
        default="ignore", description="adjust: prices before a dividend are lowered by it, so returns are total returns"
    )
    receivers: Annotated[dict[Name, ReceiverSettings], Field(min_length=1)] = Field(
        default_factory=lambda: {CONSOLE: ReceiverSettings(urls=(SecretStr("console://"),))}
    )
    route: RootRouteSettings | None = Field(default=None, description="without it, every receiver is told")
    inhibit: tuple[InhibitSettings, ...] = Field(default=(), description="alerts that are not told while others fire")
    mute_times: dict[Name, tuple[TimeSettings, ...]] = Field(
        default_factory=dict, description="times by name, for `mute` of a route"
    )
    heartbeat: HeartbeatSettings | None = Field(default=None, description="without it, silence may be a monitor's end")
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
    history_keep: Age = Field(
        default=90 * DAY,
        description="how long transitions, who was told, dead letters and the audit log are kept: 90d; d is 24 hours",
    )
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

    @property
    def history_files(self) -> tuple[Path, ...]:
        """The files that are the past."""
        return tuple(entry.data for entry in self.history if isinstance(entry, FileHistory))

    def secrets(self) -> list[str]:
        """Every secret text, for masking in logs; the address of a store without a password is none.

        Long pieces of the path of a feed's address are taken for keys.
        """
        store = self.store.url.get_secret_value()
        public = None if "@" in store or "?" in store else store
        named = [text for secret in _secrets(self) if (text := secret.get_secret_value()) != public]
        return [*named, *_keys_in_paths((*self.feeds.values(), *self.history))]


def _keys_in_paths(entries: Iterable[Model]) -> Iterator[str]:
    """What may be a key in the paths of web addresses."""
    for entry in entries:
        for name in ("url", "rest"):
            value = getattr(entry, name, None)
            address = urlsplit(value.get_secret_value() if isinstance(value, SecretStr) else value or "")
            if address.scheme in {"ws", "wss", "http", "https"}:
                yield from (piece for piece in address.path.split("/") if len(piece) >= _KEY)


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
