"""`rotation backtest` on the recorded bars gives the episodes of the live run, at bar ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_january_2026 import RULES

pytestmark = pytest.mark.realdata


def test_the_same_episodes_at_bar_ends(tmp_path, shared_data):
    (tmp_path / "rules.yaml").write_text(RULES)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("rotation")),
            *("backtest", "--rules", str(tmp_path / "rules.yaml")),
            *("--data", str(shared_data / "bars_5min.parquet")),
            *("--history", str(shared_data / "daily_ohlcv_raw.parquet")),
            *("--from", "2026-01-02", "--to", "2026-01-23", "--format", "json"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    fired = [t for t in map(json.loads, done.stdout.splitlines()) if t["to"] == "firing"]
    assert all(t["ts"].endswith(":00Z") and int(t["ts"][14:16]) % 5 == 0 for t in fired)
    first = {}
    for t in fired:
        first.setdefault(t["alert"], (t["episode"], t["ts"]))
    # Within a bar, trades cross the line at 10:07:30; the bar that shows it ends at 10:10.
    assert first["small-caps-fall"] == ("small-caps-fall@2026-01-23.1", "2026-01-23T15:10:00Z")
    assert first["small-caps-streak"][0] == "small-caps-streak@2026-01-15.1"
