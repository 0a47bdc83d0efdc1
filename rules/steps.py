"""What a plan is made of: readings of a view, and steps on columns of slots."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

from rules.ast import Clock, Window, Word
from rules.reach import Resolution
from rules.view import Requirements

Slots = npt.NDArray[np.int64]

QUORUM: Final = 0.8
"""Share of a universe's members, or of a basket's weight, or of a window's samples, that must be known."""


class Field(Enum):
    """What a view is asked for, of every instrument at once (of every external series, for the last)."""

    PRICE = "price"
    BID = "bid"
    ASK = "ask"
    AGE = "age"
    BASE = "base"
    FIRST = "first"
    VOLUME = "volume"
    RELATIVE_VOLUME = "relative volume"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Reading:
    """One question to a view: the field, and the window (a number of sessions for relative volume) where it has one."""

    field: Field
    window: Window | int | None = None

    @property
    def moves(self) -> bool:
        """Whether the answer can change within a session; bases at a session's close cannot."""
        base_of_day = self.field is Field.BASE and not isinstance(self.window, Clock) and self.window is not Word.OPEN
        return not (base_of_day or self.field is Field.FIRST)


@dataclass(frozen=True, slots=True)
class SourceStep:
    """``values[out] = reading[column]``: what a view says of instruments or external series."""

    reading: Reading
    out: Slots
    column: Slots


@dataclass(frozen=True, slots=True)
class ReturnStep:
    """``price / base - 1`` for instruments; `bases` says which rows of the step start where."""

    price: Reading
    out: Slots
    column: Slots
    bases: tuple[tuple[Reading, Slots], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Slots of one level computed by one operation: ``values[out] = op(values[a], values[b], ...)``."""

    op: str
    out: Slots
    args: tuple[Slots, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentStep:
    """A reduction over members: slots ``members[starts[i]:starts[i + 1]]`` make ``out[i]``.

    `weights`: of a basket's members; those of a universe weigh 1 each. `whole` is their sum.
    """

    op: str
    out: Slots
    members: Slots
    starts: Slots
    weights: npt.NDArray[np.float64]
    whole: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SetStep:
    """A function of the order within universes of one size: the slots ``members[i]`` make ``out[i]``.

    `members`: (universes, size), one array for each expression that is looked at.
    """

    op: str
    out: Slots
    members: tuple[Slots, ...]


@dataclass(frozen=True, slots=True)
class RankStep:
    """Ranks within one set of slots: ``out[i]`` is the rank of ``members[position[i]]``."""

    out: Slots
    members: Slots
    position: Slots


@dataclass(frozen=True, slots=True)
class WindowStep:
    """A function of past samples and of current values: a name of :data:`rules.kernels.KERNELS`.

    `sources` are the slots whose current values it joins; `past` those whose samples it looks at, and `columns` their
    columns in the history.
    """

    op: str
    resolution: Resolution
    samples: int
    out: Slots
    sources: tuple[Slots, ...]
    past: tuple[Slots, ...]
    columns: tuple[Slots, ...]


AnyStep = SourceStep | ReturnStep | Step | SegmentStep | SetStep | RankStep | WindowStep


@dataclass(frozen=True, slots=True)
class Plan:
    """What is evaluated: the steps in order, the constants, and the histories they need."""

    size: int
    constants: tuple[Slots, npt.NDArray[np.float64]]
    steps: tuple[AnyStep, ...]
    readings: tuple[Reading, ...]
    """What the steps ask a view for, each once."""
    requirements: Requirements
    history: dict[Resolution, Slots]
    """Slots whose past samples are kept, by resolution; a slot's place here is its column."""
    kept: dict[Resolution, int]
    """How many samples are kept."""
    rebuild: dict[Resolution, int]
    """How many samples back a rebuild must start, so that nested windows are warm in the kept ones."""
