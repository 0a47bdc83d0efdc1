"""The shipped rules over recorded history, as `rotation backtest` runs them.

Session closes of 90 symbols from 1999 to 2022 and from 2025 to January 2026, and daily series beside them; opening
prices are in another file, from 2025 on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import rules
from monitor.backtest import Backtest, Playback, Series
from monitor.calendar import TradingCalendar
from monitor.cli.recorded import Recorded, read_recorded
from rules.load import load_rules, parse_expression
from rules.ruleset import RuleSet
from rules.transition import State, Transition
from rules.view import Requirements

LIBRARY: Final = Path(rules.__file__).with_name("library")
CLOSES: Final = ("daily_close.parquet", "macro.parquet")
OPENS: Final = ("daily_ohlcv_raw.parquet",)
_ALWAYS: Final = (0, 2**62)
"""From the first row to the last, UTC nanoseconds."""


class History:
    """Recorded files, read once."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.calendar = TradingCalendar("XNYS")
        self._recorded: Recorded = read_recorded(
            [folder / name for name in names], (), self.calendar, label="start", bar=None
        )

    def transitions(self, ruleset: RuleSet) -> list[Transition]:
        """What the rules decide over all of it, in order of time."""
        test = Backtest(ruleset, self.calendar, self._recorded.tempo)
        views = self._playback(test.engine.requirements).instants(*_ALWAYS)
        return list(test.transitions(views, evidence=False))

    def values(self, expression: str, ruleset: RuleSet) -> dict[dt.date, float]:
        """An expression at the close of each session."""
        series = Series(parse_expression(expression, ruleset), self.calendar)
        views = self._playback(series.requirements).instants(*_ALWAYS)
        return {session(at): value for at, value in series.values(views)}

    def _playback(self, needs: Requirements) -> Playback:
        recording = self._recorded.recording(needs.instruments, *_ALWAYS)
        return Playback(recording, self.calendar, needs)


def library(file: Path = LIBRARY) -> RuleSet:
    """The shipped rules, of one file or all."""
    loaded = load_rules([file])
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


def session(at: int) -> dt.date:
    """The day of a close in New York, which is the same day in UTC."""
    return dt.datetime.fromtimestamp(at / 1e9, dt.UTC).date()


def is_firing(transition: Transition) -> bool:
    """Whether an episode begins."""
    return transition.new is State.FIRING and transition.old is not State.RECOVERING
