"""Trades that are sent again, and single prints that nothing around them confirms.

A print is *suspicious* when it is more than a factor `jump` (1.2 unless set) away from the instrument's last good trade
(before the first one: from the mid of its last good quote) and from that mid. It is held back, and nothing sees it,
until

- a later print within the same factor of it, or a later good quote whose mid is, confirms it: it is released just
  before;
- any other print contradicts it: it is dropped and counted as a spike. That print may be suspicious in turn, and is
  then held instead.

So at most one print of an instrument is held. A true gap is late by one print; a print at ten times the price never
gets through, unless the next one repeats it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.instruments import LONG_AGO, ByInstrument, Codes, Known
from monitor.ingest.quotes import QuoteFilter
from monitor.ingest.recent_prints import Fingerprints, RecentPrints, fingerprints
from monitor.ingest.rejects import Cause
from monitor.ingest.values import Floats, Verdict, number

HELD: Final = 255
"""In a verdict on trades: neither good nor refused, not yet."""

BY_TRADE: Final = 2**63 - 1
"""In place of a quote's row: quotes up to a trade come before it."""


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """A batch's trades by row.

    `keys`: the newest event time of the feed up to each row; `named`: whether the vendor gave an id.
    """

    codes: Codes
    times: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    prices: Floats
    prints: Fingerprints
    named: npt.NDArray[np.bool_]

    @staticmethod
    def of(
        frame: pl.DataFrame, codes: Codes, times: npt.NDArray[np.int64], keys: npt.NDArray[np.int64]
    ) -> TradeColumns:
        """The columns of a frame of trades that passed the screen of values."""
        prices, ids = frame["price"].to_numpy(), frame["id"]
        named = np.ones(len(codes), dtype=np.bool_)
        if ids.null_count():
            named = ids.is_not_null().to_numpy()
            ids = ids.fill_null(0)
        prints = fingerprints(codes, times, ids.to_numpy(), prices, frame["size"].to_numpy())
        return TradeColumns(codes, times, keys, prices, prints, named)


@dataclass(frozen=True, slots=True)
class Held:
    """A suspicious print: one row of trades, and the feed it came from."""

    feed: str
    price: float
    row: pl.DataFrame


class Released(NamedTuple):
    """A held print now believed: it goes before the trade of row `before`; sorted, these stand as they were confirmed.

    `quote`: the row of the quote that confirmed it, :data:`BY_TRADE` where the trade itself did.
    """

    before: int
    quote: int
    held: Held


@dataclass(slots=True)
class TradeVerdict:
    """What becomes of a batch's trades and of those held before it.

    `rows`: the verdict on each; `released` and `dropped`: held prints now believed, and refused.
    """

    rows: Verdict
    released: list[Released] = field(default_factory=list)
    dropped: list[Held] = field(default_factory=list)


class TradeFilter:
    """Judges trades against the instrument's last good ones and its quotes."""

    def __init__(self, jump: float, recent: RecentPrints) -> None:
        self._jump = jump
        self._recent = recent
        self._known = Known(price=np.nan, newest=LONG_AGO)
        self._held: dict[int, Held] = {}

    @property
    def held(self) -> int:
        """How many prints wait to be confirmed."""
        return len(self._held)

    def judge(self, feed: str, frame: pl.DataFrame, trades: TradeColumns, quotes: QuoteFilter) -> TradeVerdict:
        """The verdict on a batch's trades, after `quotes` has judged the batch's quotes.

        What is good is known from now on.
        """
        self._known.cover(trades.codes)
        groups = ByInstrument(trades.codes)
        result = TradeVerdict(np.zeros(len(trades.codes), dtype=np.uint8))
        repeats = self._repeats(trades, groups)
        if len(repeats):
            result.rows[repeats] = number(Cause.DUPLICATE)
            fresh = np.flatnonzero(result.rows == 0)
            groups = ByInstrument(trades.codes[fresh])
            groups.order = fresh[groups.order]
        prices = trades.prices[groups.order]
        last_good = {
            code: self._one_by_one(code, feed, frame, trades, groups, quotes, result)
            for code in self._doubted(groups, prices, quotes)
        }
        lasts = groups.lasts()
        self._known["price"][groups.codes[lasts]] = prices[lasts]
        for code, price in last_good.items():
            self._known["price"][code] = price
        return result

    def confirm(self, quotes: QuoteFilter) -> TradeVerdict:
        """What becomes of the held prints after a batch that has quotes but no trades."""
        result = TradeVerdict(np.empty(0, dtype=np.uint8))
        for code in self._held_among(quotes.instruments_of_batch()):
            held = self._held[code]
            near = (row for row, _, mid in quotes.mids_of_batch(code)[1] if self._near(held.price, mid))
            if (row := next(near, None)) is not None:
                result.released.append(Released(0, row, self._held.pop(code)))
                self._known["price"][code] = held.price
        return result

    def learn(self, trades: TradeColumns) -> None:
        """Take trades as true."""
        self._known.cover(trades.codes)
        groups = ByInstrument(trades.codes)
        self._repeats(trades, groups)
        lasts = groups.lasts()
        self._known["price"][groups.codes[lasts]] = trades.prices[groups.order[lasts]]

    def _repeats(self, trades: TradeColumns, groups: ByInstrument) -> npt.NDArray[np.int64]:
        """The row numbers of trades seen before. Without an id, two trades alike in everything else are two trades."""
        times = trades.times[groups.order]
        repeats = np.empty(0, dtype=np.int64)
        # Where an instrument's times only rise, none can be a repeat.
        again = groups.codes[times <= groups.previous(times, self._known["newest"])]
        if len(again):
            rows = np.sort(groups.order[np.isin(groups.codes, again)])
            rows = rows[trades.named[rows]]
            if len(rows):
                repeats = rows[self._recent.repeats(trades.prints[rows], int(trades.times[rows].min()))]
        self._recent.add(trades.keys, trades.prints)
        newest = np.maximum.reduceat(times, np.flatnonzero(groups.starts))
        codes = groups.distinct
        self._known["newest"][codes] = np.maximum(self._known["newest"][codes], newest)
        return repeats

    def _doubted(self, groups: ByInstrument, prices: Floats, quotes: QuoteFilter) -> list[int]:
        """The instruments whose prints have to be looked at one by one."""
        before = groups.previous(prices, self._known["price"])
        first = np.flatnonzero(np.isnan(before))
        if len(first):
            before[first] = quotes.latest_mids(groups.codes[first])
            # The mid at the time of the trade may have been another.
            before[first[np.isin(groups.codes[first], quotes.instruments_of_batch())]] = 0.0
        codes = groups.codes[(prices > before * self._jump) | (prices * self._jump < before)]
        held = self._held_among(np.union1d(groups.distinct, quotes.instruments_of_batch())) if self._held else []
        doubted: list[int] = np.union1d(codes, np.array(held, dtype=np.uint32)).tolist()
        return doubted

    def _held_among(self, codes: Codes) -> list[int]:
        held: list[int] = np.intersect1d(codes, np.fromiter(self._held, dtype=np.uint32)).tolist()
        return held

    def _one_by_one(
        self,
        code: int,
        feed: str,
        frame: pl.DataFrame,
        trades: TradeColumns,
        groups: ByInstrument,
        quotes: QuoteFilter,
        result: TradeVerdict,
    ) -> float:
        """Judge one instrument's trades in the order they and its quotes came.

        At the same event time a quote counts as first: the vendor's order across kinds is not recorded. Returns the
        price of the last good trade, NaN where there is none.
        """
        good = float(self._known["price"][code])
        mid, mids = quotes.mids_of_batch(code)
        held = self._held.pop(code, None)
        rows = groups.rows_of(code).tolist()
        keys = trades.keys[rows].tolist()
        pending = chain(mids, [(0, np.inf, np.nan)])
        quote, next_key, next_mid = next(pending)
        for row, key in zip([*rows, None], [*keys, np.iinfo(np.int64).max], strict=True):
            while next_key <= key:
                mid = next_mid
                if held and self._near(held.price, mid):
                    result.released.append(Released(int(np.searchsorted(trades.keys, next_key)), quote, held))
                    good, held = held.price, None
                quote, next_key, next_mid = next(pending)
            if row is None:
                break
            price = float(trades.prices[row])
            if held:
                if self._near(price, held.price):
                    result.released.append(Released(row, BY_TRADE, held))
                    good = held.price
                else:
                    result.dropped.append(held)
                held = None
            base = mid if np.isnan(good) else good
            if np.isnan(base) or self._near(price, base) or self._near(price, mid):
                good = price
            else:
                result.rows[row] = HELD
                held = Held(feed, price, frame[row])
        if held:
            self._held[code] = held
        return good

    def _near(self, one: float, other: float) -> bool:
        return one <= other * self._jump and other <= one * self._jump
