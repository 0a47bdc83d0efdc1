"""Inhibition: while one alert fires, others that it explains are not told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monitor.alerting.alert import Alert
from monitor.alerting.decision import Decision, Reason, Stage, passes, stops
from monitor.alerting.matchers import Matcher, label, matches


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While an alert that fulfils `source` fires, those that fulfil `target` are not told.

    Both must have the same values of the labels `equal`; one that neither has is the same.
    """

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()

    def inhibits(self, source: Alert, target: Alert) -> bool:
        """Whether `source`, while it fires, keeps `target` from being told.

        As in Alertmanager, an alert that is on both sides is not inhibited by another that is: so none inhibits itself,
        and no two inhibit each other.
        """
        if source.episode == target.episode or not matches(self.target, target.labels):
            return False
        if not matches(self.source, source.labels):
            return False
        if matches(self.source, target.labels) and matches(self.target, source.labels):
            return False
        return all(label(source.labels, name) == label(target.labels, name) for name in self.equal)


class Inhibitor:
    """The inhibitions of the configuration, and the open alerts that may be their sources."""

    def __init__(self, inhibitions: Sequence[Inhibition]) -> None:
        self._inhibitions = tuple(inhibitions)
        self._sources: dict[str, Alert] = {}

    def opened(self, alert: Alert) -> None:
        """Take note of an alert that fires."""
        if any(matches(each.source, alert.labels) for each in self._inhibitions):
            self._sources[alert.episode] = alert

    def ended(self, episode: str) -> bool:
        """Take note that an alert is over; whether it could inhibit others."""
        return self._sources.pop(episode, None) is not None

    def decide(self, alert: Alert) -> Decision:
        """Whether an alert may be told for all that the others know."""
        by = next(self._by(alert), None)
        if by is None:
            return passes(Stage.INHIBITION, Reason.NOT_INHIBITED)
        return stops(Stage.INHIBITION, Reason.INHIBITED, by.episode)

    def inhibitors(self, alert: Alert) -> list[str]:
        """Fingerprints of the alerts that inhibit one."""
        return [each.fingerprint for each in self._by(alert)]

    def _by(self, alert: Alert) -> Iterator[Alert]:
        return (
            source for each in self._inhibitions for source in self._sources.values() if each.inhibits(source, alert)
        )
