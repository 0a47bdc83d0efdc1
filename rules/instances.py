"""The alert instances of a rule set in columns: one row an instance, `each` rules one row a member."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from rules.ast import Asset
from rules.evidence import name
from rules.plan import Compiler
from rules.ruleset import AlertRule, Hours, NoData, OnClose, RuleSet
from rules.timers import Ints, Timers
from rules.transition import InstanceRecord, State

HOURS: Final = tuple(Hours)


class Code(IntEnum):
    """A state in its column."""

    INACTIVE = 0
    PENDING = 1
    FIRING = 2
    RECOVERING = 3


STATES: Final = {
    Code.INACTIVE: State.INACTIVE,
    Code.PENDING: State.PENDING,
    Code.FIRING: State.FIRING,
    Code.RECOVERING: State.RECOVERING,
}
CODES: Final[Mapping[State, Code]] = {state: code for code, state in STATES.items()} | {State.RESOLVED: Code.INACTIVE}


@dataclass(slots=True)
class Opened:
    """What an instance remembers of its episodes: the present one, and how many began in which session."""

    episode: str = ""
    started_at: int = 0
    flaps: int = 0
    count: int = 0
    session: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What one instance is of."""

    rule: AlertRule
    member: Asset | None
    logic: str

    @property
    def member_name(self) -> str:
        """The member's symbol or basket name; empty without `each`."""
        return "" if self.member is None else name(self.member)

    @property
    def name(self) -> str:
        """The instance's name, in the store and in its episodes: rule names have no colon, so two never share one."""
        return f"{self.rule.name}:{self.member_name}" if self.member is not None else self.rule.name


class Instances:
    """Columns of all instances, in the order of the rules. Slots of -1: the rule has no such expression.

    Instances of `suspended` rules stay as they are: nothing of theirs is computed, and nothing moves them.
    """

    def __init__(self, ruleset: RuleSet, compiler: Compiler, suspended: Collection[str] = ()) -> None:
        self.rows: list[Row] = []
        when, until = [], []
        for rule in ruleset.alerts:
            logic = fingerprint(rule.logic)
            for member in rule.each.members if rule.each else (None,):
                self.rows.append(Row(rule, member, logic))
                if rule.name in suspended:
                    when.append(compiler.nodes.constant(math.nan))
                    until.append(-1)
                    continue
                when.append(compiler.slot(rule.when.expr, member))
                until.append(compiler.slot(rule.until.expr, member) if rule.until else -1)
                if rule.value:
                    compiler.slot(rule.value.expr, member)
        count = len(self.rows)
        self.when, self.until = np.array(when, np.int64), np.array(until, np.int64)
        self.has_until: npt.NDArray[np.bool_] = self.until >= 0
        self.hours: Ints = self._column(lambda r: HOURS.index(r.hours))
        self.hold: Ints = self._column(lambda r: r.for_ns)
        self.keep: Ints = self._column(lambda r: r.keep_firing_for_ns)
        self.no_data_for: Ints = self._column(lambda r: r.no_data_for_ns)
        alive = np.array([row.rule.name not in suspended for row in self.rows], np.bool_)
        self.minds_unknown: npt.NDArray[np.bool_] = alive & (self._column(lambda r: r.no_data is not NoData.KEEP) > 0)
        self.minds_close: npt.NDArray[np.bool_] = alive & (self._column(lambda r: r.on_close is not OnClose.FREEZE) > 0)
        self.state: npt.NDArray[np.int8] = np.zeros(count, np.int8)
        self.verdict: npt.NDArray[np.int8] = np.full(count, -1, np.int8)
        self.timer = Timers.stopped(count)
        self.unknown = Timers.stopped(count)
        self.opened = [Opened() for _ in self.rows]
        self.index = {(row.rule.name, row.member_name): i for i, row in enumerate(self.rows)}

    def _column(self, value: object) -> Ints:
        return np.array([value(row.rule) for row in self.rows], np.int64)  # type: ignore[operator]

    def take(self, i: int, new: State) -> None:
        """Put instance `i` into a state, its timer at zero; an ended episode is forgotten but for its number."""
        self.state[i] = code = CODES[new]
        self.timer.clear(i)
        if code is Code.INACTIVE:
            opened = self.opened[i]
            opened.episode, opened.started_at, opened.flaps = "", 0, 0

    def record(self, i: int) -> InstanceRecord:
        """The instance as it is stored."""
        row, opened = self.rows[i], self.opened[i]
        return InstanceRecord(
            alert=row.rule.name,
            member=row.member_name,
            state=STATES[Code(self.state[i])],
            logic=row.logic,
            episode=opened.episode,
            started_at=opened.started_at,
            accumulated=int(self.timer.accumulated[i]),
            running_since=int(self.timer.since[i]),
            unknown_for=int(self.unknown.accumulated[i]),
            unknown_since=int(self.unknown.since[i]),
            flaps=opened.flaps,
            opened=opened.count,
            opened_in=opened.session,
        )


def labels(rule: AlertRule, member: str) -> dict[str, str]:
    """The rule's labels, and the member it is about."""
    return {**rule.labels, "member": member} if member else dict(rule.labels)


def fingerprint(logic: object) -> str:
    """A short digest of an expression tree and what goes with it: equal for equal meaning, whatever the spelling."""
    return hashlib.sha256(_canonical(logic).encode()).hexdigest()[:16]


def _canonical(node: object) -> str:
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        parts = (_canonical(getattr(node, f.name)) for f in dataclasses.fields(node) if f.compare)
        return f"{type(node).__name__}({','.join(parts)})"
    if isinstance(node, tuple):
        return f"[{','.join(map(_canonical, node))}]"
    return repr(node.value if isinstance(node, enum.Enum) else node)
