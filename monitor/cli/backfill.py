"""What ``rotation history backfill`` and ``show --gaps`` do and print."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from typing import Final

import click
import polars as pl

from connectors.bar_source import Resolution
from monitor.calendar import TradingCalendar
from monitor.cli.faults import Fault
from monitor.cli.output import JSON, print_json, print_table
from monitor.history.backfill import Filled, backfill, closes_of, differences
from monitor.history.gaps import Gap, gaps, stored_days
from monitor.history.sources import entry_of, opened
from monitor.ingest.past_bars import Refused
from monitor.rule_files import read_rules
from monitor.settings import Settings
from monitor.store.base import Store
from rules.engine import Engine

_BP: Final = 10_000


def needed(settings: Settings) -> list[str]:
    """The instruments of the configuration's rules. Raises Fault where there are none."""
    ruleset = read_rules(settings.rules, settings.receivers).ruleset
    if ruleset is None:
        raise Fault("the rules have errors: `rotation check` shows them; or say --symbol")
    calendar = TradingCalendar(settings.calendar)
    engine = Engine(ruleset, calendar, max_gap_ns=settings.stale_after, session_ns=calendar.session_ns)
    if not (symbols := sorted(engine.requirements.instruments)):
        raise Fault("the configuration has no rules that look at instruments: say --symbol")
    return symbols


async def filled(
    settings: Settings,
    calendar: TradingCalendar,
    store: Store,
    feed: str,
    symbols: Sequence[str],
    first: dt.date,
    last: dt.date,
    resolution: Resolution,
) -> Filled:
    """Backfill, with a progress bar on a terminal. Raises NoSource, RestError, StoreError."""
    async with opened(settings, entry_of(settings, feed)) as source:
        if not sys.stderr.isatty():
            return await backfill(source, store, calendar, symbols, first, last, resolution)

        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(feed)
            return await backfill(
                source,
                store,
                calendar,
                symbols,
                first,
                last,
                resolution,
                on_progress=lambda done, every: progress.update(task, completed=done, total=every),
            )


async def compared(
    settings: Settings,
    calendar: TradingCalendar,
    feeds: tuple[str, str],
    symbols: Sequence[str],
    first: dt.date,
    last: dt.date,
    more_than: float,
) -> pl.DataFrame:
    """Closes of two feeds' vendors that are further apart than a ratio. Raises NoSource, RestError."""
    frames = []
    for feed in feeds:
        async with opened(settings, entry_of(settings, feed)) as source:
            frames.append(await closes_of(source, calendar, symbols, first, last))
    return differences(frames[0], frames[1], more_than)


async def stored_gaps(store: Store, calendar: TradingCalendar) -> list[Gap]:
    """Sessions missing between the first and the last that are stored of each instrument."""
    days = await stored_days(store, dt.date.min, dt.date.max)
    found = []
    for symbol, first, last in (
        days.group_by("symbol").agg(first=pl.col("ts").min(), last=pl.col("ts").max()).sort("symbol").iter_rows()
    ):
        found += gaps(days.filter(pl.col("symbol") == symbol), [symbol], calendar, first, last)
    return found


def print_gaps(missing: Sequence[Gap], form: str) -> None:
    """A line a gap."""
    if form == JSON:
        for gap in missing:
            print_json({"symbol": gap.symbol, "from": str(gap.first), "to": str(gap.last), "sessions": gap.sessions})
    elif missing:
        rows = [[gap.symbol, str(gap.first), str(gap.last), str(gap.sessions)] for gap in missing]
        print_table(("symbol", "from", "to", "missing"), rows, frozenset({"missing"}))


def print_refused(refused: Refused, form: str) -> None:
    """A line a cause for which bars were not stored."""
    if form == JSON:
        for cause, count in sorted(refused.counts.items()):
            print_json({"refused": cause, "bars": count, "example": refused.examples.get(cause)})
        return
    for line in refused.lines:
        click.echo(line)


def print_differences(found: pl.DataFrame, feeds: tuple[str, str], form: str) -> None:
    """A line a close, the furthest apart first."""
    rows = [(str(ts), symbol, one, other, apart * _BP) for ts, symbol, one, other, apart in found.iter_rows()]
    if form == JSON:
        for ts, symbol, one, other, apart in rows:
            print_json({"ts": ts, "symbol": symbol, feeds[0]: one, feeds[1]: other, "bp": apart})
    elif rows:
        lines = [[ts, symbol, f"{one:g}", f"{other:g}", f"{apart:.1f}"] for ts, symbol, one, other, apart in rows]
        print_table(("ts", "symbol", *feeds, "bp"), lines, frozenset({*feeds, "bp"}))
