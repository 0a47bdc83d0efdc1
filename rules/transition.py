"""What the engine decides: transitions of alert instances, with the evidence for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where an alert instance stands.

    `RESOLVED` names the transition that ends an episode; the instance is then inactive.
    """

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    RESOLVED = "resolved"


class Reason(StrEnum):
    """Why a transition happened."""

    CONDITION_MET = "condition met"
    HELD_LONG_ENOUGH = "held long enough"
    CONDITION_LOST = "condition lost"
    CLEARED = "cleared"
    STAYED_CLEAR = "stayed clear"
    FLAPPED = "condition met again"
    MARKET_CLOSED = "market closed"
    NO_DATA = "no data"
    RULE_CHANGED = "rule changed"


class Health(StrEnum):
    """Whether an instance can be judged; a separate axis that never changes its state."""

    OK = "ok"
    NO_DATA = "no data"
    WARMING_UP = "warming up"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The values behind a decision.

    `expressions`: one entry a sub-expression, ``{"expr", "value", "type"}``, outermost first. `prices`: by symbol
    ``{"price", "ts"}``, ts UTC nanoseconds. `threshold`: ``{"expr", "value", "op", "level", "distance", "type"}`` of
    the deciding comparison, if any. Unknown values are None.
    """

    expressions: tuple[Mapping[str, Any], ...] = ()
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threshold: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """An alert instance moved. `at` is event time, UTC nanoseconds; `episode` is empty before firing."""

    at: int
    alert: str
    member: str
    old: State
    new: State
    reason: Reason
    episode: str
    started_at: int
    value: float | None
    value_type: str
    severity: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    evidence: Evidence
    flaps: int = 0


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """An alert instance as stored.

    Its two timers, in ns of trading time: `accumulated` towards `for` or `keep_firing_for`, growing from
    `running_since` (event time, 0: stopped), and `unknown_for` towards `no_data_for`, growing from `unknown_since`.
    `opened` counts the episodes begun in session `opened_in` (ISO date), which makes an episode's id the same in every
    replay. `logic` tells an edited rule from a reworded one.
    """

    alert: str
    member: str
    state: State
    logic: str
    episode: str = ""
    started_at: int = 0
    accumulated: int = 0
    running_since: int = 0
    unknown_for: int = 0
    unknown_since: int = 0
    flaps: int = 0
    opened: int = 0
    opened_in: str = ""

    @property
    def field(self) -> str:
        """The record's name in the store: rule names have no colon, so two instances never share one."""
        return f"{self.alert}:{self.member}" if self.member else self.alert
