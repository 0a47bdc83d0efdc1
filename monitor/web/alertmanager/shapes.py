"""The shapes of the Alertmanager API, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import (
    Any,
    Final,
    Literal,
    NotRequired,  # pydantic refuses that of `typing` before Python 3.12
)

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

_documented = with_config(ConfigDict(use_attribute_docstrings=True))


class Receiver(TypedDict):
    """Somewhere alerts go."""

    name: str


@_documented
class AlertStatus(TypedDict):
    """Whether people are told of an alert, and what keeps them from it."""

    state: Literal["unprocessed", "active", "suppressed"]
    silencedBy: list[str]
    """Ids of silences."""
    inhibitedBy: list[str]
    """Fingerprints of alerts."""
    mutedBy: list[str]
    """Names of mute times, where they hold for every way the alert takes."""


@_documented
class GettableAlert(TypedDict):
    """An alert that fires."""

    annotations: dict[str, str]
    receivers: list[Receiver]
    fingerprint: str
    startsAt: str
    updatedAt: str
    endsAt: str
    """When it ends unless it is heard of again."""
    status: AlertStatus
    labels: dict[str, str]
    generatorURL: NotRequired[str]


class AlertGroup(TypedDict):
    """Alerts that are told together."""

    labels: dict[str, str]
    receiver: Receiver
    alerts: list[GettableAlert]


@_documented
class PostableAlert(TypedDict):
    """An alert of another program."""

    labels: dict[str, str]
    annotations: NotRequired[dict[str, str]]
    startsAt: NotRequired[str]
    endsAt: NotRequired[str]
    """Past: it is over. Not given: five minutes from now, unless it is posted again."""
    generatorURL: NotRequired[str]


@_documented
class Matcher(TypedDict):
    """A condition on a label."""

    name: str
    value: str
    isRegex: bool
    isEqual: NotRequired[bool]
    """True unless given."""


@_documented
class PostableSilence(TypedDict):
    """A silence to add or, with an id, to change."""

    id: NotRequired[str]
    matchers: list[Matcher]
    startsAt: str
    endsAt: str
    createdBy: str
    comment: str


class SilenceId(TypedDict):
    """The silence that was added or changed."""

    silenceID: str


class SilenceStatus(TypedDict):
    """Where a silence stands."""

    state: Literal["expired", "active", "pending"]


class GettableSilence(TypedDict):
    """A silence."""

    id: str
    status: SilenceStatus
    updatedAt: str
    comment: str
    createdBy: str
    endsAt: str
    startsAt: str
    matchers: list[Matcher]


class ClusterStatus(TypedDict):
    """There is no gossip between monitors: always ``disabled``."""

    status: str
    peers: list[dict[str, str]]


class VersionInfo(TypedDict):
    """The version whose API this is, and in `revision` and `branch` whose program answers."""

    version: str
    revision: str
    branch: str
    buildUser: str
    buildDate: str
    goVersion: str


@_documented
class Config(TypedDict):
    """The configuration."""

    original: str
    """Alertmanager YAML that routes as the monitor does; secrets are ``<secret>``."""


class AlertmanagerStatus(TypedDict):
    """What answers, and its configuration."""

    cluster: ClusterStatus
    versionInfo: VersionInfo
    config: Config
    uptime: str


class Mistake(TypedDict):
    """The body of an error that is one of form."""

    code: int
    message: str


def body(shape: Any) -> dict[str, Any]:  # noqa: ANN401 - any type
    """What OpenAPI says of a route whose body has this shape."""
    schema = TypeAdapter(shape).json_schema(ref_template="#/components/schemas/{model}")
    inlined: dict[str, Any] = _inlined(schema, schema.get("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inlined}}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """A schema without references."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        return _inlined(definitions[reference.rpartition("/")[2]], definitions)
    return {key: _inlined(each, definitions) for key, each in schema.items() if key != "$defs"}


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": str | Mistake, "description": "It cannot be done as it is; the text says why."},
    422: {"model": Mistake, "description": "The body or the path has not the form that it should have."},
    401: {"model": Mistake, "description": "The token is missing or wrong."},
    403: {"model": Mistake, "description": "The token is not good for that, or another site's page asked."},
    413: {"model": Mistake, "description": "The body is too large."},
    429: {"model": Mistake, "description": "Too many requests, or wrong tokens: `Retry-After` says when to come back."},
    503: {"model": Mistake, "description": "The store is away, or the monitor stands by."},
}
