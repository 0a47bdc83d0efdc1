"""``rotation run`` against ten times what it can take: what it costs, and that nothing but old quotes is lost.

`OVERLOAD_PLOT` names a file for the picture of memory and latency over time, `OVERLOAD_SECONDS` says how long the soak
lasts.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.benchmarks.overload import KINDS, Overloaded, overload, plot

LATE = 5.0
"""Seconds that the newest row of the state may be old: many times what is measured, on a machine that is busy."""
SECONDS = float(os.environ.get("OVERLOAD_SECONDS", "180"))


def judge(run: Overloaded, growth: float) -> None:
    """Print the figures, draw the picture, and hold them to what is promised.

    `growth`: of the worst memory of the first half, what the second may need; a short run is still warming up.
    """
    for name, figure in run.told().items():
        print(f"{name:36} {figure:>16,.3f}" if figure % 1 else f"{name:36} {figure:>16,.0f}")  # noqa: T201 - for -s
    if path := os.environ.get("OVERLOAD_PLOT"):
        Path(path).write_text(plot(run))
    offered = run.offered
    assert offered["quotes"] + offered["given_up"] >= 9.5 * offered["capacity"] * run.seconds
    assert {kind: run.journal[kind] for kind in KINDS} == {kind: offered[kind] for kind in KINDS}
    assert all(offered[kind] > 0 for kind in KINDS)
    assert not run.page["filtered"], run.page["filtered"]
    assert run.journal["quotes"] + run.conflated == offered["quotes"]
    assert max(run.samples.lag) < LATE
    half = len(run.samples.rss) // 2
    assert max(run.samples.rss[half:]) < growth * max(run.samples.rss[:half])
    assert (run.page["reconnects"], run.page["rejected"]) == (0, {})


async def test_ten_times_the_load_costs_old_quotes_only(tmp_path):
    run = await overload(tmp_path, 6, calibrating=1.5, backlog_mb=1)
    judge(run, growth=1.3)
    assert run.conflated > 0


@pytest.mark.soak
@pytest.mark.parametrize("backlog_mb", [None, 1], ids=["as shipped", "conflating"])
async def test_ten_times_the_load_for_minutes(tmp_path, backlog_mb):
    judge(await overload(tmp_path, SECONDS, calibrating=5, backlog_mb=backlog_mb), growth=1.1)
