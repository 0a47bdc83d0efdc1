"""The engine against Prometheus: random series through ``promtool test rules`` and through ours fire at the same times.

What both have: a threshold, `for` and `keep_firing_for`, a sample at each minute. promtool says only whether it agrees
with what it is told, so it is told what our engine did.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.engine import Engine
from rules.ruleset import Hours, RuleSet
from tests.unit.rules.market import CALENDAR, MAX_GAP, MINUTE, Tables, rule

pytestmark = pytest.mark.services

MINUTES = 30
ON, OFF = {"firing", "recovering"}, {"resolved", "inactive"}
LEVELS = st.lists(st.sampled_from([4.0, 4.0, 10.0, 11.0, 11.0, 11.0]), min_size=MINUTES, max_size=MINUTES)
TIMERS = st.tuples(st.integers(0, 6), st.integers(0, 6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    if shutil.which("promtool") is None:
        pytest.skip("not installed: promtool")
    return Path(tmp_path_factory.mktemp("promtool"))


def fires(for_minutes: int, keep_minutes: int, levels: list[float]) -> list[bool]:
    """Whether our engine's alert fires, minute by minute."""
    made = replace(rule(for_minutes * MINUTE, keep_minutes * MINUTE, until=False), hours=Hours.ALWAYS)
    engine = Engine(RuleSet((made,)), CALENDAR, max_gap_ns=MAX_GAP)
    now, on, seen = CALENDAR.at(5, 10), False, []
    for level in levels:
        closes = np.full((3, 1), 10.0)
        for transition in engine.evaluate(Tables(("A",), closes, np.array([level]), now)).transitions:
            on = str(transition.new) in ON or (on and str(transition.new) not in OFF)
        seen.append(on)
        now += MINUTE
    return seen


def written(folder: Path, timers: list[tuple[int, int]], series: list[list[float]], expected) -> Path:
    """The files of promtool: a rule for each pair of timers, one test of all series."""
    rules = [
        {"alert": f"r{number}", "expr": "x > 10", "for": f"{wait}m", "keep_firing_for": f"{keep}m"}
        for number, (wait, keep) in enumerate(timers)
    ]
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    checks = [
        {
            "expr": 'ALERTS{alertstate="firing"}',
            "eval_time": f"{minute}m",
            "exp_samples": [
                {"labels": f'ALERTS{{alertname="r{r}",alertstate="firing",i="{s}"}}', "value": 1}
                for (r, s), firing in expected.items()
                if firing[minute]
            ],
        }
        for minute in range(MINUTES)
    ]
    given_series = [
        {"series": f'x{{i="{number}"}}', "values": " ".join(map(str, levels))} for number, levels in enumerate(series)
    ]
    test = {"interval": "1m", "input_series": given_series, "promql_expr_test": checks}
    path = folder / "test.yml"
    path.write_text(json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}))
    return path


def promtool(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", "test", "rules", path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TIMERS, min_size=1, max_size=8), st.lists(LEVELS, min_size=1, max_size=12))
def test_the_same_alerts_fire_at_the_same_times(folder, timers, series):
    expected = {
        (r, s): fires(wait, keep, levels) for r, (wait, keep) in enumerate(timers) for s, levels in enumerate(series)
    }
    done = promtool(written(folder, timers, series, expected))
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_objects_where_one_minute_is_wrong(folder):
    """So the test above can fail."""
    levels = [11.0] * MINUTES
    expected = {(0, 0): fires(2, 1, levels)}
    assert expected[0, 0] == [False, False] + [True] * (MINUTES - 2)
    expected[0, 0][1] = True
    assert promtool(written(folder, [(2, 1)], [levels], expected)).returncode == 1
