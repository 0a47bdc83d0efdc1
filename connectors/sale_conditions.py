"""Which prints of US shares say what the price is: sale conditions of the consolidated tapes.

By the plans' tables of how a print updates the consolidated last price and volume (CTS and UTDF specifications, "Sale
Condition"; https://polygon.io/blog/understanding-trade-eligibility/): an odd lot, an average, contingent, prior
reference or late price is volume and no price; an official open or close repeats a print that was counted. Prints of
extended hours (T) are not of the consolidated last either, and are the price there is at that time: they count.

Where a condition sets the last price only if nothing else has (G, P, R, Z, 4), it does not here: quotes do until then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import IntEnum
from typing import Final, Generic, TypeVar

_VOLUME: Final = frozenset("CGHINPRUVWZ47")
_NOTHING: Final = frozenset("MQ9")
_AVERAGE: Final = "B"
"""An average price on the tapes A and B; on C a bunched trade, at a price."""

SPECIAL: Final = _VOLUME | _NOTHING | {_AVERAGE}
"""Without one of these a print is a price: the test that nearly every print ends at."""

VOLUME_CODES: Final = frozenset({2, 5, 7, 10, 13, 20, 21, 22, 29, 33, 37, 52, 53})
"""The same by the numbers of Massive: https://massive.com/glossary/conditions-indicators."""
NOTHING_CODES: Final = frozenset({15, 16, 38})

FINNHUB_VOLUME: Final = frozenset(
    ["3", "5", "9", "10", "11", "12", "17", "21", "22", "25", "26", "27", "30", "32", "37"]
)
"""The same by the numbers of Finnhub, which it writes as texts: its sheet "Trade Conditions" names 1 to 41 (1 regular,
8 intermarket sweep, 12 odd lot, 24 Form T), https://finnhub.io/docs/api/websocket-trades. Two are on no tape any more:
11 (cap election) and 27 (stock option trade), whose prices were made elsewhere."""
FINNHUB_NOTHING: Final = frozenset({"16", "20", "39"})


def is_volume(conditions: Collection[str], tape: str) -> bool:
    """Whether a print of these conditions is volume and no price."""
    return not _VOLUME.isdisjoint(conditions) or (_AVERAGE in conditions and tape in {"A", "B"})


def is_nothing(conditions: Collection[str]) -> bool:
    """Whether it is neither."""
    return not _NOTHING.isdisjoint(conditions)


class Verdict(IntEnum):
    """What a print is by its conditions."""

    PRICE = 0
    VOLUME = 1
    """No price."""
    NOTHING = 2
    """Neither: it says again what was counted."""
    BY_TAPE = 3
    """Volume and no price on some tapes."""


Code = TypeVar("Code", str, int)


class Verdicts(dict[tuple[Code, ...] | None, int], Generic[Code]):
    """Conditions to the verdict of `judge`. Vendors use a few hundred combinations, so as many are remembered.

    As plain numbers, which the interpreter compares and packs faster than members of an enumeration.
    """

    _MOST: Final = 1_000
    _LONGEST: Final = 100

    def __init__(self, judge: Callable[[tuple[Code, ...]], Verdict]) -> None:
        super().__init__()
        self._judge: Callable[[tuple[Code, ...]], Verdict] = judge

    def __missing__(self, conditions: tuple[Code, ...] | None) -> int:
        found = int(self._judge(conditions or ()))
        if len(repr(conditions)) <= self._LONGEST:
            if len(self) >= self._MOST:
                self.clear()
            self[conditions] = found
        return found


def verdict(conditions: Collection[str]) -> Verdict:
    """By the letters of the tapes."""
    if SPECIAL.isdisjoint(conditions):
        return Verdict.PRICE
    if is_nothing(conditions):
        return Verdict.NOTHING
    return Verdict.VOLUME if is_volume(conditions, "C") else Verdict.BY_TAPE


def verdict_of_codes(codes: Collection[int]) -> Verdict:
    """By the numbers of Massive."""
    if not NOTHING_CODES.isdisjoint(codes):
        return Verdict.NOTHING
    return Verdict.PRICE if VOLUME_CODES.isdisjoint(codes) else Verdict.VOLUME


def verdict_of_finnhub(codes: Collection[str]) -> Verdict:
    """By the numbers of Finnhub; one that is not in its sheet leaves a print the price that it says it is."""
    if not FINNHUB_NOTHING.isdisjoint(codes):
        return Verdict.NOTHING
    return Verdict.PRICE if FINNHUB_VOLUME.isdisjoint(codes) else Verdict.VOLUME
