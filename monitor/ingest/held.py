"""What is neither good nor refused yet: prints and bars that wait for the next price to confirm them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import polars as pl

from monitor.ingest.rejects import Verdict

HELD: Final = 255
"""In a verdict: neither good nor refused, not yet."""

IN_A_ROW: Final = 3
"""Suspicious prices on one side, the last of which is believed: an error comes once, or twice alike."""

BY_ITS_KIND: Final = 2**63 - 1
"""In place of a quote's row: quotes up to a trade come before it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A suspicious row and its price, the feed it came from, and the how manyth it is on that side in a row."""

    feed: str
    price: float
    row: pl.DataFrame
    number: int = 1


class Released(NamedTuple):
    """A held row now believed: it goes before the row `before`; sorted, these stand as they were confirmed.

    `quote`: the row of the quote that confirmed it, :data:`BY_ITS_KIND` where a row of its own kind did.
    """

    before: int
    quote: int
    held: Held


@dataclass(slots=True)
class HeldVerdict:
    """What becomes of a batch's rows of a kind and of those held before it.

    `rows`: the verdict on each; `released` and `dropped`: held rows now believed, and refused.
    """

    rows: Verdict
    released: list[Released] = field(default_factory=list)
    dropped: list[Held] = field(default_factory=list)


def near(one: float, other: float, bound: float) -> bool:
    """Whether two prices are within a factor of each other."""
    return one <= other * bound and other <= one * bound
