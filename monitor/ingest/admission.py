"""Which rows are sound by themselves and of the present: what the other filters then judge by what else is known.

Per feed, rows in arrival order move a *watermark*, the newest event time so far: what is too far behind it is late.
What is ahead is judged by the wall clock where there is one, otherwise by what follows (:mod:`monitor.ingest.leaps`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.clean_batch import event_times
from monitor.ingest.instruments import Instruments
from monitor.ingest.leaps import Held, Leaps
from monitor.ingest.rejects import Cause, Rejects, number
from monitor.ingest.timely import Timely
from monitor.ingest.truth_settings import TruthSettings
from monitor.ingest.values import incomplete, screen


class Admission:
    """Of all feeds of a filter. What is refused is counted in `rejects`; new symbols get codes of `instruments`."""

    def __init__(self, settings: TruthSettings, rejects: Rejects, instruments: Instruments) -> None:
        self._settings, self._rejects, self._instruments = settings, rejects, instruments
        self._leaps = Leaps(settings.closes, settings.lateness_ns)
        self.watermarks: dict[str, int] = {}
        """The newest event time of every feed, UTC nanoseconds."""

    @property
    def held(self) -> int:
        """Rows of a time far ahead that wait for others: at most one a feed."""
        return len(self._leaps.held)

    def reached(self, feed: str, newest_ns: int) -> None:
        """A feed has come up to a moment."""
        self.watermarks[feed] = max(self.watermarks.get(feed, newest_ns), newest_ns)

    def timely_rows(self, feed: str, frames: dict[str, pl.DataFrame], now: int | None) -> dict[str, Timely]:
        """By kind, the rows of a batch that are sound and of the present; kinds that have none are left out."""
        if feed in self._leaps.held:
            frames = self._with_held(feed, frames)
        floor = self.watermarks.get(feed)
        return {
            kind: rows
            for kind, frame in frames.items()
            if frame.height and (rows := self._timely(feed, kind, self.sound(feed, kind, frame), now, floor))
        }

    def sound(self, feed: str, kind: str, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows whose own values can be true."""
        self._rejects.seen[feed] += frame.height
        if frame.n_chunks() > 1:
            frame = frame.rechunk()
        nameless = incomplete(kind, frame)
        if nameless is not None:
            self._rejects.add(feed, Cause.NON_FINITE, kind, frame.filter(nameless))
            frame = frame.filter(~nameless)
        verdict = screen(kind, frame)
        if verdict is not None:
            frame = self._rejects.refuse(feed, kind, frame, verdict)
        if kind == "quotes" and (locked := np.count_nonzero(frame["bid"].to_numpy() == frame["ask"].to_numpy())):
            self._rejects.locked[feed] += int(locked)
        return frame

    def announced(self, feed: str, kind: str, frame: pl.DataFrame, now: int | None) -> pl.DataFrame:
        """The sound rows of what is about trading, not trade: taken however late, and moving no watermark."""
        frame = self.within_calendar(feed, kind, self.sound(feed, kind, frame))
        newest = self.watermarks.get(feed)
        bound = now + self._settings.future_ns if now is not None else newest and self._leaps.horizon(newest)
        if bound is None or not frame.height:
            return frame
        early = event_times(kind, frame) > bound
        return self._rejects.refuse(feed, kind, frame, early * np.uint8(number(Cause.FUTURE)))

    def _with_held(self, feed: str, frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """The rows of a batch, and before them the row held for its time, if that is confirmed by the first of them."""
        firsts = [event_times(kind, f.head(1).drop_nulls())[:1] for kind, f in frames.items() if f.height]
        first = min((int(times[0]) for times in firsts if len(times)), default=None)
        if first is None:
            return frames
        held = self._leaps.held.pop(feed)
        if self._leaps.agree(held.time, first):
            self.watermarks[feed] = max(self.watermarks.get(feed, held.time), held.time)
            return frames | {held.kind: pl.concat([held.row, frames[held.kind]])}
        self._rejects.add(feed, Cause.FUTURE, held.kind, held.row)
        return frames

    def _not_leaping(
        self, feed: str, kind: str, frame: pl.DataFrame, times: npt.NDArray[np.int64]
    ) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
        """The rows that are not far ahead of what came before them, or are followed there."""
        reached = self.watermarks.get(feed) or max(self.watermarks.values(), default=None)
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
        kept = self._rejects.refuse(feed, kind, frame[:-1] if waits else frame, verdict[:-1] if waits else verdict)
        return kept, times[~refused]

    def _timely(self, feed: str, kind: str, frame: pl.DataFrame, now: int | None, floor: int | None) -> Timely | None:
        """The rows near enough to the present, moving the watermark; `floor` is where it stood before the batch."""
        settings = self._settings
        frame = self.within_calendar(feed, kind, frame)
        times = event_times(kind, frame)
        if now is None and len(times) and not settings.recorded:
            frame, times = self._not_leaping(feed, kind, frame, times)
        elif now is not None and len(times) and int(times.max()) > now + settings.future_ns:
            early = times > now + settings.future_ns
            frame = self._rejects.refuse(feed, kind, frame, early * np.uint8(number(Cause.FUTURE)))
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
            frame = self._rejects.refuse(feed, kind, frame, late * np.uint8(number(Cause.LATE)))
            times, keys = times[~late], keys[~late]
        self.watermarks[feed] = max(self.watermarks.get(feed, newest), newest)
        if not len(times):
            return None
        return Timely(frame, times, keys, self._instruments.codes(frame["symbol"]), np.arange(len(times)))

    def within_calendar(self, feed: str, kind: str, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of times that the calendar knows."""
        settings, times = self._settings, event_times(kind, frame)
        if not len(times) or (int(times.min()) >= settings.earliest_ns and int(times.max()) <= settings.latest_ns):
            return frame
        before, after = times < settings.earliest_ns, times > settings.latest_ns
        refused = before * np.uint8(number(Cause.LATE)) + after * np.uint8(number(Cause.FUTURE))
        return self._rejects.refuse(feed, kind, frame, refused)
