"""History before it is taken in: what cannot be at the level of prices as traded is left out, and said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import polars as pl

from monitor.corporate_actions.action import Action, Kind
from monitor.corporate_actions.detect import SuspectedSplit, level_mismatches, suspected_splits
from monitor.corporate_actions.spikes import Spike, spikes
from monitor.ingest.past_bars import Refused

ADJUSTED: Final = "history-adjusted"
SPLIT: Final = "split-suspected"
SPIKE: Final = "history-spike"
IMPOSSIBLE: Final = "history-impossible"
_OVERLAP: Final = dt.timedelta(days=15)


class Objection(NamedTuple):
    """Why some of the history of a symbol was left out: a health condition's name, its subject and its reason."""

    condition: str
    symbol: str
    reason: str


def screened(
    history: Sequence[pl.DataFrame], traded: Sequence[pl.DataFrame], actions: Iterable[Action]
) -> tuple[list[pl.DataFrame], list[Objection]]:
    """The history that can be true, and what is held against the rest.

    Args:
        history: session bars to be taken in, ``ts`` (Date), ``symbol``, ``close``.
        traded: session bars as the monitor saw them.
        actions: those that are known.
    """
    objections: list[Objection] = []
    frames = []
    known = list(actions)
    for frame in history:
        kept, impossible = _possible(frame)
        objections += impossible
        kept, wrong = believed(kept, known)
        objections += [Objection(SPIKE, spike.symbol, f"{spike.text}: left out") for spike in wrong]
        for own in traded:
            for mismatch in level_mismatches(kept, own.filter(pl.col("ts") >= pl.col("ts").max() - _OVERLAP)):
                objections.append(Objection(ADJUSTED, mismatch.symbol, mismatch.text))
                kept = kept.filter(pl.col("symbol") != mismatch.symbol)
        for split in unanswered(suspected_splits(kept), known):
            objections.append(Objection(SPLIT, split.symbol, question(split)))
            kept = kept.filter((pl.col("symbol") != split.symbol) | (pl.col("ts") >= split.date))
        frames.append(kept)
    return frames, objections


def _possible(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Objection]]:
    """The session bars whose own values can be true, and an objection a symbol to the others."""
    kept = Refused().possible(frame)
    if kept.height == frame.height:
        return frame, []
    refused = {str(symbol): Refused() for symbol in frame["symbol"].unique()}
    for (symbol,), bars in frame.partition_by("symbol", as_dict=True).items():
        refused[str(symbol)].possible(bars)
    return kept, [Objection(IMPOSSIBLE, s, "; ".join(r.lines)) for s, r in sorted(refused.items()) if r.counts]


def believed(frame: pl.DataFrame, actions: Iterable[Action]) -> tuple[pl.DataFrame, list[Spike]]:
    """Session bars without closes that the next one takes back, and those."""
    wrong = spikes(frame, actions)
    return frame.filter(~pl.int_range(pl.len()).is_in([spike.row for spike in wrong])) if wrong else frame, wrong


def unanswered(splits: Iterable[SuspectedSplit], actions: Iterable[Action]) -> list[SuspectedSplit]:
    """The suspected splits that no known action says anything of."""
    known = [(a.symbol, a.date) for a in actions if a.kind is Kind.SPLIT]
    return [
        split
        for split in splits
        if not any(symbol == split.symbol and abs((date - split.date).days) <= 1 for symbol, date in known)
    ]


def question(split: SuspectedSplit) -> str:
    """What is asked of a jump that may be a split."""
    answer = f"rotation history split {split.symbol} {split.new}:{split.old} --on {split.date}"
    return (
        f"{split.text}: one of the levels is not used. If it was a split, add the line `{split.line}` to a file of "
        f"`corporate_actions:`, or stop the monitor and run `{answer}`; if not, the same with 1:1"
    )
