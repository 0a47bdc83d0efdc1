from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from monitor.alerting import configured
from monitor.alerting.mute_times import MuteTimes, TimeInterval
from monitor.alerting.routes import destinations
from monitor.settings.model import Settings
from tests.unit.monitor.alerting.samples import SECOND, alert, calendar

CONFIG = {
    "receivers": {name: {"urls": ["console://"]} for name in ("desk", "mail", "pager")},
    "route": {
        "receiver": "desk",
        "group_by": ["theme"],
        "repeat": ["30m", "next_open"],
        "routes": [
            {"match": ["severity=critical"], "receiver": ["pager", "mail"], "continue": True, "group_wait": "0s"},
            {"match": ["theme=size"], "receiver": "mail", "mute": ["nights"], "group_by": []},
        ],
    },
    "mute_times": {"nights": [{"times": "22:00-06:00", "weekdays": "monday-friday"}]},
}


@pytest.fixture(scope="module")
def policy():
    return configured.policy(Settings.model_validate(CONFIG), calendar())


def test_an_alert_takes_the_first_route_and_those_after_continue(policy):
    both = destinations(policy.route, alert(labels={"severity": "critical", "theme": "size"}))
    assert [d.receiver for d in both] == ["pager", "mail"], "each receiver once"
    assert [d.receiver for d in destinations(policy.route, alert(labels={"theme": "size"}))] == ["mail"]
    assert [d.receiver for d in destinations(policy.route, alert())] == ["desk"]


def test_what_a_route_does_not_say_is_as_above_it(policy):
    critical, size = policy.route.routes
    assert (critical.group_by, critical.group_wait, critical.repeat) == (("theme",), 0, ("30m", "next_open"))
    assert (size.group_by, size.mute) == (None, ("nights",))
    assert (policy.route.group_wait, policy.route.group_interval) == (2 * SECOND, 60 * SECOND)


def test_a_group_is_named_by_its_route_and_labels(policy):
    (found,) = destinations(policy.route, alert(labels={"theme": "value"}))
    assert found.key == '{}:{theme="value"}'


def test_a_rules_notify_takes_the_routes_grouping_and_other_receivers(policy):
    (found,) = destinations(policy.route, alert(labels={"theme": "value"}, notify=("pager",)))
    assert (found.receiver, found.key) == ("pager", '{}:{theme="value"}')


@pytest.mark.parametrize(
    ("moment", "muted"),
    [
        ("2026-01-23 21:59", False),
        ("2026-01-23 22:00", True),
        ("2026-01-24 01:00", False),
        ("2026-01-26 05:59", True),
        ("2026-01-26 06:00", False),
    ],
)
def test_a_named_time_over_midnight_on_weekdays(policy, moment, muted):
    at = int(dt.datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("America/New_York")).timestamp()) * SECOND
    assert policy.mute_times.holding(["nights"], at) == (["nights"] if muted else [])


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        ("2026-11-27 12:59", "regular"),
        ("2026-11-27 13:01", "extended"),
        ("2026-11-27 17:01", "closed"),
        ("2026-12-25 11:00", "closed"),
        ("2026-01-24 11:00", "closed"),
    ],
)
def test_early_closes_holidays_and_weekends(moment, state):
    at = int(dt.datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("America/New_York")).timestamp()) * SECOND
    assert MuteTimes(calendar(), {}).holding(["regular", "extended", "closed"], at) == [state]


def test_dates_include_both_ends():
    times = TimeInterval(ZoneInfo("UTC"), dates=((dt.date(2026, 12, 24), dt.date(2026, 12, 26)),))
    days = [int(dt.datetime(2026, 12, day, 12, tzinfo=dt.UTC).timestamp()) * SECOND for day in (23, 24, 26, 27)]
    assert [times.contains(at, calendar()) for at in days] == [False, True, True, False]
