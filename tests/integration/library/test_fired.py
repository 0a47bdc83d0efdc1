"""The shipped rules fire where they should on real history, and as often as their comments say."""

from __future__ import annotations

import pytest

from monitor.self_series import NAMES
from rules.load import load_rules
from rules.plan import Compiler
from rules.testing import AlertExpected, load_tests
from tests.tables.fired import OF_OPENS, measured, stated
from tests.tables.history import CLOSES, LIBRARY, library

FILES = sorted(LIBRARY.glob("*.yaml"))
WITHOUT_HISTORY = NAMES | {"small_cap_discount", "small_cap_eps_growth", "large_cap_eps_growth"}
"""Series that no recorded file has: the monitor's own, and what a vendor sells."""
OF_TIME = {"instrument-is-stale", "feed-is-silent"}
"""Rules about seconds, of which session closes know nothing."""

EPISODES = {
    # the election of 8 November 2016: small caps on the day, value and banks in the days after
    "small-caps-jump": ["2016-11-09"],
    "small-caps-lead-is-unusual": ["2016-11-15", "2026-01-22"],
    "small-caps-are-stretched": ["2016-11-23", "2026-01-21"],
    # vaccine news
    "value-jumps": ["2020-11-09"],
    # value over growth: from the vaccine through the first quarter of 2021, and 2022
    "value-leads-growth-for-a-quarter": ["2020-11-25", "2021-03-04", "2022-02-04", "2022-05-09", "2022-11-02"],
    "rotation-confirmed": ["2016-12-12", "2020-12-09", "2021-02-23"],
    "stocks-and-bonds-fall-together": ["2022-04-25"],
    # January 2026
    "rotation-early": ["2026-01-13"],
    "rotation-building": ["2016-11-23", "2020-11-11", "2026-01-15"],
    "small-caps-win-fourteen-in-a-row": ["2026-01-22"],
    "winning-streak-breaks-hard": ["2026-01-23"],
    "rotation-into-small-caps-fails": ["2026-01-23"],
    "chip-demand-rises": ["2026-01-14"],
}  # fmt: skip


@pytest.mark.realdata
def test_the_comments_say_what_is_measured(shared_data):
    assert stated(FILES) == measured(shared_data)


@pytest.mark.realdata
@pytest.mark.parametrize(("rule", "days"), EPISODES.items(), ids=list(EPISODES))
def test_the_episodes_of_history_are_found(fired, rule, days):
    assert set(days) <= {day.isoformat() for day, _ in fired[rule]}


def series_of(rule):
    compiler = Compiler(1)
    compiler.slot(rule.when.expr)
    return set(compiler.plan().requirements.series)


@pytest.mark.realdata
def test_every_rule_that_can_fire_on_the_data_does(fired, ruleset):
    silent = {rule.name for rule in ruleset.alerts if rule.name not in fired}
    unmeasurable = {rule.name for rule in ruleset.alerts if rule.each is None and series_of(rule) & WITHOUT_HISTORY}
    assert silent == unmeasurable | OF_TIME | OF_OPENS


@pytest.mark.realdata
def test_a_day_by_itself_does_not_show_january(fired):
    """The largest rotation in years had no day that is one in itself."""
    assert not [day for rule in ("small-caps-jump", "value-jumps") for day, _ in fired[rule] if day.year == 2026]


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_each_file_can_be_loaded_alone(file):
    loaded = load_rules([file])
    assert loaded.diagnostics == []
    assert loaded.ruleset is not None


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_each_rule_is_tested_silent_firing_and_resolved(file):
    loaded = load_tests(LIBRARY / "tests" / f"{file.stem}.test.yaml")
    states = {rule.name: set() for rule in library(file).alerts}
    for test in loaded.file.tests:
        for expectation in test.expect:
            if isinstance(expectation.what, AlertExpected):
                states[expectation.what.rule.name].add(expectation.what.state)
    assert {
        name for name, seen in states.items() if not (seen & {"inactive", "pending"} and {"firing", "resolved"} <= seen)
    } == set()


def test_each_rule_says_how_often_it_fired_when_it_misleads_and_when_it_clears(ruleset):
    assert set(stated(FILES)) == {rule.name for rule in ruleset.alerts}
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        rules = text.count("- alert: ")
        assert text.count("# Misleads ") == rules
        assert text.count("# fired ") == rules
        command = f"rotation backtest --rules rules/library --data {' '.join(CLOSES)} --format json"
        assert text.count(command) == 1
    streaks = {rule.name for rule in ruleset.alerts if rule.until is None}
    assert streaks == {"small-caps-winning-streak", "small-caps-win-fourteen-in-a-row"}  # they end by themselves
    assert all(rule.keep_firing_for_ns for rule in ruleset.alerts if rule.name in streaks)
