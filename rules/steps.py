"""What a plan is made of: steps on columns of slots, and how far back they look."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final
from typing import Literal as Choice

import numpy as np
import numpy.typing as npt

from rules.ast import Window
from rules.view import Requirements

Slots = npt.NDArray[np.int64]

QUORUM: Final = 0.8
"""Share of a universe's members, or of a basket's weight, or of a window's samples, that must be known."""


class First:
    """The pseudo-window of a basket's index: since the first stored close."""


FIRST: Final = First()
Resolution = Choice["session", "minute"]


@dataclass(frozen=True, slots=True)
class Step:
    """Slots of one level computed by one operation: ``values[out] = op(values[a], values[b], ...)``."""

    op: str
    out: Slots
    args: tuple[Slots, ...] = ()


@dataclass(frozen=True, slots=True)
class ReturnStep:
    """``price / base - 1`` for instruments; `windows` says which rows of the step start where."""

    out: Slots
    instrument: Slots
    windows: tuple[tuple[Window | First, Slots], ...]


@dataclass(frozen=True, slots=True)
class SegmentStep:
    """A reduction over members: slots ``members[starts[i]:starts[i+1]]`` make ``out[i]``; `weights` for baskets."""

    op: Choice["basket", "share"]
    out: Slots
    members: Slots
    starts: Slots
    counts: Slots
    weights: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankStep:
    """Ranks within one set of slots: ``out[i]`` is the rank of ``members[position[i]]``."""

    out: Slots
    members: Slots
    position: Slots


@dataclass(frozen=True, slots=True)
class WindowStep:
    """A function of an expression's past samples and its current value.

    `column` is the input's column in the history.
    """

    op: Choice["mean", "zscore", "streak"]
    resolution: Resolution
    samples: int
    out: Slots
    source: Slots
    column: Slots


AnyStep = Step | ReturnStep | SegmentStep | RankStep | WindowStep


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back a slot looks: sessions before the current one, trading time in ns, the earliest date."""

    sessions: int = 0
    clock_ns: int = 0
    shortest_clock_ns: int = 0
    since: dt.date | None = None

    def join(self, other: Reach) -> Reach:
        """The further of both."""
        if other is self:  # so it is for most slots: those of a universe's members share theirs
            return self
        clocks = [c for c in (self.shortest_clock_ns, other.shortest_clock_ns) if c]
        dates = [d for d in (self.since, other.since) if d]
        return Reach(
            max(self.sessions, other.sessions),
            max(self.clock_ns, other.clock_ns),
            min(clocks, default=0),
            min(dates, default=None),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What is evaluated: the steps in order, the constants, and the histories they need."""

    size: int
    constants: tuple[Slots, npt.NDArray[np.float64]]
    steps: tuple[AnyStep, ...]
    requirements: Requirements
    history: dict[Resolution, Slots]
    """Slots whose past samples are kept, by resolution; a slot's place here is its column."""
    kept: dict[Resolution, int]
    """How many samples are kept."""
    rebuild: dict[Resolution, int]
    """How many samples back a rebuild must start, so that nested windows are warm in the kept ones."""
