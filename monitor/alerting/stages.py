"""The stages between an alert and a receiver, assembled: the one place that says in which order they decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from monitor.alerting import acknowledgement, deduplication, digests, escalation, flapping
from monitor.alerting.acknowledgement import Ack
from monitor.alerting.alert import Alert
from monitor.alerting.decision import Decision, Reason, Stage, passes, stops
from monitor.alerting.groups import Group
from monitor.alerting.inhibition import Inhibitor
from monitor.alerting.ledger import Flaps, Ledger, Told
from monitor.alerting.policy import Policy
from monitor.alerting.silences import Silences


@dataclass(slots=True)
class Situation:
    """What the stages look at, as of a moment.

    `at`: the daemon's clock (event time with ``clock: event``), `wall`: the machine's, both UTC ns. Silences and
    acknowledgements are people's and follow the machine's clock; all else follows the daemon's.
    """

    policy: Policy
    ledger: Ledger
    silences: Silences
    acks: Mapping[str, Ack]
    inhibitor: Inhibitor
    evaluated: bool
    at: int = 0
    wall: int = 0

    def told(self, alert: Alert, receiver: str) -> Told | None:
        """What the receiver was last told of the alert."""
        return self.ledger.told.get(alert.episode, {}).get(receiver)

    def flaps(self, alert: Alert, receiver: str) -> Flaps | None:
        """How often the alert's instance has fired of late; None where the receiver has no limit."""
        return self.ledger.flaps.get(flapping.key(receiver, alert)) if self.ledger.flaps else None

    def awaited(self, alert: Alert, receiver: str) -> bool:
        """Whether a digest will tell the receiver of the alert, even if it is over by then."""
        gathered = self.ledger.digests.get(receiver)
        return flapping.awaited(alert, self.flaps(alert, receiver)) or digests.awaited(alert, gathered)


def decide(alert: Alert, group: Group, situation: Situation) -> list[Decision]:
    """Whether an alert is told to a group's receiver now: every stage's decision, up to the first that holds it back.

    Who was told that it fires is told that it is over, whatever is silenced, muted or acknowledged meanwhile.
    """
    decisions: list[Decision] = []
    for stage in _FIRING if alert.open else _OVER:
        decisions.append(stage(alert, group, situation))
        if not decisions[-1].passed:
            break
    return decisions


def news(alert: Alert, group: Group, situation: Situation, at: int) -> Decision:
    """Whether an alert is news to a group's receiver at a time: the stage that most alerts stop at, asked by itself."""
    told = situation.told(alert, group.receiver)
    if not alert.open and told is None and situation.awaited(alert, group.receiver):
        return passes(Stage.DEDUPLICATION, Reason.NEW)
    return deduplication.decide(alert, told, at)


def _start_up(_alert: Alert, _group: Group, situation: Situation) -> Decision:
    """Nothing is sent before the rules have been evaluated once: what would inhibit an alert may not be known yet."""
    if situation.evaluated:
        return passes(Stage.START_UP, Reason.EVALUATED)
    return stops(Stage.START_UP, Reason.NOT_EVALUATED)


def _inhibition(alert: Alert, _group: Group, situation: Situation) -> Decision:
    return situation.inhibitor.decide(alert)


def _silences(alert: Alert, _group: Group, situation: Situation) -> Decision:
    return situation.silences.decide(alert.labels, situation.wall)


def _mute_times(_alert: Alert, group: Group, situation: Situation) -> Decision:
    return situation.policy.mute_times.decide(group.route.mute, situation.at)


def _acknowledgement(alert: Alert, group: Group, situation: Situation) -> Decision:
    told = situation.told(alert, group.receiver)
    return acknowledgement.decide(alert, situation.acks, told.severity if told else None)


def _route(alert: Alert, group: Group, situation: Situation) -> Decision:
    known = not alert.open and situation.told(alert, group.receiver)
    return passes(
        Stage.ROUTE, Reason.TOLD_BEFORE if known else Reason.ROUTED, f"{group.route.path} to {group.receiver}"
    )


def _escalation(alert: Alert, group: Group, situation: Situation) -> Decision:
    return escalation.decide(group.after, situation.ledger.told.get(alert.episode, {}), situation.at)


def _group(_alert: Alert, group: Group, situation: Situation) -> Decision:
    return group.decide(situation.at)


def _deduplication(alert: Alert, group: Group, situation: Situation) -> Decision:
    return news(alert, group, situation, situation.at)


def _flapping(alert: Alert, group: Group, situation: Situation) -> Decision:
    return flapping.decide(alert, situation.flaps(alert, group.receiver), situation.at)


def _digest(alert: Alert, group: Group, situation: Situation) -> Decision:
    policy, receiver = situation.policy, group.receiver
    digest, kept = policy.limits_of(receiver).digest, situation.ledger.digests.get(receiver)
    return digests.decide(digest, kept, alert, situation.at, policy.calendar)


_Deciding = Callable[[Alert, Group, Situation], Decision]
_FIRING: Final[Sequence[_Deciding]] = (
    _start_up,
    _inhibition,
    _silences,
    _mute_times,
    _acknowledgement,
    _route,
    _escalation,
    _group,
    _deduplication,
    _flapping,
    _digest,
)
_OVER: Final[Sequence[_Deciding]] = (_start_up, _route, _group, _deduplication, _flapping, _digest)
"""For an alert that has ended. The rate limit and the outbox follow, for the group's message as a whole."""
