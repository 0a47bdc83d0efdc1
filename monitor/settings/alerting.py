"""Who is told of alerts, and when: receivers, the route tree, inhibitions, mute times."""

from __future__ import annotations

import datetime as dt
import re
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from monitor.alerting import matchers, repeats
from monitor.notify import credentials
from monitor.settings.base import Model, Name, Text
from monitor.settings.durations import UNITS, Duration, PositiveDuration
from rules.fields import duration_ns

_S: Final = UNITS["s"]
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIMES: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*|\.\.\.")
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""RFC 6750, section 2.1."""
_DAY_MINUTES: Final = 24 * 60
TRADING: Final = ("regular", "extended", "closed")
"""Mute times that are always there."""


def _one_or_more(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    return (value,) if isinstance(value, str) else value


def _matcher(text: str) -> str:
    try:
        matchers.parse(text)
    except matchers.MatcherError as error:
        raise PydanticCustomError("matcher", "{text}", {"text": str(error)}) from None
    return text


def _repeat_step(text: str) -> str:
    if text == repeats.NEXT_OPEN:
        return text
    ns, hint = duration_ns(text)
    if not ns:
        hint = hint or "write 15m, 1h or next_open"
        raise PydanticCustomError("repeat", "`{text}` is no step of a repeat: {hint}", {"text": text, "hint": hint})
    return text


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise PydanticCustomError("label", "`{text}` is no label such as theme, or `...` for all", {"text": text})
    return text


Matchers = Annotated[tuple[Annotated[str, AfterValidator(_matcher)], ...], BeforeValidator(_one_or_more)]
"""``name=value``, ``!=``, ``=~``, ``!~``; ``alert`` is the rule's name."""
Labels = Annotated[tuple[Annotated[str, AfterValidator(_label)], ...], BeforeValidator(_one_or_more)]
Repeat = Annotated[tuple[Annotated[str, AfterValidator(_repeat_step)], ...], BeforeValidator(_one_or_more)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_one_or_more)]


class DigestSettings(Model):
    """When a receiver is told what has been gathered for it."""

    every: PositiveDuration | None = Field(default=None, description="how long after the first news")
    at: Literal["close"] | None = Field(default=None, description="close: at the regular market's close")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.every is None) == (self.at is None):
            raise PydanticCustomError("digest", "write `every: 15m`, or `at: close`: one of the two")
        return self


def _digest(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    return {"every": value} if isinstance(value, str | int) and not isinstance(value, bool) else value


def _picture(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    match value:
        case True | "true":
            return "light"
        case False | "false":
            return None
        case _:
            return value


class EscalationSettings(Model):
    """Who is told where nobody has acknowledged an alert for a while."""

    after: PositiveDuration = Field(description="how long after the first receiver was told")
    to: Annotated[tuple[Name, ...], Field(min_length=1), BeforeValidator(_one_or_more)]


class FlapSettings(Model):
    """From when on an instance that fires again and again is told in a digest."""

    more_than: int = Field(default=6, ge=1, description="how often it may fire within the time")
    within: PositiveDuration = 3600 * _S


_WANTED: Final = {
    "alertmanager": "address {number} is none of an Alertmanager: http://HOST:9093",
    "webhook": "address {number} is none of a webhook: https://HOST/PATH",
}


def _bearer(token: SecretStr) -> SecretStr:
    if not _TOKEN.fullmatch(token.get_secret_value()):
        raise PydanticCustomError("receiver_token", "is no bearer token: letters, digits and -._~+/= without blanks")
    return token


def _signs(key: SecretStr) -> SecretStr:
    try:
        credentials.signing_key(key.get_secret_value())
    except ValueError as error:
        raise PydanticCustomError("receiver_signing_key", "{said}", {"said": str(error)}) from None
    return key


class ReceiverSettings(Model):
    """Somewhere alerts go."""

    urls: Annotated[tuple[SecretStr, ...], Field(min_length=1)] = Field(
        description="addresses: console://, alertmanager://, webhook://, those of apprise (mailtos://, slack://, ...)"
    )
    type: Literal["alertmanager", "webhook"] | None = Field(
        default=None,
        description="alertmanager: the addresses are http:// or https:// of Alertmanagers, one cluster; "
        "webhook: of services that take the webhooks of an Alertmanager",
    )
    token: Annotated[SecretStr, AfterValidator(_bearer)] | None = Field(
        default=None, description="sent as a bearer token, with a type"
    )
    signing_key: Annotated[SecretStr, AfterValidator(_signs)] | None = Field(
        default=None, description="whsec_BASE64; signs what a webhook gets as Standard Webhooks say"
    )
    deadline: PositiveDuration = Field(default=15 * _S, description="how long one attempt may take")
    max_per_minute: int | None = Field(default=None, ge=1, description="messages; more are gathered into one")
    flap: FlapSettings | None = Field(default=None, description="tell instances that flap in a digest")
    digest: Annotated[DigestSettings | None, BeforeValidator(_digest)] = Field(
        default=None, description="gather news in one message: 15m, or {at: close}"
    )
    digest_except: Matchers = Field(default=(), description="what is told at once all the same: [severity=critical]")
    picture: Annotated[Literal["light", "dark"] | None, BeforeValidator(_picture)] = Field(
        default=None, description="send a picture of the evidence: true, or dark for one on dark ground"
    )
    tell_acks: bool = Field(default=True, description="say who has acknowledged what it was told; never in a digest")

    @field_validator("urls")
    @classmethod
    def _addresses(cls, urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, url in enumerate(urls, start=1):
            if "://" not in url.get_secret_value():
                raise PydanticCustomError(
                    "receiver_url",
                    "address {number} is none: it starts with a service, such as mailtos://",
                    {"number": number},
                )
        return urls

    @model_validator(mode="after")
    def _addresses_of_type(self) -> Self:
        """Addresses of Alertmanagers and webhooks under the scheme that tells them from others."""
        if self.type is None and self.token:
            raise PydanticCustomError(
                "receiver_token", "a `token` belongs to a `type: webhook` or `type: alertmanager`"
            )
        if self.type != "webhook" and self.signing_key:
            raise PydanticCustomError("receiver_signing_key", "a `signing_key` belongs to a `type: webhook`")
        if self.type is None:
            return self
        schemes = {"http": self.type, "https": f"{self.type}s"}
        changed = []
        for number, url in enumerate(self.urls, start=1):
            scheme, _, rest = url.get_secret_value().partition("://")
            if scheme not in (*schemes, *schemes.values()):
                raise PydanticCustomError("receiver_url", _WANTED[self.type], {"number": number})
            changed.append(SecretStr(f"{schemes.get(scheme, scheme)}://{rest}"))
        object.__setattr__(self, "urls", tuple(changed))  # a model is frozen once it is made
        return self


class RouteSettings(Model):
    """Who is told, unless a rule says otherwise. What a route does not say is as in the one above it."""

    receiver: Annotated[tuple[Name, ...], Field(min_length=1), BeforeValidator(_one_or_more)] | None = Field(
        default=None, description="one receiver, or several"
    )
    match: Matchers = Field(default=(), description="labels an alert must have to take this route")
    continue_: bool = Field(default=False, alias="continue", description="look at the routes after this one as well")
    group_by: Labels | None = Field(
        default=None, description="tell alerts together that have the same values of these labels; `...` is all labels"
    )
    group_wait: Duration | None = Field(default=None, description="how long the first alert of a group waits for more")
    group_interval: Duration | None = Field(default=None, description="shortest time between messages of a group")
    repeat: Repeat | None = Field(default=None, description="tell again while it fires: [15m, 1h, next_open]")
    escalate: tuple[EscalationSettings, ...] | None = Field(
        default=None, description="who is told where nobody acknowledges: [{after: 15m, to: desk-mail}]"
    )
    mute: Names | None = Field(default=None, description="mute times: regular, extended, closed, or of `mute_times`")
    routes: tuple[RouteSettings, ...] = Field(default=(), description="the first that matches is taken")

    @field_validator("escalate")
    @classmethod
    def _in_order(cls, steps: tuple[EscalationSettings, ...] | None) -> tuple[EscalationSettings, ...] | None:
        for number, (before, step) in enumerate(pairwise(steps or ()), start=2):
            if step.after <= before.after:
                raise PydanticCustomError(
                    "escalation_order",
                    "`after` of step {number} is not later than that of the step before it: put the steps in order",
                    {"number": number},
                )
        return steps


class RootRouteSettings(RouteSettings):
    """The top of the route tree."""

    receiver: Annotated[tuple[Name, ...], Field(min_length=1), BeforeValidator(_one_or_more)] = Field(
        description="one receiver, or several"
    )

    @model_validator(mode="after")
    def _takes_all(self) -> Self:
        for key, given in (("match", self.match), ("continue", self.continue_)):
            if given:
                raise PydanticCustomError("root_route", "`{key}`: the first route takes every alert", {"key": key})
        return self


class InhibitSettings(Model):
    """While an alert that matches `source` fires, those that match `target` are not told."""

    source: Annotated[Matchers, Field(min_length=1)]
    target: Annotated[Matchers, Field(min_length=1)]
    equal: Labels = Field(default=(), description="labels that both must have the same values of")


def _times(text: str) -> str:
    found = _TIMES.fullmatch(text)
    numbers = [int(n) for n in found.groups()] if found else []
    if not numbers or max(60 * numbers[0] + numbers[1], 60 * numbers[2] + numbers[3]) > _DAY_MINUTES:
        raise PydanticCustomError("times", "`{text}` is no time of day such as 22:00-06:00", {"text": text})
    return text


def _days(text: str) -> str:
    first, _, last = text.partition("-")
    if any(day not in _DAYS for day in (first, last or first)):
        raise PydanticCustomError("weekdays", "`{text}` is no weekday: monday, or monday-friday", {"text": text})
    return text


def _dates(text: Any) -> Any:  # noqa: ANN401 - YAML gives dates as such
    if isinstance(text, dt.date):
        return text.isoformat()
    try:
        first, _, last = str(text).partition("..")
        good = dt.date.fromisoformat(first) <= dt.date.fromisoformat(last or first)
    except ValueError:
        good = False
    if not good:
        message = "`{text}` is no date: 2026-12-24, or 2026-12-24..2026-12-31"
        raise PydanticCustomError("dates", message, {"text": str(text)})
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        message = "there is no time zone `{name}`: America/New_York"
        raise PydanticCustomError("zone", message, {"name": name}) from None
    return name


class TimeSettings(Model):
    """Times at which everything given here holds; at least one thing is given."""

    trading: Annotated[tuple[Literal["regular", "extended", "closed"], ...], BeforeValidator(_one_or_more)] = Field(
        default=(), description="what the market does: regular hours, extended hours around them, or closed"
    )
    times: Annotated[tuple[Annotated[str, AfterValidator(_times)], ...], BeforeValidator(_one_or_more)] = Field(
        default=(), description="times of day: 22:00-06:00 (the end is not in it; 24:00 is midnight)"
    )
    weekdays: Annotated[tuple[Annotated[str, AfterValidator(_days)], ...], BeforeValidator(_one_or_more)] = Field(
        default=(), description="monday, or monday-friday"
    )
    dates: Annotated[tuple[Annotated[str, BeforeValidator(_dates)], ...], BeforeValidator(_one_or_more)] = Field(
        default=(), description="2026-12-24, or 2026-12-24..2026-12-31"
    )
    zone: Annotated[Text, AfterValidator(_zone)] = Field(default="America/New_York", description="of times and dates")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.trading or self.times or self.weekdays or self.dates):
            raise PydanticCustomError("mute_time", "says nothing: write trading, times, weekdays or dates")
        return self
