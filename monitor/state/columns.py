"""What is known of each instrument, in columns.

A symbol's *code* is its row in every column. Columns are longer than the number of instruments (their *width*
grows by a quarter when it is used up); rows that no instrument has yet hold the values that mean "nothing known".
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]

FIRST_WIDTH: Final = 64


NO_VOLUME: Final = -0.0
"""No volume was ever said: adding any other zero, or number, makes it one. `np.signbit` tells it from a volume of 0."""

_NOTHING_KNOWN: Final[dict[str, float | int | bool]] = {
    "quote_ts": 0,
    "bid": np.nan,
    "ask": np.nan,
    "bid_size": np.nan,
    "ask_size": np.nan,
    "trade_ts": 0,
    "trade_price": np.nan,
    "trade_size": np.nan,
    "last_ts": 0,
    "price_ts": 0,
    "price": np.nan,
    "session_open": np.nan,
    "session_high": -np.inf,
    "session_low": np.inf,
    "session_volume": NO_VOLUME,
    "session_mended": False,
    "minute_open": np.nan,
    "minute_high": -np.inf,
    "minute_low": np.inf,
    "minute_volume": NO_VOLUME,
    "bar_start": 0,
    "bar_volume": 0.0,
    "printed": False,
    "last_ts_before": 0,
    "price_ts_before": 0,
    "first_session": -1,
    "first_close": np.nan,
    "halted_since": 0,
}


class Columns:
    """What is known of every instrument, each column of shape (width,).

    Times are UTC nanoseconds, 0 where there is none; prices are in the instrument's currency.

    `quote_ts bid ask bid_size ask_size`: the last quote. `trade_ts trade_price trade_size`: the last trade. `last_ts`:
    the last trade, or end of a bar, that may set the price. `price_ts price`: the price, as configured. `session_open
    session_high session_low`: regular trading of the session so far. `session_volume`: of all its minutes that ended,
    before the open too, as its close is. `session_mended`: its high or low was taken back. `minute_*`: the minute in
    progress; `printed` says that the price was set in it, and `last_ts_before price_ts_before` are `last_ts` and
    `price_ts` as it began. `bar_start bar_volume`: the last bar, and its volume as counted. `first_session
    first_close`: the oldest session close ever stored. `halted_since`: when trading was halted, 0 where it is not.
    """

    quote_ts: Ints
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats
    trade_ts: Ints
    trade_price: Floats
    trade_size: Floats
    last_ts: Ints
    price_ts: Ints
    price: Floats
    session_open: Floats
    session_high: Floats
    session_low: Floats
    session_volume: Floats
    session_mended: Bools
    minute_open: Floats
    minute_high: Floats
    minute_low: Floats
    minute_volume: Floats
    bar_start: Ints
    bar_volume: Floats
    printed: Bools
    last_ts_before: Ints
    price_ts_before: Ints
    first_session: Ints
    first_close: Floats
    halted_since: Ints

    def __init__(self) -> None:
        self.width = FIRST_WIDTH
        for name, value in _NOTHING_KNOWN.items():
            setattr(self, name, np.full(self.width, value))

    def grow(self, width: int) -> None:
        """Make room for `width` instruments."""
        for name, value in _NOTHING_KNOWN.items():
            column = np.full(width, value)
            column[: self.width] = getattr(self, name)
            setattr(self, name, column)
        self.width = width

    def start_minute(self) -> None:
        """Forget the minute that ended. Volume of late trades, in a minute without a price, counts into the next."""
        printed = self.printed
        self.session_volume[printed] += self.minute_volume[printed]
        self.minute_volume[printed] = np.copysign(0.0, self.minute_volume[printed])
        self.minute_open.fill(np.nan)
        self.minute_high.fill(-np.inf)
        self.minute_low.fill(np.inf)
        self.printed.fill(False)  # noqa: FBT003 - numpy's `fill` takes its value by position
        self.last_ts_before[:] = self.last_ts
        self.price_ts_before[:] = self.price_ts

    def start_session(self) -> None:
        """Forget the session that closed."""
        self.session_open.fill(np.nan)
        self.session_high.fill(-np.inf)
        self.session_low.fill(np.inf)
        np.copysign(0.0, self.session_volume, out=self.session_volume)
        self.session_mended.fill(False)  # noqa: FBT003 - numpy's `fill` takes its value by position

    @staticmethod
    def names() -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(_NOTHING_KNOWN)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(getattr(self, name).nbytes for name in _NOTHING_KNOWN)
