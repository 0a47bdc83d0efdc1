"""Flapping: an instance that fires again and again is told in one digest, with how often it did."""

from __future__ import annotations

from dataclasses import replace

from monitor.alerting.alert import Alert
from monitor.alerting.decision import Decision, Reason, Stage, passes, stops
from monitor.alerting.ledger import Flaps
from monitor.alerting.policy import Limits


def key(receiver: str, alert: Alert) -> str:
    """What an instance's count for a receiver goes by."""
    return f"{receiver}/{alert.name}/{alert.member or alert.fingerprint}"


def fired(flaps: Flaps | None, alert: Alert, limits: Limits, at: int) -> Flaps:
    """The count after one more firing at a time; a counted time after `at` is of a clock that was wrong.

    One firing too many, or one while a digest is awaited, is kept for the digest, a window after the first such.
    """
    before = flaps or Flaps()
    recent = tuple(t for t in before.times if at - limits.flap_within < t <= at)
    after = replace(before, times=(*recent, at))
    if limits.flap_more_than is None or (not before.due and len(after.times) <= limits.flap_more_than):
        return after
    return replace(after, episode=alert.episode, missed=before.missed + 1, due=before.due or at + limits.flap_within)


def awaited(alert: Alert, flaps: Flaps | None) -> bool:
    """Whether an alert is kept for the digest."""
    return flaps is not None and flaps.episode == alert.episode


def decide(alert: Alert, flaps: Flaps | None, at: int) -> Decision:
    """Whether an alert may be told by itself, or in the digest now."""
    if flaps is None or not awaited(alert, flaps):
        return passes(Stage.FLAPPING, Reason.STEADY)
    if at < flaps.due:
        return stops(Stage.FLAPPING, Reason.FLAPPING, f"fired {flaps.missed} times since", until=flaps.due)
    return passes(Stage.FLAPPING, Reason.FLAPPED, f"flapped {flaps.missed} times")
