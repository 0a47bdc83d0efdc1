"""From a view and a time to transitions: the one engine of the daemon, the backtest and the rule tests.

The state machine is that of the rule language's contract. Verdicts of all instances are computed in columns; only the
few instances that move are handled one by one. Timers count trading time in event time between evaluations, so neither
a restart nor a weekend, a clock step or a gap in the feed completes one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rules.ast import Asset, Expr
from rules.budget import LOOKS, Budget, Stopwatch, Suspension, costs, over_budget
from rules.evaluator import Evaluator
from rules.evidence import Moment, Witness
from rules.instances import CODES, HOURS, Instances, fingerprint, labels
from rules.judgement import Judgement, verdicts
from rules.plan import Compiler
from rules.ruleset import RuleSet
from rules.transition import Evidence, InstanceRecord, Reason, State, Transition
from rules.view import Floats, Requirements, TradingHours, View

_NO_EVIDENCE: Final = Evidence()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one evaluation decided: transitions in order, and the records that changed (None.

    Removed) by their names in the store. `suspended`: rules that are not evaluated any more after it.
    """

    transitions: tuple[Transition, ...] = ()
    records: tuple[tuple[str, InstanceRecord | None], ...] = ()
    suspended: tuple[str, ...] = ()


class Engine:
    """All rules, compiled, and the state of every alert instance. Not thread-safe: one thread evaluates and reloads."""

    def __init__(
        self,
        ruleset: RuleSet,
        calendar: TradingHours,
        *,
        max_gap_ns: int,
        session_ns: int = 23_400_000_000_000,
        budget: Budget | None = None,
    ) -> None:
        """`max_gap_ns`: trading time without an evaluation after which timers do not count the time between.

        `session_ns`: length of a regular session of the calendar. `budget`: where evaluations keep taking longer, the
        most expensive rules are suspended. What is decided then depends on the machine: leave it out in a backtest.
        """
        self._calendar = calendar
        self._max_gap = max_gap_ns
        self._session_ns = session_ns
        self._now = 0
        self._clock = np.zeros(len(HOURS), np.int64)
        self._forgotten: dict[str, InstanceRecord] = {}
        self.observer: Callable[[int, Floats], None] | None = None
        """Given the time and values of every evaluation, ``(slots,)``, which are good until the next: for charts."""
        self._budget = budget
        self.suspended: dict[str, Suspension] = {}
        """Rules that are not evaluated, by name: until they are edited, or the process ends."""
        self._install(ruleset)

    def _install(self, ruleset: RuleSet) -> None:
        compiler = Compiler(self._session_ns)
        self.ruleset = ruleset
        self.instances = Instances(ruleset, compiler, self.suspended)
        self._records = {r.name: compiler.slot(r.value.expr) for r in ruleset.records if r.name not in self.suspended}
        plan = compiler.plan()
        self._evaluator = Evaluator(plan)
        self._witness = Witness(compiler, plan.requirements.instruments)
        self.requirements: Requirements = plan.requirements
        self._late, self._rebuilt = 0, False
        self._looks: list[Floats] = []

    # --- evaluation ---------------------------------------------------------------------------------------------------

    def evaluate(self, view: View) -> Evaluation:
        """Judge every instance as of the view.

        Views must not go back in time; an older one than the last is not judged.
        """
        if view.now < self._now:
            return Evaluation()
        values, dear = self._timed(view, self._budget) if self._budget else (self._evaluator.evaluate(view), {})
        step, folded = self._judged(Moment(view), values, verdicts(self.instances, values))
        changed = [self.instances.record(i) for i in sorted(step.changed | folded)]
        if dear:
            self._suspend(dear)
        return Evaluation(tuple(step.transitions), tuple((r.field, r) for r in changed), tuple(dear))

    def transitions(self, views: Iterable[View], *, evidence: bool = True) -> Iterator[Transition]:
        """What evaluations as of many views decide, one after the other: the same as of each alone, in less time.

        Each view need be good only until the next is taken. Without `evidence` that of the transitions is empty.
        """
        moments: deque[Moment] = deque()
        table, awake = self.instances, set(range(len(self.instances.rows)))
        for values in self._evaluator.evaluate_many(self._noted(views, moments, evidence=evidence)):
            columns = values.reshape(len(values), -1)
            found = verdicts(table, columns)
            for column, turned in enumerate(_turned(table.verdict, found)):
                step, _ = self._judged(
                    moments.popleft(), columns[:, column], found[:, column], evidence=evidence, awake=awake | turned
                )
                awake = step.restless(awake | turned)
                yield from step.transitions

    def _noted(self, views: Iterable[View], moments: deque[Moment], *, evidence: bool) -> Iterator[View]:
        latest = self._now
        for view in views:
            if view.now >= latest:
                latest = view.now
                moments.append(Moment.kept(view, prices=evidence))
                yield view

    def _judged(
        self,
        moment: Moment,
        values: Floats,
        verdict: npt.NDArray[np.int8],
        *,
        evidence: bool = True,
        awake: set[int] | None = None,
    ) -> tuple[Judgement, set[int]]:
        """The judgement of one moment, and the instances whose timers a gap before it stopped."""
        if self.observer is not None:
            self.observer(moment.now, values)
        table = self.instances
        table.verdict[:] = verdict
        folded = self._advance(moment.now)
        clock = self._clock[table.hours]
        step = Judgement(table, self._calendar, self._witness, moment, values, clock, evidence=evidence)
        if self._now:
            step.closes_since(self._now)
        step.judge(awake)
        self._now = moment.now
        return step, folded

    def _advance(self, now: int) -> set[int]:
        """Move the market clocks.

        Timers do not count a gap in the evaluations: those that ran are set anew, and returned.
        """
        folded: set[int] = set()
        for code, hours in enumerate(HOURS if self._now else ()):
            passed = self._calendar.trading_time(self._now, now, hours)
            before = self._clock[self.instances.hours]
            self._clock[code] += passed
            if passed > self._max_gap:
                mine = self.instances.hours == code
                for timers in (self.instances.timer, self.instances.unknown):
                    over = np.flatnonzero(mine & timers.running)
                    timers.stop(over, before)
                    timers.run(over, self._clock[self.instances.hours], now)
                    folded.update(map(int, over))
        return folded

    def series(self) -> dict[str, float]:
        """The value of every record at the last evaluation; NaN is unknown."""
        values, slots = self._evaluator.values, self._records
        return {r.name: float(values[slots[r.name]]) if r.name in slots else np.nan for r in self.ruleset.records}

    def evidence(self, i: int, view: View) -> Evidence:
        """The evidence for instance `i` as of the last evaluation, whatever its state."""
        row = self.instances.rows[i]
        if row.rule.name in self.suspended:
            return _NO_EVIDENCE
        return self._witness.evidence(row.rule.when, row.member, self._evaluator.values, Moment(view))

    def value(self, i: int) -> tuple[float | None, str]:
        """What instance `i` is about, as of the last evaluation, and its type."""
        row = self.instances.rows[i]
        if row.rule.name in self.suspended:
            return None, ""
        return self._witness.value(row.rule.when, row.rule.value, row.member, self._evaluator.values)

    def threshold(self, i: int) -> dict[str, Any] | None:
        """The deciding comparison of instance `i` as of the last evaluation; far cheaper than all of its evidence."""
        row = self.instances.rows[i]
        if row.rule.name in self.suspended:
            return None
        return self._witness.threshold(row.rule.when, row.member, self._evaluator.values)

    def slots(self, parts: Sequence[tuple[Expr, Asset | None]]) -> npt.NDArray[np.int64]:
        """Where parts of the rules' expressions, with `it` bound, stand in what :attr:`observer` is given: (parts,)."""
        return np.array([self._witness.slot(expr, it) for expr, it in parts], np.int64)

    def values_of(self, parts: Sequence[tuple[Expr, Asset | None]]) -> Floats:
        """The values of parts of the rules' expressions, with `it` bound, as of the last evaluation: (parts,)."""
        return self._evaluator.values[self.slots(parts)]

    # --- what it costs ------------------------------------------------------------------------------------------------

    def _timed(self, view: View, budget: Budget) -> tuple[Floats, dict[str, Suspension]]:
        """All slots' values, and the rules that are to be suspended for the time these took."""
        plan = self._evaluator.plan
        watch = Stopwatch(budget.timer, len(plan.steps)) if self._late >= budget.patience else None
        self._evaluator.stopwatch = watch
        began = budget.timer()
        values = self._evaluator.evaluate(view)
        late = budget.timer() - began > budget.seconds
        # What builds the histories is no rule's daily cost.
        self._late, self._rebuilt = self._late + 1 if late and self._rebuilt else 0, True
        if not late:
            self._looks.clear()
        elif watch:
            self._looks.append(watch.laps)
        if len(self._looks) < LOOKS:
            return values, {}
        # The shortest time of each step: whatever else the machine did meanwhile is no rule's.
        laps: Floats = np.min(self._looks, axis=0)
        self._looks.clear()
        self._late, whole = 0, float(laps.sum())
        found = costs(plan, laps, self._roots())
        logic = _logic(self.ruleset)
        dear = over_budget(found, budget.seconds)
        return values, {name: Suspension(found[name], whole, budget.seconds, logic[name]) for name in dear}

    def _roots(self) -> dict[str, npt.NDArray[np.int64]]:
        """The slots that each rule is read from."""
        slots: dict[str, set[int]] = defaultdict(set)
        for name, slot in self._records.items():
            slots[name].add(slot)
        for row in self.instances.rows:
            if row.rule.name not in self.suspended:
                formulas = (row.rule.when, row.rule.until, row.rule.value)
                slots[row.rule.name].update(self._witness.slot(f.expr, row.member) for f in formulas if f)
        return {name: np.array(sorted(of), np.int64) for name, of in slots.items()}

    def _suspend(self, dear: dict[str, Suspension]) -> None:
        self.suspended |= dear
        self.reload(self.ruleset)

    # --- lifetime -----------------------------------------------------------------------------------------------------

    def restore(self, records: Iterable[InstanceRecord], now: int) -> Evaluation:
        """Take up stored instances where the last process left them, `now` being the event time of its last evaluation.

        Instances of rules that were edited or removed meanwhile are resolved.
        """
        self._now = now
        return self._adopt(list(records), now)

    def reload(self, ruleset: RuleSet) -> Evaluation:
        """Replace the rules; instances of rules with unchanged logic go on as if nothing had happened.

        Suspended rules whose logic is another one now are tried again.
        """
        logic = _logic(ruleset)
        self.suspended = {name: why for name, why in self.suspended.items() if logic.get(name) == why.logic}
        # Timers go over as stored records do: what ran up to the last evaluation is in `accumulated`.
        records = [self.instances.record(i) for i in range(len(self.instances.rows))]
        records += self._forgotten.values()
        self._install(ruleset)
        return self._adopt(records, self._now)

    def _adopt(self, records: list[InstanceRecord], now: int) -> Evaluation:
        transitions: list[Transition] = []
        changed: list[tuple[str, InstanceRecord | None]] = []
        self._forgotten = {}
        session = self._calendar.date(self._calendar.session_at(now)).isoformat() if now else ""
        for record in records:
            i = self.instances.index.get((record.alert, record.member))
            kept = i is not None and self.instances.rows[i].logic == record.logic
            if not kept and record.state in (State.FIRING, State.RECOVERING):
                transitions.append(self._ended(record, now))
            if kept:
                self._continue(i, record, now)  # type: ignore[arg-type]
                continue
            idle = InstanceRecord(
                record.alert,
                record.member,
                State.INACTIVE,
                record.logic,
                opened=record.opened,
                opened_in=record.opened_in,
            )
            if i is not None:
                self.instances.opened[i].count, self.instances.opened[i].session = record.opened, record.opened_in
                changed.append((record.field, self.instances.record(i)))
            elif record.opened_in == session:
                # A rule taken out and put back on the same day must not give an old episode's id again.
                self._forgotten[record.field] = idle
                changed.append((record.field, idle))
            else:
                changed.append((record.field, None))
        return Evaluation(tuple(transitions), tuple(changed))

    def _continue(self, i: int, record: InstanceRecord, now: int) -> None:
        table = self.instances
        table.state[i] = CODES[record.state]
        opened = table.opened[i]
        opened.episode, opened.started_at, opened.flaps = record.episode, record.started_at, record.flaps
        opened.count, opened.session = record.opened, record.opened_in
        clock, hours = self._clock[table.hours[i]], HOURS[table.hours[i]]
        for timers, accumulated, since in (
            (table.timer, record.accumulated, record.running_since),
            (table.unknown, record.unknown_for, record.unknown_since),
        ):
            timers.accumulated[i], timers.since[i] = accumulated, since
            timers.start[i] = clock - (self._calendar.trading_time(since, now, hours) if since else 0)

    def _ended(self, record: InstanceRecord, now: int) -> Transition:
        rule = next((r for r in self.ruleset.alerts if r.name == record.alert), None)
        return Transition(
            at=now,
            alert=record.alert,
            member=record.member,
            old=record.state,
            new=State.RESOLVED,
            reason=Reason.RULE_CHANGED,
            episode=record.episode,
            started_at=record.started_at,
            value=None,
            value_type="",
            severity=str(rule.severity) if rule else "info",
            labels=labels(rule, record.member) if rule else {},
            annotations={},
            evidence=_NO_EVIDENCE,
            flaps=record.flaps,
        )


def _logic(ruleset: RuleSet) -> dict[str, str]:
    """Fingerprints of what every rule computes, by name."""
    records = {record.name: fingerprint(record.value.expr) for record in ruleset.records}
    return records | {rule.name: fingerprint(rule.logic) for rule in ruleset.alerts}


def _turned(before: npt.NDArray[np.int8], verdict: npt.NDArray[np.int8]) -> list[set[int]]:
    """The instances whose verdict is another one than the moment before, for each of some moments."""
    turns = np.diff(verdict, axis=1, prepend=before[:, None]) != 0
    when, which = np.nonzero(turns.T)
    bounds = np.searchsorted(when, np.arange(turns.shape[1] + 1)).tolist()
    instances = which.tolist()
    return [set(instances[start:end]) for start, end in pairwise(bounds)]
