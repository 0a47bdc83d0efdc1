"""``rotation history``: the session bars in the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from monitor.cli.configuration import config_option, find_config, only_warnings, settings_of
from monitor.cli.faults import Exit, Fault, Silent
from monitor.cli.output import JSON, format_option, print_json, print_table

if TYPE_CHECKING:
    import datetime as dt

    import polars as pl

    from connectors.bar_source import Resolution
    from monitor.corporate_actions import Action, Mismatch
    from monitor.settings import Settings
    from monitor.store.base import Store

Answer = TypeVar("Answer")
_DATE = click.DateTime(["%Y-%m-%d"])


@click.group(short_help="Session bars and external series in the store.")
def history() -> None:
    """Session bars in the store, what windows such as 20d or ytd look back to, and external series."""


@history.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Store nothing: print what would be refused, by cause, and what misfits.")
@click.option("--replace", is_flag=True, help="Store them even where they are at another level than what is stored.")
@config_option
@format_option
def import_files(files: Sequence[Path], config: Path | None, form: str, *, dry_run: bool, replace: bool) -> Exit:
    """Read session bars from Parquet or CSV files into the store; a stored row of the same symbol and day is replaced.

    Columns: ts (a date), symbol, close; optionally open, high, low, volume. Or external series: ts, series, value; and
    published, where a value came out later than ts: a date is known from its session's close. A file that cannot be
    read whole changes nothing; neither does one whose prices are adjusted where the stored ones are as traded (or the
    other way round), unless you say --replace. With the embedded store, stop the monitor first.
    """
    import asyncio

    from monitor.calendar import TradingCalendar
    from monitor.cli.data_check import check_files
    from monitor.cli.recorded import read_history, read_market
    from monitor.corporate_actions import suspected_splits
    from monitor.corporate_actions.book import ActionBook
    from monitor.corporate_actions.screen import believed, unanswered
    from monitor.history.overlap import mismatches
    from monitor.history.stored_bars import add_series, add_sessions
    from monitor.ingest.past_bars import Refused

    settings = settings_of(find_config(config))
    calendar = TradingCalendar(settings.calendar)
    bars, series = read_history(files, calendar)

    async def look(store: Store) -> tuple[list[Mismatch], list[Action]]:
        book = await ActionBook.open(store, [entry.data for entry in settings.corporate_actions], dividends=True)
        return await mismatches(store, bars), book.actions

    async def add(store: Store) -> tuple[list[Mismatch], list[Action], pl.DataFrame, int, int]:
        misfits, actions = await look(store)
        if misfits and not replace:
            return misfits, actions, bars, 0, 0
        refused = Refused()
        kept, wrong = believed(refused.possible(bars), actions)
        for line in refused.lines:
            click.echo(f"warning: {line}", err=True)
        for spike in wrong:
            click.echo(f"warning: {spike.text}: not stored", err=True)
        return misfits, actions, kept, await add_sessions(store, kept), await add_series(store, series)

    if dry_run:
        misfits, actions = asyncio.run(_with_store(settings, look))
        answer = check_files(read_market(files), calendar, actions, form)
        _print_misfits(misfits, form)
        return Exit.NO if misfits else answer
    misfits, actions, bars, days, names = asyncio.run(_with_store(settings, add))
    _print_misfits(misfits, form)
    if misfits and not replace:
        raise Fault("nothing was stored: import prices as traded, or say --replace if what is stored is wrong", Exit.NO)
    for split in unanswered(suspected_splits(bars), actions):
        click.echo(f"warning: {split.text}: {split.advice('a file of `corporate_actions:`')}", err=True)
    if bars.height:
        symbols, first, last = bars["symbol"].n_unique(), bars["ts"].min(), bars["ts"].max()
        click.echo(f"{bars.height} closes of {symbols} symbols in {days} sessions, {first!s} to {last!s}")
    if series.height:
        click.echo(f"{series.height} values of {names} series, {_day(series['ts'][0])} to {_day(series['ts'][-1])}")
    return Exit.DONE


def _print_misfits(misfits: Sequence[Mismatch], form: str) -> None:
    """A line a symbol whose closes are at another level than those stored."""
    if form == JSON:
        for m in misfits:
            print_json({"symbol": m.symbol, "ts": str(m.date), "imported": m.imported, "stored": m.traded})
        return
    for m in misfits:
        click.echo(m.text, err=True)


@history.command()
@click.option("--feed", "feed", required=True, metavar="NAME", help="An alpaca or massive feed of the configuration.")
@click.option("--from", "first", required=True, type=_DATE, metavar="DATE", help="The first session.")
@click.option("--to", "last", type=_DATE, metavar="DATE", help="The last; the newest that has closed if not given.")
@click.option("--resolution", type=click.Choice(["1d", "1m"]), default="1d", show_default=True)
@click.option("--symbol", "symbols", multiple=True, metavar="SYMBOL", help="What the rules need if not given.")
@click.option("--compare", "other", metavar="NAME2", help="Store nothing: list closes that differ from that feed's.")
@click.option("--apart", type=float, default=10.0, show_default=True, metavar="BP", help="How far closes may be apart.")
@config_option
@format_option
def backfill(  # noqa: PLR0913, PLR0917 - options
    feed: str,
    first: dt.datetime,
    last: dt.datetime | None,
    resolution: Resolution,
    symbols: Sequence[str],
    other: str | None,
    apart: float,
    config: Path | None,
    form: str,
) -> None:
    """Ask a vendor for the bars that the store does not have. Interrupted, it goes on where it stood.

    Exit code 1 where sessions are missing still, or closes differ. With the embedded store, stop the monitor first; a
    running one fills in what `history:` of its configuration names by itself.
    """
    import asyncio

    from connectors.rest import RestError
    from monitor import clock
    from monitor.calendar import TradingCalendar
    from monitor.cli.backfill import compared, filled, needed, print_differences, print_gaps, print_refused
    from monitor.history.backfill import last_session
    from monitor.history.sources import NoSource

    settings = settings_of(find_config(config))
    calendar = TradingCalendar(settings.calendar)
    newest = last_session(calendar, clock.wall_ns())
    span = first.date(), min(last.date(), newest) if last else newest
    if span[1] < span[0]:
        raise Fault(f"--from {span[0]} is after {span[1]}, the last session asked for that has closed")
    wanted = list(symbols) or needed(settings)
    try:
        if other is not None:
            found = asyncio.run(compared(settings, calendar, (feed, other), wanted, *span, apart / 10_000))
            print_differences(found, (feed, other), form)
            if found.height:
                raise Silent(Exit.NO)
            return
        result = asyncio.run(
            _with_store(settings, lambda store: filled(settings, calendar, store, feed, wanted, *span, resolution))
        )
    except NoSource as error:
        raise Fault(str(error)) from error
    except RestError as error:
        raise Fault(f"{error}; what came before is stored, and the same command goes on there", Exit.NO) from error
    print_gaps(result.missing, form)
    print_refused(result.refused, form)
    if form != JSON:
        click.echo(f"{result.bars} bars stored, {result.asked} instruments asked for, {len(result.missing)} gaps left")
    if result.missing:
        raise Silent(Exit.NO)


@history.command()
@click.option("--gaps", "list_gaps", is_flag=True, help="List the sessions that are missing, by symbol.")
@config_option
@format_option
def show(config: Path | None, form: str, list_gaps: bool) -> None:  # noqa: FBT001 - click calls it so
    """Which symbols have session bars in the store, from when to when, and how many sessions are missing between.

    And which external series are there, by when their values were published.
    """
    import asyncio

    from monitor.calendar import TradingCalendar
    from monitor.history.stored_bars import stored_series, stored_sessions

    settings = settings_of(find_config(config))
    calendar = TradingCalendar(settings.calendar)

    if list_gaps:
        from monitor.cli.backfill import print_gaps, stored_gaps

        print_gaps(asyncio.run(_with_store(settings, lambda store: stored_gaps(store, calendar))), form)
        return

    async def look(store: Store) -> tuple[pl.DataFrame, pl.DataFrame]:
        return await stored_sessions(store, calendar), await stored_series(store)

    summary, series = asyncio.run(_with_store(settings, look))
    columns = ("symbol", "from", "to", "sessions", "missing")
    rows = [dict(zip(columns, row, strict=True)) for row in summary.rows()]
    if form == JSON:
        for row in rows:
            print_json(row | {"from": str(row["from"]), "to": str(row["to"])})
        for name, first, last, count in series.rows():
            print_json({"series": name, "from": _day(first), "to": _day(last), "values": count})
        return
    print_table(columns, [[str(row[name]) for name in columns] for row in rows], frozenset(columns[3:]))
    if series.height:
        click.echo()
        lines = [[name, _day(first), _day(last), str(count)] for name, first, last, count in series.rows()]
        print_table(("series", "from", "to", "values"), lines, frozenset({"values"}))


@history.command()
@click.argument("symbol")
@click.argument("ratio")
@click.option(
    "--on", "day", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The ex-date: first at the new level."
)
@config_option
def split(symbol: str, ratio: str, day: dt.datetime, config: Path | None) -> None:
    """Say that SYMBOL was split: RATIO is new shares and old ones, 10:1, or 1:20; 1:1 says that a jump was no split.

    Prices before are brought to the new level when they are read; what is stored stays as traded. With the embedded
    store, stop the monitor first; it takes effect at the next start.
    """
    import asyncio

    from monitor.corporate_actions import Action, ActionError, Kind, parse_ratio
    from monitor.corporate_actions.book import add_action

    try:
        action = Action(day.date(), symbol, Kind.SPLIT, ratio=parse_ratio(ratio))
    except ActionError as error:
        raise Fault(str(error)) from None
    asyncio.run(_with_store(settings_of(find_config(config)), lambda store: add_action(store, action)))
    click.echo(f"{symbol} {ratio} on {action.date}: from the next start on")


@history.command()
@click.option("--feed", "feed", required=True, metavar="NAME", help="An alpaca or massive feed of the configuration.")
@click.option("--from", "first", required=True, type=_DATE, metavar="DATE", help="The first ex-date.")
@click.option(
    "--to", "last", type=_DATE, metavar="DATE", help="The last; the newest session that has closed if not given."
)
@click.option("--symbol", "symbols", multiple=True, metavar="SYMBOL", help="What the rules need if not given.")
@config_option
@format_option
def actions(
    feed: str, first: dt.datetime, last: dt.datetime | None, symbols: Sequence[str], config: Path | None, form: str
) -> None:
    """Ask a vendor for splits, dividends and new symbols, and store them.

    With the embedded store, stop the monitor first; they take effect at the next start.
    """
    import asyncio

    from connectors.rest import RestError
    from monitor import clock
    from monitor.calendar import TradingCalendar
    from monitor.cli.backfill import needed
    from monitor.corporate_actions.book import add_actions
    from monitor.history.backfill import last_session
    from monitor.history.sources import NoSource
    from monitor.history.vendor_actions import vendor_actions

    settings = settings_of(find_config(config))
    until = last.date() if last else last_session(TradingCalendar(settings.calendar), clock.wall_ns())
    wanted = list(symbols) or needed(settings)
    try:
        found = asyncio.run(vendor_actions(settings, feed, wanted, first.date(), until))
    except NoSource as error:
        raise Fault(str(error)) from error
    except RestError as error:
        raise Fault(str(error), Exit.NO) from error
    asyncio.run(_with_store(settings, lambda store: add_actions(store, found)))
    for action in found:
        row = {"ts": str(action.date), "symbol": action.symbol, "kind": str(action.kind)}
        row |= {"ratio": f"{action.ratio:g}", "amount": f"{action.amount:g}", "new": action.new}
        if form == JSON:
            print_json(row)
        else:
            click.echo(",".join(row.values()))
    if form != JSON:
        click.echo(f"{len(found)} actions of {len(wanted)} instruments stored: from the next start on")


def _day(moment: dt.datetime) -> str:
    return moment.date().isoformat()


async def _with_store(settings: Settings, work: Callable[[Store], Awaitable[Answer]]) -> Answer:
    """What `work` makes of the open store.

    Raises:
        Fault: The store is away or refuses.
    """
    from monitor.store.base import StoreError, StoreRefused
    from monitor.store.factory import open_store

    only_warnings()
    try:
        async with open_store(settings.store.url.get_secret_value(), settings.store.data_dir) as store:
            return await work(store)
    except StoreError as error:
        raise Fault(str(error), Exit.WRONG if isinstance(error, StoreRefused) else Exit.NO) from error
