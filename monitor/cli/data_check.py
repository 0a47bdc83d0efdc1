"""``rotation doctor --data`` and ``history import --dry-run``: what would be refused of data files, by cause."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from monitor.cli.faults import Exit, Fault
from monitor.cli.output import JSON, print_json, print_table

if TYPE_CHECKING:
    from monitor.calendar import TradingCalendar
    from monitor.corporate_actions import Action
    from monitor.data_check import DataCheck
    from monitor.data_files import DataFile

_MOST: Final = 20
"""Gaps shown in a table; JSON has all."""


def check_files(files: Sequence[DataFile], calendar: TradingCalendar, actions: Sequence[Action], form: str) -> Exit:
    """Check files and print what was found; the answer is no where rows are refused or a split is suspected.

    Raises:
        Fault: A date is no session, or a file has external series alone.
    """
    from monitor.data_files import DataFileError

    good = True
    for number, file in enumerate(files):
        try:
            found = _checked(file, calendar, actions)
        except (DataFileError, ValueError) as error:
            raise Fault(str(error)) from None
        good = good and not (found.refused or found.splits or found.spikes)
        if form == JSON:
            print_json(_record(file.path, found))
            continue
        if number:
            click.echo()
        _print(file.path, found)
    return Exit.DONE if good else Exit.NO


def _checked(file: DataFile, calendar: TradingCalendar, actions: Sequence[Action]) -> DataCheck:
    from monitor.data_check import check

    if not sys.stderr.isatty():
        return check(file, calendar, actions)

    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(file.path.name)
        return check(file, calendar, actions, lambda done, every: progress.update(task, completed=done, total=every))


def _print(path: Path, found: DataCheck) -> None:
    click.echo(f"{path.name}: {found.rows:,} rows of {found.instruments} instruments")
    rows = [("kept", f"{found.kept:,}", _share(found.kept, found.rows), "")]
    for cause, count in found.refused.items():
        example = ", ".join(f"{name} {_short(value)}" for name, value in found.examples[cause].row.items())
        rows.append((str(cause), f"{count:,}", _share(count, found.rows), example))
    if found.held:
        rows.append(("waiting to be confirmed", f"{found.held:,}", _share(found.held, found.rows), ""))
    print_table(("", "rows", "share", "such as"), rows, frozenset({"rows", "share"}))
    if found.locked:
        click.echo(f"locked (bid = ask), which is true and kept: {found.locked:,}")
    if found.gaps:
        sessions, symbols = sum(g.sessions for g in found.gaps), len({g.symbol for g in found.gaps})
        click.echo(f"\n{sessions} sessions of {symbols} instruments are missing between their first and last:")
        longest = sorted(found.gaps, key=lambda g: (-g.sessions, g.symbol, g.first))
        lines = [(g.symbol, str(g.first), str(g.last), str(g.sessions)) for g in longest[:_MOST]]
        print_table(("symbol", "from", "to", "missing"), lines, frozenset({"missing"}))
        if len(longest) > _MOST:
            click.echo(f"and {len(longest) - _MOST} shorter ones")
    if found.short:
        click.echo("\nsessions with bars missing:")
        lines = [
            (s.date, str(s.instruments), f"{s.fewest}" if s.fewest == s.most else f"{s.fewest}..{s.most}", str(s.full))
            for s in found.short
        ]
        print_table(("session", "instruments", "bars", "of"), lines, frozenset({"instruments", "bars", "of"}))
    if found.spikes:
        click.echo(f"\n{len(found.spikes)} closes that the sessions beside them contradict, left out of history:")
        for spike in found.spikes[:_MOST]:
            click.echo(f"{path.name}: row {spike.row + 1}: {spike.text}")
    for split in found.splits:
        click.echo(f"\n{split.text}: {split.advice('a file of `corporate_actions:`, or for --actions')}")


def _record(path: Path, found: DataCheck) -> dict[str, Any]:
    return {
        "file": str(path),
        "rows": found.rows,
        "instruments": found.instruments,
        "kept": found.kept,
        "refused": {str(cause): count for cause, count in found.refused.items()},
        "held": found.held,
        "locked": found.locked,
        "gaps": [
            {"symbol": g.symbol, "from": str(g.first), "to": str(g.last), "sessions": g.sessions} for g in found.gaps
        ],
        "short_sessions": [
            {"session": s.date, "instruments": s.instruments, "fewest": s.fewest, "most": s.most, "full": s.full}
            for s in found.short
        ],
        "spikes": [
            {
                "row": s.row + 1,
                "symbol": s.symbol,
                "ts": str(s.date),
                "before": s.before,
                "close": s.close,
                "after": s.after,
            }
            for s in found.spikes
        ],
        "suspected_splits": [s.line for s in found.splits],
    }


def _share(count: int, rows: int) -> str:
    return f"{count / rows:.2%}" if rows else "0.00%"


def _short(value: Any) -> str:  # noqa: ANN401 - a cell
    return f"{value:g}" if isinstance(value, float) else str(value)
