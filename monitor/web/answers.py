"""The shapes of what the API answers, as its OpenAPI description shows them.

Times are RFC 3339 in UTC, ratios are fractions (0.01 is 100bp), and what is unknown is null. The answers themselves are
plain dictionaries of these shapes; tests hold the two together.
"""

from __future__ import annotations

from typing import (
    Any,
    Literal,
    NotRequired,  # pydantic refuses that of `typing` before Python 3.12
)

from pydantic import BaseModel, ConfigDict, with_config
from typing_extensions import TypedDict

Value = float | str | None
"""A number by its type, of a category 0 to 3: leading, weakening, lagging, improving; null where it is unknown."""

_documented = with_config(ConfigDict(use_attribute_docstrings=True))


class Problem(BaseModel):
    """The body of every error."""

    detail: str


@_documented
class Condition(TypedDict):
    """Something that is wrong with the monitor itself, and since when."""

    name: str
    reason: str
    since: str
    """By the machine's clock."""
    labels: dict[str, str]
    """The feed or receiver it is about."""
    episode: str | None
    """Once somebody was told."""


@_documented
class Summary(TypedDict):
    """Where the monitor is in event time, and how much it watches."""

    at: str | None
    """Event time; null before the first data."""
    rules: int
    """Alert rules in force."""
    instances: int
    instruments: int
    states: dict[str, int]
    """Alert instances by state."""
    state_bytes: int


@_documented
class Depth(TypedDict):
    """Messages as of a second ago; null before the store has been asked."""

    waiting: int | None
    """In the outbox, not yet delivered."""
    dead: int | None
    """Given up: ``/api/v1/notify/dead`` says why."""


@_documented
class Status(Summary):
    """The summary, what is wrong, and where every feed's connection stands."""

    ready: bool
    """Whether alerts can be decided and kept."""
    reasons: list[str]
    """Why not."""
    health: list[Condition]
    feeds: list[dict[str, Any]]
    """``name``, ``status`` and what else the connection can tell."""
    zone: str
    """The exchange's time zone."""
    notifications: Depth


@_documented
class Threshold(TypedDict):
    """The comparison that decides: ``expr = value``, compared by `op` with `level`; `distance` is value - level."""

    expr: str
    value: Value
    op: str
    level: Value
    distance: Value
    type: str


@_documented
class SubExpression(TypedDict, total=False):
    """A part of a condition and its value; ``member`` where it was computed for one."""

    expr: str
    value: Value
    type: str
    member: str


@_documented
class Price(TypedDict):
    """A price behind a decision, and its event time."""

    price: float | None
    ts: str | None


@_documented
class Evidence(TypedDict):
    """The values behind a decision."""

    expressions: list[SubExpression]
    """Outermost first."""
    prices: dict[str, Price]
    threshold: Threshold | None


@_documented
class Alert(TypedDict):
    """An alert instance that is not inactive."""

    alert: str
    member: str
    """Empty where the rule has no `each`."""
    state: Literal["pending", "firing", "recovering"]
    episode: str
    """Empty while pending."""
    since: str | None
    """Start of the episode; while pending, since when its time runs (null where it stands still)."""
    severity: Literal["info", "warning", "critical"]
    labels: dict[str, str]
    value: Value
    value_type: str
    threshold: Threshold | None
    verdict: str
    flaps: int


@_documented
class AlertNow(Alert):
    """An open episode, with its evidence as of the last evaluation."""

    evidence: Evidence


_From = TypedDict("_From", {"from": str})  # a keyword: only this form can name it


@_documented
class Transition(_From):
    """An alert instance moved."""

    at: str | None
    alert: str
    member: str
    to: str
    reason: str
    episode: str
    started_at: str | None
    value: Value
    value_type: str
    severity: str
    labels: dict[str, str]
    annotations: dict[str, str]
    """As written in the rule."""
    evidence: Evidence
    flaps: int


@_documented
class AlertRule(TypedDict):
    """An alert rule in force."""

    alert: str
    when: str
    until: str | None
    each: str | None
    for_seconds: float
    keep_firing_for_seconds: float
    severity: str
    labels: dict[str, str]
    group: str
    source: str
    """``file:line``"""
    states: dict[str, int]
    """Instances by state."""
    verdicts: dict[str, int]
    """Instances by the last verdict: true, held (between `when` and `until`), false, unknown, not judged."""
    suspended: str | None
    """Why the rule is not evaluated; null where it is."""


@_documented
class Series(TypedDict):
    """A named series and its value at the last evaluation."""

    record: str
    value: float | None
    type: str
    expr: str
    labels: dict[str, str]
    group: str
    suspended: str | None
    """Why it is not evaluated; null where it is."""


@_documented
class Snapshot(TypedDict):
    """What the event stream sends once a second."""

    status: Status
    alerts: list[Alert]
    """The most severe first, at most 200; `status.states` counts all."""
    records: list[Series]


@_documented
class Refusal(TypedDict):
    """A row that the filter kept out of the state."""

    feed: str
    cause: str
    kind: str
    ts: str | None
    row: dict[str, Any]


@_documented
class Rejected(TypedDict):
    """What the filter kept out: counts by feed and cause, and the newest rows of each cause."""

    counts: dict[str, dict[str, int]]
    examples: list[Refusal]


@_documented
class State(TypedDict):
    """The last quote and trade of every instrument, and what was refused."""

    quotes: list[dict[str, Any]]
    rejected: Rejected


@_documented
class Bar(TypedDict):
    """A closed bar; `ts` is its start, or the session's date."""

    ts: str
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None


@_documented
class Session(TypedDict):
    """Who asks, and what they may do."""

    name: str
    """The token's name; `local` where the monitor has none."""
    scope: Literal["read", "operate", "admin"]
    csrf: str | None
    """Of a session: what goes with each change as the header `X-CSRF-Token`."""
    idle_seconds: float | None
    """Of a session: how long it lasts unused."""


@_documented
class AuditEntry(TypedDict):
    """A change, or an attempt at one."""

    at: str
    who: str
    """The token's name; `nobody` without one, `local` where the monitor has none."""
    scope: str
    address: str
    agent: str
    what: str
    target: str
    result: Literal["done", "refused", "failed"]
    status: int
    """Of HTTP."""
    details: dict[str, Any]
    times: NotRequired[int]
    """How many alike it stands for, where programs do it all the time."""
