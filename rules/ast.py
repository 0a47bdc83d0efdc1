"""The checked expression: names resolved, every node typed, positions kept for messages.

Nodes compare by meaning: two expressions that mean the same are equal, wherever they stand and however they were
spelled. The engine shares work between equal nodes, and a rule whose nodes did not change keeps its alerts over a
reload.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final


class Type(StrEnum):
    """What a value is, and so what it may be added to and compared with."""

    RATIO = "ratio"
    PRICE = "price"
    SCORE = "score"
    COUNT = "count"
    VOLUME = "volume"
    DURATION = "duration"
    CATEGORY = "category"
    CONDITION = "condition"


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of characters in the expression's text."""

    start: int
    end: int


_NOWHERE: Final = Span(0, 0)


# --- windows
# -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sessions:
    """``14d``, ``2w``: trading sessions."""

    count: int


@dataclass(frozen=True, slots=True)
class Clock:
    """``30s``, ``5m``, ``2h``: clock time."""

    ns: int


class Word(StrEnum):
    """Windows named by a word."""

    OPEN = "open"
    WTD = "wtd"
    MTD = "mtd"
    QTD = "qtd"
    YTD = "ytd"


@dataclass(frozen=True, slots=True)
class Since:
    """A date: from the close of the last session on or before it."""

    date: dt.date


Window = Sessions | Clock | Word | Since


# --- what can be named
# -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Instrument:
    """One symbol, aliases resolved."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Basket:
    """A weighted portfolio; weights sum to 1.

    Equality is by members and weights, so a renamed basket changes no rule.
    """

    name: str = field(compare=False)
    weights: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Universe:
    """A set to loop over, count, average or rank."""

    name: str = field(compare=False)
    members: tuple[Instrument | Basket, ...]


Asset = Instrument | Basket


@dataclass(frozen=True, slots=True)
class Series:
    """An external series: a yield, a valuation discount, housing starts."""

    name: str


class Quadrant(IntEnum):
    """Where an instrument stands on a rotation map. In the engine a category is its number."""

    LEADING = 0
    """Relative strength and its momentum are both at 100 or more."""
    WEAKENING = 1
    LAGGING = 2
    IMPROVING = 3


# --- expressions
# -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal:
    """A number in base units: ``400bp`` and ``4%`` are the ratio 0.04; a duration is in nanoseconds.

    ``leading`` and the other categories are the number of their :class:`Quadrant`.
    """

    value: float
    type: Type
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class It:
    """The member that `each`, or the enclosing universe function, is at."""

    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Negate:
    """``-e``."""

    operand: Expr
    type: Type
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left op right`` for ``+ - * /``."""

    op: str
    left: Expr
    right: Expr
    type: Type
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left op right`` for ``< <= > >= == !=``."""

    op: str
    left: Expr
    right: Expr
    span: Span = field(default=_NOWHERE, compare=False)
    type: Type = Type.CONDITION


@dataclass(frozen=True, slots=True)
class Logic:
    """``and`` / ``or`` of two or more conditions (chains are flattened), three-valued."""

    op: str
    operands: tuple[Expr, ...]
    span: Span = field(default=_NOWHERE, compare=False)
    type: Type = Type.CONDITION


@dataclass(frozen=True, slots=True)
class Not:
    """``not c``, three-valued."""

    operand: Expr
    span: Span = field(default=_NOWHERE, compare=False)
    type: Type = Type.CONDITION


@dataclass(frozen=True, slots=True)
class Call:
    """A function's value.

    `args` are in the declared order; inside a universe function's expressions `It` is the member.
    """

    function: str
    args: tuple[Expr | It | Asset | Universe | Window | Series, ...]
    type: Type
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class RecordRef:
    """A record's value, by name; `value` is the record's own expression."""

    name: str = field(compare=False)
    value: Expr
    type: Type
    span: Span = field(default=_NOWHERE, compare=False)


Expr = Literal | Negate | Arithmetic | Comparison | Logic | Not | Call | RecordRef
