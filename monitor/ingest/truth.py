"""The truth filter: what no market can have said is counted by cause and never seen again.

Per feed, rows in arrival order move a *watermark*, the newest event time so far; per instrument the last good quote and
trade are known. The filter knows no clock: the wall time, where rows from the future are to be refused, is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.batch import Batch
from monitor.ingest.arrivals import Arrivals
from monitor.ingest.bars import BarFilter
from monitor.ingest.clean_batch import NO_TRADES, CleanBatch, event_times
from monitor.ingest.halts import Bands, trading_statuses
from monitor.ingest.instruments import Codes, Instruments
from monitor.ingest.leaps import Held, Leaps
from monitor.ingest.quotes import QuoteColumns, QuoteFilter
from monitor.ingest.ranks import Ranks
from monitor.ingest.recent_prints import RecentPrints
from monitor.ingest.rejects import Cause, Rejects
from monitor.ingest.skew import Skews
from monitor.ingest.splits import SplitWatch, Suspicion
from monitor.ingest.taken_back import KnownPrints
from monitor.ingest.timely import Timely
from monitor.ingest.trades import TradeColumns, TradeFilter, TradeVerdict
from monitor.ingest.values import Floats, Mask, Verdict, incomplete, number, screen

_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TruthSettings:
    """Bounds of belief.

    `lateness_ns`: how far behind its feed's watermark a row may be. `future_ns`: how far ahead of the wall clock.
    `trade_jump`, `quote_jump`: the factor between prices that one print, or one quote, is not believed for by itself,
    until the instrument's usual moves say less; both above 1. `recent_trades`: how many trades of the lateness window
    are remembered at most, 16 bytes each, to know one that is sent again. `earliest_ns`, `latest_ns`: the calendar's
    ends, outside of which no time is believed. `closes`: of its sessions, UTC ns, for data whose time is their own.
    `feeds`: their names, the best one first. `recorded`: the data are whole and in order of time, as in a file, where a
    row far from all others is a gap and not a wrong stamp.
    """

    lateness_ns: int = 30 * _SECOND
    future_ns: int = 5 * _SECOND
    trade_jump: float = 1.2
    quote_jump: float = 10.0
    recent_trades: int = 1_000_000
    earliest_ns: int = 0
    latest_ns: int = 2**63 - 1
    feeds: tuple[str, ...] = ()
    closes: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    recorded: bool = False


class TruthFilter:
    """One for all feeds of a pipeline; used from one thread."""

    def __init__(self, settings: TruthSettings | None = None) -> None:
        self._settings = settings or TruthSettings()
        if min(self._settings.trade_jump, self._settings.quote_jump) <= 1:
            raise ValueError("trade_jump and quote_jump are factors between prices: they must be above 1")
        self.rejects = Rejects()
        self.arrivals = Arrivals()
        self._watermarks: dict[str, int] = {}
        self._instruments = Instruments()
        self._splits = SplitWatch()
        self._quotes = QuoteFilter(self._settings.quote_jump, self._splits)
        recent = RecentPrints(self._settings.lateness_ns, self._settings.recent_trades)
        self._trades = TradeFilter(self._settings.trade_jump, recent, self._splits)
        self._bars = BarFilter(self._splits)
        self._prints = KnownPrints()
        self._bands = Bands(self._settings.closes)
        self._leaps = Leaps(self._settings.closes, self._settings.lateness_ns)
        self.skews = Skews()
        self.ranks = {kind: Ranks(self._settings.feeds) for kind in ("quotes", "trades", "bars")}
        """By kind: of two feeds one may have the better quotes and the other the only trades."""
        self._vouched: list[pl.DataFrame] = []

    @property
    def held(self) -> int:
        """Rows that wait to be confirmed: at most one print an instrument, and one row a feed of a time far ahead."""
        return self._trades.held + len(self._leaps.held)

    # --- splits -------------------------------------------------------------------------------------------------------

    def suspected_splits(self) -> dict[str, Suspicion]:
        """By symbol, jumps that look like a split; until something is said of them nothing of these passes."""
        symbols = self._instruments.symbols()
        return {symbols[code]: suspicion for code, suspicion in self._splits.suspected.items()}

    def tell_splits(self, symbol: str, splits: Sequence[tuple[int, float]]) -> None:
        """All known splits of an instrument: (when, UTC ns; factor on earlier prices); the factor 1 says: none."""
        code = int(self._instruments.codes(pl.Series([symbol]))[0])
        self._splits.tell(code, splits)

    def know(self, prices: Mapping[str, tuple[float, int]]) -> None:
        """Last prices by symbol, and their event times, of instruments that this filter has not seen yet."""
        if not prices:
            return
        codes = self._instruments.codes(pl.Series(list(prices), dtype=pl.String))
        values = np.array([price for price, _ in prices.values()])
        times = np.array([time for _, time in prices.values()], dtype=np.int64)
        for part in (self._quotes, self._trades, self._bars):
            part.know(codes, values, times)

    def instruments(self) -> list[str]:
        """All symbols that have been seen, by the code of :attr:`arrivals`."""
        return self._instruments.symbols()

    def in_use(self, feed: str, size: int) -> npt.NDArray[np.bool_]:
        """By code, of so many instruments: whether the feed's rows were the ones used last, of some kind."""
        used: Mask = np.any([ranks.uses(feed, size) for ranks in self.ranks.values()], axis=0)
        return used

    def codes(self, symbols: pl.Series) -> Codes:
        """Their codes; symbols that are new get one."""
        return self._instruments.codes(symbols)

    # --- data ---------------------------------------------------------------------------------------------------------

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
        if now_ns is not None:
            self.skews.saw(batch)
        frames = {"quotes": batch.quotes, "trades": batch.trades, "bars": batch.bars}
        if self._leaps.held and feed in self._leaps.held:
            frames = self._with_held(feed, frames)
        floor = self._watermarks.get(feed)
        timely = {
            kind: rows
            for kind, frame in frames.items()
            if frame.height and (rows := self._timely(feed, kind, self._sound(feed, kind, frame), now_ns, floor))
        }
        self.arrivals.saw(feed, batch.received_at, [(rows.codes, rows.times) for rows in timely.values()])
        self._trades.begin_batch()
        volumes = self._volumes(feed, timely)
        timely = {kind: kept for kind, rows in timely.items() if (kept := self._unshadowed(feed, kind, rows, now_ns))}
        self._quotes.forget_batch()
        clean = {}
        if quotes := timely.get("quotes"):
            clean["quotes"] = self._drop(feed, "quotes", quotes.frame, self._quotes.judge(self._quote_columns(quotes)))
        if batch.bands.height:
            bands = self._announced(feed, "bands", batch.bands, now_ns)
            self._bands.learn(self._instruments.codes(bands["symbol"]), bands)
        clean["trades"] = self._good_trades(feed, timely.get("trades"), volumes, quoted=quotes is not None)
        if bars := timely.get("bars"):
            clean["bars"] = self._drop(feed, "bars", bars.frame, self._bars.judge(bars.frame, bars.codes))
        if batch.statuses.height:
            clean["statuses"] = trading_statuses(self._announced(feed, "statuses", batch.statuses, now_ns))
        if batch.corrections.height:
            clean["corrections"] = self._taken_back(
                feed, self._announced(feed, "corrections", batch.corrections, now_ns)
            )
        if batch.series.height:
            # No watermark is moved, and none is too old or too new: what was published says nothing of the market's
            # time, may be passed on late, and is only seen once its time has come.
            clean["series"] = self._within_calendar(feed, "series", self._sound(feed, "series", batch.series))
        return CleanBatch.of(clean)

    def resume(self, feed: str, newest_ns: int) -> None:
        """A feed goes on from an earlier run that had reached `newest_ns`: what is much older is late."""
        self._watermarks[feed] = max(self._watermarks.get(feed, newest_ns), newest_ns)

    def learn(self, clean: CleanBatch, feed: str | None = None) -> None:
        """Take as true what an earlier run let through (checkpoint, journal): later rows are judged against it.

        `feed` names the feed whose watermark it moves, where that is known.
        """
        self._quotes.forget_batch()
        if clean.quotes.height:
            self._quotes.learn(self._quote_columns(self._as_arrived("quotes", clean.quotes)))
        if clean.trades.height:
            self._prints.saw(self._instruments.codes(clean.trades["symbol"]), clean.trades)
            unpriced = clean.trades["price"].is_null()
            if unpriced.any():
                self._trades.count(self._trade_columns(self._as_arrived("trades", clean.trades.filter(unpriced))))
            self._trades.learn(self._trade_columns(self._as_arrived("trades", clean.trades.filter(~unpriced))))
        if clean.corrections.height:
            self._prints.resolve(self._instruments.codes(clean.corrections["symbol"]), clean.corrections)
        if feed is not None and clean.event_time:
            self._watermarks[feed] = max(self._watermarks.get(feed, clean.event_time), clean.event_time)

    def _good_trades(self, feed: str, trades: Timely | None, volumes: Timely | None, *, quoted: bool) -> pl.DataFrame:
        """The good trades, those of earlier batches that are confirmed, and `volumes`, each in its place."""
        settled, places, nowhere = NO_TRADES, np.empty(0), np.empty(0, dtype=np.int64)
        if trades and (trades := self._within_bands(feed, trades)):
            verdict = self._trades.judge(feed, trades.frame, self._trade_columns(trades), self._quotes)
            settled, places = self._settle(feed, trades.frame, trades.places, verdict)
        elif self._trades.held and quoted:
            settled, places = self._settle(feed, NO_TRADES, nowhere, self._trades.confirm(self._quotes))
        if volumes is not None:
            order = np.argsort(np.concatenate([places, volumes.places]), kind="stable")
            settled = pl.concat([settled, volumes.frame])[order]
        if self._vouched:
            settled = pl.concat([*self._vouched, settled])
            self._vouched = []
        if settled.height:
            self._prints.saw(self._instruments.codes(settled["symbol"]), settled)
        return settled

    def _taken_back(self, feed: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Corrections with what is known of their prints, each once."""
        if not rows.height:
            return rows
        resolved, again = self._prints.resolve(self._instruments.codes(rows["symbol"]), rows)
        self._drop(feed, "corrections", rows, again * np.uint8(number(Cause.DUPLICATE)))
        return resolved

    def _volumes(self, feed: str, timely: dict[str, Timely]) -> Timely | None:
        """Take out the trades that set no price: those that are true, of the feed that is used, once each."""
        trades = timely.get("trades")
        if trades is None or not trades.frame["price"].null_count():
            return None
        priced = trades.frame["price"].is_not_null().to_numpy()
        timely["trades"] = trades.take(priced)
        if not priced.any():
            del timely["trades"]
        rows = trades.take(~priced)
        verdict = self._trades.count(self._trade_columns(rows))
        self._drop(feed, "trades", rows.frame, verdict)
        kept, ranks = rows.take(verdict == 0), self.ranks["trades"]
        if ranks.alone(feed):
            return kept
        own = ranks.uses(feed, len(self._instruments.symbols()))[kept.codes]
        ranks.shadowed[feed] += int(np.count_nonzero(~own))
        return kept.take(own)

    def _sound(self, feed: str, kind: str, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows whose own values can be true."""
        self.rejects.seen[feed] += frame.height
        if frame.n_chunks() > 1:
            frame = frame.rechunk()
        nameless = incomplete(kind, frame)
        if nameless is not None:
            self.rejects.add(feed, Cause.NON_FINITE, kind, frame.filter(nameless))
            frame = frame.filter(~nameless)
        verdict = screen(kind, frame)
        if verdict is not None:
            frame = self._drop(feed, kind, frame, verdict)
        if kind == "quotes" and (locked := np.count_nonzero(frame["bid"].to_numpy() == frame["ask"].to_numpy())):
            self.rejects.locked[feed] += int(locked)
        return frame

    def _announced(self, feed: str, kind: str, frame: pl.DataFrame, now: int | None) -> pl.DataFrame:
        """The sound rows of what is about trading, not trade: taken however late, and moving no watermark."""
        frame = self._within_calendar(feed, kind, self._sound(feed, kind, frame))
        newest = self._watermarks.get(feed)
        bound = now + self._settings.future_ns if now is not None else newest and self._leaps.horizon(newest)
        if bound is None or not frame.height:
            return frame
        early = event_times(kind, frame) > bound
        return self._drop(feed, kind, frame, early * np.uint8(number(Cause.FUTURE)))

    def _within_bands(self, feed: str, trades: Timely) -> Timely | None:
        """The trades at prices that the limit bands allow."""
        if not self._bands.known:
            return trades
        outside = self._bands.outside(trades.codes, trades.times, trades.frame["price"].to_numpy())
        if not outside.any():
            return trades
        self._drop(feed, "trades", trades.frame, outside * np.uint8(number(Cause.OUTSIDE_BAND)))
        return None if outside.all() else trades.take(~outside)

    def _unshadowed(self, feed: str, kind: str, rows: Timely, now: int | None) -> Timely | None:
        """The rows of instruments of which no better feed is fresh."""
        if self.ranks[kind].alone(feed):
            return rows
        frame, codes = rows.frame, rows.codes
        if kind == "quotes":
            prices = (frame["bid"].to_numpy() + frame["ask"].to_numpy()) / 2
        else:
            prices = frame["price" if kind == "trades" else "close"].to_numpy()
        symbols, clocked = self._instruments.symbols(), now is not None
        shadowed = self.ranks[kind].shadow(feed, codes, rows.times, prices, symbols, clocked=clocked)
        if shadowed is None:
            return rows
        if self._trades.held:
            self._vouched += self._trades.vouch(codes[shadowed], prices[shadowed])
        kept = ~shadowed
        return rows.take(kept) if kept.any() else None

    def _with_held(self, feed: str, frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """The rows of a batch, and before them the row held for its time, if that is confirmed by the first of them."""
        firsts = [event_times(kind, f.head(1).drop_nulls())[:1] for kind, f in frames.items() if f.height]
        first = min((int(times[0]) for times in firsts if len(times)), default=None)
        if first is None:
            return frames
        held = self._leaps.held.pop(feed)
        if self._leaps.agree(held.time, first):
            self._watermarks[feed] = max(self._watermarks.get(feed, held.time), held.time)
            return frames | {held.kind: pl.concat([held.row, frames[held.kind]])}
        self.rejects.add(feed, Cause.FUTURE, held.kind, held.row)
        return frames

    def _not_leaping(
        self, feed: str, kind: str, frame: pl.DataFrame, times: npt.NDArray[np.int64]
    ) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
        """The rows that are not far ahead of what came before them, or are followed there."""
        reached = self._watermarks.get(feed) or max(self._watermarks.values(), default=None)
        floor = int(times[0]) if reached is None else reached
        if not len(times) or int(times.max()) <= self._leaps.horizon(floor):
            return frame, times
        refused, waits = self._leaps.split(times, floor)
        if waits:
            self._leaps.held[feed] = Held(kind, frame[-1], int(times[-1]))
        if not refused.any():
            return frame, times
        verdict = refused * np.uint8(number(Cause.FUTURE))
        if waits:
            verdict[-1] = 0
        kept = self._drop(feed, kind, frame[:-1] if waits else frame, verdict[:-1] if waits else verdict)
        return kept, times[~refused]

    def _timely(self, feed: str, kind: str, frame: pl.DataFrame, now: int | None, floor: int | None) -> Timely | None:
        """The rows near enough to the present, moving the watermark; `floor` is where it stood before the batch."""
        settings = self._settings
        frame = self._within_calendar(feed, kind, frame)
        times = event_times(kind, frame)
        if now is None and len(times) and not settings.recorded:
            frame, times = self._not_leaping(feed, kind, frame, times)
        elif now is not None and len(times) and int(times.max()) > now + settings.future_ns:
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
        if not len(times):
            return None
        return Timely(frame, times, keys, self._instruments.codes(frame["symbol"]), np.arange(len(times)))

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

    def _settle(
        self, feed: str, frame: pl.DataFrame, places: npt.NDArray[np.int64], verdict: TradeVerdict
    ) -> tuple[pl.DataFrame, Floats]:
        """The good trades of `frame`, and among them the released ones, each before the row that confirmed it.

        And where they stand; `places` is where those of `frame` stood.
        """
        for held in verdict.dropped:
            self.rejects.add(held.feed, Cause.SPIKE, "trades", held.row)
        kept = self._drop(feed, "trades", frame, verdict.rows)
        stood = places[verdict.rows == 0].astype(np.float64)
        if not verdict.released:
            return kept, stood
        released = sorted(verdict.released, key=lambda r: (r.before, r.quote))
        at = np.array([r.before for r in released], dtype=np.float64) - 0.5
        rows = pl.concat([kept, *(r.held.row for r in released)])
        order = np.argsort(np.concatenate([np.flatnonzero(verdict.rows == 0), at]), kind="stable")
        before = np.append(places, places[-1] + 1 if len(places) else 0)[[r.before for r in released]] - 0.5
        return rows[order], np.concatenate([stood, before])[order]

    def _quote_columns(self, rows: Timely) -> QuoteColumns:
        return QuoteColumns.of(rows.frame, rows.codes, rows.times, rows.keys)

    def _trade_columns(self, rows: Timely) -> TradeColumns:
        return TradeColumns.of(rows.frame, rows.codes, rows.times, rows.keys)

    def _as_arrived(self, kind: str, frame: pl.DataFrame) -> Timely:
        times = event_times(kind, frame)
        codes = self._instruments.codes(frame["symbol"])
        return Timely(frame, times, np.maximum.accumulate(times), codes, np.arange(len(times)))
