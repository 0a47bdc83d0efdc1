"""What commands print: JSON lines for programs, tables for people, diagnostics on standard error."""

from __future__ import annotations

import datetime as dt
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from rules.diagnostics import Diagnostic

Command = TypeVar("Command", bound=Callable[..., Any])

JSON = "json"
TABLE = "table"


def format_option(command: Command) -> Command:
    """``--format json|table``, for every command that prints data."""
    choice = click.Choice([TABLE, JSON])
    help_text = "A table for people, or JSON for programs: one object or one line a record."
    return click.option("--format", "form", type=choice, default=TABLE, show_default=True, help=help_text)(command)


def print_json(record: Any) -> None:  # noqa: ANN401 - any JSON
    """One line; a number that is not finite is null."""
    import msgspec

    click.echo(msgspec.json.encode(_plain(record)))


def print_json_indented(document: Any) -> None:  # noqa: ANN401 - any JSON
    """A whole document, for people and files."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: frozenset[str] = frozenset()) -> None:
    """Columns under their names, as wide as they need be; those named in `right` are aligned to the right."""
    every = [list(row) for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *every]) for i in range(len(columns))]
    for line in [list(columns), *every]:
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(columns, line, widths, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def print_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
    """All of them on standard error, a blank line between."""
    from rules.diagnostics import render

    click.echo(render(diagnostics), err=True)


def time_text(ns: int) -> str:
    """RFC 3339 in UTC, with as many decimals as are needed.

    Examples:
        >>> time_text(1_769_180_850_000_000_000)
        '2026-01-23T15:07:30Z'
    """
    seconds, rest = divmod(ns, 1_000_000_000)
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


class Moment(Protocol):
    """Something as of a time."""

    @property
    def now(self) -> int:
        """Event time, UTC nanoseconds."""


AnyMoment = TypeVar("AnyMoment", bound=Moment)


def with_progress(moments: Iterable[AnyMoment], first: int, last: int, form: str) -> Iterator[AnyMoment]:
    """The same, from `first` to `last`, with a bar on a terminal's standard error if it takes longer than a second."""
    if not sys.stderr.isatty() or (form == JSON and sys.stdout.isatty()):
        yield from moments
        return

    from rich.console import Console
    from rich.progress import Progress

    patience = time.monotonic() + 1.0
    with ExitStack() as stack:
        progress: Progress | None = None
        for moment in moments:
            if progress is None and time.monotonic() > patience:
                progress = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
                progress.add_task("", total=max(last - first, 1))
            if progress is not None:
                progress.update(progress.task_ids[0], completed=moment.now - first)
            yield moment


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
