"""What the page of feeds costs the compute thread: the CPU time of all that is done for it, over that of everything.

10,000 instruments that a rule looks at, batches of 1,000 quotes as a busy feed brings them. Its parts are measured
where they are called, in one run: the difference of two runs is less than what a busy machine makes of either.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from connectors.batch import QUOTES, Batch
from monitor.calendar import TradingCalendar
from monitor.feed_flow import Instruments, Query, flows
from monitor.ingest import Cutter, TruthFilter
from monitor.pipeline import Pipeline
from monitor.state import MarketState
from rules.engine import Engine
from rules.load import load_texts
from tests.benchmarks.figures import Figure, Report, Target, median

INSTRUMENTS: Final = 10_000
ROWS: Final = 1_000
BATCHES: Final = 500
ROUNDS: Final = 3
TURN: Final = 50
"""Batches in half a second, after which it is looked at."""
WARM: Final = 100
"""Batches after which every instrument is known."""
SECOND: Final = 1_000_000_000
START: Final = 1_769_178_600 * SECOND
"""23 January 2026, 09:30 in New York."""
EVERY: Final = 10_000_000
"""Nanoseconds between batches: 100,000 quotes a second."""
RULES: Final = """\
version: 1
universes: {all: [%s]}
groups:
  - name: g
    rules:
      - record: breadth
        value: share(all, ret(it, 1d) > 0)
"""


def _pipeline() -> Pipeline:
    symbols = [f"S{n:05d}" for n in range(INSTRUMENTS)]
    ruleset = load_texts({"r.yaml": RULES % ", ".join(symbols)}).ruleset
    if ruleset is None:
        raise AssertionError("the rules of the benchmark are right")
    calendar = TradingCalendar()
    engine = Engine(ruleset, calendar, max_gap_ns=900 * SECOND)
    state = MarketState(calendar)
    state.needs(engine.requirements)
    return Pipeline(state, engine, TruthFilter(), Cutter(), ZoneInfo("America/New_York"), follows_wall=True)


def _batches() -> list[Batch]:
    random = np.random.default_rng(1)
    symbols = pl.Series([f"S{n:05d}" for n in range(INSTRUMENTS)])
    batches = []
    for n in range(BATCHES):
        at = START + n * EVERY
        bids = np.round(random.uniform(99.9, 100.1, ROWS), 2)
        frame = pl.DataFrame(
            {
                "ts": np.sort(random.integers(at - EVERY, at, ROWS)),
                "symbol": symbols.gather(random.integers(0, INSTRUMENTS, ROWS)),
                "bid": bids,
                "ask": bids + 0.01,
                "bid_size": np.full(ROWS, 1.0),
                "ask_size": np.full(ROWS, 1.0),
            }
        ).cast(QUOTES)
        batches.append(Batch("sim", at, quotes=frame))
    return batches


def _spent(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


class _Meter:
    """CPU time of this thread in some calls, by name, and how often they were called."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def on(self, thing: Any, name: str) -> None:
        """Measure that method of a thing from now on."""
        real = getattr(thing, name)

        def measured(*args: Any) -> Any:
            began = time.thread_time()
            result = real(*args)
            self.seconds[name] += time.thread_time() - began  # type: ignore[assignment]
            return result

        setattr(thing, name, measured)


def _run(pipeline: Pipeline, batches: list[Batch], look: Callable[[int], object]) -> None:
    for n, batch in enumerate(batches):
        pipeline.process([batch], batch.received_at)
        while pipeline.waiting:
            pipeline.process((), batch.received_at)
        if n % TURN == 0:
            look(batch.received_at)


async def measure() -> Report:
    """The share, and what an answer of the API costs."""
    batches, shares = _batches(), []
    pipeline = _pipeline()
    for _ in range(ROUNDS):
        pipeline, meter = _pipeline(), _Meter()

        def look(now: int, watched: Pipeline = pipeline) -> None:
            watched.rates.look(watched.truth.arrivals, now)
            watched.silent()
            flows(watched)

        watching = _Look(look)
        _run(pipeline, batches[:WARM], watching.look)
        meter.on(pipeline.truth.arrivals, "saw")
        meter.on(pipeline.silences, "listen")
        meter.on(pipeline.state_lags["sim"], "add_one")
        meter.on(watching, "look")
        whole = _spent(lambda p=pipeline, w=watching: _run(p, batches[WARM:], w.look))  # type: ignore[misc]
        shares.append(sum(meter.seconds.values()) / whole)
    answer = min(_spent(lambda: Instruments(pipeline, "sim")) for _ in range(20))
    instruments = Instruments(pipeline, "sim")
    page = min(_spent(lambda: instruments.page(Query(), {"gaps": {}, "conflated": {}})) for _ in range(20))
    return Report(
        "feed page",
        "what it costs the compute thread",
        figures=[
            Figure("share of its CPU time", median(shares) * 100, "%", Target("<=", 5)),
            Figure("its time for a page of 10,000 instruments", answer * 1e3, "ms", Target("<", 10)),
            Figure("time beside it for that page", page * 1e3, "ms"),
        ],
    )


class _Look:
    """What happens twice a second, as something that can be measured."""

    def __init__(self, look: Callable[[int], object]) -> None:
        self.look = look
