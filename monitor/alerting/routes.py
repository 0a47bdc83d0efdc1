"""The route tree: which receivers an alert goes to, and how their messages are grouped, muted and repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from monitor.alerting.alert import Alert, Source
from monitor.alerting.matchers import Matcher, matches

EVERY_LABEL: Final = "..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A node of the tree; what it inherits from its parent is filled in.

    `group_by` None: each alert is told by itself, at once. `group_wait` and `group_interval` are ns. `path` names it:
    ``{}``, ``{}/{severity="critical"}``. `escalate`: after how long without an answer (ns) which receivers are told.
    """

    path: str = "{}"
    receivers: tuple[str, ...]
    matchers: tuple[Matcher, ...] = ()
    go_on: bool = False
    group_by: tuple[str, ...] | None = None
    group_wait: int = 0
    group_interval: int = 0
    repeat: tuple[str, ...] = ()
    mute: tuple[str, ...] = ()
    escalate: tuple[tuple[int, tuple[str, ...]], ...] = ()
    routes: tuple[Route, ...] = ()

    def matching(self, labels: Mapping[str, str]) -> Iterator[Route]:
        """The routes an alert takes: the first of the children that match, further ones after `go_on`, or this one."""
        if not matches(self.matchers, labels):
            return
        found = False
        for child in self.routes:
            taken = list(child.matching(labels))
            yield from taken
            found = found or bool(taken)
            if taken and not child.go_on:
                break
        if not found:
            yield self

    def __iter__(self) -> Iterator[Route]:
        """This route and all below it."""
        yield self
        for child in self.routes:
            yield from child


@dataclass(frozen=True, slots=True)
class Destination:
    """A receiver of an alert, by the route that leads there, and the group it is told in.

    `key` names the group: the route and the labels; for an alert that is told by itself, its episode. `after`: ns
    without an answer until this receiver is told; 0 for those that are told first.
    """

    receiver: str
    route: Route
    key: str
    labels: Mapping[str, str] = field(hash=False)
    after: int = 0

    @property
    def alone(self) -> bool:
        """Whether the alert is told by itself."""
        return self.route.group_by is None


def destinations(route: Route, alert: Alert) -> list[Destination]:
    """Where an alert goes, each receiver once. A rule's `notify` takes the place of the routes' receivers."""
    routes = list(route.matching(alert.labels))
    if alert.notify is not None:
        routes = [replace(each, receivers=alert.notify) for each in routes[:1]]
    itself = alert.labels.get("receiver") if alert.source is Source.HEALTH else None
    if alert.source is Source.HEALTH:
        # A feed that is down may be all that moves the clock of a group, and a receiver that fails cannot tell so.
        routes = [
            replace(each, group_by=None, receivers=tuple(r for r in each.receivers if r != itself)) for each in routes
        ]
    found: dict[str, Destination] = {}
    for each in routes:
        for receiver in each.receivers:
            if receiver not in found:
                found[receiver] = destination(each, receiver, alert)
    for each in routes:
        steps = each.escalate if alert.escalate is None else alert.escalate
        direct = replace(each, group_by=None)
        for after, receivers in steps:
            for receiver in receivers:
                if receiver not in found and receiver != itself:
                    found[receiver] = Destination(receiver, direct, alert.episode, alert.labels, after)
    return list(found.values())


def addressed(alert: Alert, has: Callable[[str], bool]) -> Alert:
    """The alert without receivers that there are no more; where its rule named none but those, the routes lead it."""
    notify, escalate = alert.notify, alert.escalate
    if notify and not all(map(has, notify)):
        notify = tuple(filter(has, notify)) or None
    if escalate:
        escalate = tuple((after, kept) for after, to in escalate if (kept := tuple(filter(has, to))))
    return replace(alert, notify=notify, escalate=escalate)


def destination(route: Route, receiver: str, alert: Alert) -> Destination:
    """The way to a receiver by a route."""
    if route.group_by is None:
        return Destination(receiver, route, alert.episode, alert.labels)
    names: Sequence[str] = sorted(alert.labels) if EVERY_LABEL in route.group_by else route.group_by
    labels = {name: alert.labels[name] for name in names if name in alert.labels}
    shown = ", ".join(f'{name}="{labels[name]}"' for name in sorted(labels))
    return Destination(receiver, route, f"{route.path}:{{{shown}}}", labels)
