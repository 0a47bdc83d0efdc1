"""Trades that are sent again, and single prints that nothing around them confirms.

A print is *suspicious* when it is further from the instrument's last good trade (before the first one: from the mid of
its last good quote) and from that mid than its usual moves explain (:mod:`monitor.ingest.scales`); where too few are
known, or a night has passed, than a factor `jump` (1.2 unless set). It is held back, and nothing sees it, until

- a later print within the same factor of it, of any feed, or a later good quote whose mid is, confirms it: it is
  released just before;
- any other print contradicts it: it is dropped and counted as a spike. That print may be suspicious in turn, and is
  then held instead; but the third in a row on the same side is believed, unless the quote stands by the last good
  trade: a crash in which no two prints are near each other is one too.

So at most one print of an instrument is held. A true gap is late by one print; a print at ten times the price never
gets through, unless the next one repeats it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.held import BY_ITS_KIND, HELD, IN_A_ROW, Held, HeldVerdict, Released, near
from monitor.ingest.instruments import LONG_AGO, ByInstrument, Codes, Known
from monitor.ingest.quotes import QuoteFilter
from monitor.ingest.recent_prints import Fingerprints, RecentPrints, fingerprints
from monitor.ingest.rejects import Cause, Verdict, number
from monitor.ingest.scales import LEAST, Scales
from monitor.ingest.splits import GAP_NS, SplitWatch
from monitor.ingest.values import Floats

_NEAR: Final = 1 + LEAST


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


class TradeFilter:
    """Judges trades against the instrument's last good ones and its quotes."""

    def __init__(self, jump: float, recent: RecentPrints, splits: SplitWatch) -> None:
        self._jump = jump
        self._splits = splits
        self._scales = Scales(jump)
        self._recent = recent
        self._known = Known(price=np.nan, at=LONG_AGO, newest=LONG_AGO)
        self._held: dict[int, Held] = {}

    @property
    def held(self) -> int:
        """How many prints wait to be confirmed."""
        return len(self._held)

    def begin_batch(self) -> None:
        """Trades of the batches before are remembered for a while only."""
        self._recent.expire()

    def judge(self, feed: str, frame: pl.DataFrame, trades: TradeColumns, quotes: QuoteFilter) -> HeldVerdict:
        """The verdict on a batch's trades, after `quotes` has judged the batch's quotes.

        What is good is known from now on.
        """
        self._known.cover(trades.codes)
        groups = ByInstrument(trades.codes)
        result = HeldVerdict(np.zeros(len(trades.codes), dtype=np.uint8))
        times = trades.times[groups.order]
        times_before = groups.previous(times, self._known["newest"])
        repeats = self._repeats(trades, groups, times, times_before)
        if len(repeats):
            result.rows[repeats] = number(Cause.DUPLICATE)
            fresh = np.flatnonzero(result.rows == 0)
            groups = ByInstrument(trades.codes[fresh])
            groups.order = fresh[groups.order]
            times = trades.times[groups.order]
            times_before = groups.previous(times, self._known["newest"])
        prices = trades.prices[groups.order]
        before = groups.previous(prices, self._known["price"])
        doubted = self._doubted(groups, prices, before.copy(), quotes)
        last_good = {code: self._one_by_one(code, feed, frame, trades, groups, quotes, result) for code in doubted}
        self._scales.learn(groups, times, times_before, prices, before, doubted)
        self._note_newest(groups, times)
        lasts = groups.lasts()
        self._known["price"][groups.codes[lasts]] = prices[lasts]
        self._known["at"][groups.codes[lasts]] = times[lasts]
        for code, last in last_good.items():
            self._known["price"][code], self._known["at"][code] = last
        return result

    def confirm(self, quotes: QuoteFilter) -> HeldVerdict:
        """What becomes of the held prints after a batch that has quotes but no trades."""
        result = HeldVerdict(np.empty(0, dtype=np.uint8))
        for code in self._held_among(quotes.instruments_of_batch()):
            held = self._held[code]
            bound = self._scales.bound(code)
            confirming = (row for row, _, mid in quotes.mids_of_batch(code)[1] if near(held.price, mid, bound))
            if (row := next(confirming, None)) is not None:
                result.released.append(Released(0, row, self._held.pop(code)))
                self._known["price"][code] = held.price
        return result

    def vouch(self, codes: Codes, prices: Floats) -> list[pl.DataFrame]:
        """The held prints that prices of another feed confirm, a row each; they are good from now on."""
        released = []
        for code in self._held_among(codes):
            held, bound = self._held[code], self._scales.bound(code)
            if any(near(held.price, price, bound) for price in prices[codes == code].tolist()):
                released.append(self._held.pop(code).row)
                self._known["price"][code] = held.price
        return released

    def count(self, trades: TradeColumns) -> Verdict:
        """The verdict on trades that set no price: only one that is sent again is refused."""
        self._known.cover(trades.codes)
        groups, verdict = ByInstrument(trades.codes), np.zeros(len(trades.codes), dtype=np.uint8)
        times = trades.times[groups.order]
        repeats = self._repeats(trades, groups, times, groups.previous(times, self._known["newest"]))
        verdict[repeats] = number(Cause.DUPLICATE)
        self._note_newest(groups, times)
        return verdict

    def learn(self, trades: TradeColumns) -> None:
        """Take trades as true."""
        self._known.cover(trades.codes)
        groups = ByInstrument(trades.codes)
        times, prices = trades.times[groups.order], trades.prices[groups.order]
        times_before = groups.previous(times, self._known["newest"])
        self._repeats(trades, groups, times, times_before)
        self._scales.learn(groups, times, times_before, prices, groups.previous(prices, self._known["price"]), [])
        self._note_newest(groups, times)
        lasts = groups.lasts()
        self._known["price"][groups.codes[lasts]] = prices[lasts]
        self._known["at"][groups.codes[lasts]] = times[lasts]

    def know(self, codes: Codes, prices: Floats, times: npt.NDArray[np.int64]) -> None:
        """The last prices of instruments, from elsewhere, of which no trade was seen yet."""
        self._known.cover(codes)
        new = np.isnan(self._known["price"][codes])
        self._known["price"][codes[new]] = prices[new]
        self._known["at"][codes[new]] = times[new]

    def _repeats(
        self,
        trades: TradeColumns,
        groups: ByInstrument,
        times: npt.NDArray[np.int64],
        times_before: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """The row numbers of trades seen before. Without an id, two trades alike in everything else are two trades."""
        repeats = np.empty(0, dtype=np.int64)
        # Where an instrument's times only rise, none can be a repeat.
        again = groups.codes[times <= times_before]
        if len(again):
            rows = np.sort(groups.order[np.isin(groups.codes, again)])
            rows = rows[trades.named[rows]]
            if len(rows):
                repeats = rows[self._recent.repeats(trades.prints[rows], int(trades.times[rows].min()))]
        self._recent.add(trades.keys, trades.prints)
        return repeats

    def _note_newest(self, groups: ByInstrument, times: npt.NDArray[np.int64]) -> None:
        if not len(times):
            return
        newest = np.maximum.reduceat(times, np.flatnonzero(groups.starts))
        codes = groups.distinct
        self._known["newest"][codes] = np.maximum(self._known["newest"][codes], newest)

    def _doubted(self, groups: ByInstrument, prices: Floats, before: Floats, quotes: QuoteFilter) -> list[int]:
        """The instruments whose prints have to be looked at one by one. `before` is written to."""
        first = np.flatnonzero(np.isnan(before))
        if len(first):
            before[first] = quotes.latest_mids(groups.codes[first])
            # The mid at the time of the trade may have been another.
            before[first[np.isin(groups.codes[first], quotes.instruments_of_batch())]] = 0.0
        codes = groups.codes[(prices > before * _NEAR) | (prices * _NEAR < before)]
        held = self._held_among(np.union1d(groups.distinct, quotes.instruments_of_batch())) if self._held else []
        if self._splits.suspected:
            held += [code for code in self._splits.suspected if code in groups.distinct]
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
        result: HeldVerdict,
    ) -> tuple[float, int]:
        """Judge one instrument's trades in the order they and its quotes came.

        At the same event time a quote counts as first: the vendor's order across kinds is not recorded. Returns the
        price of the last good trade, NaN where there is none, and its time.
        """
        good, then = float(self._known["price"][code]), int(self._known["at"][code])
        mid, mids = quotes.mids_of_batch(code)
        held = self._held.pop(code, None)
        rows = groups.rows_of(code).tolist()
        keys = trades.keys[rows].tolist()
        pending = chain(mids, [(0, np.inf, np.nan)])
        quote, next_key, next_mid = next(pending)
        bound = self._scales.bound(code)
        for row, key in zip([*rows, None], [*keys, np.iinfo(np.int64).max], strict=True):
            while next_key <= key:
                mid = next_mid
                if held and near(held.price, mid, bound):
                    result.released.append(Released(int(np.searchsorted(trades.keys, next_key)), quote, held))
                    good, held = held.price, None
                quote, next_key, next_mid = next(pending)
            if row is None:
                break
            price, now = float(trades.prices[row]), int(trades.times[row])
            # Before the first trade, the quote that is there now says what the price is.
            base, since = (mid, now) if np.isnan(good) else (self._splits.level(code, good, then, now), then)
            if self._splits.refuses(code, price, base, since, now, self.priced):
                result.rows[row] = number(Cause.SPLIT_SUSPECTED)
                continue
            bound = self._jump if now - since > GAP_NS else self._scales.bound(code)
            in_a_row = 1
            if held:
                in_a_row += held.number if (price > base) == (held.price > base) else 0
                if near(price, held.price, bound):
                    result.released.append(Released(row, BY_ITS_KIND, held))
                    good = base = held.price
                else:
                    result.dropped.append(held)
                held = None
            believed = in_a_row >= IN_A_ROW and not near(mid, base, bound)
            if believed or np.isnan(base) or near(price, base, bound) or near(price, mid, bound):
                self._scales.add(code, now, then, price, base)
                good, then = price, max(then, now)
            else:
                result.rows[row] = HELD
                held = Held(feed, price, frame[row], in_a_row)
        if held:
            self._held[code] = held
        return good, then

    @property
    def priced(self) -> int:
        """How many instruments have a price."""
        return int(np.count_nonzero(~np.isnan(self._known["price"])))
