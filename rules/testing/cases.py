"""What a file of rule tests says, read and checked against the rules it names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rules.ast import Clock, Sessions
from rules.fields import FieldReader
from rules.ruleset import AlertRule, Formula, RuleSet

RESOLVED: Final = "resolved"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment, UTC nanoseconds."""

    ns: int


@dataclass(frozen=True, slots=True)
class Day:
    """A date: the close of its session."""

    date: dt.date


When = Clock | Sessions | Instant | Day
"""Clock time or sessions after a test's start, or a moment."""


@dataclass(frozen=True, slots=True)
class Quotes:
    """Bids and asks, one a step; NaN in both where there is no quote."""

    bids: tuple[float, ...]
    asks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the market does, by symbol (series: by name). One value a step from the start on; NaN: nothing is said.

    `closes`, `past_volumes` and `past_series` are those of earlier sessions, oldest first, the last of them the session
    before the start's.
    """

    closes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    past_volumes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    past_series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    prices: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    volumes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    quotes: Mapping[str, Quotes] = field(default_factory=dict)
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """How many steps have a value."""
        given = [*self.prices.values(), *self.volumes.values(), *self.series.values()]
        return max([len(v) for v in given] + [len(q.bids) for q in self.quotes.values()], default=0)


@dataclass(frozen=True, slots=True)
class ValueExpected:
    """A number to within half of the last digit that was written: ``500bp`` is 499.5bp to 500.5bp, ``5%`` 4.5% to 5.5%.

    NaN is unknown.
    """

    text: str
    value: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class AlertExpected:
    """An instance is in a state. `state` is empty where only other things of it are looked at.

    ``resolved``: it is inactive now, and fired earlier in the test. `member` is empty without `each`, and for all
    members of one that is expected to be inactive. `value` is as of the step; `annotations` (``summary`` among them)
    are those of the last message.
    """

    rule: AlertRule
    member: str
    state: str
    value: ValueExpected | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FormulaExpected:
    """A record or an expression has a value; `name` is the record's, or empty."""

    name: str
    formula: Formula
    value: ValueExpected


@dataclass(frozen=True, slots=True)
class FiringExpected:
    """Exactly these fire (recovering ones do): (rule, member) each."""

    names: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What has to be at a time. `start` and `at_start` are where it and its time stand in the text."""

    at: When
    what: AlertExpected | FormulaExpected | FiringExpected
    start: int
    at_start: int
    at_text: str


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One test. `places`: where its name, start and step stand in the file's text."""

    name: str
    start: Instant | Day
    every: Clock | Sessions
    inputs: Inputs
    expect: tuple[Expectation, ...]
    only: bool
    places: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RuleTestFile:
    """A file of tests; `reader` says what is wrong with it, at a place."""

    path: Path
    calendar: str
    ruleset: RuleSet
    tests: tuple[RuleTest, ...]
    reader: FieldReader
