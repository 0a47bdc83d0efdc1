"""What a window costs: every window function must cost the same whatever its length."""

from __future__ import annotations

from typing import Final

import numpy as np

from rules.engine import Engine
from tests.benchmarks.evaluation import Market, milliseconds
from tests.benchmarks.figures import Report, Target, median

FUNCTIONS: Final = {
    "mean": "mean({r}, {w}) > 9%",
    "std": "std({r}, {w}) > 9%",
    "min": "min({r}, {w}) > 9%",
    "max": "max({r}, {w}) > 9%",
    "sum": "sum({r}, {w}) > 99%",
    "median": "median({r}, {w}) > 9%",
    "ema": "ema({r}, {e}) > 9%",
    "slope": "slope({r}, {w}) > 9%",
    "zscore": "zscore({r}, {w}) > 9",
    "percentile": "percentile({r}, {w}) > 99%",
    "held": "held({r} > 9%, 3, {w})",
    "change": "change({r}, {w}) > 9%",
    "beta": "beta({x}, {y}, {w}) > 9",
    "corr": "corr({x}, {y}, {w}) > 0.99",
}
"""One rule a function; `e` is a fourth of the window, as an exponential mean is made of four times as many."""

LENGTHS: Final = (20, 250)
INSTRUMENTS: Final = 400
TURNS: Final = 7


def rules(names: list[str], condition: str, sessions: int) -> str:
    """The condition about every second instrument and the one after it."""
    alerts = []
    for number, (x, y) in enumerate(zip(names[::2], names[1::2], strict=True)):
        when = condition.format(x=x, y=y, r=f"excess({x}, {y}, 1d)", w=f"{sessions}d", e=f"{sessions // 4}d")
        alerts.append(f"      - {{alert: r{number}, when: '{when}'}}")
    return "version: 1\ngroups:\n  - name: all\n    rules:\n" + "\n".join(alerts) + "\n"


async def measure() -> Report:
    """Each function with a short and a long window, in turns."""
    report = Report(
        "windows", f"{INSTRUMENTS // 2} rules of one function, windows of {LENGTHS[0]} and {LENGTHS[1]} sessions"
    )
    market = Market(INSTRUMENTS)
    for name, condition in FUNCTIONS.items():
        engines = [market.engine(rules(market.names, condition, length)) for length in LENGTHS]
        ratio, short = _ratio(market, engines)
        report.add(name, short, "ms")
        report.add(f"{name}, {LENGTHS[1]} sessions to {LENGTHS[0]}", ratio, "times", Target("<=", 1.2))
    young, old = (market.engine(rules(market.names, FUNCTIONS["zscore"], 60)) for _ in range(2))
    milliseconds(market, old, 1)
    for _ in range(120):
        market.next_day()
        milliseconds(market, old, 1)
    ratio, _ = _ratio(market, [young, old])
    report.add("after 120 sessions of uptime to a fresh start", ratio, "times", Target("<=", 1.2))
    return report


def _ratio(market: Market, engines: list[Engine]) -> tuple[float, float]:
    """What the second costs as a multiple of the first, and what the first costs, in milliseconds."""
    for engine in engines:
        milliseconds(market, engine, 5)
    turns = np.array([[milliseconds(market, engine, 15)[1] for engine in engines] for _ in range(TURNS)])
    return median((turns[:, 1] / turns[:, 0]).tolist()), median(turns[:, 0].tolist())
