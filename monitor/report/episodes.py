"""The episodes of a backtest: how long each lasted, how far the watched value went, and how early the rule was.

*Lead*: the number of sessions from the session in which a rule fired to the one, of it and the 60 that follow, at whose
close the watched value was furthest in the rule's direction (highest where the rule fires above its threshold, lowest
where it fires below). 0: it fired at the extreme, when there was nothing left to go for. Only an episode with all 60
sessions recorded and at least 80 % of their closes known has a lead, so that a recent one is not called early or late
before it can be told. *Any day* is the same figure for every session of the recording, whether the rule fired or not:
a rule whose lead is no different from it told nothing about the time that was left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from monitor.backtest import Backtest, RuleSummary, summarise
from monitor.calendar import TradingCalendar
from monitor.report.watched import Gauge, Watched
from rules.ruleset import Hours
from rules.transition import State, Transition
from rules.view import Floats

AHEAD: Final = 60
"""Sessions in which the extreme is looked for."""
KNOWN: Final = 0.8
"""Share of the closes that must be known."""
LATER: Final = (5, 10, 20)
"""After how many sessions the watched value is looked up."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One activation. Unknown numbers are None.

    `end`: when it was resolved, None while it goes on. `lasted_ns`: trading time, to the last evaluation where it goes
    on. `value`: when it fired. `peak`: the furthest in the rule's direction while it fired. `later`: at the closes
    :data:`LATER` sessions after the session in which it fired. `lead`: see above.
    """

    id: str
    alert: str
    member: str
    start: int
    end: int | None
    lasted_ns: int
    flaps: int
    value: float | None
    peak: float | None
    later: tuple[float | None, ...]
    lead: int | None


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """How one rule did: its counts, and its leads.

    `lead`: the median of its episodes' leads, None where no episode has one; `leads`: how many have. `any_day`: the
    median lead of all sessions, of all members together.
    """

    counts: RuleSummary
    episodes: tuple[Episode, ...]
    lead: float | None
    leads: int
    any_day: float | None


def records(
    test: Backtest, transitions: Sequence[Transition], watched: Watched, calendar: TradingCalendar
) -> list[RuleRecord]:
    """Every rule's record, in the order of the rules."""
    by_rule: dict[str, list[Episode]] = {rule.name: [] for rule in test.engine.ruleset.alerts}
    for episode in _episodes(test, transitions, watched, calendar):
        by_rule[episode.alert].append(episode)
    gauges: dict[str, list[Gauge]] = {}
    for gauge in watched.gauges.values():
        gauges.setdefault(gauge.rule.name, []).append(gauge)
    result = []
    for counts in summarise(test, transitions, calendar):
        episodes = by_rule[counts.alert]
        leads = [e.lead for e in episodes if e.lead is not None]
        mine = gauges.get(counts.alert, ())
        days = np.concatenate(
            [np.empty(0), *(all_leads(watched.closes(g), rises=g.rises) for g in mine if g.rises is not None)]
        )
        days = days[days >= 0]
        result.append(
            RuleRecord(
                counts,
                tuple(episodes),
                float(np.median(leads)) if leads else None,
                len(leads),
                float(np.median(days)) if len(days) else None,
            )
        )
    return result


def all_leads(closes: Floats, *, rises: bool) -> Floats:
    """The lead of each session, (sessions,): -1 where it cannot be told.

    `closes`: the watched value at each session's close, (sessions,), NaN where unknown.
    """
    result = np.full(len(closes), -1.0)
    if len(closes) <= AHEAD:
        return result
    known = np.isfinite(closes)
    height = np.where(known, closes if rises else -closes, -np.inf)
    ahead = sliding_window_view(height, AHEAD + 1)
    enough = sliding_window_view(known, AHEAD + 1).mean(axis=1) >= KNOWN
    told = enough & known[: len(ahead)]
    result[: len(ahead)][told] = ahead[told].argmax(axis=1)
    return result


def _episodes(
    test: Backtest, transitions: Sequence[Transition], watched: Watched, calendar: TradingCalendar
) -> list[Episode]:
    ended = {t.episode: t for t in transitions if t.new is State.RESOLVED}
    flaps = dict.fromkeys(ended, 0)
    for t in transitions:
        if t.new is State.FIRING and t.old is State.RECOVERING:
            flaps[t.episode] = flaps.get(t.episode, 0) + 1
    leads: dict[tuple[str, str], Floats] = {}
    result = []
    for t in transitions:
        if t.new is not State.FIRING or t.old is State.RECOVERING:
            continue
        end = ended.get(t.episode)
        gauge = watched.gauges[t.alert, t.member]
        index, closes = watched.session_index(t.at), watched.closes(gauge)
        lead = None
        if gauge.rises is not None:
            if (t.alert, t.member) not in leads:
                leads[t.alert, t.member] = all_leads(closes, rises=gauge.rises)
            found = leads[t.alert, t.member][index]
            lead = int(found) if found >= 0 else None
        until = end.at if end else test.last
        result.append(
            Episode(
                id=t.episode,
                alert=t.alert,
                member=t.member,
                start=t.at,
                end=end.at if end else None,
                lasted_ns=calendar.trading_time(t.at, until, Hours.REGULAR),
                flaps=flaps.get(t.episode, 0),
                value=t.value,
                peak=_peak(watched, gauge, t, until),
                later=tuple(_known(closes, index + n) for n in LATER),
                lead=lead,
            )
        )
    return result


def _peak(watched: Watched, gauge: Gauge, fired: Transition, until: int) -> float | None:
    """The furthest that the watched value went, from the firing to `until`; without a direction, from zero."""
    first, last = np.searchsorted(watched.times, [fired.at, until + 1])
    values = watched.values(gauge)[first:last]
    values = values[np.isfinite(values)]
    if fired.value is not None:
        values = np.append(values, fired.value)
    if not len(values):
        return None
    if gauge.rises is None:
        return float(values[np.abs(values).argmax()])
    return float(values.max() if gauge.rises else values.min())


def _known(closes: Floats, index: int) -> float | None:
    return float(closes[index]) if index < len(closes) and np.isfinite(closes[index]) else None
