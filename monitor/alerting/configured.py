"""From the configuration to the :class:`~monitor.alerting.policy.Policy`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from zoneinfo import ZoneInfo

from monitor.alerting import matchers
from monitor.alerting.digests import Digest
from monitor.alerting.inhibition import Inhibition
from monitor.alerting.mute_times import MuteTimes, TimeInterval, Trading
from monitor.alerting.policy import Limits, Policy
from monitor.alerting.routes import Route
from monitor.calendar import TradingCalendar
from monitor.settings.alerting import ReceiverSettings, RouteSettings, TimeSettings
from monitor.settings.model import Settings

GROUP_WAIT: Final = 2_000_000_000
GROUP_INTERVAL: Final = 60_000_000_000
"""Nanoseconds; where a route groups and does not say."""
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def policy(config: Settings, calendar: TradingCalendar) -> Policy:
    """What the configuration says about telling."""
    root = Route(receivers=config.told, group_wait=GROUP_WAIT, group_interval=GROUP_INTERVAL)
    named = {name: [_interval(each) for each in times] for name, times in config.mute_times.items()}
    return Policy(
        route=_route(config.route, root, "{}") if config.route else root,
        calendar=calendar,
        mute_times=MuteTimes(calendar, named),
        inhibitions=[Inhibition(_matchers(each.source), _matchers(each.target), each.equal) for each in config.inhibit],
        limits={name: _limits(receiver) for name, receiver in config.receivers.items()},
        receivers=frozenset(config.receivers),
    )


def _route(given: RouteSettings, above: Route, path: str) -> Route:
    """A route with what it does not say filled in from the one above."""
    route = Route(
        path=path,
        receivers=given.receiver or above.receivers,
        matchers=_matchers(given.match),
        go_on=given.continue_,
        group_by=above.group_by if given.group_by is None else (given.group_by or None),
        group_wait=above.group_wait if given.group_wait is None else given.group_wait,
        group_interval=above.group_interval if given.group_interval is None else given.group_interval,
        repeat=above.repeat if given.repeat is None else given.repeat,
        mute=above.mute if given.mute is None else given.mute,
        escalate=above.escalate if given.escalate is None else tuple((e.after, e.to) for e in given.escalate),
    )
    paths: list[str] = []
    for each in given.routes:
        name = f"{path}/{{{','.join(map(str, _matchers(each.match)))}}}"
        paths.append(name if name not in paths else f"{name}/{len(paths)}")
    routes = tuple(_route(each, route, name) for each, name in zip(given.routes, paths, strict=True))
    return Route(**{name: getattr(route, name) for name in Route.__dataclass_fields__} | {"routes": routes})


def _matchers(texts: Sequence[str]) -> tuple[matchers.Matcher, ...]:
    return tuple(map(matchers.parse, texts))


def _limits(given: ReceiverSettings) -> Limits:
    digest = None if given.digest is None else Digest(given.digest.every, _matchers(given.digest_except))
    limits = Limits(given.max_per_minute, digest=digest, tell_acks=given.tell_acks)
    if given.flap is None:
        return limits
    return replace(limits, flap_more_than=given.flap.more_than, flap_within=given.flap.within)


def _interval(given: TimeSettings) -> TimeInterval:
    return TimeInterval(
        zone=ZoneInfo(given.zone),
        trading=frozenset(map(Trading, given.trading)),
        times=tuple(_minutes(text) for text in given.times),
        weekdays=frozenset(day for text in given.weekdays for day in _weekdays(text)),
        dates=tuple(_dates(text) for text in given.dates),
    )


def _minutes(text: str) -> tuple[int, int]:
    """``22:00-06:00`` in minutes of the day."""
    first, last = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
    return first, last


def _weekdays(text: str) -> list[int]:
    """``friday-monday``, over the weekend: 4, 5, 6, 0."""
    first, _, last = text.partition("-")
    start, end = _DAYS.index(first), _DAYS.index(last or first)
    return [day % 7 for day in range(start, end + (7 if end < start else 0) + 1)]


def _dates(text: str) -> tuple[dt.date, dt.date]:
    first, _, last = text.partition("..")
    return dt.date.fromisoformat(first), dt.date.fromisoformat(last or first)
