"""Recorded market data through the daemon's own objects: truth filter, cutter, state, engine.

What differs from the daemon is only where the data come from and who is told. There is no second state machine, so a
backtest makes the episodes that the daemon would have made on the same data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Final

import numpy as np
import polars as pl

from connectors.batch import Batch
from monitor.calendar import MINUTE, TradingCalendar
from monitor.corporate_actions import Action
from monitor.ingest import CleanBatch, Cutter, TruthFilter, TruthSettings
from monitor.ingest.clean_batch import NO_SERIES, event_times
from monitor.ingest.rejects import Rejects
from monitor.session_playback import PlayedSessions, closes_suffice
from monitor.state import MarketState
from rules.engine import Engine
from rules.evaluator import Evaluator
from rules.plan import Compiler
from rules.ruleset import Formula, Hours, RuleSet
from rules.transition import State, Transition
from rules.view import Requirements, View

HOUR: Final = 60 * MINUTE

AT_ONCE: Final = 256
"""Batches filtered together: a filter's call costs about as much as a thousand rows do."""

WEEK: Final = 5 * 390 * MINUTE
"""Trading time of five sessions."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """How far apart instants are that follow each other.

    `stale_after_ns`: a price older than this is unknown. `max_gap_ns`: trading time between two instants beyond which a
    rule's timers do not count it.
    """

    stale_after_ns: int
    max_gap_ns: int


SESSIONS: Final = Tempo(12 * HOUR, WEEK)
"""For session closes: yesterday's close is no price of today's, and a timer counts from one close to the next."""


def intraday(bar_ns: int) -> Tempo:
    """For bars of a length within the session, or single quotes and trades (0)."""
    return Tempo(max(15 * MINUTE, 3 * bar_ns), max(15 * MINUTE, 3 * bar_ns))


@dataclass(frozen=True, slots=True)
class Recording:
    """What happened: `batches` in order of time, and the official session closes that were found elsewhere.

    `history`: ``ts`` (Date), ``symbol, open, close``, perhaps ``volume``. A close is seen once its session is over, and
    wins over what the batches made of that session. `series`: values of external series by publication
    (:data:`connectors.batch.SERIES`), which is when they are seen. `moments`: the instants, UTC nanoseconds,
    where there are no batches. `sessions`: the bars of the batches in one frame (:data:`connectors.batch.BARS`), where
    they are of whole sessions and there is nothing else. `actions`: corporate actions that are known; prices are as
    traded then, and brought to one level as in the daemon.
    """

    batches: Iterable[Batch]
    stale_after_ns: int
    history: pl.DataFrame
    series: pl.DataFrame = field(default_factory=lambda: NO_SERIES)
    moments: Sequence[int] = ()
    sessions: pl.DataFrame | None = None
    actions: Sequence[Action] = ()


class Playback:
    """A recording, instant by instant, in a state that keeps what some rules need.

    Of session bars, where closes are all that the rules look at, the same is read from tables, in far less time.
    """

    def __init__(self, recording: Recording, calendar: TradingCalendar, needs: Requirements) -> None:
        self._calendar = calendar
        self._needs = needs
        self._recording = recording
        self._truth = TruthFilter(TruthSettings(closes=calendar.closes, recorded=True))

    @cached_property
    def state(self) -> MarketState:
        """The state that the recording is played to, with the recording's history in it."""
        recording, needs = self._recording, self._needs
        state = MarketState(
            self._calendar, stale_after_ns=recording.stale_after_ns, sessions=needs.sessions, record_bars=False
        )
        state.needs(needs)
        if recording.actions:
            state.actions.know(recording.actions)
            for symbol, splits in state.actions.splits().items():
                self._truth.tell_splits(symbol, splits)
        if recording.history.height:
            state.import_sessions(recording.history)
        if recording.series.height:
            state.import_series(recording.series)
        return state

    @property
    def rejects(self) -> Rejects:
        """What the truth filter refused."""
        return self._truth.rejects

    @property
    def impossible_actions(self) -> list[str]:
        """What is wrong with corporate actions that were due and could not be applied."""
        return [*self.state.actions.impossible.values()] if self._recording.actions else []

    def instants(self, start: int, end: int) -> Iterator[View]:
        """The market after each instant from `start` to `end` (UTC nanoseconds) at which something happened."""
        if self._recording.moments:
            yield from self.at(moment for moment in self._recording.moments if start <= moment <= end)
        # The tables have prices at one level from the first session to the last.
        suffice = closes_suffice(self._needs) and not self._recording.actions
        if suffice and self._recording.sessions is not None:
            yield from self._closes(self._recording.sessions).views(start, end)
            return
        state = self.state  # before the first piece: it tells the filter which splits are known
        for piece in self._pieces():
            if piece.event_time > end:
                return
            state.apply(piece, piece.event_time)
            if piece.event_time >= start:
                yield self._view()

    def at(self, moments: Iterable[int]) -> Iterator[View]:
        """The market as of given moments, UTC nanoseconds in ascending order, whatever happened then."""
        state, pieces = self.state, self._pieces()
        waiting = next(pieces, None)
        for moment in moments:
            while waiting is not None and waiting.event_time <= moment:
                state.apply(waiting, waiting.event_time)
                waiting = next(pieces, None)
            state.advance(moment)
            yield self._view()

    def _closes(self, bars: pl.DataFrame) -> PlayedSessions:
        newest = int(event_times("bars", bars).max()) if bars.height else 0
        return PlayedSessions(
            self._calendar,
            self._needs,
            stale_after_ns=self._recording.stale_after_ns,
            bars=self._truth.clean(Batch("data", newest, bars=bars)).bars,
            history=self._recording.history,
            series=self._recording.series,
        )

    def _view(self) -> View:
        return self.state.view(self._needs.instruments, self._needs.series)

    def _pieces(self) -> Iterator[CleanBatch]:
        cutter = Cutter(hold_last=True)
        batches = iter(self._recording.batches)
        while some := list(islice(batches, AT_ONCE)):
            yield from cutter.cut([self._truth.clean(Batch.merge(some))])
        yield from cutter.flush()


class Backtest:
    """The rules' engine; `first` and `last` are the times of its evaluations (UTC nanoseconds, 0 before the first)."""

    def __init__(self, ruleset: RuleSet, calendar: TradingCalendar, tempo: Tempo) -> None:
        self.engine = Engine(ruleset, calendar, max_gap_ns=tempo.max_gap_ns, session_ns=calendar.session_ns)
        self.first = self.last = 0

    def transitions(self, views: Iterable[View], *, evidence: bool = True) -> Iterator[Transition]:
        """What the rules decide, in order of time; without `evidence` in less of it."""
        return self.engine.transitions(self._watched(views), evidence=evidence)

    def _watched(self, views: Iterable[View]) -> Iterator[View]:
        for view in views:
            self.first, self.last = self.first or view.now, view.now
            yield view


class Series:
    """One expression."""

    def __init__(self, formula: Formula, calendar: TradingCalendar) -> None:
        compiler = Compiler(calendar.session_ns)
        self._slot = compiler.slot(formula.expr)
        plan = compiler.plan()
        self.requirements = plan.requirements
        self._evaluator = Evaluator(plan)

    def values(self, views: Iterable[View]) -> Iterator[tuple[int, float]]:
        """Time (UTC nanoseconds) and value; NaN is unknown."""
        times: list[int] = []
        for values in self._evaluator.evaluate_many(self._watched(views, times)):
            found = np.atleast_1d(values[self._slot]).tolist()
            yield from zip(times[: len(found)], found, strict=True)
            del times[: len(found)]

    @staticmethod
    def _watched(views: Iterable[View], times: list[int]) -> Iterator[View]:
        for view in views:
            times.append(view.now)
            yield view


@dataclass(slots=True)
class RuleSummary:
    """How one rule did. Durations are trading time; an episode that has not ended lasts until the last evaluation."""

    alert: str
    fired: int = 0
    open: int = 0
    total_ns: int = 0
    longest_ns: int = 0
    flaps: int = 0
    weekly: float = 0.0


def summarise(test: Backtest, transitions: Sequence[Transition], calendar: TradingCalendar) -> list[RuleSummary]:
    """One row a rule, in the order of the rules; `weekly` is how often it fired in five sessions, on average."""
    rows = {rule.name: RuleSummary(rule.name) for rule in test.engine.ruleset.alerts}
    begun: dict[str, Transition] = {}
    ended: dict[str, int] = {}
    for t in transitions:
        if t.new is State.FIRING and t.old is State.RECOVERING:
            rows[t.alert].flaps += 1
        elif t.new is State.FIRING:
            begun[t.episode] = t
        elif t.new is State.RESOLVED:
            ended[t.episode] = t.at
    for episode, start in begun.items():
        row = rows[start.alert]
        lasted = calendar.trading_time(start.at, ended.get(episode, test.last), Hours.REGULAR)
        row.fired += 1
        row.open += episode not in ended
        row.total_ns += lasted
        row.longest_ns = max(row.longest_ns, lasted)
    if test.last:
        sessions = calendar.session_at(test.last) - calendar.session_at(test.first) + 1
        for row in rows.values():
            row.weekly = row.fired * 5 / sessions
    return list(rows.values())
