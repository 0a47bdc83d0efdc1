"""Alerts, groups and silences as the Alertmanager API shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from monitor import clock
from monitor.alerting import matchers
from monitor.alerting.alert import SUMMARY, Alert, Source
from monitor.alerting.dispatcher import RESOLVE_TIMEOUT, Dispatcher
from monitor.alerting.groups import Group
from monitor.alerting.policy import Policy
from monitor.alerting.silences import Silence, Silences, SilenceState
from monitor.web.alertmanager import times
from monitor.web.alertmanager.query import Wanted
from monitor.web.alertmanager.shapes import AlertGroup, AlertStatus, GettableAlert, GettableSilence

_AT_ONCE = 200
"""Alerts looked at before others have a turn on the event loop."""


class Shown:
    """What is open at one moment, and what keeps people from being told of it.

    An alert that has been acknowledged is `active` here: Alertmanager knows no acknowledgement.
    """

    def __init__(self, dispatcher: Dispatcher, policy: Policy) -> None:
        self._book, self._policy = dispatcher.book, policy
        self._wall = clock.wall_ns()
        self._at = self._book.ledger.clock or self._wall
        now = (each for each in dispatcher.list_silences() if each.state(self._wall) is SilenceState.ACTIVE)
        self._silences = Silences(now)

    async def alerts(self, wanted: Wanted) -> list[GettableAlert]:
        """Open alerts that are asked for, in the order of their fingerprints."""
        found = []
        for number, alert in enumerate(self._book.alerts(), start=1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            receivers = self._book.receivers(alert)
            if wanted.receivers(receivers) and matchers.matches(wanted.labels, alert.labels):
                status = self._status(alert, self._muted(alert))
                if _asked_for(status, wanted):
                    found.append(self._alert(alert, receivers, status))
        return sorted(found, key=lambda each: (each["fingerprint"], each["startsAt"]))

    async def groups(self, wanted: Wanted) -> list[AlertGroup]:
        """Groups with the open alerts in them that are asked for, in the order of their labels."""
        found: list[AlertGroup] = []
        seen = 0
        for group in list(self._book.groups.values()):
            if not wanted.receivers([group.receiver]):
                continue
            shown = []
            for episode in list(group.episodes):
                seen += 1
                if seen % _AT_ONCE == 0:
                    await asyncio.sleep(0)
                alert = self._book.ledger.alerts.get(episode)
                if alert is None or not alert.open or not matchers.matches(wanted.labels, alert.labels):
                    continue
                status = self._status(alert, self._holding(group))
                if _asked_for(status, wanted):
                    shown.append(self._alert(alert, self._book.receivers(alert), status))
            if shown:
                shown.sort(key=lambda each: (each["fingerprint"], each["startsAt"]))
                found.append({"labels": dict(group.labels), "receiver": {"name": group.receiver}, "alerts": shown})
        return sorted(found, key=lambda each: (sorted(each["labels"].items()), each["receiver"]["name"]))

    def _alert(self, alert: Alert, receivers: Sequence[str], status: AlertStatus) -> GettableAlert:
        annotations = dict(alert.annotations)
        if alert.source is not Source.EXTERNAL:
            annotations[SUMMARY] = alert.summary
        shown: GettableAlert = {
            "annotations": annotations,
            "endsAt": times.text(alert.expires_at or self._wall + RESOLVE_TIMEOUT),
            "fingerprint": alert.fingerprint,
            "receivers": [{"name": name} for name in receivers],
            "startsAt": times.text(alert.starts_at),
            "status": status,
            "updatedAt": times.text(alert.updated_at),
            "labels": dict(alert.labels),
        }
        if alert.generator_url:
            shown["generatorURL"] = alert.generator_url
        return shown

    def _status(self, alert: Alert, muted_by: list[str]) -> AlertStatus:
        silenced_by = self._silences.of(alert.labels, self._wall)
        inhibited_by = sorted(set(self._book.inhibitors(alert)))
        return {
            "inhibitedBy": inhibited_by,
            "mutedBy": muted_by,
            "silencedBy": silenced_by,
            "state": "suppressed" if silenced_by or inhibited_by or muted_by else "active",
        }

    def _muted(self, alert: Alert) -> list[str]:
        """Mute times that hold, where each of the alert's ways has one."""
        holding = [self._holding(group) for group in self._book.groups_of(alert)]
        return sorted({name for names in holding for name in names}) if all(holding) else []

    def _holding(self, group: Group) -> list[str]:
        return self._policy.mute_times.holding(group.route.mute, self._at) if group.route.mute else []


def _asked_for(status: AlertStatus, wanted: Wanted) -> bool:
    return (
        (wanted.active or status["state"] != "active")
        and (wanted.silenced or not status["silencedBy"])
        and (wanted.inhibited or not status["inhibitedBy"])
        and (wanted.muted or not status["mutedBy"])
    )


def silence(given: Silence, wall: int) -> GettableSilence:
    """A silence as it is at a time."""
    return {
        "id": given.id,
        "status": {"state": given.state(wall).value},
        "updatedAt": times.text(given.updated_at),
        "comment": given.comment,
        "createdBy": given.created_by,
        "endsAt": times.text(given.ends_at),
        "matchers": [
            {"isEqual": each.is_equal, "isRegex": each.is_regex, "name": each.name, "value": each.value}
            for each in given.matchers
        ],
        "startsAt": times.text(given.starts_at),
    }
