"""Jumps that look like a split: held for one, an instrument has no price until somebody says what it was.

A jump is suspected if it happened while nothing traded (a night, or some days), fits a ratio at which companies split,
and most other instruments did not jump along. Of a bar it is the open that has to fit: a split changes where trading
opens, and a product of three times the market's move that loses a third of its price from noon to the close was not
split. All that comes of the instrument is then refused, until

- its price is back where it was: the jump was an error, or this print is of before a split, sent late: at the level of
  the jump it is suspected again;
- :meth:`SplitWatch.tell` says that there was a split (or, by the ratio 1:1, none);
- half of all instruments have jumped the same way: then it was the market.

A split that is known before its day is never suspected: prices from before it are brought to the new level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

GAP_NS: Final = 4 * 3600 * 1_000_000_000
"""Without a price for this long, a night has passed: extended hours are 8 hours apart."""

HOLE_NS: Final = 14 * 24 * 3600 * 1_000_000_000
"""Without a price for longer than this (a hole in recorded history), a price may be anywhere by itself."""

JUMP: Final = 1.3
"""The factor from which on a jump may be a split: half of the way, and less, to the smallest that is common, 3:2."""

_AGAIN_NS: Final = 24 * 3600 * 1_000_000_000
"""How long a jump that was undone is suspected again where the price is back at it."""

_ANSWERED_NS: Final = 48 * 3600 * 1_000_000_000
"""How far from a jump an answer to it may be dated."""

_RATIOS: Final = (
    *((n, 1) for n in (2, 3, 4, 5, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100)),
    (3, 2),
)
"""New shares for old ones; reverse splits are the same the other way round, but for 2:3, which nobody does."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A jump that may be a split: `new` shares for `old` ones. Prices before and after it, and its time, UTC ns."""

    new: int
    old: int
    before: float
    after: float
    at: int

    def undone_by(self, price: float) -> bool:
        """Whether a price is nearer to where it was before than to where it jumped."""
        middle = math.sqrt(self.before * self.after)
        return (price > middle) == (self.before > middle)


def fitting_ratio(before: float, after: float) -> tuple[int, int] | None:
    """The ratio (new, old) at which a jump looks like a split, None where it does not.

    What an ordinary night's move may add to it is small beside a large ratio: 4 % up to 2:1, 8 % up to 4:1, 15 % above.
    """
    jump = before / after
    shrunk = jump < 1
    factor = 1 / jump if shrunk else jump
    new, old = min(_RATIOS, key=lambda ratio: abs(math.log(factor * ratio[1] / ratio[0])))
    ratio = new / old
    if shrunk and old > 1:
        return None
    tolerance = 0.04 if ratio <= 2 else 0.08 if ratio <= 4 else 0.15  # noqa: PLR2004 - as the docstring says
    if abs(math.log(factor / ratio)) > tolerance:
        return None
    return (old, new) if shrunk else (new, old)


class SplitWatch:
    """What is suspected, and which splits are known; instruments by code."""

    def __init__(self) -> None:
        self.suspected: dict[int, Suspicion] = {}
        self._undone: dict[int, Suspicion] = {}
        self._known: dict[int, list[tuple[int, float]]] = {}
        self._jumps: dict[int, tuple[int, bool]] = {}  # by instrument: when, and whether upwards

    def tell(self, code: int, actions: Sequence[tuple[int, float]]) -> None:
        """All that is known of an instrument: (when, UTC ns; factor on the prices before it), factor 1 for no split."""
        self._known[code] = sorted(actions)
        suspicion = self.suspected.get(code)
        self._undone.pop(code, None)
        if suspicion and any(abs(at - suspicion.at) < _ANSWERED_NS for at, _ in actions):
            del self.suspected[code]

    def level(self, code: int, price: float, then: int, now: int) -> float:
        """A price of `then` at the level of `now`: known splits in between are taken out."""
        for at, factor in self._known.get(code, ()):
            if then < at <= now:
                price *= factor
        return price

    def told(self, code: int, then: int, now: int) -> bool:
        """Whether a split is known of between two moments, or that there was none about then.

        The latter is said by the day: a halt may end at half the price in the afternoon of it.
        """
        known = self._known.get(code, ())
        return any(then < at <= now or (factor == 1 and abs(now - at) < _ANSWERED_NS) for at, factor in known)

    def refuses(
        self,
        code: int,
        price: float,
        before: float,
        then: int,
        now: int,
        instruments: int,
        opened: float | None = None,
    ) -> bool:
        """Whether a price is not to be seen: it jumped since `before`, its instrument's last good price of `then`.

        `before` is NaN where there was none; `instruments`: how many have a price. `opened`: where trading opened after
        the night, if `price` is from later.
        """
        suspicion = self.suspected.get(code)
        if suspicion:
            if suspicion.undone_by(price):
                self._undone[code] = self.suspected.pop(code)
                return False
            return True
        undone = self._undone.get(code)
        if undone and now - undone.at > _AGAIN_NS:
            del self._undone[code]
        elif undone and not undone.undone_by(price):
            self.suspected[code] = self._undone.pop(code)
            return True
        overnight = GAP_NS < now - then <= HOLE_NS
        if not before > 0 or not overnight or (before <= price * JUMP and price <= before * JUMP):
            return False
        self._jumps[code] = now, price > before
        if self._market_moved(now, instruments, up=price > before):
            self.suspected.clear()
            self._undone.clear()
            return False
        if self.told(code, then, now):
            return False
        first = price if opened is None else opened
        if ratio := fitting_ratio(before, first):
            self.suspected[code] = Suspicion(*ratio, before, first, now)
            return True
        return False

    def _market_moved(self, now: int, instruments: int, *, up: bool) -> bool:
        self._jumps = {code: jump for code, jump in self._jumps.items() if now - jump[0] < GAP_NS}
        alike = sum(upwards == up for _, upwards in self._jumps.values())
        return alike >= 3 and 2 * alike > instruments  # noqa: PLR2004 - one or two are no market
