"""The functions of the language: what each takes, and what it gives. One row a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rules.ast import Type


class Kind(StrEnum):
    """What an argument has to be."""

    ASSET = "an instrument"
    """An instrument, an alias, a basket, or `it`."""
    UNIVERSE = "a universe"
    VALUE = "a value"
    """An expression of any type that can be calculated with."""
    CONDITION = "a condition"
    WINDOW = "a window"
    """Sessions, clock time, a word or a date."""
    SAMPLES = "a window of samples"
    """Sessions (one sample each) or whole minutes (one sample each)."""
    SESSIONS = "a window of sessions"
    LEVEL = "a level"
    """A value that the first one can be compared with."""
    RATIO = "a ratio"
    WHOLE = "a whole number"
    SERIES = "an external series"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument. `of_member`: inside it, `it` is the member that the function is at."""

    name: str
    kind: Kind
    of_member: bool = False
    minimum: int = 1
    """For samples: the fewest that give a value."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A function. `result` None: the type of its first value. `member_of_universe`: its x has to be in its u."""

    name: str
    parameters: tuple[Parameter, ...]
    result: Type | None
    summary: str
    member_of_universe: bool = False

    @property
    def usage(self) -> str:
        """``ret(x, w)``."""
        return f"{self.name}({', '.join(p.name for p in self.parameters)})"


_X: Final = Parameter("x", Kind.ASSET)
_Y: Final = Parameter("y", Kind.ASSET)
_U: Final = Parameter("u", Kind.UNIVERSE)
_W: Final = Parameter("w", Kind.WINDOW)
_E: Final = Parameter("e", Kind.VALUE)
_C: Final = Parameter("c", Kind.CONDITION)
_N: Final = Parameter("w", Kind.SAMPLES)
_N2: Final = Parameter("w", Kind.SAMPLES, minimum=2)
_S: Final = Parameter("w", Kind.SESSIONS)
_S2: Final = Parameter("w", Kind.SESSIONS, minimum=2)
_LEVEL: Final = Parameter("level", Kind.LEVEL)
_OF_MEMBER: Final = Parameter("e", Kind.VALUE, of_member=True)


def _member(name: str, result: Type | None, summary: str) -> Signature:
    return Signature(name, (_U, _OF_MEMBER), result, summary)


FUNCTIONS: Final[Mapping[str, Signature]] = {
    signature.name: signature
    for signature in (
        # of an instrument or a basket, now
        Signature("price", (_X,), Type.PRICE, "last trade, or mid of the last quote; a basket's is its index"),
        Signature("bid", (_X,), Type.PRICE, "bid of the last good quote"),
        Signature("ask", (_X,), Type.PRICE, "ask of the last good quote"),
        Signature("quoted_spread", (_X,), Type.RATIO, "(ask - bid) / mid"),
        Signature("volume", (_X, _W), Type.VOLUME, "traded since the window's start"),
        Signature(
            "rel_volume", (_X, _S), Type.SCORE, "the session's volume so far, of its mean at this time of day before"
        ),
        Signature("age", (_X,), Type.DURATION, "time since the last good quote or trade"),
        # returns of it
        Signature("ret", (_X, _W), Type.RATIO, "simple return since the window's start"),
        Signature("excess", (_X, _Y, _W), Type.RATIO, "ret(x, w) - ret(y, w)"),
        Signature("ratio", (_X, _Y), Type.SCORE, "price(x) / price(y)"),
        # of an expression's samples
        Signature("mean", (_E, _N), None, "mean of the last samples, the current value being the newest"),
        Signature("std", (_E, _N2), None, "standard deviation (ddof 1) of the last samples, the current one included"),
        Signature("min", (_E, _N), None, "lowest of the last samples, the current one included"),
        Signature("max", (_E, _N), None, "highest of the last samples, the current one included"),
        Signature("sum", (_E, _N), None, "sum of the last samples, the current one included"),
        Signature("median", (_E, _N), None, "median of the last samples, the current one included"),
        Signature("ema", (_E, _N), None, "exponential mean, alpha 2/(N+1), of the last 4N samples"),
        Signature("slope", (_E, _N2), None, "least-squares slope, per sample, of the last samples"),
        Signature("change", (_E, _N), None, "e now - e at the sample w ago"),
        Signature(
            "zscore", (_E, _N2), Type.SCORE, "distance from the mean of the samples before now, in their deviations"
        ),
        Signature(
            "percentile", (_E, _N), Type.RATIO, "share of the samples before now below e now, ties counting half"
        ),
        # of a condition's samples
        Signature(
            "crosses_above", (_E, _LEVEL, _N), Type.CONDITION, "e is above the level, and was not at the sample w ago"
        ),
        Signature(
            "crosses_below", (_E, _LEVEL, _N), Type.CONDITION, "e is below the level, and was not at the sample w ago"
        ),
        Signature("streak", (_C,), Type.COUNT, "sessions in a row for which c held at the close"),
        Signature(
            "held",
            (_C, Parameter("k", Kind.WHOLE), _N),
            Type.CONDITION,
            "c held at k or more of the last samples, the current one included",
        ),
        Signature(
            "then",
            (Parameter("c1", Kind.CONDITION), Parameter("c2", Kind.CONDITION), _N),
            Type.CONDITION,
            "c2 holds now, and c1 held at a sample in the window before",
        ),
        # of one-session returns and prices
        Signature("vol", (_X, _S2), Type.RATIO, "yearly volatility of the last one-session returns"),
        Signature("beta", (_X, _Y, _S2), Type.SCORE, "beta of x to y over the last one-session returns"),
        Signature("corr", (_X, _Y, _S2), Type.SCORE, "correlation of the last one-session returns"),
        Signature("drawdown", (_X, _N), Type.RATIO, "price / highest of the last sampled prices, minus 1"),
        # across a universe
        Signature(
            "count",
            (_U, Parameter("c", Kind.CONDITION, of_member=True)),
            Type.COUNT,
            "the number of members for which c holds",
        ),
        Signature(
            "share",
            (_U, Parameter("c", Kind.CONDITION, of_member=True)),
            Type.RATIO,
            "the part of the known members for which c holds",
        ),
        _member("avg", None, "mean of e across the members"),
        _member("med", None, "median of e across the members"),
        _member("stdev", None, "standard deviation (ddof 1) of e across the members"),
        _member("best", None, "highest e of the members"),
        _member("worst", None, "lowest e of the members"),
        _member("spread", None, "highest minus lowest e of the members"),
        Signature(
            "rank",
            (_X, _U, _OF_MEMBER),
            Type.COUNT,
            "place of x among the members by e; 1 is the highest",
            member_of_universe=True,
        ),
        Signature(
            "rank_corr",
            (
                _U,
                Parameter("e1", Kind.VALUE, of_member=True),
                Parameter("e2", Kind.VALUE, of_member=True),
            ),
            Type.SCORE,
            "Spearman's rank correlation of e1 and e2 across the members",
        ),
        # of leadership
        Signature("rs_ratio", (_X, _Y, _N2), Type.SCORE, "100 + the relative strength's distance from its mean"),
        Signature("rs_momentum", (_X, _Y, _N2), Type.SCORE, "100 + the distance of rs_ratio's change from its mean"),
        Signature("quadrant", (_X, _Y, _N2), Type.CATEGORY, "leading, weakening, lagging or improving"),
        Signature(
            "reversal",
            (
                _X,
                _Y,
                Parameter("long", Kind.SAMPLES),
                Parameter("short", Kind.SAMPLES),
                Parameter("by", Kind.RATIO),
            ),
            Type.CONDITION,
            "x led y by more than `by` over `long` up to the start of `short`, and trails it by more over `short`",
        ),
        # from elsewhere
        Signature("value", (Parameter("series", Kind.SERIES),), Type.SCORE, "an external series, as last published"),
    )
}
