"""Runs rule tests: a scripted market through the daemon's own state and engine, and what is expected of them.

At each step the step's prices arrive, then the rules are evaluated at that time. So a timer of ten minutes is full at
the third step of five minutes: 0, 5m, 10m.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from monitor.backtest import Backtest
from monitor.calendar import TradingCalendar
from monitor.notify.compose import Notice, describe, grounds, plain_evidence
from monitor.notify.values import shown, span
from monitor.rule_test_market import MAX_STEPS, Market, PlanError, Steps
from rules.instances import STATES, Code, labels
from rules.ruleset import RecordRule, Source
from rules.testing import (
    AlertExpected,
    Expectation,
    FiringExpected,
    FormulaExpected,
    RuleTest,
    RuleTestFile,
    ValueExpected,
)
from rules.testing.cases import RESOLVED
from rules.testing.expect import expected_texts
from rules.transition import State, Transition
from rules.view import View

_FIRING: Final = (State.FIRING, State.RECOVERING)
_EVAL: Final = "eval {}"
_ROUNDING: Final = 1e-9
"""So that half of the last digit is within it in floating point too."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One row of a failure's table. `state` is empty for a record or an expression."""

    at: int
    state: str
    value: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that is not met: where it stands (from 1), when it is, what was expected, what there was.

    `found` is one line; `details` say why: the deciding comparison, what is unknown, timers. `evidence`: every
    sub-expression's value then, as in a transition.
    """

    line: int
    column: int
    at: int
    subject: str
    expected: str
    found: str
    details: tuple[str, ...] = ()
    evidence: dict[str, Any] | None = None
    timeline: tuple[Tick, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a test went."""

    name: str
    line: int
    steps: int
    failures: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class PlannedTest:
    """A test whose times make sense: `due` is the step of each expectation, `count` how many steps there are."""

    test: RuleTest
    file: RuleTestFile
    calendar: TradingCalendar
    steps: Steps
    due: Mapping[int, int]
    count: int

    def run(self) -> Outcome:
        """How it goes."""
        return _Run(self).run()


def plan(file: RuleTestFile, calendar: TradingCalendar) -> list[PlannedTest]:
    """The tests of a file; one whose times make no sense is left out, and noted with the file's reader."""
    planned = []
    for test in file.tests:
        try:
            planned += _plan(test, file, calendar)
        except PlanError as error:
            file.reader.wrong(test.places.get(error.place, test.places["test"]), error.message, error.hint)
    return planned


def _plan(test: RuleTest, file: RuleTestFile, calendar: TradingCalendar) -> list[PlannedTest]:
    steps = Steps(test, calendar)
    due = _due(test, steps, file)
    if due is None:
        return []
    count = max(test.inputs.steps, max(due.values(), default=-1) + 1)
    if count > MAX_STEPS:
        raise PlanError("every", f"{count} steps; {MAX_STEPS} are the most")
    steps.ns(count - 1)
    steps.refuse_history_before_the_calendar(test.inputs)
    return [PlannedTest(test, file, calendar, steps, due, count)]


def _due(test: RuleTest, steps: Steps, file: RuleTestFile) -> dict[int, int] | None:
    """The step of each expectation, by its number; None where one has none, which is noted."""
    due: dict[int, int] = {}
    for number, expectation in enumerate(test.expect):
        try:
            due[number] = steps.number(expectation.at)
        except PlanError as error:
            file.reader.wrong(expectation.at_start, f"`at` {expectation.at_text}: {error.message}", error.hint)
    return due if len(due) == len(test.expect) else None


@dataclass(slots=True)
class _Track:
    """An instance, or a formula, through the steps so far."""

    label: str
    type: str = ""
    ticks: list[tuple[int, str, float | None]] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    told: Notice | None = None

    def table(self) -> tuple[Tick, ...]:
        """The steps at which something changed, and the last ones."""
        last = len(self.ticks) - 1
        changed = [i for i in range(last + 1) if i in {0, last} or self.ticks[i][1:] != self.ticks[i - 1][1:]]
        kept = changed[:2] + changed[2:][-_ROWS:]
        return tuple(Tick(ts, state, shown(value, self.type)) for ts, state, value in (self.ticks[i] for i in kept))


_ROWS: Final = 10
"""Rows of a failure's table, besides the first two."""


class _Run:
    """One test."""

    def __init__(self, planned: PlannedTest) -> None:
        test, steps = planned.test, planned.steps
        self._test, self._file, self._count = test, planned.file, planned.count
        formulas = {
            _EVAL.format(number): e.what.formula
            for number, e in enumerate(test.expect)
            if isinstance(e.what, FormulaExpected) and not e.what.name
        }
        # Expressions are evaluated as records are: in the one plan, at every step.
        extra = (RecordRule(n, f, {}, "", Source(str(self._file.path), 0)) for n, f in formulas.items())
        ruleset = dataclasses.replace(self._file.ruleset, records=(*self._file.ruleset.records, *extra))
        self._backtest = Backtest(ruleset, planned.calendar, steps.tempo)
        self._engine = self._backtest.engine
        self._market = Market(test.inputs, steps, planned.calendar, self._engine.requirements)
        self._by_step: dict[int, list[int]] = {}
        for number, step in planned.due.items():
            self._by_step.setdefault(step, []).append(number)
        self._tracks: dict[tuple[str, str], _Track] = {}
        self._instances: dict[tuple[str, str], int] = {}
        for number, expectation in enumerate(test.expect):
            self._follow(number, expectation)

    def _follow(self, number: int, expectation: Expectation) -> None:
        match expectation.what:
            case AlertExpected(rule=rule, member=member):
                index = self._engine.instances.index
                members = [m for name, m in index if name == rule.name] if rule.each and not member else [member]
                for each in members:
                    self._instances[rule.name, each] = index[rule.name, each]
            case FormulaExpected(name=name, formula=formula):
                key = (name or _EVAL.format(number), "")
                self._tracks[key] = _Track(name or formula.text, str(formula.expr.type))
            case FiringExpected():
                pass

    def run(self) -> Outcome:
        failures: list[Failure] = []
        for number, view in enumerate(self._market.views(self._count)):
            transitions = tuple(self._backtest.transitions([view]))
            self._note(view, transitions)
            for expected in self._by_step.get(number, ()):
                failures += self._judge(expected, view)
        if self._test.only:
            failures += self._unexpected()
        failures.sort(key=lambda f: (f.at, f.line, f.column))
        line, _ = self._file.reader.document.place(self._test.places["test"])
        return Outcome(self._test.name, line, self._count, tuple(failures))

    # --- what happens

    def _note(self, view: View, transitions: Sequence[Transition]) -> None:
        for transition in transitions:
            track = self._track(transition.alert, transition.member)
            track.transitions.append(transition)
            track.told = describe(transition) or track.told
        for (alert, member), i in self._instances.items():
            value, kind = self._engine.value(i)
            track = self._track(alert, member)
            track.type = kind
            track.ticks.append((view.now, str(STATES[Code(self._engine.instances.state[i])]), value))
        series = self._engine.series()
        for (name, member), track in self._tracks.items():
            if not member and name in series:
                value = series[name]
                track.ticks.append((view.now, "", None if math.isnan(value) else value))

    def _track(self, alert: str, member: str) -> _Track:
        return self._tracks.setdefault((alert, member), _Track(_named(alert, member)))

    # --- what was expected

    def _judge(self, number: int, view: View) -> Iterable[Failure]:
        expectation = self._test.expect[number]
        match expectation.what:
            case AlertExpected(rule=rule, member=member) as what:
                for alert, each in self._instances:
                    if alert == rule.name and (each == member or (rule.each and not member)):
                        yield from self._alert(expectation, what, each, view)
            case FormulaExpected() as what:
                yield from self._formula(number, expectation, what, view)
            case FiringExpected(names=names):
                yield from self._firing(expectation, names, view)

    def _alert(self, expectation: Expectation, what: AlertExpected, member: str, view: View) -> Iterable[Failure]:
        i = self._instances[what.rule.name, member]
        track = self._track(what.rule.name, member)
        state = track.ticks[-1][1]
        value, kind = track.ticks[-1][2], track.type
        has_fired = any(t.new is State.RESOLVED for t in track.transitions)
        wrong: list[tuple[str, str]] = []
        is_state = (state == State.INACTIVE and has_fired) if what.state == RESOLVED else state == what.state
        if what.state and not is_state:
            never = ", and has not fired" if what.state == RESOLVED and state == State.INACTIVE else ""
            wrong.append((what.state, state + never))
        if what.value is not None and not _equal(what.value, value):
            wrong.append((f"value {what.value.text}", f"value {_shown(value, kind, what.value)}"))
        wrong += self._texts(what, member, track)
        if wrong:
            details, evidence = self._reasons(i, view)
            yield self._failure(expectation, view, track, wrong, details, evidence)

    def _texts(self, what: AlertExpected, member: str, track: _Track) -> Iterable[tuple[str, str]]:
        has = {**labels(what.rule, member), "severity": str(what.rule.severity)}
        for key, text in what.labels.items():
            if has.get(key) != text:
                yield f"label {key} `{text}`", f"no label {key}" if key not in has else f"label {key} `{has[key]}`"
        told = {} if track.told is None else {"summary": track.told.summary, **track.told.annotations}
        for key, text in expected_texts(what.annotations).items():
            if track.told is None:
                yield f"{key} `{text}`", "nothing told so far"
            elif (found := expected_texts(told).get(key, "")) != text:
                yield f"{key} `{text}`", f"{key} `{found}`"

    def _formula(self, number: int, expectation: Expectation, what: FormulaExpected, view: View) -> Iterable[Failure]:
        track = self._tracks[what.name or _EVAL.format(number), ""]
        value = track.ticks[-1][2]
        if not _equal(what.value, value):
            yield self._failure(expectation, view, track, [(what.value.text, _shown(value, track.type, what.value))])

    def _firing(self, expectation: Expectation, names: frozenset[tuple[str, str]], view: View) -> Iterable[Failure]:
        table = self._engine.instances
        now = {key for key, i in table.index.items() if STATES[Code(table.state[i])] in _FIRING}
        if now == names:
            return
        for key in sorted(names ^ now):
            track = self._track(*key)
            details, evidence = self._reasons(table.index[key], view)
            state = str(STATES[Code(table.state[table.index[key]])])
            expected = "firing" if key in names else "not firing"
            yield self._failure(expectation, view, track, [(expected, state)], details, evidence)

    def _unexpected(self) -> Iterable[Failure]:
        expected = {
            (e.what.rule.name, e.what.member)
            for e in self._test.expect
            if isinstance(e.what, AlertExpected) and e.what.state in {*_FIRING, RESOLVED}
        }
        for e in self._test.expect:
            expected |= e.what.names if isinstance(e.what, FiringExpected) else set()
        line, column = self._file.reader.document.place(self._test.places["test"])
        for key, track in self._tracks.items():
            fired = next((t for t in track.transitions if t.new is State.FIRING), None)
            if fired is not None and key not in expected:
                evidence = plain_evidence(fired.evidence)
                why = grounds(fired.value, fired.value_type, evidence)
                yield Failure(
                    line,
                    column,
                    fired.at,
                    track.label,
                    "not firing (`only`)",
                    "firing",
                    (why,) if why else (),
                    evidence,
                )

    # --- what to say

    def _reasons(self, i: int, view: View) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Why an instance is where it is, and its evidence."""
        table, row = self._engine.instances, self._engine.instances.rows[i]
        evidence = plain_evidence(self._engine.evidence(i, view))
        value, kind = self._engine.value(i)
        details = [grounds(value, kind, evidence)]
        missing = [symbol for symbol, price in evidence["prices"].items() if price["price"] is None]
        if missing:
            details.append(f"no price of {', '.join(missing)}")
        record = table.record(i)
        elapsed = record.accumulated
        if record.running_since:
            elapsed += self._market.state.calendar.trading_time(record.running_since, view.now, row.rule.hours)
        if record.state is State.PENDING:
            details.append(f"pending for {span(elapsed)} of {span(row.rule.for_ns)}")
        elif record.state is State.RECOVERING:
            details.append(f"recovering for {span(elapsed)} of {span(row.rule.keep_firing_for_ns)}")
        return tuple(d for d in details if d), evidence

    def _failure(
        self,
        expectation: Expectation,
        view: View,
        track: _Track,
        wrong: Sequence[tuple[str, str]],
        details: tuple[str, ...] = (),
        evidence: dict[str, Any] | None = None,
    ) -> Failure:
        line, column = self._file.reader.document.place(expectation.start)
        expected, found = (", ".join(side) for side in zip(*wrong, strict=True))
        return Failure(line, column, view.now, track.label, expected, found, details, evidence, track.table())


def _named(alert: str, member: str) -> str:
    return f"{alert}[{member}]" if member else alert


def _equal(expected: ValueExpected, found: float | None) -> bool:
    if math.isnan(expected.value) or found is None:
        return math.isnan(expected.value) and found is None
    return abs(found - expected.value) <= expected.tolerance + _ROUNDING * max(1.0, abs(found))


def _shown(value: float | None, kind: str, expected: ValueExpected) -> str:
    """A value in the unit of the one that was expected, with digits enough to differ from it."""
    if value is None:
        return "unknown"
    text = expected.text.lstrip("+-")
    digits = len(text.partition(".")[2].rstrip("%bp")) + 2
    if text.endswith("bp"):
        return f"{value * 1e4:.{digits}f}bp"
    if text.endswith("%"):
        return f"{value * 100:.{digits}f}%"
    return shown(value, kind)
