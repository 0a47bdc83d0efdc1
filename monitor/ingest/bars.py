"""Bars that are sent again, and bars at a level that changed overnight as by a split.

A bar sent again with other values is a correction, and passes. A split changes where a session opens, so it is the
open that has to fit. A bar of a whole session whose four prices are one is a close from a record: it does not say what
happened overnight and what later, and is not suspected here. A company's best day (AMD, 22 April 2016: 52 %) is no
split in it; :func:`monitor.corporate_actions.suspected_splits` lists what could be one. What is refused of a session's
close, however it came, is in :mod:`monitor.ingest.session_moves`.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.clean_batch import event_times, nanoseconds
from monitor.ingest.instruments import LONG_AGO, ByInstrument, Codes, Known
from monitor.ingest.rejects import Cause
from monitor.ingest.session_moves import LEAST, SessionMoves
from monitor.ingest.splits import HOLE_NS, JUMP, SplitWatch
from monitor.ingest.values import Floats, Mask, Verdict, number

WHOLE_SESSION_NS: Final = 3 * 3600 * 1_000_000_000
"""A bar of at least this length is of a whole session; a half day has three hours and a half."""


class _Bars(NamedTuple):
    """Bars to be looked at one by one, in order of time, a column each.

    `whole`: which are of whole sessions; `rows`: where their verdict is.
    """

    codes: Codes
    closes: Floats
    opens: Floats
    times: npt.NDArray[np.int64]
    whole: Mask
    rows: npt.NDArray[np.int64]


class BarFilter:
    """Judges bars against the instrument's last one."""

    def __init__(self, splits: SplitWatch) -> None:
        self._splits = splits
        self._known = Known(fingerprint=0, price=np.nan, newest=LONG_AGO)
        self._moves = SessionMoves()

    def judge(self, frame: pl.DataFrame, codes: Codes) -> Verdict:
        """The verdict on each bar."""
        self._known.cover(codes)
        groups = ByInstrument(codes)
        fingerprints: npt.NDArray[np.int64] = frame.hash_rows().to_numpy().view(np.int64)[groups.order]
        verdict = np.zeros(len(codes), dtype=np.uint8)
        repeats = fingerprints == groups.previous(fingerprints, self._known["fingerprint"])
        verdict[groups.order[repeats]] = number(Cause.DUPLICATE)
        lasts = groups.lasts()
        self._known["fingerprint"][groups.codes[lasts]] = fingerprints[lasts]
        closes = frame["close"].to_numpy()[groups.order]
        times = event_times("bars", frame)[groups.order]
        before = groups.previous(closes, self._known["price"])
        opens, unlike, whole = self._opens(frame, times, groups.order)
        doubted = groups.codes[unlike & ((closes > before * JUMP) | (closes * JUMP < before))]
        suspected = [code for code in self._splits.suspected if code in groups.distinct]
        doubted = np.union1d(doubted, np.array(suspected, dtype=np.uint32))
        if whole.any():
            doubted = np.union1d(doubted, self._unusual(groups, closes, before, times, whole))
        good = {c: (float(self._known["price"][c]), int(self._known["newest"][c])) for c in doubted.tolist()}
        self._known["price"][groups.codes[lasts]] = closes[lasts]
        self._known["newest"][groups.codes[lasts]] = times[lasts]
        if good:
            looked_at = np.flatnonzero(np.isin(groups.codes, doubted))
            # By time, not by instrument: whether the market jumped along is asked as of each bar.
            looked_at = looked_at[np.argsort(times[looked_at], kind="stable")]
            rows = groups.order[looked_at]
            bars = _Bars(
                groups.codes[looked_at], closes[looked_at], opens[looked_at], times[looked_at], whole[looked_at], rows
            )
            self._one_by_one(bars, good, verdict)
        return verdict

    @staticmethod
    def _opens(
        frame: pl.DataFrame, times: npt.NDArray[np.int64], order: npt.NDArray[np.int64]
    ) -> tuple[Floats, Mask, Mask]:
        """Where each bar opened, NaN where that is its close written twice; which bars say what happened overnight.

        And which are of whole sessions.
        """
        opens, closes = frame["open"].to_numpy()[order], frame["close"].to_numpy()[order]
        flat = (opens == closes) & (frame["high"].to_numpy() == frame["low"].to_numpy())[order]
        whole = (times - nanoseconds(frame["ts"])[order]) >= WHOLE_SESSION_NS
        return np.where(flat, np.nan, opens), ~whole | ~flat, whole

    def _unusual(
        self, groups: ByInstrument, closes: Floats, before: Floats, times: npt.NDArray[np.int64], whole: Mask
    ) -> Codes:
        """The instruments of which a session's close has to be looked at; the moves of the others are taken in."""
        self._moves.cover(groups.distinct)
        near = times - groups.previous(times, self._known["newest"]) <= HOLE_NS
        moves = np.where(whole & near, np.log(closes / before), np.nan)
        found: Codes = np.union1d(groups.codes[np.abs(moves) > LEAST], self._moves.waiting(groups.distinct))
        ordinary = ~np.isin(groups.codes, found) if len(found) else np.ones(len(moves), dtype=np.bool_)
        self._moves.learn(groups.codes[ordinary], moves[ordinary])
        return found.astype(np.uint32)

    def know(self, codes: Codes, prices: Floats, times: npt.NDArray[np.int64]) -> None:
        """The last prices of instruments, from elsewhere, of which no bar was seen yet."""
        self._known.cover(codes)
        new = np.isnan(self._known["price"][codes])
        self._known["price"][codes[new]], self._known["newest"][codes[new]] = prices[new], times[new]

    def _one_by_one(self, bars: _Bars, good: dict[int, tuple[float, int]], verdict: Verdict) -> None:
        """Refuse bars whose level changed as by a split since the last good one: `good`, its close and end by code."""
        priced = int(np.count_nonzero(~np.isnan(self._known["price"])))
        for code, close, opened, now, whole, row in zip(*(column.tolist() for column in bars), strict=True):
            last, then = good[code]
            base = self._splits.level(code, last, then, now)
            first = None if math.isnan(opened) else opened
            # Of a session whose prices are one nobody knows where it opened: it ends a suspicion, and begins none.
            told = not (whole and first is None) or code in self._splits.suspected
            if verdict[row] == 0 and told and self._splits.refuses(code, close, base, then, now, priced, first):
                verdict[row] = number(Cause.SPLIT_SUSPECTED)
            elif verdict[row] == 0 and whole and self._far(code, close, base, then, now):
                verdict[row] = number(Cause.SPIKE)
            else:
                good[code] = close, now
        for code, (last, then) in good.items():
            self._known["price"][code], self._known["newest"][code] = last, then

    def _far(self, code: int, close: float, base: float, then: int, now: int) -> bool:
        """Whether a session's close is too far from the last good one, of `then`, to be believed by itself."""
        near = base if now - then <= HOLE_NS else math.nan
        return self._moves.refuses(code, close, near, explained=self._splits.told(code, then, now))
