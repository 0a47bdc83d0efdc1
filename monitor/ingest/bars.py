"""Bars that are sent again, and bars at a level that changed overnight as by a split.

A bar sent again with other values is a correction, and passes. A bar of a whole session is from a record, which is
adjusted for splits or comes with them: a company's best day (AMD, 22 April 2016: 52 %) is no split in it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.clean_batch import event_times, nanoseconds
from monitor.ingest.instruments import LONG_AGO, ByInstrument, Codes, Known
from monitor.ingest.rejects import Cause
from monitor.ingest.splits import JUMP, SplitWatch
from monitor.ingest.values import Floats, Verdict, number

WHOLE_SESSION_NS: Final = 3 * 3600 * 1_000_000_000
"""A bar of at least this length is of a whole session; a half day has three hours and a half."""


class BarFilter:
    """Judges bars against the instrument's last one."""

    def __init__(self, splits: SplitWatch) -> None:
        self._splits = splits
        self._known = Known(fingerprint=0, price=np.nan, newest=LONG_AGO)

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
        short = (times - nanoseconds(frame["ts"])[groups.order]) < WHOLE_SESSION_NS
        doubted = groups.codes[short & ((closes > before * JUMP) | (closes * JUMP < before))]
        before_batch = self._known["price"].copy() if len(doubted) or self._splits.suspected else None
        newest_before = self._known["newest"].copy() if before_batch is not None else None
        self._known["price"][groups.codes[lasts]] = closes[lasts]
        self._known["newest"][groups.codes[lasts]] = times[lasts]
        if before_batch is not None and newest_before is not None:
            suspected = [code for code in self._splits.suspected if code in groups.distinct]
            for code in np.union1d(doubted, np.array(suspected, dtype=np.uint32)).tolist():
                part = slice(*groups.span(code))
                last = float(before_batch[code]), int(newest_before[code])
                self._one_by_one(code, closes[part].tolist(), times[part].tolist(), last, groups.order[part], verdict)
        return verdict

    def know(self, codes: Codes, prices: Floats, times: npt.NDArray[np.int64]) -> None:
        """The last prices of instruments, from elsewhere, of which no bar was seen yet."""
        self._known.cover(codes)
        new = np.isnan(self._known["price"][codes])
        self._known["price"][codes[new]], self._known["newest"][codes[new]] = prices[new], times[new]

    def _one_by_one(
        self,
        code: int,
        closes: list[float],
        times: list[int],
        last: tuple[float, int],
        rows: npt.NDArray[np.int64],
        verdict: Verdict,
    ) -> None:
        """Refuse bars whose level changed as by a split since the last good one, `last`: its close and its end."""
        good, then = last
        priced = int(np.count_nonzero(~np.isnan(self._known["price"])))
        for close, now, row in zip(closes, times, rows.tolist(), strict=True):
            base = self._splits.level(code, good, then, now)
            if verdict[row] == 0 and self._splits.refuses(code, close, base, then, now, priced):
                verdict[row] = number(Cause.SPLIT_SUSPECTED)
            else:
                good, then = close, now
        self._known["price"][code], self._known["newest"][code] = good, then
