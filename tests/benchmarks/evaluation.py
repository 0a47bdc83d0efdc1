"""One evaluation of all rules, on views of a real state; that it costs the same whatever the windows and the uptime."""

from __future__ import annotations

import datetime as dt
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from connectors.batch import QUOTES
from monitor.calendar import TradingCalendar
from monitor.ingest import CleanBatch
from monitor.state import MarketState
from rules.engine import Engine
from rules.load import load_rules
from tests.benchmarks.figures import Report, Target, median
from tests.benchmarks.market import days_before, history, rules
from tests.benchmarks.tape import base_prices, symbols

RULES = (10, 100, 1_000)
INSTRUMENTS = (100, 1_000, 10_000)
WINDOWS = ("20d", "60d", "250d")
SESSIONS = 340
ROUNDS = 40
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_TODAY = dt.date(2026, 1, 23)
_NOON = int(dt.datetime(2026, 1, 23, 12, tzinfo=dt.UTC).timestamp()) * _SECOND
_BATCH = 500


class Market:
    """A state with a past, and quotes that move it."""

    def __init__(self, instruments: int, sessions: int = SESSIONS) -> None:
        self.names, self.prices = symbols(instruments), base_prices(instruments)
        self.state = MarketState(TradingCalendar("always"), sessions=sessions, record_bars=False)
        self.now = _NOON
        self._rng = np.random.default_rng(11)
        past = history(self.names, self.prices.tolist(), days_before(_TODAY, sessions))
        self.state.import_sessions(past)
        self._quote(np.arange(instruments))

    def engine(self, text: str) -> Engine:
        """The rules, compiled."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "rules.yaml"
            path.write_text(text)
            ruleset = load_rules([path]).ruleset
        assert ruleset is not None, "the benchmark's own rules have errors"
        engine = Engine(
            ruleset, self.state.calendar, max_gap_ns=900 * _SECOND, session_ns=self.state.calendar.session_ns
        )
        self.state.needs(engine.requirements)
        return engine

    def move(self) -> None:
        """A second passes and some instruments are quoted."""
        self.now += _SECOND
        self._quote(self._rng.choice(len(self.names), min(_BATCH, len(self.names)), replace=False))

    def quote_every_minute(self, minutes: int) -> None:
        """Every instrument is quoted in each of the next minutes."""
        for _ in range(minutes):
            self.now += 60 * _SECOND
            self._quote(np.arange(len(self.names)))

    def next_day(self) -> None:
        """Every instrument is quoted on the next day."""
        self.now += _DAY
        self._quote(np.arange(len(self.names)))

    def _quote(self, which: np.ndarray[tuple[int], np.dtype[np.intp]]) -> None:
        bids = self.prices[which] * (1 + self._rng.normal(0, 1e-4, len(which)))
        rows = {
            "ts": [self.now] * len(which),
            "symbol": [self.names[i] for i in which.tolist()],
            "bid": bids,
            "ask": bids,
        }
        frame = pl.DataFrame(rows).with_columns(bid_size=1.0, ask_size=1.0).cast(dict(QUOTES))
        self.state.apply(CleanBatch(quotes=frame, event_time=self.now), self.now)


def milliseconds(market: Market, engine: Engine, rounds: int = ROUNDS) -> tuple[float, float]:
    """The first evaluation, which looks at the whole past, and the median of those that follow."""
    began = time.perf_counter()
    engine.evaluate(market.state.view(engine.requirements.instruments))
    first = time.perf_counter() - began
    taken = []
    for _ in range(rounds):
        market.move()
        began = time.perf_counter()
        engine.evaluate(market.state.view(engine.requirements.instruments))
        taken.append(time.perf_counter() - began)
    return first * 1e3, median(taken) * 1e3


async def measure() -> Report:
    """Every number of rules on every number of instruments."""
    report = Report("evaluation", "one evaluation; rules of five kinds, which together look at every instrument")
    cost: dict[tuple[int, int], float] = {}
    for instruments in INSTRUMENTS:
        market = Market(instruments)
        for count in RULES:
            engine = market.engine(rules(market.names, count))
            first, cost[count, instruments] = milliseconds(market, engine)
            target = Target("<", 25) if (count, instruments) == (RULES[-1], INSTRUMENTS[-1]) else None
            note = f"the first after a start {first:,.0f} ms"
            report.add(f"{count:,} rules, {instruments:,} instruments", cost[count, instruments], "ms", target, note)
    for instruments in INSTRUMENTS:
        for few, many in pairwise(RULES):
            ratio = cost[many, instruments] / cost[few, instruments]
            report.add(f"{many:,} rules to {few:,}, {instruments:,} instruments", ratio, "times", Target("<", 10))
    return report


async def measure_windows() -> Report:
    """Windows of different lengths in turns, and the same rules after months of uptime."""
    report = Report("windows", "100 rules, 1,000 instruments: what an evaluation costs by window and by uptime")
    market = Market(1_000)
    engines = {w: market.engine(rules(market.names, 100, zscore=w)) for w in WINDOWS}
    turns: dict[str, list[float]] = {w: [] for w in WINDOWS}
    for _ in range(5):
        for window, engine in engines.items():
            turns[window].append(milliseconds(market, engine)[1])
    short = median(turns[WINDOWS[0]])
    for window in WINDOWS:
        cost = median(turns[window])
        target = Target("<=", 1.25) if window != WINDOWS[0] else None
        report.add(f"zscore over {window}", cost, "ms")
        if target:
            report.add(f"zscore over {window} to {WINDOWS[0]}", cost / short, "times", target)
    young, old = market.engine(rules(market.names, 100)), market.engine(rules(market.names, 100))
    milliseconds(market, old, 1)
    for _ in range(120):
        market.next_day()
        milliseconds(market, old, 1)
    ratios = []
    for _ in range(5):
        before, after = milliseconds(market, young)[1], milliseconds(market, old)[1]
        ratios.append(after / before)
    report.add("after 120 sessions of uptime to a fresh start", median(ratios), "times", Target("<=", 1.25))
    return report
