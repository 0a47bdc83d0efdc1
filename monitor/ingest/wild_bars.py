"""Bars within a session that nothing around them confirms: a minute at ten times the price.

A bar is *suspicious* when its close is further from the instrument's last good one than its usual moves from bar to bar
explain (:mod:`monitor.ingest.scales`; of 111,000 bars of five minutes of 53 instruments none is). As a single print, it
is then held back until the next bar of the instrument, or a price of another feed, is near it; any other drops it, and
so does a night, but the third in a row on one side is believed.

A high or low is a single print, and no bar after it can confirm it: where it is beyond :data:`WICK` of all else that is
known, the bar is refused as it stands. One that the vendor sends again, corrected, is judged anew.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import polars as pl

from monitor.ingest.clean_batch import event_times
from monitor.ingest.held import BY_ITS_KIND, HELD, IN_A_ROW, Held, HeldVerdict, Released, near
from monitor.ingest.instruments import Codes
from monitor.ingest.rejects import Cause, number
from monitor.ingest.scales import Scales
from monitor.ingest.splits import GAP_NS
from monitor.ingest.values import Floats

WICK: Final = 2.0
"""The factor between a bar's extremes and its open, its close and the close before that is believed."""


class Bar(NamedTuple):
    """One bar. `opened` is NaN where that is not known; `now`: its end, UTC ns; `row`: where it is in its frame."""

    code: int
    opened: float
    high: float
    low: float
    close: float
    now: int
    row: int


class WildBars:
    """The bars that wait, at most one an instrument. `jump`: the most that is ever believed, see :class:`Scales`."""

    def __init__(self, jump: float) -> None:
        self._jump = jump
        self.scales = Scales(jump)
        self.held: dict[int, Held] = {}

    def takes(self, bar: Bar, base: float, then: int, feed: str, frame: pl.DataFrame, out: HeldVerdict) -> bool:
        """Whether a bar is believed; else `out` says what becomes of it. Those it confirms or ends are put there too.

        `base`: the close of the last good bar, at the level of this one, and `then` its end; NaN where there is none.
        """
        if _has_wick(bar, base):
            out.rows[bar.row] = number(Cause.SPIKE)
            return False
        bound = self._jump if bar.now - then > GAP_NS else self.scales.bound(bar.code)
        in_a_row = 1
        held = self.held.pop(bar.code, None)
        if held and bar.now - int(event_times("bars", held.row)[0]) > GAP_NS:
            out.dropped.append(held)  # what opens a session confirms nothing of the one before
        elif held:
            in_a_row += held.number if (bar.close > base) == (held.price > base) else 0
            if near(bar.close, held.price, bound):
                out.released.append(Released(bar.row, BY_ITS_KIND, held))
                base = held.price
            else:
                out.dropped.append(held)
        if math.isnan(base) or in_a_row >= IN_A_ROW or near(bar.close, base, bound):
            self.scales.add(bar.code, bar.now, then, bar.close, base)
            return True
        out.rows[bar.row] = HELD
        self.held[bar.code] = Held(feed, bar.close, frame[bar.row], in_a_row)
        return False

    def vouch(self, codes: Codes, prices: Floats) -> dict[int, Held]:
        """The held bars that prices of another feed confirm, by instrument; they wait no longer."""
        confirmed = {
            code: held
            for code, held in self.held.items()
            if any(near(held.price, price, self.scales.bound(code)) for price in prices[codes == code].tolist())
        }
        for code in confirmed:
            del self.held[code]
        return confirmed


def _has_wick(bar: Bar, base: float) -> bool:
    """Whether an extreme is far beyond everything else that is known."""
    body = [price for price in (bar.opened, bar.close, base) if price > 0]
    return bar.high > WICK * max(body) or bar.low * WICK < min(body)
