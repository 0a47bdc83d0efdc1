"""The truth filter: what no market can have said is counted by cause and never seen again.

Per feed, rows in arrival order move a *watermark*, the newest event time so far; per instrument the last good quote and
trade are known. The filter knows no clock: the wall time, where rows from the future are to be refused, is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.batch import Batch
from monitor.ingest.admission import Admission
from monitor.ingest.arrivals import Arrivals
from monitor.ingest.bars import BarFilter
from monitor.ingest.clean_batch import NO_BARS, NO_TRADES, CleanBatch, event_times
from monitor.ingest.halts import Bands, trading_statuses
from monitor.ingest.held import HeldVerdict
from monitor.ingest.instruments import Codes, Instruments
from monitor.ingest.quotes import QuoteColumns, QuoteFilter
from monitor.ingest.ranks import Ranks
from monitor.ingest.recent_prints import RecentPrints
from monitor.ingest.rejects import Cause, Rejects, number
from monitor.ingest.skew import Skews
from monitor.ingest.splits import SplitWatch, Suspicion
from monitor.ingest.taken_back import KnownPrints
from monitor.ingest.timely import Timely
from monitor.ingest.trades import TradeColumns, TradeFilter
from monitor.ingest.truth_settings import TruthSettings
from monitor.ingest.values import Floats, Mask


class TruthFilter:
    """One for all feeds of a pipeline; used from one thread."""

    def __init__(self, settings: TruthSettings | None = None) -> None:
        self._settings = settings or TruthSettings()
        if min(self._settings.trade_jump, self._settings.quote_jump) <= 1:
            raise ValueError("trade_jump and quote_jump are factors between prices: they must be above 1")
        self.rejects = Rejects()
        self.arrivals = Arrivals()
        self._instruments = Instruments()
        self._admission = Admission(self._settings, self.rejects, self._instruments)
        self._splits = SplitWatch()
        self._quotes = QuoteFilter(self._settings.quote_jump, self._splits)
        recent = RecentPrints(self._settings.lateness_ns, self._settings.recent_trades)
        self._trades = TradeFilter(self._settings.trade_jump, recent, self._splits)
        self._bars = BarFilter(self._settings.trade_jump, self._splits)
        self._prints = KnownPrints()
        self._bands = Bands(self._settings.closes)
        self.skews = Skews()
        self.ranks = {kind: Ranks(self._settings.feeds) for kind in ("quotes", "trades", "bars")}
        """By kind: of two feeds one may have the better quotes and the other the only trades."""
        self._vouched: list[pl.DataFrame] = []
        self._vouched_bars: list[pl.DataFrame] = []

    @property
    def held(self) -> int:
        """Rows that wait to be confirmed: at most a print and a bar an instrument, and a row a feed of a time ahead."""
        return self._trades.held + self._bars.held + self._admission.held

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
        return self._admission.watermarks.get(feed)

    def watermarks(self) -> dict[str, int]:
        """The newest event time of every feed, UTC nanoseconds."""
        return dict(self._admission.watermarks)

    def clean(self, batch: Batch, now_ns: int | None = None) -> CleanBatch:
        """What is true of `batch`, and prints held before that it confirms.

        `now_ns` is the wall clock, None where event time rules. Every row of `batch` comes out once: in the result, in
        :attr:`rejects`, or, held, with a later batch.
        """
        feed = batch.feed
        if now_ns is not None:
            self.skews.saw(batch)
        frames = {"quotes": batch.quotes, "trades": batch.trades, "bars": batch.bars}
        timely = self._admission.timely_rows(feed, frames, now_ns)
        self.arrivals.saw(feed, batch.received_at, [(rows.codes, rows.times) for rows in timely.values()])
        self._trades.begin_batch()
        volumes = self._volumes(feed, timely)
        timely = {kind: kept for kind, rows in timely.items() if (kept := self._unshadowed(feed, kind, rows, now_ns))}
        self._quotes.forget_batch()
        clean = {}
        if quotes := timely.get("quotes"):
            clean["quotes"] = self.rejects.refuse(
                feed, "quotes", quotes.frame, self._quotes.judge(self._quote_columns(quotes))
            )
        if batch.bands.height:
            bands = self._admission.announced(feed, "bands", batch.bands, now_ns)
            self._bands.learn(self._instruments.codes(bands["symbol"]), bands)
        clean["trades"] = self._good_trades(feed, timely.get("trades"), volumes, quoted=quotes is not None)
        if bars := timely.get("bars"):
            clean["bars"] = self._good_bars(feed, bars)
        elif self._vouched_bars:
            clean["bars"] = self._with_vouched(NO_BARS)
        if batch.statuses.height:
            clean["statuses"] = trading_statuses(self._admission.announced(feed, "statuses", batch.statuses, now_ns))
        if batch.corrections.height:
            clean["corrections"] = self._taken_back(
                feed, self._admission.announced(feed, "corrections", batch.corrections, now_ns)
            )
        if batch.series.height:
            # No watermark is moved, and none is too old or too new: what was published says nothing of the market's
            # time, may be passed on late, and is only seen once its time has come.
            clean["series"] = self._admission.within_calendar(
                feed, "series", self._admission.sound(feed, "series", batch.series)
            )
        return CleanBatch.of(clean)

    def resume(self, feed: str, newest_ns: int) -> None:
        """A feed goes on from an earlier run that had reached `newest_ns`: what is much older is late."""
        self._admission.reached(feed, newest_ns)

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
        if clean.bars.height:
            self._bars.learn(clean.bars, self._instruments.codes(clean.bars["symbol"]))
        if feed is not None and clean.event_time:
            self._admission.reached(feed, clean.event_time)

    def _good_trades(self, feed: str, trades: Timely | None, volumes: Timely | None, *, quoted: bool) -> pl.DataFrame:
        """The good trades, those of earlier batches that are confirmed, and `volumes`, each in its place."""
        settled, places, nowhere = NO_TRADES, np.empty(0), np.empty(0, dtype=np.int64)
        if trades and (trades := self._within_bands(feed, trades)):
            verdict = self._trades.judge(feed, trades.frame, self._trade_columns(trades), self._quotes)
            settled, places = self._settle(feed, "trades", trades.frame, trades.places, verdict)
        elif self._trades.held and quoted:
            settled, places = self._settle(feed, "trades", NO_TRADES, nowhere, self._trades.confirm(self._quotes))
        if volumes is not None:
            order = np.argsort(np.concatenate([places, volumes.places]), kind="stable")
            settled = pl.concat([settled, volumes.frame])[order]
        if self._vouched:
            settled = pl.concat([*self._vouched, settled])
            self._vouched = []
        if settled.height:
            self._prints.saw(self._instruments.codes(settled["symbol"]), settled)
        return settled

    def _good_bars(self, feed: str, bars: Timely) -> pl.DataFrame:
        """The good bars, and before each those of earlier batches that it confirms."""
        verdict = self._bars.judge(feed, bars.frame, bars.codes)
        return self._with_vouched(self._settle(feed, "bars", bars.frame, bars.places, verdict)[0])

    def _with_vouched(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Bars, and before them those held that another feed has confirmed."""
        vouched, self._vouched_bars = self._vouched_bars, []
        return pl.concat([*vouched, bars]) if vouched else bars

    def _taken_back(self, feed: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Corrections with what is known of their prints, each once."""
        if not rows.height:
            return rows
        resolved, again = self._prints.resolve(self._instruments.codes(rows["symbol"]), rows)
        self.rejects.refuse(feed, "corrections", rows, again * np.uint8(number(Cause.DUPLICATE)))
        self.rejects.corrected[feed] += resolved.height
        self.rejects.untraced[feed] += resolved["id"].null_count()
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
        self.rejects.refuse(feed, "trades", rows.frame, verdict)
        kept, ranks = rows.take(verdict == 0), self.ranks["trades"]
        if ranks.alone(feed):
            return kept
        own = ranks.uses(feed, len(self._instruments.symbols()))[kept.codes]
        ranks.shadowed[feed] += int(np.count_nonzero(~own))
        return kept.take(own)

    def _within_bands(self, feed: str, trades: Timely) -> Timely | None:
        """The trades at prices that the limit bands allow."""
        if not self._bands.known:
            return trades
        outside = self._bands.outside(trades.codes, trades.times, trades.frame["price"].to_numpy())
        if not outside.any():
            return trades
        self.rejects.refuse(feed, "trades", trades.frame, outside * np.uint8(number(Cause.OUTSIDE_BAND)))
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
        if self._bars.held:
            self._vouched_bars += self._bars.vouch(codes[shadowed], prices[shadowed])
        kept = ~shadowed
        return rows.take(kept) if kept.any() else None

    def _settle(
        self, feed: str, kind: str, frame: pl.DataFrame, places: npt.NDArray[np.int64], verdict: HeldVerdict
    ) -> tuple[pl.DataFrame, Floats]:
        """The good rows of `frame`, and among them the released ones, each before the row that confirmed it.

        And where they stand; `places` is where those of `frame` stood.
        """
        for held in verdict.dropped:
            self.rejects.add(held.feed, Cause.SPIKE, kind, held.row)
        kept = self.rejects.refuse(feed, kind, frame, verdict.rows)
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
