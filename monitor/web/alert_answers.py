"""The shapes of what the API answers about alerts, silences, and who was told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from monitor.web.answers import Alert, AlertNow, Transition

_documented = with_config(ConfigDict(use_attribute_docstrings=True))


@_documented
class Acknowledgement(TypedDict):
    """Who has taken an episode on."""

    by: str
    at: str
    """By the machine's clock."""
    comment: str


@_documented
class Standing(TypedDict):
    """What people and other alerts do to an alert, and who it goes to."""

    source: Literal["rules", "health", "external"]
    acknowledged: Acknowledgement | None
    silenced_by: list[str]
    """Ids of silences."""
    inhibited_by: list[str]
    """Fingerprints of alerts."""
    receivers: list[str]
    summary: str
    fingerprint: str


class ListedAlert(Alert, Standing):
    """An alert that is pending, firing or recovering."""


@_documented
class Delivery(TypedDict):
    """A receiver was told of an alert."""

    id: str
    at: str
    """By the daemon's clock."""
    alert: str
    member: str
    episode: str
    receiver: str
    reason: str
    """Why it was told."""
    key: str
    """Of the message, which may tell of several alerts."""
    outcome: Literal["waiting", "delivered", "dead"]
    delivered_at: str | None
    """When the service answered, or the message was given up; by the machine's clock."""
    attempts: int | None
    detail: str
    """What the service said."""


@_documented
class TimedTransition(Transition):
    """A transition, with the id that a page of them ends at."""

    id: str


@_documented
class Told(TypedDict):
    """What a receiver was last told of an open episode, and when it is told again."""

    receiver: str
    kind: str
    sequence: int
    at: str
    severity: str
    due: str | None


@_documented
class EpisodeStory(TypedDict):
    """Where an episode stands (null once it is over), its transitions and who was told, newest first."""

    episode: str
    now: AlertNow | None
    standing: Standing | None
    """Null once it is over."""
    acknowledged: Acknowledgement | None
    timeline: list[Transition]
    told: list[Told]
    deliveries: list[Delivery]


@_documented
class Decision(TypedDict):
    """What one stage decides."""

    stage: str
    passed: bool
    reason: str
    detail: str
    until: str | None
    """When asking again can give another answer."""


@_documented
class Verdict(TypedDict):
    """What all stages decide now of an open alert, for one receiver."""

    episode: str
    member: str
    receiver: str
    told: bool
    """Whether the receiver would be told now."""
    decisions: list[Decision]


@_documented
class Why(TypedDict):
    """Why a rule fires, or does not, and why somebody is told, or is not."""

    alert: str
    source: str
    when: str
    until: str | None
    severity: str
    at: str | None
    open: bool
    """Whether the hours in which the rule is judged are now."""
    hours: str
    suspended: str | None
    instances: list[dict[str, Any]]
    """State, and the condition as a tree: each part's value, and how far it is from true."""
    more: int
    """Instances that are left out."""
    verdicts: list[Verdict]
    told: list[Told]
    deliveries: list[Delivery]


@_documented
class Silence(TypedDict):
    """Alerts that match are not told for a while."""

    id: str
    state: Literal["pending", "active", "expired"]
    matchers: list[str]
    """As ``name=value``."""
    starts_at: str
    ends_at: str
    created_by: str
    comment: str
    updated_at: str
    alerts: int
    """Open alerts that it matches."""


class WantedSilence(BaseModel):
    """A silence to be made, or what one is to become."""

    model_config = ConfigDict(extra="forbid")

    matchers: list[str] = Field(min_length=1, max_length=100, description='such as alert=lead or severity=~"warn.*"')
    starts_at: str | None = Field(default=None, max_length=64, description="RFC 3339; now where it is left out")
    ends_at: str | None = Field(default=None, max_length=64, description="RFC 3339; or give `seconds`")
    seconds: float | None = Field(default=None, gt=0, le=366 * 86_400, description="how long, from its start")
    created_by: str | None = Field(default=None, max_length=200, description="the token's name where it is left out")
    comment: str = Field(default="", max_length=4_000)


class WantedAck(BaseModel):
    """An acknowledgement."""

    model_config = ConfigDict(extra="forbid")

    by: str | None = Field(default=None, max_length=200, description="the token's name where it is left out")
    comment: str = Field(default="", max_length=4_000)


@_documented
class Evaluated(TypedDict):
    """The value of an expression now, and those of its parts."""

    at: str | None
    expr: str
    type: str
    value: float | None
    """A condition is 1 or 0."""
    text: str
    unknown: list[str]
    """Why it is unknown."""
    parts: list[dict[str, Any]]
