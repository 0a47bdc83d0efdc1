"""Digests: what a receiver is told in one message at a time, rather than one by one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from monitor.alerting.alert import Alert
from monitor.alerting.decision import Decision, Reason, Stage, passes, stops
from monitor.alerting.ledger import Gathered
from monitor.alerting.matchers import Matcher, matches
from monitor.calendar import TradingCalendar
from rules.ruleset import Hours


@dataclass(frozen=True, slots=True)
class Digest:
    """When a receiver is told: `every` ns after the first news, or (None) at the regular market's close.

    Alerts that match one of `apart` are told by themselves, at once.
    """

    every: int | None
    apart: Sequence[Matcher] = ()

    def gathers(self, alert: Alert) -> bool:
        """Whether an alert waits for the digest."""
        return not any(matches((each,), alert.labels) for each in self.apart)

    def due(self, at: int, calendar: TradingCalendar) -> int:
        """When the digest is told whose first news came at a time; an hour later where the market never closes."""
        if self.every is not None:
            return at + self.every
        close = calendar.close_after(at, Hours.REGULAR)
        return at + 3_600_000_000_000 if close is None else close


def gathered(before: Gathered | None, alerts: Sequence[Alert], due: int) -> Gathered:
    """The digest with these alerts in it; `due` is for the first."""
    kept = before or Gathered(due)
    known = set(kept.episodes)
    new = [alert.episode for alert in alerts if alert.episode not in known]
    return replace(kept, episodes=(*kept.episodes, *new)) if new or before is None else kept


def without(kept: Gathered, told: Collection[str]) -> Gathered | None:
    """The digest without these episodes; None where nothing is left in it."""
    left = tuple(episode for episode in kept.episodes if episode not in told)
    return replace(kept, episodes=left) if left else None


def awaited(alert: Alert, kept: Gathered | None) -> bool:
    """Whether an alert is kept for the digest: told even if it is over by then."""
    return kept is not None and alert.episode in kept.episodes


def decide(digest: Digest | None, kept: Gathered | None, alert: Alert, at: int, calendar: TradingCalendar) -> Decision:
    """Whether an alert that is news is told by itself or with the digest that is due, or waits for that."""
    if digest is None or not digest.gathers(alert):
        return passes(Stage.DIGEST, Reason.APART)
    due = kept.due if kept is not None else digest.due(at, calendar)
    if kept is not None and at >= due:
        return passes(Stage.DIGEST, Reason.DIGEST_DUE)
    return stops(Stage.DIGEST, Reason.GATHERED, until=due)
