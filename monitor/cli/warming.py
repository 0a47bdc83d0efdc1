"""Rules that ask for more history than there is, as warnings with the date from which on they are known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.calendar import TradingCalendar
    from rules.diagnostics import Diagnostic
    from rules.ruleset import RuleSet
    from rules.warmup import Cold


def cold_rules(ruleset: RuleSet, files: Sequence[Path], calendar: TradingCalendar) -> list[Diagnostic]:
    """What the history in data files is too short for, as of the session after the last one in them.

    Raises:
        DataFileError: a file cannot be read.
        CalendarError: a date is outside of the calendar.
    """
    from rules.warmup import warm_up

    spans = [span for file in files for span in _spans(file, calendar)]
    if not spans:
        return []
    first: dict[str, int] = {}
    for symbol, begins, _ in spans:
        first[symbol] = min(begins, first.get(symbol, begins))
    current = max(ends for _, _, ends in spans) + 1
    cold = warm_up(ruleset, first, current, calendar.ordinal_on_or_before)
    return [_warning(found, calendar, calendar.date(current)) for found in cold]


def _spans(file: Path, calendar: TradingCalendar) -> list[tuple[str, int, int]]:
    """Symbol, first and last session of the prices in a file."""
    import polars as pl

    from monitor.data_files import Kind, read

    content = read(file)
    if content.kind is Kind.SERIES:
        return []
    found = content.frame.group_by("symbol").agg(first=pl.col("ts").min(), last=pl.col("ts").max())
    if content.sessions:
        return [(s, calendar.ordinal_on_or_before(a), calendar.ordinal_on_or_before(b)) for s, a, b in found.rows()]
    times = found.with_columns(pl.col("first", "last").to_physical())
    return [(s, calendar.session_at(a), calendar.session_at(b)) for s, a, b in times.rows()]


def _warning(cold: Cold, calendar: TradingCalendar, current: dt.date) -> Diagnostic:
    from rules.diagnostics import Diagnostic, Level

    name, source = cold.rule.name, cold.rule.source
    have = f"{cold.stored} {'is' if cold.stored == 1 else 'are'} stored" if cold.stored else "none are stored"
    if cold.warm is None:
        message = f"`{name}` looks at {cold.symbol} since {cold.since}, and its history begins later"
        return Diagnostic(source.file, source.line, 1, Level.WARNING, message, "import earlier history")
    message = f"`{name}` needs {cold.needed} sessions of {cold.symbol}, and before {current} {have}"
    hint = f"it is warm from {calendar.date(cold.warm)} on; earlier if more history is imported"
    return Diagnostic(source.file, source.line, 1, Level.WARNING, message, hint)
