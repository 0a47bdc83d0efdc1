"""Escalation: who is told later, unless somebody has acknowledged the alert by then, or it is over."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.alerting.decision import Decision, Reason, Stage, passes, stops
from monitor.alerting.ledger import Told
from monitor.notify.values import span


def decide(after: int, told: Mapping[str, Told], at: int) -> Decision:
    """Whether a receiver that is told `after` ns (0: at once) is told now; `told`: what each receiver was told.

    The time counts from when the first receiver was told that it fires: while nobody is, nobody can answer.
    """
    if not after:
        return passes(Stage.ESCALATION, Reason.FIRST_TOLD)
    since = min((each.since or each.at for each in told.values()), default=None)
    if since is None:
        return stops(Stage.ESCALATION, Reason.NOBODY_TOLD)
    if at < since + after:
        return stops(Stage.ESCALATION, Reason.ESCALATES_LATER, f"{span(after)} after the first", until=since + after)
    return passes(Stage.ESCALATION, Reason.ESCALATED, f"{span(after)} without an answer")
