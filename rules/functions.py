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
_N: Final = Parameter("w", Kind.SAMPLES)

FUNCTIONS: Final[Mapping[str, Signature]] = {
    signature.name: signature
    for signature in (
        Signature("price", (_X,), Type.PRICE, "last trade, or mid of the last quote; a basket's is its index"),
        Signature("ret", (_X, _W), Type.RATIO, "simple return since the window's start"),
        Signature("excess", (_X, _Y, _W), Type.RATIO, "ret(x, w) - ret(y, w)"),
        Signature("mean", (_E, _N), None, "mean of the last samples, the current value being the newest"),
        Signature(
            "zscore",
            (_E, Parameter("w", Kind.SAMPLES, minimum=2)),
            Type.SCORE,
            "distance from the mean of the samples before now, in their standard deviations",
        ),
        Signature(
            "streak", (Parameter("c", Kind.CONDITION),), Type.COUNT, "sessions in a row for which c held at the close"
        ),
        Signature(
            "share",
            (_U, Parameter("c", Kind.CONDITION, of_member=True)),
            Type.RATIO,
            "the part of the known members for which c holds",
        ),
        Signature(
            "rank",
            (_X, _U, Parameter("e", Kind.VALUE, of_member=True)),
            Type.COUNT,
            "place of x among the members by e; 1 is the highest",
            member_of_universe=True,
        ),
    )
}
