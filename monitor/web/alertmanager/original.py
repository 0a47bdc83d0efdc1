"""The configuration as Alertmanager would have it: YAML that routes alerts to the same receivers as the monitor does.

What Alertmanager cannot say is said as nearly as it can be: a route to several receivers goes to one whose name lists
them (``desk-slack,desk-mail``), repeats are at the first of their steps, market hours have no holidays and half days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from pydantic import SecretStr

from monitor.alerting.alert import ALERTNAME
from monitor.alerting.inhibition import Inhibition
from monitor.alerting.matchers import SHORT_NAME, Matcher
from monitor.alerting.policy import Policy
from monitor.alerting.repeats import NEXT_OPEN
from monitor.alerting.routes import EVERY_LABEL, Route
from monitor.settings.model import Settings
from monitor.web.alertmanager import hours
from rules.fields import duration_ns

SECRET: Final = "<secret>"  # noqa: S105 - what stands in its place
_HEAD: Final = (
    "# What the monitor's configuration is in the terms of Alertmanager: the same routes to the same receivers.\n"
    "# Services that not every Alertmanager knows are receivers without a configuration.\n"
)
_DAY: Final = 86_400_000_000_000
_NEVER: Final = 365 * _DAY
"""The repeat interval of a route that does not repeat: Alertmanager must have one."""
_UNITS: Final = (("d", _DAY), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000))


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice in full, twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - as the base class has it
        return True


def original(config: Settings, policy: Policy) -> str:
    """The YAML. Nothing in it is secret."""
    root = policy.route
    routes = list(root)
    receivers = {name: _receiver(name, receiver.urls) for name, receiver in config.receivers.items()}
    for route in routes:
        together = _receiver_of(route)
        if together not in receivers:
            receivers[together] = _merged(together, [receivers[name] for name in route.receivers])
    top = _route(root)
    if root.mute:  # the top of Alertmanager's tree cannot be muted; one below it that takes everything can
        top = {key: value for key, value in top.items() if key not in ("routes", "mute_time_intervals")}
        top["routes"] = [_route(root)]
    # The top must have no matchers, and says nothing of `continue`.
    top.pop("continue", None)
    document = {
        "route": top,
        "receivers": list(receivers.values()),
        "inhibit_rules": [_inhibition(each) for each in policy.inhibitions],
        "time_intervals": hours.intervals(config, policy, {name for route in routes for name in route.mute}),
    }
    shown = {key: value for key, value in document.items() if value}
    return _HEAD + yaml.dump(shown, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1_000)


def _receiver_of(route: Route) -> str:
    """One name for a route's receivers: theirs with commas, which is how amtool lists several."""
    return ",".join(route.receivers)


def _route(route: Route) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "receiver": _receiver_of(route),
        "group_by": _group_by(route),
        "group_wait": _duration(route.group_wait if route.group_by is not None else 0),
        "group_interval": _duration(max(route.group_interval, 1_000_000)),
        "repeat_interval": _duration(_repeat(route.repeat)),
    }
    if route.matchers:
        shown["matchers"] = [_matcher(each) for each in route.matchers]
    if route.mute:
        shown["mute_time_intervals"] = list(route.mute)
    if route.go_on:
        shown["continue"] = True
    if route.routes:
        shown["routes"] = [_route(each) for each in route.routes]
    return shown


def _group_by(route: Route) -> list[str]:
    if route.group_by is None or EVERY_LABEL in route.group_by:
        return [EVERY_LABEL]
    return list(dict.fromkeys(map(_label, route.group_by)))


def _repeat(steps: Sequence[str]) -> int:
    """Nanoseconds: the first step, where there is one."""
    if not steps:
        return _NEVER
    return _DAY if steps[0] == NEXT_OPEN else duration_ns(steps[0])[0] or _NEVER


def _matcher(given: Matcher) -> str:
    return str(Matcher(_label(given.name), given.operator, given.value))


def _label(name: str) -> str:
    return ALERTNAME if name == SHORT_NAME else name


def _inhibition(given: Inhibition) -> dict[str, Any]:
    return {
        "source_matchers": [_matcher(each) for each in given.source],
        "target_matchers": [_matcher(each) for each in given.target],
        "equal": [_label(name) for name in given.equal if name != EVERY_LABEL],
    }


def _receiver(name: str, urls: Iterable[SecretStr]) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": name}
    for url in urls:
        for kind, service in _service(url.get_secret_value()):
            shown.setdefault(kind, []).append(service)
    return shown


def _merged(name: str, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {"name": name}
    for part in parts:
        for kind, services in part.items():
            if kind != "name":
                merged.setdefault(kind, []).extend(services)
    return merged


def _service(url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What Alertmanager calls the service of an address, where every version of it since 0.25 knows it.

    Of the address only the scheme counts: all else may be secret.
    """
    match urlsplit(url).scheme.lower():
        case "slack":
            yield "slack_configs", {"api_url": SECRET}
        case "discord":
            yield "discord_configs", {"webhook_url": SECRET}
        case "pagerduty":
            yield "pagerduty_configs", {"routing_key": SECRET}
        case "opsgenie":
            yield "opsgenie_configs", {"api_key": SECRET}
        case "pover":
            yield "pushover_configs", {"user_key": SECRET, "token": SECRET}


def _duration(ns: int) -> str:
    """In the largest unit that says it exactly; whole milliseconds, rounded up."""
    ms = -(-ns // 1_000_000) * 1_000_000
    unit, length = next(((u, n) for u, n in _UNITS if ms and ms % n == 0), ("s", 1_000_000_000))
    return f"{ms // length}{unit}"
