"""What a plan asks of a view: the answers, for one moment or for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, assert_never

import numpy as np

from rules.steps import Field, Reading
from rules.view import Floats, View

if TYPE_CHECKING:
    from rules.ast import Window

Answers = Mapping[Reading, Floats]
"""``(instruments,)`` for one moment, ``(instruments, moments)`` for many; external series have no instruments."""


class Lasting(View):
    """A view that says the same for ever, and is one of many of the same tables."""

    def together(self, views: Sequence[Lasting], reading: Reading) -> Floats:
        """The answers of `views`, all of this view's tables, ``(instruments, views)``."""
        raise NotImplementedError


def read(view: View, reading: Reading) -> Floats:  # noqa: PLR0911 - one a field
    """A view's answer, of all instruments (or external series)."""
    window: Window = reading.window  # type: ignore[assignment]
    match reading.field:
        case Field.PRICE:
            return view.prices()
        case Field.BASE:
            return view.base(window)
        case Field.FIRST:
            return view.first()
        case Field.BID:
            return view.bids()
        case Field.ASK:
            return view.asks()
        case Field.AGE:
            return view.ages()
        case Field.VOLUME:
            return view.volume(window)
        case Field.RELATIVE_VOLUME:
            return view.relative_volume(reading.window)  # type: ignore[arg-type]
        case Field.EXTERNAL:
            return view.external()
        case other:
            assert_never(other)


class Day:
    """Answers that cannot change within a session, each asked for once."""

    def __init__(self) -> None:
        self._answers: dict[Reading, Floats] = {}
        self._moving: tuple[Reading, ...] = ()
        self._of: tuple[int, int] | None = None

    def turn(self, view: View) -> bool:
        """Begin with a view of the present; whether a new day, or a changed history, makes all answers new."""
        now = (view.session, view.history_revision)
        if now == self._of:
            return False
        self._answers, self._of = {}, now
        return True

    def answers(self, view: View, readings: Sequence[Reading]) -> dict[Reading, Floats]:
        """All of a view's answers."""
        if not self._answers:
            self._moving = tuple(reading for reading in readings if reading.moves)
            self._answers = {reading: read(view, reading) for reading in readings}
        else:
            # A new one: those of the views before are still read.
            self._answers = self._answers | {reading: read(view, reading) for reading in self._moving}
        return self._answers


def answers(view: View, readings: Sequence[Reading]) -> dict[Reading, Floats]:
    """All of a view's answers, of a view of the past."""
    return {reading: read(view, reading) for reading in readings}


def stacked(moments: Sequence[Answers | Lasting], readings: Sequence[Reading]) -> Answers:
    """The answers of many moments, one a column."""
    lasting = [moment for moment in moments if isinstance(moment, Lasting)]
    if lasting and len(lasting) == len(moments):
        return {reading: lasting[0].together(lasting, reading) for reading in readings}
    said = [answered(moment, readings) for moment in moments]
    return {reading: np.array([answers[reading] for answers in said]).T for reading in readings}


def answered(moment: Answers | Lasting, readings: Sequence[Reading]) -> Answers:
    """The answers of one moment."""
    return answers(moment, readings) if isinstance(moment, Lasting) else moment
