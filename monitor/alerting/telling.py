"""What a receiver is told of an alert, and what the ledger notes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from monitor.alerting import flapping
from monitor.alerting.alert import Alert, rank
from monitor.alerting.decision import Decision
from monitor.alerting.groups import Group
from monitor.alerting.ledger import Flaps, Told
from monitor.alerting.repeats import next_due
from monitor.alerting.stages import Situation
from monitor.calendar import TradingCalendar
from monitor.notify.message import AlertNotice, Kind

_MINUTE: Final = 60_000_000_000


@dataclass(frozen=True, slots=True)
class News:
    """An alert that a group's receiver is to be told of."""

    alert: Alert
    group: Group
    decisions: tuple[Decision, ...]


def notices(each: News, receiver: str, situation: Situation) -> list[AlertNotice]:
    """What the receiver is told of an alert, noted in the ledger: for one that fired unheard and is over, both."""
    alert, at, ledger = each.alert, situation.at, situation.ledger
    before = situation.told(alert, receiver)
    sequence = before.sequence if before else 0
    key = flapping.key(receiver, alert)
    flaps = ledger.flaps.get(key)
    if flaps is not None and flapping.awaited(alert, flaps):
        alert = replace(alert, summary=f"flapped {flaps.missed} times: {alert.summary}")
        ledger.count_flaps(key, Flaps(flaps.times))
    found: list[AlertNotice] = []
    if alert.open or before is None:
        sequence += 1
        found.append(alert.notice(Kind.FIRING, sequence))
        ledger.tell(alert.episode, receiver, _fires(alert, each, before, sequence, situation))
    if not alert.open:
        sequence += 1
        found.append(alert.notice(Kind.RESOLVED, sequence))
        ledger.tell(alert.episode, receiver, Told(Kind.RESOLVED, sequence, at, alert.severity, since=at))
    return found


def _fires(alert: Alert, each: News, before: Told | None, sequence: int, situation: Situation) -> Told:
    """That it fires, and when to say so again. A repeat in time counts from when it was due, so none drifts."""
    at = situation.at
    repeat = before is not None and rank(alert.severity) <= rank(before.severity)
    due = before.due if before is not None and repeat else None
    since = due if due is not None and at - due < _MINUTE else at
    repeats = before.repeats + 1 if before is not None and repeat else 0
    again = next_due(repeat_schedule(alert, each.group), repeats, since, situation.policy.calendar)
    first, ack = (before.since or before.at, before.acknowledged) if before is not None else (at, 0)
    return Told(Kind.FIRING, sequence, at, alert.severity, repeats, again, first, ack)


def repeat_schedule(alert: Alert, group: Group) -> Sequence[str]:
    """When a group's receiver is told again of an alert: as its rule says, or else as the route does."""
    return group.route.repeat if alert.repeat is None else alert.repeat


def set_back(told: Told, schedule: Sequence[str], at: int, calendar: TradingCalendar) -> Told:
    """What was told by a clock that was ahead, as if told at `at`, UTC ns: repeats and escalations count from there."""
    due = None if told.due is None else next_due(schedule, told.repeats, at, calendar)
    return replace(told, at=at, since=min(told.since or at, at), due=due)
