"""The truth filter: what no market can have said is counted by cause and never seen again.

Per feed, rows in arrival order move a *watermark*, the newest event time so far; per instrument the last good quote and
trade are known. The filter knows no clock: the wall time, where rows from the future are to be refused, is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.batch import Batch
from monitor.ingest.bars import BarFilter
from monitor.ingest.clean_batch import CleanBatch, event_times
from monitor.ingest.instruments import Instruments
from monitor.ingest.quotes import QuoteColumns, QuoteFilter
from monitor.ingest.recent_prints import RecentPrints
from monitor.ingest.rejects import Cause, Rejects
from monitor.ingest.trades import TradeColumns, TradeFilter, TradeVerdict
from monitor.ingest.values import Verdict, incomplete, number, screen

_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TruthSettings:
    """Bounds of belief.

    `lateness_ns`: how far behind its feed's watermark a row may be. `future_ns`: how far ahead of the wall clock.
    `trade_jump`, `quote_jump`: the factor between prices that one print, or one quote, is not believed for by itself;
    both above 1. `recent_trades`: how many trades of the lateness window are remembered at most, 16 bytes each, to know
    one that is sent again. `earliest_ns`, `latest_ns`: the calendar's ends, outside of which
    no time is believed.
    """

    lateness_ns: int = 30 * _SECOND
    future_ns: int = 5 * _SECOND
    trade_jump: float = 1.2
    quote_jump: float = 10.0
    recent_trades: int = 1_000_000
    earliest_ns: int = 0
    latest_ns: int = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _Timely:
    """A kind's rows that are neither too late nor too early; `keys` is the newest event time of the feed up to each."""

    frame: pl.DataFrame
    times: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]


class TruthFilter:
    """One for all feeds of a pipeline; used from one thread."""

    def __init__(self, settings: TruthSettings | None = None) -> None:
        self._settings = settings or TruthSettings()
        if min(self._settings.trade_jump, self._settings.quote_jump) <= 1:
            raise ValueError("trade_jump and quote_jump are factors between prices: they must be above 1")
        self.rejects = Rejects()
        self._watermarks: dict[str, int] = {}
        self._instruments = Instruments()
        self._quotes = QuoteFilter(self._settings.quote_jump)
        recent = RecentPrints(self._settings.lateness_ns, self._settings.recent_trades)
        self._trades = TradeFilter(self._settings.trade_jump, recent)
        self._bars = BarFilter()

    @property
    def held(self) -> int:
        """Suspicious prints that wait to be confirmed: at most one an instrument."""
        return self._trades.held

    def watermark(self, feed: str) -> int | None:
        """The newest event time of a feed, UTC nanoseconds."""
        return self._watermarks.get(feed)

    def watermarks(self) -> dict[str, int]:
        """The newest event time of every feed, UTC nanoseconds."""
        return dict(self._watermarks)

    def clean(self, batch: Batch, now_ns: int | None = None) -> CleanBatch:
        """What is true of `batch`, and prints held before that it confirms.

        `now_ns` is the wall clock, None where event time rules. Every row of `batch` comes out once: in the result, in
        :attr:`rejects`, or, held, with a later batch.
        """
        feed = batch.feed
        floor = self._watermarks.get(feed)
        timely = {
            kind: rows
            for kind, frame in (("quotes", batch.quotes), ("trades", batch.trades), ("bars", batch.bars))
            if frame.height and (rows := self._timely(feed, kind, self._sound(feed, kind, frame), now_ns, floor))
        }
        self._quotes.forget_batch()
        clean = {}
        if quotes := timely.get("quotes"):
            clean["quotes"] = self._drop(feed, "quotes", quotes.frame, self._quotes.judge(self._quote_columns(quotes)))
        if trades := timely.get("trades"):
            verdict = self._trades.judge(feed, trades.frame, self._trade_columns(trades), self._quotes)
            clean["trades"] = self._settle(feed, trades.frame, verdict)
        elif self._trades.held and quotes:
            clean["trades"] = self._settle(feed, batch.trades.clear(), self._trades.confirm(self._quotes))
        if bars := timely.get("bars"):
            codes = self._instruments.codes(bars.frame["symbol"])
            clean["bars"] = self._drop(feed, "bars", bars.frame, self._bars.judge(bars.frame, codes))
        if batch.series.height:
            # No watermark is moved, and none is too old or too new: what was published says nothing of the market's
            # time, may be passed on late, and is only seen once its time has come.
            clean["series"] = self._within_calendar(feed, "series", self._sound(feed, "series", batch.series))
        return _clean_batch(clean)

    def resume(self, feed: str, newest_ns: int) -> None:
        """A feed goes on from an earlier run that had reached `newest_ns`: what is much older is late."""
        self._watermarks[feed] = max(self._watermarks.get(feed, newest_ns), newest_ns)

    def learn(self, clean: CleanBatch, feed: str | None = None) -> None:
        """Take as true what an earlier run let through (checkpoint, journal): later rows are judged against it.

        `feed` names the feed whose watermark it moves, where that is known.
        """
        self._quotes.forget_batch()
        if clean.quotes.height:
            self._quotes.learn(self._quote_columns(_as_arrived("quotes", clean.quotes)))
        if clean.trades.height:
            self._trades.learn(self._trade_columns(_as_arrived("trades", clean.trades)))
        if feed is not None and clean.rows > clean.series.height:
            self._watermarks[feed] = max(self._watermarks.get(feed, clean.event_time), clean.event_time)

    def _sound(self, feed: str, kind: str, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows whose own values can be true."""
        if frame.n_chunks() > 1:
            frame = frame.rechunk()
        nameless = incomplete(kind, frame)
        if nameless is not None:
            self.rejects.add(feed, Cause.NON_FINITE, kind, frame.filter(nameless))
            frame = frame.filter(~nameless)
        verdict = screen(kind, frame)
        return frame if verdict is None else self._drop(feed, kind, frame, verdict)

    def _timely(self, feed: str, kind: str, frame: pl.DataFrame, now: int | None, floor: int | None) -> _Timely | None:
        """The rows near enough to the present, moving the watermark; `floor` is where it stood before the batch."""
        settings = self._settings
        frame = self._within_calendar(feed, kind, frame)
        times = event_times(kind, frame)
        if now is not None and len(times) and int(times.max()) > now + settings.future_ns:
            early = times > now + settings.future_ns
            frame = self._drop(feed, kind, frame, early * np.uint8(number(Cause.FUTURE)))
            times = times[~early]
        if not len(times):
            return None
        newest = int(times.max())
        if floor is not None and floor > newest:
            newest = floor
        keys = np.maximum.accumulate(times)
        if floor is not None:
            keys = np.maximum(keys, floor)
        if int(times.min()) < newest - settings.lateness_ns:
            late = times < keys - settings.lateness_ns
            frame = self._drop(feed, kind, frame, late * np.uint8(number(Cause.LATE)))
            times, keys = times[~late], keys[~late]
        self._watermarks[feed] = max(self._watermarks.get(feed, newest), newest)
        return _Timely(frame, times, keys) if len(times) else None

    def _within_calendar(self, feed: str, kind: str, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of times that the calendar knows."""
        settings, times = self._settings, event_times(kind, frame)
        if not len(times) or (int(times.min()) >= settings.earliest_ns and int(times.max()) <= settings.latest_ns):
            return frame
        before, after = times < settings.earliest_ns, times > settings.latest_ns
        refused = before * np.uint8(number(Cause.LATE)) + after * np.uint8(number(Cause.FUTURE))
        return self._drop(feed, kind, frame, refused)

    def _drop(self, feed: str, kind: str, frame: pl.DataFrame, verdict: Verdict) -> pl.DataFrame:
        """Count and remove the rows that the verdict refuses."""
        if not verdict.any():
            return frame
        for cause in Cause:
            refused = verdict == number(cause)
            if refused.any():
                self.rejects.add(feed, cause, kind, frame.filter(refused))
        return frame.filter(verdict == 0)

    def _settle(self, feed: str, frame: pl.DataFrame, verdict: TradeVerdict) -> pl.DataFrame:
        """The good trades of `frame`, and among them the released ones, each before the row that confirmed it."""
        for held in verdict.dropped:
            self.rejects.add(held.feed, Cause.SPIKE, "trades", held.row)
        kept = self._drop(feed, "trades", frame, verdict.rows)
        if not verdict.released:
            return kept
        released = sorted(verdict.released, key=lambda r: (r.before, r.quote))
        at = np.array([r.before for r in released], dtype=np.float64) - 0.5
        rows = pl.concat([kept, *(r.held.row for r in released)])
        order = np.argsort(np.concatenate([np.flatnonzero(verdict.rows == 0), at]), kind="stable")
        return rows[order]

    def _quote_columns(self, rows: _Timely) -> QuoteColumns:
        return QuoteColumns.of(rows.frame, self._instruments.codes(rows.frame["symbol"]), rows.times, rows.keys)

    def _trade_columns(self, rows: _Timely) -> TradeColumns:
        return TradeColumns.of(rows.frame, self._instruments.codes(rows.frame["symbol"]), rows.times, rows.keys)


def _as_arrived(kind: str, frame: pl.DataFrame) -> _Timely:
    times = event_times(kind, frame)
    return _Timely(frame, times, np.maximum.accumulate(times))


def _clean_batch(frames: dict[str, pl.DataFrame]) -> CleanBatch:
    filled = {kind: frame for kind, frame in frames.items() if frame.height}
    newest = [int(event_times(kind, frame).max()) for kind, frame in filled.items() if kind != "series"]
    return CleanBatch(**filled, event_time=max(newest, default=0))
