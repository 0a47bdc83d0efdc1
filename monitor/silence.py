"""Instruments that fell silent on a feed which goes on: found from each one's own cadence and the trading calendar."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.cadence import ENOUGH, FLOOR_NS, NEVER, Cadence, Floats, Places, Times
from monitor.calendar import TradingCalendar
from monitor.ingest.arrivals import Arrivals, FeedArrivals
from monitor.ingest.instruments import LONG_AGO, Codes
from monitor.notify.values import span
from rules.ruleset import Hours

CADENCES: Final = pl.Schema(
    {
        "feed": pl.String(),
        "symbol": pl.String(),
        "known": pl.Int64(),
        "mean": pl.Float64(),
        "variance": pl.Float64(),
        "longest": pl.Float64(),
    }
)
"""Of a checkpoint: what was learnt. When each was heard last is not kept: while no monitor ran, nobody listened."""
CodesOf = Callable[[pl.Series], Codes]
_STEP_NS: Final = 1_000_000_000
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class SilentInstruments:
    """Instruments of a feed that are silent: `count` of `of` that are listened for; the longest silent of them."""

    feed: str
    count: int
    of: int
    examples: tuple[str, ...]

    @property
    def text(self) -> str:
        """In words."""
        more = f" and {self.count - len(self.examples)} more" if self.count > len(self.examples) else ""
        return f"{self.count} of its {self.of} instruments are silent: {', '.join(self.examples)}{more}"


class _Listening:
    """What is known of one feed. `newest` came at `at`, both event time, UTC ns."""

    def __init__(self, session_ns: int) -> None:
        self.cadence = Cadence(session_ns)
        self.last: Times = np.empty(0, dtype=np.int64)
        self.newest, self.at = LONG_AGO, 0
        self.restored: Places | None = None

    def now(self, now: int) -> int:
        """The feed's own time: one that is delayed by its plan stays as far behind."""
        return self.newest + max(0, now - self.at)


class Silences:
    """Listens to all feeds of a filter; used from its thread. All times are event time."""

    def __init__(self, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self._feeds: dict[str, _Listening] = {}
        self._paused: set[str] = set()
        self._wanted: Collection[str] = ()
        self._mask: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)

    def listen(self, arrivals: Arrivals, now: int) -> None:
        """Learn from what came since the last call, about once a second of each feed's time."""
        for feed, arrived in arrivals.feeds.items():
            listening = self._feeds.get(feed)
            if listening is None:
                listening = self._feeds[feed] = _Listening(self._calendar.session_ns)
            if arrived.newest >= listening.newest + _STEP_NS:
                self._hear(listening, arrived, now)

    def _hear(self, listening: _Listening, arrived: FeedArrivals, now: int) -> None:
        size = len(arrived.last)
        listening.cadence.cover(size)
        listening.last = np.pad(listening.last, (0, size - len(listening.last)), constant_values=LONG_AGO)
        listening.newest, listening.at = arrived.newest, max(now, arrived.newest)
        if listening.restored is not None:
            began = self._calendar.trading_clock(np.array([arrived.newest]))
            listening.cadence.hear(listening.restored, np.repeat(began, len(listening.restored)))
            listening.restored = None
        news = np.flatnonzero(arrived.last > listening.last)
        listening.last[news] = arrived.last[news]
        listening.cadence.hear(news, self._calendar.trading_clock(arrived.last[news]))

    def pause(self, feeds: Collection[str]) -> None:
        """Feeds that are down: what is silent because of that is no news."""
        self._paused = set(feeds)

    def silent(
        self, symbols: Sequence[str], wanted: Collection[str], halted: Places, now: int
    ) -> list[SilentInstruments]:
        """By feed, the `wanted` of all `symbols` (by code) that are silent at `now`; `halted` ones may not trade."""
        found = []
        listened = self._listened_for(symbols, wanted)
        for feed, listening in self._feeds.items():
            cadence = listening.cadence
            at = int(self._calendar.trading_clock(np.array([listening.now(now)]))[0])
            everything = np.arange(len(cadence.heard))
            cadence.pause(everything if feed in self._paused else halted[halted < len(everything)], at)
            if not self._settled(listening.now(now)):
                continue
            counted = min(len(listened), len(cadence.heard))
            mine = listened[:counted] & (cadence.heard[:counted] != NEVER)
            silent = np.flatnonzero(cadence.silent(at)[:counted] & mine)
            if not len(silent):
                continue
            longest = silent[np.argsort(cadence.heard[silent], kind="stable")][:_SHOWN]
            examples = tuple(
                f"{symbols[place]} (for {span(at - int(cadence.heard[place]))}, else every "
                f"{span(int(cadence.mean[place]))})"
                for place in longest.tolist()
            )
            found.append(SilentInstruments(feed, len(silent), int(mine.sum()), examples))
        return found

    def _listened_for(self, symbols: Sequence[str], wanted: Collection[str]) -> npt.NDArray[np.bool_]:
        """Which of all symbols, by code, are wanted; worked out again only where either changed."""
        if self._wanted is not wanted or len(self._mask) != len(symbols):
            names = frozenset(wanted)
            self._wanted, self._mask = wanted, np.array([symbol in names for symbol in symbols], dtype=np.bool_)
        return self._mask

    def judges(self, feed: str, now: int) -> bool:
        """Whether a silence on the feed would be a fault at `now`."""
        listening = self._feeds.get(feed)
        return listening is not None and feed not in self._paused and self._settled(listening.now(now))

    def _settled(self, now: int) -> bool:
        """Whether the market is open, and has been for as long as an opening auction may take."""
        calendar = self._calendar
        if not calendar.is_open(now, Hours.REGULAR):
            return False
        return calendar.trading_time(now - FLOOR_NS, now, Hours.REGULAR) >= FLOOR_NS

    def told(self, feed: str, now: int, size: int) -> dict[str, Floats]:
        """For the page, by code: seconds of trading time since each was heard, and its patience; NaN: not known."""
        seconds = {"silent_seconds": np.full(size, np.nan), "patience_seconds": np.full(size, np.nan)}
        listening = self._feeds.get(feed)
        if listening is None:
            return seconds
        cadence, known = listening.cadence, min(size, len(listening.cadence.heard))
        at = int(self._calendar.trading_clock(np.array([listening.now(now)]))[0])
        heard = cadence.heard[:known] != NEVER
        seconds["silent_seconds"][:known][heard] = (at - cadence.heard[:known][heard]) / 1e9
        judged = heard & (cadence.known[:known] >= ENOUGH)
        seconds["patience_seconds"][:known][judged] = cadence.patience()[:known][judged] / 1e9
        return seconds

    # --- checkpoint -----------------------------------------------------------------------------------------

    def frame(self, symbols: Sequence[str]) -> pl.DataFrame:
        """What was learnt, to be kept: :data:`CADENCES`."""
        frames = [pl.DataFrame(schema=CADENCES)]
        for feed, listening in self._feeds.items():
            cadence = listening.cadence
            places = np.flatnonzero(cadence.known > 0)
            columns = {name: getattr(cadence, name)[places] for name in ("known", "mean", "variance", "longest")}
            names = [symbols[place] for place in places.tolist()]
            frames.append(pl.DataFrame({"feed": [feed] * len(names), "symbol": names, **columns}, schema=CADENCES))
        return pl.concat(frames)

    def restore(self, frame: pl.DataFrame, codes_of: CodesOf) -> None:
        """Go on with what an earlier run had learnt; each instrument counts as heard when its feed first is."""
        for (feed,), rows in frame.partition_by("feed", as_dict=True).items():
            listening = self._feeds[str(feed)] = _Listening(self._calendar.session_ns)
            places = codes_of(rows["symbol"]).astype(np.intp)
            listening.cadence.cover(int(places.max()) + 1)
            for name in ("known", "mean", "variance", "longest"):
                getattr(listening.cadence, name)[places] = rows[name].to_numpy()
            listening.restored = places
