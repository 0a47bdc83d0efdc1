"""What the shipped rules say on the closes of one venue, and on the official ones of the same instruments and sessions.

``python -m tests.tables.one_venue`` prints it by rule, as Markdown.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from tests.conftest import shared
from tests.tables.fired import OF_OPENS, firings
from tests.tables.history import History, library

VENUE: Final = "daily_ohlcv_iex_noisy.parquet"
OFFICIAL: Final = "daily_close.parquet"
WEEK: Final = 5
"""Sessions by which an episode may begin earlier or later and be the same."""

Episode = tuple[dt.date, str | None]
"""Session and member."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The episodes of a rule by both sources. `alone`, `missed`: those of one source only, none within a week."""

    rule: str
    official: int
    venue: int
    same: int
    alone: tuple[Episode, ...]
    missed: tuple[Episode, ...]

    @property
    def shifted(self) -> int:
        """Episodes of the venue that begin within a week of the official one, not with it."""
        return self.venue - self.same - len(self.alone)


def compared(folder: Path) -> list[Compared]:
    """Each rule of the library that decides by closes and says anything."""
    keys = ["ts", "symbol"]
    venue, official = (pl.read_parquet(folder / name).select(*keys, "close") for name in (VENUE, OFFICIAL))
    venue, official = venue.join(official, on=keys, how="semi"), official.join(venue, on=keys, how="semi")
    sessions = {day: n for n, day in enumerate(sorted(set(venue["ts"])))}
    with tempfile.TemporaryDirectory() as made:
        found = []
        for name, frame in (("venue", venue), ("official", official)):
            frame.write_parquet(file := Path(made) / f"{name}.parquet")
            # A path that is absolute stands for itself, whatever folder it is joined to.
            found.append(firings(History(folder, (str(file), "macro.parquet")).transitions(library())))
    by_venue, by_official = found
    return [
        _of(rule, by_official.get(rule, ()), by_venue.get(rule, ()), sessions)
        for rule in sorted({*by_venue, *by_official} - OF_OPENS)
    ]


def _of(rule: str, official: Sequence[Episode], venue: Sequence[Episode], sessions: dict[dt.date, int]) -> Compared:
    def near(one: Episode, others: Sequence[Episode]) -> bool:
        return any(m == one[1] and abs(sessions[day] - sessions[one[0]]) <= WEEK for day, m in others)

    return Compared(
        rule,
        len(official),
        len(venue),
        len({*official} & {*venue}),
        tuple(one for one in venue if not near(one, official)),
        tuple(one for one in official if not near(one, venue)),
    )


def sentence(rows: Sequence[Compared]) -> str:
    """What the documentation says of it."""
    venue, same, shifted = (sum(r.venue for r in rows), sum(r.same for r in rows), sum(r.shifted for r in rows))
    alone, missed = sum(len(r.alone) for r in rows), sum(len(r.missed) for r in rows)
    return (
        f"of {venue} episodes of the shipped rules, {same} begin on the same session, {shifted} within a week of it, "
        f"{alone} come with the venue alone, and {missed} are missed"
    )


def table(rows: Sequence[Compared]) -> str:
    """Markdown: a row a rule, and all together."""
    lines = [
        "| rule | official | venue | same session | within a week | venue alone | missed |",
        "|---|---|---|---|---|---|---|",
    ]
    counts = [(r.rule, r.official, r.venue, r.same, r.shifted, len(r.alone), len(r.missed)) for r in rows]
    together = ("all", *(sum(column) for column in list(zip(*counts, strict=True))[1:]))
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in [*counts, together])])


if __name__ == "__main__":
    sys.stdout.write(table(compared(shared("data"))) + "\n")
