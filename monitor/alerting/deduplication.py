"""Deduplication: what a receiver knows already is not told again, unless it got worse or a repeat is due."""

from __future__ import annotations

from monitor.alerting.alert import Alert, rank
from monitor.alerting.decision import Decision, Reason, Stage, passes, stops
from monitor.alerting.ledger import Told
from monitor.notify.message import Kind


def decide(alert: Alert, told: Told | None, at: int) -> Decision:
    """Whether there is news for a receiver that was last told `told` of the alert."""
    if not alert.open:
        if told is None:
            return stops(Stage.DEDUPLICATION, Reason.NEVER_TOLD)
        if told.kind is Kind.FIRING:
            return passes(Stage.DEDUPLICATION, Reason.RESOLVED)
        return stops(Stage.DEDUPLICATION, Reason.ALREADY_TOLD, "resolved")
    if told is None:
        return passes(Stage.DEDUPLICATION, Reason.NEW)
    if rank(alert.severity) > rank(told.severity):
        return passes(Stage.DEDUPLICATION, Reason.SEVERITY_ROSE, f"{told.severity} to {alert.severity}")
    if told.due is not None and at >= told.due:
        return passes(Stage.DEDUPLICATION, Reason.REPEAT_DUE, f"repeat {told.repeats + 1}")
    return stops(Stage.DEDUPLICATION, Reason.ALREADY_TOLD, f"firing, message {told.sequence}", until=told.due)
