"""One evaluation of all rules, on views of a real state; that it costs the same whatever the windows and the uptime."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import yaml

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
SESSIONS = 340
ROUNDS = 40
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_TODAY = dt.date(2026, 1, 23)
_NOON = int(dt.datetime(2026, 1, 23, 12, tzinfo=dt.UTC).timestamp()) * _SECOND
_BATCH = 500


MIXED = (
    "excess({x}, {y}, 14d) > 30%", "zscore(excess({x}, {y}, 5d), 60d) > 6", "streak(excess({x}, {y}, 1d) > 0) >= 60",
    "share({u}, ret(it, 5d) > 0) > 95%", "price({x}) > 100000", "quoted_spread({x}) > 5%", "age({x}) > 1h",
    "ratio({x}, {y}) > 10000", "mean(ret({x}, 1d), 20d) > 9%", "std(ret({x}, 1d), 20d) > 99%",
    "min(ret({x}, 1d), 20d) > 9%", "max(ret({x}, 1d), 20d) > 99%", "sum(ret({x}, 1d), 20d) > 99%",
    "median(ret({x}, 1d), 20d) > 9%", "ema(ret({x}, 1d), 20d) > 9%", "slope(ret({x}, 1d), 20d) > 9%",
    "change(ret({x}, 5d), 5d) > 99%", "percentile(ret({x}, 5d), 60d) > 99% and ret({y}, 5d) > 50%",
    "crosses_above(ret({x}, 5d), 50%, 2d)", "crosses_below(ret({x}, 5d), -50%, 2d)",
    "held(ret({x}, 1d) > 9%, 3, 10d)", "then(ret({x}, 1d) > 9%, ret({y}, 1d) > 9%, 5d)", "vol({x}, 20d) > 900%",
    "beta({x}, {y}, 60d) > 90", "corr({x}, {y}, 60d) > 0.99", "drawdown({x}, 60d) < -90%",
    "count({u}, ret(it, 1d) > 9%) > 100000", "avg({u}, ret(it, 5d)) > 50%", "med({u}, ret(it, 5d)) > 50%",
    "stdev({u}, ret(it, 5d)) > 90%", "best({u}, ret(it, 5d)) > 900%", "worst({u}, ret(it, 5d)) > 50%",
    "spread({u}, ret(it, 5d)) > 900%", "rank({m}, {u}, ret(it, 5d)) > 100000",
    "rank_corr({u}, ret(it, 5d), ret(it, 20d)) > 0.99", "rs_ratio({x}, {y}, 20d) > 900",
    "rs_momentum({x}, {y}, 20d) > 900", "quadrant({x}, {y}, 20d) == leading and price({x}) > 100000",
    "reversal({x}, {y}, 60d, 10d, 90%)", "ret(b, {w}) - ret({x}, {w}) < -90%",
)  # fmt: skip
"""Every function that does not need what this market has not: volumes, series, minutes."""

NESTED = (
    "ret({x}, 5d) - ret({y}, 5d) > 50%",
    "mean(ret({x}, 5d) - ret({y}, 5d), 10d) > 50%",
    "zscore(mean(ret({x}, 5d) - ret({y}, 5d), 10d), 20d) > 20",
    "held(zscore(mean(ret({x}, 5d) - ret({y}, 5d), 10d), 20d) > 20, 3, 5d)",
)


def mixed(names: Sequence[str], count: int, conditions: Sequence[str] = MIXED) -> str:
    """A rule file of `count` rules that take `conditions` in turns; ten universes hold every instrument."""
    rng = np.random.default_rng(5)
    alerts = []
    for number in range(count):
        x, y = (names[i] for i in rng.choice(len(names), 2, replace=False))
        u = number % 10
        w = ("1d", "5d", "20d")[number % 3]
        when = conditions[number % len(conditions)].format(x=x, y=y, u=f"u{u}", m=names[u], w=w)
        alerts.append({"alert": f"rule-{number}", "when": when, "for": "1m"})
    universes = {f"u{i}": list(names[i::10]) for i in range(10)}
    document = {
        "version": 1,
        "baskets": {"b": list(names[:7])},
        "universes": universes,
        "groups": [{"name": "b", "rules": alerts}],
    }
    return yaml.safe_dump(document, default_flow_style=None, width=10_000, sort_keys=False)


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
    """Every number of rules on every number of instruments; every function; nesting."""
    report = Report("evaluation", "one evaluation; rules of five kinds, which together look at every instrument")
    cost: dict[tuple[int, int], float] = {}
    for instruments in INSTRUMENTS:
        market = Market(instruments)
        for count in RULES:
            engine = market.engine(rules(market.names, count))
            first, cost[count, instruments] = milliseconds(market, engine)
            note = f"the first after a start {first:,.0f} ms"
            report.add(f"{count:,} rules, {instruments:,} instruments", cost[count, instruments], "ms", None, note)
    for instruments in INSTRUMENTS:
        for few, many in pairwise(RULES):
            ratio = cost[many, instruments] / cost[few, instruments]
            report.add(f"{many:,} rules to {few:,}, {instruments:,} instruments", ratio, "times", Target("<", 5))
    market = Market(INSTRUMENTS[-1])
    first, each = milliseconds(market, market.engine(mixed(market.names, RULES[-1])))
    note = f"the first after a start {first:,.0f} ms"
    name = f"{RULES[-1]:,} mixed rules of every function, {INSTRUMENTS[-1]:,} instruments"
    report.add(name, each, "ms", Target("<", 25), note)
    for depth, condition in enumerate(NESTED, 1):
        _, each = milliseconds(market, market.engine(mixed(market.names, 100, (condition,))))
        report.add(f"100 rules nested {depth} deep", each, "ms")
    return report
