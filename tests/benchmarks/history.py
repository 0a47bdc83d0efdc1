"""What the whole of history costs, from the start of the program to its end: every shipped rule over real prices.

Targets are of the time of a core, which other programs on the machine disturb least.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import Report, Target, median

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT.parent / "shared" / "data"
LIBRARY: Final = ROOT / "rules" / "library"
INTRADAY: Final = """
version: 1
baskets: {mag7: [AAPL, MSFT, GOOG, AMZN, NVDA, META, TSLA]}
universes: {every: [SPY, QQQ, IWM, AAPL, MSFT, GOOG, AMZN, NVDA, META, TSLA, MU, TSM, ASML, SMH]}
groups:
  - name: intraday
    rules:
      - {alert: lead, when: "ret(IWM, 1d) - ret(SPY, 1d) > 50bp", until: "ret(IWM, 1d) - ret(SPY, 1d) < 0", for: 10m}
      - {alert: slide, each: every, when: "ret(it, 30m) < -1%", keep_firing_for: 15m}
      - {alert: stretched, each: every, when: "zscore(ret(it, 1d), 60d) > 2"}
      - {alert: quick, each: every, when: "zscore(ret(it, 30m), 120m) > 3"}
      - {alert: breadth, when: "share(every, ret(it, open) > 0) > 80%"}
      - {alert: behind, when: "ret(mag7, 5d) - ret(SPY, 5d) < -2%", for: 20m}
      - {alert: turned, each: every, when: "rank(it, every, ret(it, 1d)) <= 3 and ret(it, 20d) < 0"}
      - {alert: run, each: every, when: "streak(ret(it, 1d) > 0) >= 5"}
"""
RUNS: Final = 3


async def measure() -> Report:
    """Every command some times; peak memory is that of the largest of all."""
    report = Report("history", "`rotation backtest`, whole: start, reading, evaluation, printing")
    if not DATA.is_dir():
        report.add("skipped: there are no recorded prices beside the repository", 0, "")
        return report
    rules = ROOT / "build" / "intraday.yaml"
    rules.parent.mkdir(exist_ok=True)
    rules.write_text(INTRADAY)
    daily = ["--rules", str(LIBRARY), "--data", str(DATA / "daily_close.parquet")]
    for name, words, target in (
        ("the library over 22 years of 90 closes", daily, Target("<", 5)),
        ("the same with evidence, as JSON", [*daily, "--format", "json"], None),
        (
            "20 sessions of five-minute bars of 43 instruments",
            ["--rules", str(rules), "--data", str(DATA / "bars_5min.parquet"), "--from", "2026-01-02", "--to",
             "2026-01-30", "--history", str(DATA / "daily_ohlcv_raw.parquet")],
            Target("<", 2),
        ),
    ):  # fmt: skip
        cpu, wall = zip(*(_run(words) for _ in range(RUNS)), strict=True)
        report.add(name, median(cpu), "s of a core", target, f"on the clock {median(wall):.2f} s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    report.add("peak memory", peak, "MB", Target("<", 500))
    return report


def _run(words: list[str]) -> tuple[float, float]:
    """Seconds of a core, and on the clock, from the start of the program to its end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", "from monitor.cli.program import main; main()", "backtest", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall
