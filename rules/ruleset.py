"""All rules of a configuration, checked and resolved: what the engine compiles and the reload compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rules.ast import Basket, Expr, Instrument, Universe


class Severity(StrEnum):
    """How much an alert matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Hours(StrEnum):
    """When a rule is evaluated, and its timers run."""

    REGULAR = "regular"
    EXTENDED = "extended"
    ALWAYS = "always"


class OnClose(StrEnum):
    """What the market's close does to an instance."""

    FREEZE = "freeze"
    RESET = "reset"
    RESOLVE = "resolve"


class NoData(StrEnum):
    """What an unknown that lasts longer than `no_data_for` does to an instance."""

    KEEP = "keep"
    ALERT = "alert"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Formula:
    """A checked expression and the text it was written as."""

    text: str = field(compare=False)
    expr: Expr


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule stands."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Who is told where nobody has acknowledged the alert `after` ns from when the first receiver was told.

    `places`: line and column of each receiver's name, for who knows which receivers there are.
    """

    after: int
    to: tuple[str, ...]
    places: tuple[tuple[int, int], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One alert.

    Durations are nanoseconds of trading time. `on_close` is already resolved from the rule's windows where unset.
    """

    name: str
    when: Formula
    until: Formula | None
    value: Formula | None
    each: Universe | None
    for_ns: int
    keep_firing_for_ns: int
    severity: Severity
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    hours: Hours
    on_close: OnClose
    no_data: NoData
    no_data_for_ns: int
    notify: tuple[str, ...] | None
    repeat: tuple[str, ...] | None
    group: str
    source: Source
    escalate: tuple[EscalationStep, ...] | None = None

    @property
    def logic(self) -> tuple[object, ...]:
        """What, when changed, makes this another rule.

        An alert of the old one is resolved with the reason `rule changed`.
        """
        return (
            self.when,
            self.until,
            self.each,
            self.for_ns,
            self.keep_firing_for_ns,
            self.hours,
            self.on_close,
            self.no_data,
            self.no_data_for_ns,
        )


@dataclass(frozen=True, slots=True)
class RecordRule:
    """One named series."""

    name: str
    value: Formula
    labels: Mapping[str, str]
    group: str
    source: Source


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Every rule and definition of all files, merged. Disabled rules are not in it."""

    alerts: tuple[AlertRule, ...] = ()
    records: tuple[RecordRule, ...] = ()
    aliases: Mapping[str, Instrument] = field(default_factory=dict)
    baskets: Mapping[str, Basket] = field(default_factory=dict)
    universes: Mapping[str, Universe] = field(default_factory=dict)
    files: tuple[str, ...] = ()
