"""What an instrument costs in memory: by the state's own count, and by what the operating system gives a process."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import psutil

from rules.view import Requirements
from tests.benchmarks.evaluation import Market
from tests.benchmarks.figures import Report, Target

INSTRUMENTS = (1_000, 10_000)
SESSIONS = 260
MINUTES = 390
_MINUTE = 60_000_000_000


@dataclass(frozen=True)
class Size:
    """Bytes of the state's arrays, bytes that the process has grown by, and the arrays' after as much time again."""

    arrays: int
    process: int
    later: int


async def measure() -> Report:
    """A process of its own for each number of instruments."""
    report = Report("memory", f"{SESSIONS} sessions of closes and opens, {MINUTES} minutes of prices, the last quote")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for instruments in INSTRUMENTS:
            size = await asyncio.wrap_future(pool.submit(_grow, instruments))
            what = f"{instruments:,} instruments"
            report.add(
                f"{what}: state", size.arrays / instruments, "bytes/instrument", note=f"{size.arrays / 1e6:.0f} MB"
            )
            report.add(
                f"{what}: process", size.process / instruments, "bytes/instrument", note=f"{size.process / 1e6:.0f} MB"
            )
            note = "windows filled once and twice"
            report.add(f"{what}: after twice the time", size.later / size.arrays, "times", Target("<=", 1.0), note)
    return report


def _grow(instruments: int) -> Size:
    """Fill a state, then let it run on."""
    Market(10)  # what is loaded once is nobody's
    gc.collect()
    before = psutil.Process().memory_info().rss
    market = Market(instruments, SESSIONS)
    market.state.needs(Requirements(tuple(market.names), SESSIONS, clock_ns=MINUTES * _MINUTE))
    _turn_over(market)  # arrays grow by leaps until every window has been filled once
    gc.collect()
    arrays, process = market.state.nbytes, psutil.Process().memory_info().rss - before
    _turn_over(market)
    return Size(arrays, process, market.state.nbytes)


def _turn_over(market: Market) -> None:
    """As much time as the windows are long: everything that was known is replaced."""
    for _ in range(SESSIONS):
        market.next_day()
    market.quote_every_minute(MINUTES + 10)
