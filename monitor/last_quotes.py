"""Last quotes for other programs: which of them are published with a commit.

Each instrument at most once a second, a few at a time: published all at once, 2,000 of them hold up the notifications
behind them for 60 ms (measured), a tenth of that on the compute thread and the rest on the way into the store.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.state import QUOTES, MarketState

Codes = npt.NDArray[np.intp]

_SECOND: Final = 1_000_000_000
PACE_NS: Final = 10_000_000
A_PACE: Final = 20
"""Quotes published in that time at most; beyond 2,000 instruments each waits its turn for longer than a second."""
_CATCH_UP: Final = 100
"""Paces whose quotes go out at once after a pause."""
_TIMES: Final = tuple(name for name in QUOTES if name.endswith("_ts"))
_NUMBERS: Final = tuple(name for name in QUOTES if name not in (*_TIMES, "symbol"))


class LastQuotes:
    """Says what to publish; those that have waited longest come first."""

    def __init__(self, state: MarketState) -> None:
        self._state = state
        self._at = 0
        self._published_at = np.zeros(0, np.int64)
        self._published = np.zeros(0, np.int64)

    def due(self, wall_ns: int) -> dict[str, dict[str, str]]:
        """Symbol -> fields of what has changed; what is unknown is left out. `wall_ns`: the machine's clock, UTC."""
        paces = min((wall_ns - self._at) // PACE_NS, _CATCH_UP)
        if paces <= 0:
            return {}
        self._at = wall_ns
        codes = self._changed(wall_ns)
        if not len(codes):
            return {}
        if len(codes) > A_PACE * paces:
            longest = np.argsort(self._published_at[codes], kind="stable")
            codes = codes[longest[: A_PACE * paces]]
        self._published_at[codes] = wall_ns
        self._published[codes] = self._newest()[codes]
        return self._fields(codes)

    def _fields(self, codes: Codes) -> dict[str, dict[str, str]]:
        # Not through a frame: for a hundred rows, polars' queries take longer than all of this.
        columns, symbols = self._state.columns, self._state.index.symbols()
        fields: list[dict[str, str]] = [{} for _ in range(len(codes))]
        for name in _TIMES:
            for own, ns in zip(fields, getattr(columns, name)[codes].tolist(), strict=True):
                if ns:
                    seconds, rest = divmod(ns, _SECOND)
                    own[name] = f"{_second(seconds)}.{rest:09d}+00:00"
        for name in _NUMBERS:
            for own, value in zip(fields, getattr(columns, name)[codes].tolist(), strict=True):
                if value == value:  # noqa: PLR0124 - NaN is unknown
                    own[name] = str(value)
        return {symbols[code]: own for code, own in zip(codes.tolist(), fields, strict=True)}

    def _changed(self, wall_ns: int) -> Codes:
        """Instruments with news since they were published, where that is a second ago."""
        newest = self._newest()
        new = len(newest) - len(self._published)
        self._published_at = np.pad(self._published_at, (0, new))
        self._published = np.pad(self._published, (0, new))
        return np.flatnonzero((newest > self._published) & (self._published_at <= wall_ns - _SECOND))

    def _newest(self) -> npt.NDArray[np.int64]:
        """Event time of the newest quote, trade or price of each instrument."""
        columns, known = self._state.columns, len(self._state.index)
        newest: npt.NDArray[np.int64] = np.maximum(
            np.maximum(columns.quote_ts[:known], columns.trade_ts[:known]), columns.price_ts[:known]
        )
        return newest


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%S}"
