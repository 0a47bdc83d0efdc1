"""The state machine of the alert instances: what verdicts, closes and timers do to them.

Whether an instance moves is decided in columns; only the few that do are handled one by one. The table of states and
verdicts is that of the rule language's contract.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from rules.ast import Asset
from rules.evidence import Moment, Witness
from rules.instances import HOURS, STATES, Code, Instances, labels
from rules.ruleset import Formula, NoData, OnClose
from rules.timers import Ints
from rules.transition import Evidence, Reason, State, Transition
from rules.view import Floats, TradingHours

TRUE: Final = 0
"""Verdict: `when` holds."""
HELD: Final = 1
"""Verdict: neither `when` nor `until` holds."""
FALSE: Final = 2
"""Verdict: `until` holds or, without it, `when` does not."""
UNKNOWN: Final = 3
"""Verdict: too little is known."""


_COUNTING: Final = frozenset({int(Code.PENDING), int(Code.RECOVERING)})
_NO_EVIDENCE: Final = Evidence()


def verdicts(table: Instances, values: Floats) -> npt.NDArray[np.int8]:
    """The verdict on each instance, from the values of its conditions (1, 0, NaN).

    ``(instances,)`` from ``(slots,)``, or ``(instances, moments)`` from ``(slots, moments)``.
    """
    when = values[table.when]
    verdict = np.full(when.shape, FALSE, np.int8)
    verdict[np.isnan(when)] = UNKNOWN
    if table.has_until.any():
        has_until = table.has_until.reshape(-1, *[1] * (values.ndim - 1))
        until = np.where(has_until, values[table.until], np.nan)
        verdict[has_until & (when == 0.0)] = HELD
        verdict[has_until & np.isnan(until)] = UNKNOWN
        verdict[until == 1.0] = FALSE
    verdict[when == 1.0] = TRUE
    return verdict


class Judgement:
    """One evaluation's walk over the instances that move.

    `evidence`: off where nobody asks for it. `clock`: the market clock of each instance, ns of trading time, as
    of the moment.
    """

    def __init__(
        self,
        table: Instances,
        calendar: TradingHours,
        witness: Witness,
        moment: Moment,
        values: Floats,
        clock: Ints,
        *,
        evidence: bool = True,
    ) -> None:
        self._table, self._calendar, self._witness = table, calendar, witness
        self._moment, self._values, self._clock = moment, values, clock
        self._evidence = evidence
        self.transitions: list[Transition] = []
        self.changed: set[int] = set()

    # --- the market's close -------------------------------------------------------------------------------------------

    def closes_since(self, before: int) -> None:
        """Do what `on_close` says, for the markets that closed after the evaluation at event time `before`."""
        if not self._table.minds_close.any():
            return
        for code, hours in enumerate(HOURS):
            close = self._calendar.close_after(before, hours)
            if close is None or close >= self._moment.now:
                continue
            closed = self._table.minds_close & (self._table.hours == code) & (self._table.state != Code.INACTIVE)
            for i in np.flatnonzero(closed).tolist():
                self._close(i, close)

    def _close(self, i: int, at: int) -> None:
        table = self._table
        match table.rows[i].rule.on_close:
            case OnClose.FREEZE:
                return
            case OnClose.RESET:
                # Time counted towards `for` or `keep_firing_for` does not carry over; what fires stays up and is judged
                # at the open.
                if table.state[i] == Code.PENDING:
                    self._move(i, State.INACTIVE, Reason.MARKET_CLOSED, at)
                elif table.state[i] == Code.RECOVERING:
                    table.timer.clear(i)
                    self.changed.add(i)
            case OnClose.RESOLVE:
                pending = table.state[i] == Code.PENDING
                self._move(i, State.INACTIVE if pending else State.RESOLVED, Reason.MARKET_CLOSED, at)

    # --- verdicts -----------------------------------------------------------------------------------------------------

    def judge(self, awake: set[int] | None = None) -> None:
        """Apply the verdicts to every instance whose market is open.

        `awake`: those that may have anything to do; without it all are looked at.
        """
        table = self._table
        is_open = [self._calendar.is_open(self._moment.now, h) for h in HOURS]
        if awake is None:
            due = np.flatnonzero(self._moving() & np.array(is_open)[table.hours]).tolist()
        else:
            due = sorted(awake | self.changed)
            if not all(is_open):
                due = [i for i in due if is_open[table.hours[i]]]
        for i in due:
            if not (table.minds_unknown[i] and self._unknown(i)):
                _HANDLERS[Code(table.state[i])](self, i, int(table.verdict[i]))

    def restless(self, looked_at: set[int]) -> set[int]:
        """Of instances that were looked at, those that have something to do even if their verdict stays as it is."""
        table = self._table
        waits = [not self._calendar.is_open(self._moment.now, h) for h in HOURS]
        return {
            i
            for i in looked_at | self.changed
            if table.state[i] in _COUNTING
            or waits[table.hours[i]]
            or (table.minds_unknown[i] and (table.verdict[i] == UNKNOWN or table.unknown.since[i] != 0))
        }

    def _moving(self) -> npt.NDArray[np.bool_]:
        """Which instances have anything to do: most evaluations, none."""
        table, verdict, timer = self._table, self._table.verdict, self._table.timer
        true, unknown, false = verdict == TRUE, verdict == UNKNOWN, verdict == FALSE
        pending, recovering = table.state == Code.PENDING, table.state == Code.RECOVERING
        counting = (pending & true) | (recovering & false)
        due = timer.elapsed(self._clock) >= np.where(pending, table.hold, table.keep)
        moving: npt.NDArray[np.bool_] = (
            ((table.state == Code.INACTIVE) & true)
            | ((table.state == Code.FIRING) & false)
            | (counting & (~timer.running | due))
            | (pending & ~true & ~unknown)
            | (recovering & ~false & ~unknown)
            | ((pending | recovering) & unknown & timer.running)
            | (table.minds_unknown & (unknown | table.unknown.running))
        )
        return moving

    def _inactive(self, i: int, verdict: int) -> None:
        if verdict == TRUE:
            if self._table.hold[i] == 0:
                self._fire(i, Reason.CONDITION_MET)
            else:
                self._move(i, State.PENDING, Reason.CONDITION_MET)
                self._start(i)

    def _pending(self, i: int, verdict: int) -> None:
        if verdict == UNKNOWN:
            self._stop(i)
        elif verdict != TRUE:
            self._move(i, State.INACTIVE, Reason.CONDITION_LOST)
        elif self._counted(i) >= self._table.hold[i]:
            self._fire(i, Reason.HELD_LONG_ENOUGH)

    def _firing(self, i: int, verdict: int) -> None:
        if verdict == FALSE:
            if self._table.keep[i] == 0:
                self._move(i, State.RESOLVED, Reason.CLEARED)
            else:
                self._move(i, State.RECOVERING, Reason.CLEARED)
                self._start(i)

    def _recovering(self, i: int, verdict: int) -> None:
        if verdict == UNKNOWN:
            self._stop(i)
        elif verdict != FALSE:
            self._table.opened[i].flaps += 1
            self._move(i, State.FIRING, Reason.FLAPPED)
        elif self._counted(i) >= self._table.keep[i]:
            self._move(i, State.RESOLVED, Reason.STAYED_CLEAR)

    # --- timers -------------------------------------------------------------------------------------------------------

    def _start(self, i: int) -> None:
        self._table.timer.run(i, self._clock, self._moment.now)
        self.changed.add(i)

    def _stop(self, i: int) -> None:
        if self._table.timer.running[i]:
            self._table.timer.stop(i, self._clock)
            self.changed.add(i)

    def _counted(self, i: int) -> int:
        """Trading time on the instance's timer, which is started if an unknown had stopped it."""
        if not self._table.timer.running[i]:
            self._start(i)
        return self._table.timer.elapsed_of(i, self._clock)

    def _unknown(self, i: int) -> bool:
        """Do what `no_data` says; whether the verdict has nothing left to say."""
        table = self._table
        if table.verdict[i] != UNKNOWN:
            if table.unknown.running[i]:
                table.unknown.clear(i)
                self.changed.add(i)
            return False
        if not table.unknown.running[i]:
            table.unknown.run(i, self._clock, self._moment.now)
            self.changed.add(i)
        if table.unknown.elapsed_of(i, self._clock) < table.no_data_for[i]:
            return False
        no_data, state = table.rows[i].rule.no_data, Code(table.state[i])
        if no_data is NoData.ALERT and state in (Code.INACTIVE, Code.PENDING):
            self._fire(i, Reason.NO_DATA)
        elif no_data is NoData.RESOLVE and state is not Code.INACTIVE:
            self._move(i, State.INACTIVE if state is Code.PENDING else State.RESOLVED, Reason.NO_DATA)
        return True

    # --- transitions --------------------------------------------------------------------------------------------------

    def _fire(self, i: int, reason: Reason) -> None:
        opened = self._table.opened[i]
        session = self._calendar.date(self._moment.session).isoformat()
        opened.count = opened.count + 1 if opened.session == session else 1
        opened.session, opened.started_at, opened.flaps = session, self._moment.now, 0
        opened.episode = f"{self._table.rows[i].name}@{session}.{opened.count}"
        self._move(i, State.FIRING, reason)

    def _move(self, i: int, new: State, reason: Reason, at: int | None = None) -> None:
        """Note the transition with its evidence and take the new state, its timer at zero."""
        table = self._table
        row, opened, old = table.rows[i], table.opened[i], STATES[Code(table.state[i])]
        rule = row.rule
        cleared = new in (State.RECOVERING, State.RESOLVED) and table.verdict[i] == FALSE
        formula = rule.until if cleared and rule.until else rule.when
        value, value_type = self._witness.value(formula, rule.value, row.member, self._values)
        self.transitions.append(
            Transition(
                at=self._moment.now if at is None else at,
                alert=rule.name,
                member=row.member_name,
                old=old,
                new=new,
                reason=reason,
                episode=opened.episode if {old, new} & {State.FIRING, State.RECOVERING} else "",
                started_at=opened.started_at,
                value=value,
                value_type=value_type,
                severity=str(rule.severity),
                labels=labels(rule, row.member_name),
                annotations=rule.annotations,
                evidence=self._told(formula, row.member),
                flaps=opened.flaps,
            )
        )
        table.take(i, new)
        self.changed.add(i)

    def _told(self, formula: Formula, member: Asset | None) -> Evidence:
        if not self._evidence:
            return _NO_EVIDENCE
        return self._witness.evidence(formula, member, self._values, self._moment)


_HANDLERS: Final = {
    Code.INACTIVE: Judgement._inactive,  # noqa: SLF001 - the dispatch table of this very class
    Code.PENDING: Judgement._pending,  # noqa: SLF001
    Code.FIRING: Judgement._firing,  # noqa: SLF001
    Code.RECOVERING: Judgement._recovering,  # noqa: SLF001
}
