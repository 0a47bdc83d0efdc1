"""Quotes that repeat the one before, and quotes whose level is absurd.

The mid of a quote is doubted when it is further from the mid of the instrument's last good quote than its usual moves
explain (:mod:`monitor.ingest.scales`); where too few are known, or a night has passed, only beyond a factor `jump` (10
unless set), since quotes of quiet hours are wide and jump honestly. It is then refused, unless the quote refused just
before it stands within the same factor: so one wild quote is nothing, and a true new level costs its first quote only.
A level that changed overnight as by a split is refused until somebody says what it was
(:mod:`monitor.ingest.splits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.instruments import LONG_AGO, ByInstrument, Codes, Known
from monitor.ingest.rejects import Cause, Verdict, number
from monitor.ingest.scales import LEAST, Scales
from monitor.ingest.splits import GAP_NS, SplitWatch
from monitor.ingest.values import Floats

_FIELDS: Final = ("bid", "ask", "bid_size", "ask_size")
_NEAR: Final = 1 + LEAST
_TIGHT: Final = 0.1
"""Spread over mid below which a quote says enough of a price to suspect a split by it."""


@dataclass(frozen=True, slots=True)
class QuoteColumns:
    """A batch's quotes by row.

    `keys`: the newest event time of the feed up to each row. `fields`: bid, ask and their sizes; -1 is unknown.
    """

    codes: Codes
    times: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    fields: tuple[Floats, ...]

    @staticmethod
    def of(
        frame: pl.DataFrame, codes: Codes, times: npt.NDArray[np.int64], keys: npt.NDArray[np.int64]
    ) -> QuoteColumns:
        """The columns of a frame of quotes that passed the screen of values."""
        bid, ask, *sizes = (frame[c].to_numpy() for c in _FIELDS)
        return QuoteColumns(codes, times, keys, (bid, ask, *(np.where(np.isnan(s), -1.0, s) for s in sizes)))

    def take(self, rows: npt.NDArray[np.bool_]) -> QuoteColumns:
        """Some of the rows."""
        return QuoteColumns(self.codes[rows], self.times[rows], self.keys[rows], tuple(f[rows] for f in self.fields))

    def mids(self) -> Floats:
        """The middle of bid and ask."""
        mids: Floats = (self.fields[0] + self.fields[1]) / 2
        return mids


class QuoteFilter:
    """Judges quotes against the instrument's last good one."""

    def __init__(self, jump: float, splits: SplitWatch) -> None:
        self._jump = jump
        self._splits = splits
        self._scales = Scales(jump)
        self._known = Known(ts=LONG_AGO, mid=np.nan, bid=np.nan, ask=np.nan, bid_size=np.nan, ask_size=np.nan)
        self._refused: dict[int, float] = {}
        self._trail: tuple[QuoteColumns, ByInstrument, Floats, Floats] | None = None

    def judge(self, quotes: QuoteColumns) -> Verdict:
        """The verdict on each quote; what is good is known from now on."""
        self._known.cover(quotes.codes)
        groups = ByInstrument(quotes.codes)
        mids = quotes.mids()[groups.order]
        before = groups.previous(mids, self._known["mid"])
        times = quotes.times[groups.order]
        times_before = groups.previous(times, self._known["ts"])
        verdict, one_by_one = self._verdict(quotes, groups, mids, before, times, times_before)
        # Before what is known changes; a quote that is sent again is no new sample.
        self._scales.learn(groups, times, times_before, mids, before, one_by_one)
        if verdict.any():
            self._take(quotes.take(verdict == 0))
        else:
            self._keep(quotes, groups, mids, before)
        return verdict

    def know(self, codes: Codes, mids: Floats, times: npt.NDArray[np.int64]) -> None:
        """The last prices of instruments, from elsewhere, of which no quote was seen yet."""
        self._known.cover(codes)
        new = np.isnan(self._known["mid"][codes])
        self._known["mid"][codes[new]], self._known["ts"][codes[new]] = mids[new], times[new]

    def learn(self, quotes: QuoteColumns) -> None:
        """Take quotes as true."""
        self._known.cover(quotes.codes)
        groups = ByInstrument(quotes.codes)
        mids, times = quotes.mids()[groups.order], quotes.times[groups.order]
        times_before = groups.previous(times, self._known["ts"])
        self._scales.learn(groups, times, times_before, mids, groups.previous(mids, self._known["mid"]), [])
        self._take(quotes)

    def _take(self, quotes: QuoteColumns) -> None:
        groups = ByInstrument(quotes.codes)
        mids = quotes.mids()[groups.order]
        self._keep(quotes, groups, mids, groups.previous(mids, self._known["mid"]))

    def forget_batch(self) -> None:
        """A batch without quotes follows."""
        self._trail = None

    def instruments_of_batch(self) -> Codes:
        """The instruments that have a good quote in the batch judged last, sorted."""
        return self._trail[1].distinct if self._trail else np.empty(0, dtype=np.uint32)

    def latest_mids(self, codes: Codes) -> Floats:
        """The mid of each instrument's last good quote; NaN where there never was one."""
        self._known.cover(codes)
        mids: Floats = self._known["mid"][codes]
        return mids

    def mids_of_batch(self, code: int) -> tuple[float, list[tuple[int, int, float]]]:
        """One instrument's mid before the batch judged last (NaN: none); (row, key, mid) of its good quotes."""
        if self._trail is not None:
            quotes, groups, mids, before = self._trail
            start, end = groups.span(code)
            if end > start:
                rows = groups.order[start:end]
                trail = zip(rows.tolist(), quotes.keys[rows].tolist(), mids[start:end].tolist(), strict=True)
                return float(before[start]), list(trail)
        return float(self.latest_mids(np.array([code], dtype=np.uint32))[0]), []

    def _keep(self, quotes: QuoteColumns, groups: ByInstrument, mids: Floats, before: Floats) -> None:
        self._trail = (quotes, groups, mids, before)
        lasts = groups.lasts()
        rows = groups.order[lasts]
        self._known["ts"][groups.distinct] = quotes.times[rows]
        self._known["mid"][groups.distinct] = mids[lasts]
        for name, values in zip(_FIELDS, quotes.fields, strict=True):
            self._known[name][groups.distinct] = values[rows]

    def _verdict(
        self,
        quotes: QuoteColumns,
        groups: ByInstrument,
        mids: Floats,
        before: Floats,
        times: npt.NDArray[np.int64],
        times_before: npt.NDArray[np.int64],
    ) -> tuple[Verdict, list[int]]:
        """The verdict on each quote, and the instruments whose quotes were judged one by one."""
        verdict = np.zeros(len(quotes.codes), dtype=np.uint8)
        same = np.flatnonzero(times == times_before)
        for name, values in zip(_FIELDS, quotes.fields, strict=True):
            if not len(same):
                break
            ordered = values[groups.order]
            same = same[ordered[same] == groups.previous(ordered, self._known[name])[same]]
        verdict[groups.order[same]] = number(Cause.DUPLICATE)
        far = (mids > before * _NEAR) | (mids * _NEAR < before)
        if not (far.any() or self._refused or self._splits.suspected):
            return verdict, []
        waiting = np.fromiter([*self._refused, *self._splits.suspected], dtype=np.uint32)
        codes = np.union1d(groups.codes[far], np.intersect1d(groups.distinct, waiting)).tolist()
        for code in codes:
            rows = groups.rows_of(code)
            verdict[rows] = self._one_by_one(code, quotes, rows)
        return verdict, codes

    def _one_by_one(self, code: int, quotes: QuoteColumns, rows: npt.NDArray[np.int64]) -> list[int]:
        """The verdicts on an instrument's quotes, each against the last that was good."""
        last: tuple[float, ...] = (int(self._known["ts"][code]), *(float(self._known[name][code]) for name in _FIELDS))
        good = float(self._known["mid"][code])
        refused = self._refused.pop(code, None)
        verdict = []
        columns = (quotes.times, *quotes.fields)
        for quote in zip(*(column[rows].tolist() for column in columns), strict=True):
            mid, then, now = (quote[1] + quote[2]) / 2, int(last[0]), int(quote[0])
            base = self._splits.level(code, good, then, now)
            if quote == last:
                verdict.append(number(Cause.DUPLICATE))
            elif quote[2] - quote[1] < _TIGHT * mid and self._splits.refuses(code, mid, base, then, now, self.priced):
                verdict.append(number(Cause.SPLIT_SUSPECTED))
            elif self._apart(code, mid, base, now - then) and (
                refused is None or self._apart(code, mid, refused, now - then)
            ):
                verdict.append(number(Cause.SPIKE))
                refused = mid
            else:
                verdict.append(0)
                self._scales.add(code, now, then, mid, base)
                last, good, refused = quote, mid, None
        if refused is not None:
            self._refused[code] = refused
        return verdict

    @property
    def priced(self) -> int:
        """How many instruments have a mid."""
        return int(np.count_nonzero(~np.isnan(self._known["mid"])))

    def _apart(self, code: int, one: float, other: float, passed: int) -> bool:
        if one <= other * _NEAR and other <= one * _NEAR:
            return False
        bound = self._jump if passed > GAP_NS else self._scales.bound(code)
        return one > other * bound or one * bound < other
