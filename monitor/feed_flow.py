"""What the compute thread knows of each feed and of each instrument on it: the page of feeds, and the metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypedDict

import numpy as np

from monitor.ingest.arrivals import FeedArrivals
from monitor.ingest.instruments import LONG_AGO
from monitor.lags import Lags, Quantiles
from monitor.notify.values import utc
from monitor.pipeline import Pipeline

_SECOND: Final = 1e9


class Pulse(StrEnum):
    """How an instrument does on a feed, worst first."""

    SILENT = "silent"
    """For longer than its own gaps let expect, while the market is open and the feed goes on."""
    UNHEARD = "unheard"
    """A rule looks at it, and nothing of it came on any feed since the start; or all that came was refused."""
    HALTED = "halted"
    """Trading is halted."""
    QUIET = "quiet"
    """The market is closed, or too little is known of its gaps."""
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Flow:
    """A feed's rows on their way into the state; counts are since the start. `silent`, `disagreeing`: instruments."""

    feed: str
    instruments: int
    rows_per_second: float
    locked: int
    corrected: int
    untraced: int
    shadowed: int
    switches: int
    disagreeing: int
    silent: int
    state_lag: Quantiles
    filtered: Mapping[str, int]
    disagreements: tuple[str, ...]


class InstrumentRow(TypedDict):
    """One instrument on one feed. Rows were sound and in time; times are RFC 3339, null where there is none yet."""

    symbol: str
    pulse: str
    rows: int
    rows_per_second: float
    last_at: str | None
    lag_seconds: float | None
    silent_seconds: float | None
    patience_seconds: float | None
    gaps: int
    conflated: int
    filtered: dict[str, int]
    in_use: bool
    wanted: bool


def flows(pipeline: Pipeline) -> list[Flow]:
    """Every feed that sent rows."""
    truth = pipeline.truth
    rejects, ranks = truth.rejects, truth.ranks.values()
    silent = {each.feed: each.count for each in pipeline.silent()}
    shadowed = sum((r.shadowed for r in ranks), Counter[str]())
    switches = sum((r.switches for r in ranks), Counter[str]())
    apart = [d for r in ranks for d in r.disagreements()]
    found = []
    for feed in sorted({*truth.arrivals.feeds, *rejects.seen}):
        arrived = truth.arrivals.feeds.get(feed)
        found.append(
            Flow(
                feed,
                int(np.count_nonzero(arrived.rows)) if arrived else 0,
                pipeline.rates.total(feed),
                rejects.locked[feed],
                rejects.corrected[feed],
                rejects.untraced[feed],
                shadowed[feed],
                switches[feed],
                len({symbol for d in apart if d.other == feed for symbol in d.symbols}),
                silent.get(feed, 0),
                pipeline.state_lags.get(feed, Lags()).told(),
                {str(cause): count for (name, cause), count in rejects.counts.items() if name == feed},
                tuple(dict.fromkeys(d.text for d in apart if feed in (d.other, d.used))),
            )
        )
    return found


class Instruments:
    """The instruments of one feed, as columns of which a page of rows is made.

    Made on the compute thread, which it holds up for a millisecond with 10,000 instruments; :meth:`page` takes longer,
    and runs anywhere.
    """

    def __init__(self, pipeline: Pipeline, feed: str) -> None:
        truth, state = pipeline.truth, pipeline.state
        self.symbols = truth.instruments()
        size = len(self.symbols)
        arrived = truth.arrivals.feeds.get(feed, FeedArrivals())
        self.rows, self.last, self.received = (
            _sized(column, size, unknown)
            for column, unknown in ((arrived.rows, 0), (arrived.last, LONG_AGO), (arrived.received, LONG_AGO))
        )
        self.rates = pipeline.rates.of(feed, size)
        seconds = pipeline.silences.told(feed, state.now, size)
        self.silent_seconds, self.patience = seconds["silent_seconds"], seconds["patience_seconds"]
        self.in_use = truth.in_use(feed, size)
        self.filtered = {symbol: dict(counts) for symbol, counts in truth.rejects.by_instrument.get(feed, {}).items()}
        self.wanted = frozenset(pipeline.engine.requirements.instruments)
        halted = np.flatnonzero(state.columns.halted_since[: len(state.index)])
        names = state.index.symbols()
        self._halted = {names[place] for place in halted.tolist()}
        self._open = pipeline.silences.judges(feed, state.now)
        self._follows_wall = pipeline.follows_wall
        heard = sum((_sized(each.rows, size, 0) for each in truth.arrivals.feeds.values()), np.zeros(size, np.int64))
        self._heard_anywhere = np.flatnonzero(heard)

    def page(self, query: Query, line: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
        """Some rows, how many there are in all, and how many of each pulse. `line`: gaps and conflated, by symbol."""
        place: dict[str, int | None] = dict.fromkeys(
            {*self.filtered, *self.wanted.difference(self.symbols[code] for code in self._heard_anywhere.tolist())}
        )
        place.update((self.symbols[code], code) for code in np.flatnonzero(self.rows).tolist())
        pulses = {symbol: self._pulse(symbol, code) for symbol, code in place.items()}
        counts = Counter(pulses.values())
        text = query.search.casefold()
        found = [s for s, pulse in pulses.items() if text in s.casefold() and query.pulse in ("", pulse)]
        found.sort(key=lambda symbol: (*self._key(query.sort, symbol, pulses[symbol], place[symbol], line), symbol))
        shown = found[query.offset : query.offset + query.limit]
        return {
            "total": len(found),
            "offset": query.offset,
            "pulses": {str(pulse): counts[pulse] for pulse in Pulse if counts[pulse]},
            "instruments": [self._row(symbol, pulses[symbol], place[symbol], line) for symbol in shown],
        }

    def _pulse(self, symbol: str, code: int | None) -> Pulse:
        if symbol in self._halted:
            return Pulse.HALTED
        if code is None:
            return Pulse.UNHEARD
        if not self._open or np.isnan(self.patience[code]):
            return Pulse.QUIET
        return Pulse.SILENT if self.silent_seconds[code] > self.patience[code] else Pulse.LIVE

    def _key(
        self, sort: Sort, symbol: str, pulse: Pulse, code: int | None, line: Mapping[str, Mapping[str, int]]
    ) -> tuple[float, ...]:
        match sort:
            case Sort.SYMBOL:
                return ()
            case Sort.RATE:
                return (0.0 if code is None else -float(self.rates[code]),)
            case Sort.FILTERED:
                return (-sum(self.filtered.get(symbol, {}).values()),)
            case Sort.GAPS:
                return (-line["gaps"].get(symbol, 0),)
            case Sort.WORST:
                silent = math.nan if code is None else float(self.silent_seconds[code])
                return (_RANK[pulse], 0.0 if math.isnan(silent) else -silent)

    def _row(self, symbol: str, pulse: Pulse, code: int | None, line: Mapping[str, Mapping[str, int]]) -> InstrumentRow:
        counted: InstrumentRow = {
            "symbol": symbol,
            "pulse": str(pulse),
            "rows": 0,
            "rows_per_second": 0.0,
            "last_at": None,
            "lag_seconds": None,
            "silent_seconds": None,
            "patience_seconds": None,
            "gaps": line["gaps"].get(symbol, 0),
            "conflated": line["conflated"].get(symbol, 0),
            "filtered": {str(cause): n for cause, n in self.filtered.get(symbol, {}).items()},
            "in_use": False,
            "wanted": symbol in self.wanted,
        }
        if code is not None:
            counted["rows"], counted["rows_per_second"] = int(self.rows[code]), float(self.rates[code])
            counted["last_at"], counted["in_use"] = utc(int(self.last[code])), bool(self.in_use[code])
            counted["silent_seconds"] = _number(self.silent_seconds[code])
            counted["patience_seconds"] = _number(self.patience[code])
            if self._follows_wall:  # else event time says nothing of the way here
                counted["lag_seconds"] = (int(self.received[code]) - int(self.last[code])) / _SECOND
        return counted


class Sort(StrEnum):
    """What comes first in a list of instruments."""

    WORST = "worst"
    SYMBOL = "symbol"
    RATE = "rate"
    FILTERED = "filtered"
    GAPS = "gaps"


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows are asked for: `search` in the symbol, one `pulse` or any, `limit` rows from `offset`."""

    sort: Sort = Sort.WORST
    search: str = ""
    pulse: str = ""
    limit: int = 100
    offset: int = 0


_RANK: Final = {pulse: rank for rank, pulse in enumerate(Pulse)}


def _sized(column: Any, size: int, unknown: int) -> Any:  # noqa: ANN401 - an array, and one of its size
    return np.pad(column[:size], (0, max(0, size - len(column))), constant_values=unknown)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
