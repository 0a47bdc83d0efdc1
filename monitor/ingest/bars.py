"""Bars that are sent again, bars at a level that changed overnight as by a split, and bars that nothing confirms.

A bar sent again with other values is a correction, and passes. A split changes where a session opens, so it is the
open that has to fit. A bar of a whole session whose four prices are one is a close from a record: it does not say what
happened overnight and what later, and is not suspected here. A company's best day (AMD, 22 April 2016: 52 %) is no
split in it; :func:`monitor.corporate_actions.suspected_splits` lists what could be one. What is refused of a session's
close, however it came, is in :mod:`monitor.ingest.session_moves`; of shorter bars, in :mod:`monitor.ingest.wild_bars`.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.clean_batch import event_times, nanoseconds
from monitor.ingest.held import HeldVerdict
from monitor.ingest.instruments import LONG_AGO, ByInstrument, Codes, Known
from monitor.ingest.rejects import Cause, number
from monitor.ingest.scales import LEAST as NEAR
from monitor.ingest.session_moves import LEAST, SessionMoves
from monitor.ingest.splits import HOLE_NS, JUMP, SplitWatch
from monitor.ingest.values import Floats, Mask
from monitor.ingest.wild_bars import WICK, Bar, WildBars

WHOLE_SESSION_NS: Final = 3 * 3600 * 1_000_000_000
"""A bar of at least this length is of a whole session; a half day has three hours and a half."""


class _Bars(NamedTuple):
    """Bars to be looked at one by one, in order of time, a column each.

    `whole`: which are of whole sessions; `rows`: where their verdict is.
    """

    codes: Codes
    closes: Floats
    opens: Floats
    highs: Floats
    lows: Floats
    times: npt.NDArray[np.int64]
    whole: Mask
    rows: npt.NDArray[np.int64]


class BarFilter:
    """Judges bars against the instrument's last one."""

    def __init__(self, jump: float, splits: SplitWatch) -> None:
        self._splits = splits
        self._known = Known(fingerprint=0, price=np.nan, newest=LONG_AGO)
        self._moves = SessionMoves()
        self._wild = WildBars(jump)

    @property
    def held(self) -> int:
        """How many bars wait to be confirmed."""
        return len(self._wild.held)

    def judge(self, feed: str, frame: pl.DataFrame, codes: Codes) -> HeldVerdict:
        """The verdict on a batch's bars; what is good is known from now on."""
        self._known.cover(codes)
        groups = ByInstrument(codes)
        fingerprints: npt.NDArray[np.int64] = frame.hash_rows().to_numpy().view(np.int64)[groups.order]
        verdict = HeldVerdict(np.zeros(len(codes), dtype=np.uint8))
        repeats = fingerprints == groups.previous(fingerprints, self._known["fingerprint"])
        verdict.rows[groups.order[repeats]] = number(Cause.DUPLICATE)
        lasts = groups.lasts()
        self._known["fingerprint"][groups.codes[lasts]] = fingerprints[lasts]
        opens, highs, lows, closes = (frame[n].to_numpy()[groups.order] for n in ("open", "high", "low", "close"))
        times = event_times("bars", frame)[groups.order]
        before = groups.previous(closes, self._known["price"])
        times_before = groups.previous(times, self._known["newest"])
        whole = (times - nanoseconds(frame["ts"])[groups.order]) >= WHOLE_SESSION_NS
        flat = (opens == closes) & (highs == lows)
        doubted = self._doubted(groups, (highs, lows, closes), before, whole)
        doubted = np.union1d(doubted, self._jumped(groups, closes, before, ~whole | ~flat))
        if whole.any():
            doubted = np.union1d(doubted, self._unusual(groups, closes, before, times, whole))
        some: list[int] = doubted.tolist()
        self._wild.scales.learn(groups, times, times_before, closes, np.where(whole, np.nan, before), some)
        good = {c: (float(self._known["price"][c]), int(self._known["newest"][c])) for c in some}
        self._known["price"][groups.codes[lasts]] = closes[lasts]
        self._known["newest"][groups.codes[lasts]] = times[lasts]
        if good:
            looked_at = np.flatnonzero(np.isin(groups.codes, doubted))
            # By time, not by instrument: whether the market jumped along is asked as of each bar.
            looked_at = looked_at[np.argsort(times[looked_at], kind="stable")]
            bars = _Bars(
                groups.codes[looked_at],
                closes[looked_at],
                np.where(flat, np.nan, opens)[looked_at],
                highs[looked_at],
                lows[looked_at],
                times[looked_at],
                whole[looked_at],
                groups.order[looked_at],
            )
            self._one_by_one(bars, good, verdict, feed, frame)
        return verdict

    def learn(self, frame: pl.DataFrame, codes: Codes) -> None:
        """Take bars as true: an earlier run let them through."""
        self._known.cover(codes)
        groups = ByInstrument(codes)
        closes, times = frame["close"].to_numpy()[groups.order], event_times("bars", frame)[groups.order]
        short = (times - nanoseconds(frame["ts"])[groups.order]) < WHOLE_SESSION_NS
        before = np.where(short, groups.previous(closes, self._known["price"]), np.nan)
        self._wild.scales.learn(groups, times, groups.previous(times, self._known["newest"]), closes, before, [])
        lasts = groups.lasts()
        self._known["price"][groups.codes[lasts]] = closes[lasts]
        self._known["newest"][groups.codes[lasts]] = times[lasts]

    def vouch(self, codes: Codes, prices: Floats) -> list[pl.DataFrame]:
        """The held bars that prices of another feed confirm, a row each; they are good from now on."""
        released = self._wild.vouch(codes, prices)
        for code, held in released.items():
            self._known["price"][code] = held.price
        return [held.row for held in released.values()]

    def _doubted(
        self, groups: ByInstrument, prices: tuple[Floats, Floats, Floats], before: Floats, whole: Mask
    ) -> Codes:
        """The instruments of which a bar within a session has to be looked at by itself."""
        highs, lows, closes = prices
        far = np.isnan(before) | (closes > before * (1 + NEAR)) | (closes * (1 + NEAR) < before)
        far |= (highs > WICK * np.fmin(closes, before)) | (lows * WICK < np.fmax(closes, before))
        codes = groups.codes[far & ~whole]
        waiting = np.intersect1d(groups.distinct, np.fromiter(self._wild.held, dtype=np.uint32))
        found: Codes = np.union1d(codes, waiting).astype(np.uint32)
        return found

    def _jumped(self, groups: ByInstrument, closes: Floats, before: Floats, telling: Mask) -> Codes:
        """The instruments whose level may have changed as by a split; `telling`: bars that say what happened."""
        codes = groups.codes[telling & ((closes > before * JUMP) | (closes * JUMP < before))]
        suspected = [code for code in self._splits.suspected if code in groups.distinct]
        found: Codes = np.union1d(codes, np.array(suspected, dtype=np.uint32)).astype(np.uint32)
        return found

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

    def _one_by_one(
        self,
        bars: _Bars,
        good: dict[int, tuple[float, int]],
        verdict: HeldVerdict,
        feed: str,
        frame: pl.DataFrame,
    ) -> None:
        """Judge bars each by the last good one of its instrument: `good`, its close and end by code."""
        priced = int(np.count_nonzero(~np.isnan(self._known["price"])))
        rows = verdict.rows
        columns = (column.tolist() for column in bars)
        for code, close, opened, high, low, now, whole, row in zip(*columns, strict=True):
            if rows[row]:
                continue
            last, then = good[code]
            base = self._splits.level(code, last, then, now)
            first = None if math.isnan(opened) else opened
            # Of a session whose prices are one nobody knows where it opened: it ends a suspicion, and begins none.
            told = not (whole and first is None) or code in self._splits.suspected
            if told and self._splits.refuses(code, close, base, then, now, priced, first):
                rows[row] = number(Cause.SPLIT_SUSPECTED)
            elif whole and self._far(code, close, base, then, now):
                rows[row] = number(Cause.SPIKE)
            elif whole or self._wild.takes(
                Bar(code, opened, high, low, close, now, row), base, then, feed, frame, verdict
            ):
                good[code] = close, now
        for code, (last, then) in good.items():
            self._known["price"][code], self._known["newest"][code] = last, then

    def _far(self, code: int, close: float, base: float, then: int, now: int) -> bool:
        """Whether a session's close is too far from the last good one, of `then`, to be believed by itself."""
        near = base if now - then <= HOLE_NS else math.nan
        return self._moves.refuses(code, close, near, explained=self._splits.told(code, then, now))
