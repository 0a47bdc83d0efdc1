"""What a company did that changes what its prices mean."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from rules.diagnostics import did_you_mean

MOST: Final = 1e5
"""New shares for one old, or old ones for one new, beyond which no company splits: a slip of the pen."""


class ActionError(ValueError):
    """A corporate action cannot be read: what is wrong, where, and what to write."""


class Kind(StrEnum):
    """What happened."""

    SPLIT = "split"
    """`ratio` new shares for an old one: prices before are divided by it. 1:1 says that a jump was no split."""
    DIVIDEND = "dividend"
    """`amount` a share, in the currency and at the share count of the day before."""
    SYMBOL = "symbol"
    """What was `symbol` is `new` from then on."""


@dataclass(frozen=True, slots=True, order=True)
class Action:
    """One corporate action; `date` is its ex-date, the first session at the new level.

    `ratio`: new shares for one old, of a split. `amount`: of a dividend. `new`: the new symbol. `source`: where it is
    written, for messages.
    """

    date: dt.date
    symbol: str
    kind: Kind
    ratio: float = 1.0
    amount: float = 0.0
    new: str = ""
    source: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """What it is known by once it has been applied: all that it says."""
        return f"{self.date} {self.symbol} {self.kind} {self.ratio!r} {self.amount!r} {self.new}"


def parse_ratio(text: str) -> float:
    """New shares for one old: ``10:1`` is 10, ``1:20`` is 0.05, ``1.5`` is 3:2.

    Raises:
        ActionError: it is no ratio of positive numbers, or one of more than :data:`MOST`.
    """
    new, colon, old = text.strip().partition(":")
    try:
        ratio = float(new) / float(old if colon else 1)
    except (ValueError, ZeroDivisionError):
        ratio = 0.0
    if not 1 / MOST <= ratio <= MOST:
        raise ActionError(f"`{text}` is no ratio: write new shares and old ones, 10:1, or 1:20 for a reverse split")
    return ratio


def kind_of(text: str) -> Kind:
    """The kind by its name.

    Raises:
        ActionError: there is no such kind.
    """
    try:
        return Kind(text)
    except ValueError:
        hint = did_you_mean(text, [str(kind) for kind in Kind])
        raise ActionError(f"`{text}` is no kind of action: split, dividend or symbol. {hint or ''}".strip()) from None
