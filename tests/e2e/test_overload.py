"""``rotation run`` against ten times what it can take: what it costs, and that nothing but old quotes is lost.

`OVERLOAD_PLOT` names a file for the picture of memory and latency over time, `OVERLOAD_SECONDS` says how long the soak
lasts; `ORDINARY_PLOT` and `ORDINARY_SECONDS` do so for the one of an ordinary load.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.benchmarks.overload import KINDS, Overloaded, Samples, ordinary, overload, plot

LATE = 5.0
"""Seconds that the newest row of the state may be old: many times what is measured, on a machine that is busy."""
SECONDS = float(os.environ.get("OVERLOAD_SECONDS", "180"))
ORDINARY_SECONDS = float(os.environ.get("ORDINARY_SECONDS", "600"))
RATE = 10_000
"""Quotes a second of an ordinary load."""


def draw(variable: str, samples: Samples, load: str) -> None:
    """Write the picture to the file that the variable names, if it does."""
    if path := os.environ.get(variable):
        Path(path).write_text(plot(samples, load))


def judge(run: Overloaded, growth: float, times: float) -> None:
    """Print the figures, draw the picture, and hold them to what is promised.

    `growth`: of the worst memory of the first half, what the second may need; a short run is still warming up. `times`:
    of the capacity, what has to have been offered; a machine that is busy for seconds keeps the vendor from some.
    """
    for name, figure in run.told().items():
        print(f"{name:36} {figure:>16,.3f}" if figure % 1 else f"{name:36} {figure:>16,.0f}")  # noqa: T201 - for -s
    offered = run.offered
    load = f"{10 * offered['capacity']:,.0f} quotes/s offered, {offered['capacity']:,.0f} can be taken"
    draw("OVERLOAD_PLOT", run.samples, load)
    assert offered["quotes"] + offered["given_up"] >= times * offered["capacity"] * run.seconds
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
    judge(run, growth=1.3, times=5)
    assert run.conflated > 0


@pytest.mark.soak
@pytest.mark.parametrize("backlog_mb", [None, 1], ids=["as shipped", "conflating"])
async def test_ten_times_the_load_for_minutes(tmp_path, backlog_mb):
    judge(await overload(tmp_path, SECONDS, calibrating=5, backlog_mb=backlog_mb), growth=1.1, times=9.5)


@pytest.mark.soak
@pytest.mark.timeout(3_000)
async def test_an_ordinary_load_for_minutes(tmp_path):
    sent, samples = await ordinary(tmp_path, ORDINARY_SECONDS, RATE)
    draw("ORDINARY_PLOT", samples, f"{RATE:,} quotes/s")
    quarter = len(samples.rss) // 4
    worst = [max(samples.rss[n * quarter : (n + 1) * quarter]) for n in range(4)]
    print(f"{sent['quotes']:,} quotes; RSS by quarter, worst MB: {[round(mb, 1) for mb in worst]}")  # noqa: T201
    print(f"age of the newest row, worst s: {max(samples.lag):.3f}")  # noqa: T201
    assert max(worst[2:]) < 1.02 * max(worst[:2])
    assert max(samples.lag) < LATE
