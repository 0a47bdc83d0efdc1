"""``rotation eval``: the value of an expression over history."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.faults import Exit, Fault, Silent
from monitor.cli.many import ManyValuesCommand
from monitor.cli.moments import local_text, read_end, read_moment, read_start, read_steps
from monitor.cli.output import JSON, format_option, print_diagnostics, print_json, print_table, time_text, with_progress
from monitor.cli.recorded import data_options, read_recorded, warn_of_refused
from monitor.cli.written_files import check_writable, write_file

if TYPE_CHECKING:
    from monitor.report.expression import Compared
    from rules.ruleset import Formula, RuleSet


@click.command("eval", cls=ManyValuesCommand, short_help="The value of an expression over history.")
@click.argument("expression", metavar="EXPR")
@click.option("--rules", "rules", multiple=True, type=click.Path(path_type=Path), metavar="PATH...", help="Rule files.")
@data_options
@click.option("--at", "at", metavar="TIME", help="One value: as of a time, or of a date's close.")
@click.option("--from", "start", metavar="TIME", help="First time; what is earlier is history.")
@click.option("--to", "end", metavar="TIME", help="Last time.")
@click.option("--every", metavar="STEP", help="1d: session closes; 5m: clock time. Otherwise every close, or bar end.")
@click.option(
    "--plot", "plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Draw it, as .png or .svg, instead of a table.",
)  # fmt: skip
@format_option
def evaluate(  # noqa: PLR0913 - one a flag
    *,
    expression: str,
    rules: Sequence[Path],
    data: Sequence[Path],
    actions: Sequence[Path],
    dividends: str,
    calendar: str,
    label: str,
    bar: str | None,
    at: str | None,
    start: str | None,
    end: str | None,
    every: str | None,
    plot: Path | None,
    form: str,
) -> None:
    r"""Print the value of an expression over history.

    With --rules, aliases, baskets, universes and records of those files can be used in it. Daily files beside files of
    intraday bars are their history, and say at what price each session closed.

    The picture of a condition shows what its first comparison watches, the level, and when the whole condition held.

    \b
      rotation eval 'excess(IWM, SPY, 14d)' --data daily.parquet --from 2026-01-01
      rotation eval 'excess(IWM, SPY, 14d) > 400bp' --data daily.parquet --from 2025-11-03 --plot lead.png
      rotation eval 'excess(IWM, SPY, 1d)' --data bars.parquet daily.parquet --at '2026-01-23 10:10 America/New_York'
    """
    if at and (start or end or every):
        raise Fault("--at is one moment: leave --from, --to and --every out")
    if plot is not None:
        if at:
            raise Fault("--at is one moment: there is nothing to draw")
        check_writable(plot, "--plot", (".png", ".svg"))
    formula = _formula(expression, rules)
    if plot is not None and formula.expr.type == "category":
        raise Fault("--plot: a category has no height to draw: compare it with one, such as `... == leading`")

    from monitor.backtest import Playback, Series
    from monitor.calendar import CalendarError, TradingCalendar
    from monitor.report.expression import Compared

    try:
        trading = TradingCalendar(calendar)
    except CalendarError as error:
        raise Fault(str(error)) from None
    first, last = read_start(start, trading), read_end(end, trading)
    moment = read_moment(at, trading, "--at") if at else None
    recorded = read_recorded(data, (), trading, label=label, bar=bar, actions=actions, dividends=dividends)
    if moment is not None:
        first = last = moment
    series = Compared(formula, trading) if plot is not None else Series(formula, trading)
    recording = recorded.recording(series.requirements.instruments, first, last)
    playback = Playback(recording, trading, series.requirements)
    if moment is not None:
        views = playback.at([moment])
    else:
        begun, ended = recorded.span()
        begun, ended = max(first, begun), min(last, ended)
        views = playback.at(read_steps(every, trading, begun, ended)) if every else playback.instants(first, last)
        views = with_progress(views, begun, ended, form)
    values = series.values(views)
    if isinstance(series, Compared) and plot is not None:
        _draw(series, values, formula, form, plot, f"Data: {', '.join(p.name for p in data)}")
    else:
        _print(values, formula, form)
    warn_of_refused(playback)


def _formula(expression: str, paths: Sequence[Path]) -> Formula:
    from rules.load import FormulaError, parse_expression

    try:
        return parse_expression(expression, load_rule_files(paths))
    except FormulaError as error:
        print_diagnostics(error.diagnostics)
        raise Silent(Exit.WRONG) from None


def load_rule_files(paths: Sequence[Path]) -> RuleSet:
    """The rules of files and folders, warnings printed.

    Raises:
        Fault: One does not exist, or they are wrong; everything that is has been printed.
    """
    from rules.load import load_rules

    for path in paths:
        if not path.exists():
            raise Fault(f"{path}: no such file or folder")
    loaded = load_rules(paths)
    if loaded.diagnostics:
        print_diagnostics(loaded.diagnostics)
    if loaded.ruleset is None:
        raise Silent(Exit.WRONG)
    return loaded.ruleset


def _print(values: Iterable[tuple[int, float]], formula: Formula, form: str) -> None:
    kind = str(formula.expr.type)
    if form == JSON:
        for ts, value in values:
            print_json({"ts": time_text(ts), "value": _plain(value, kind)})
        return
    from monitor.notify.values import shown

    rows = [(local_text(ts), shown(None if math.isnan(value) else value, kind)) for ts, value in values]
    print_table(("time", "value"), rows, frozenset({"value"}))


def _draw(
    series: Compared, values: Iterable[tuple[int, float]], formula: Formula, form: str, path: Path, note: str
) -> None:
    """Write the picture; the lines for programs are printed too, a table is not."""
    from monitor.charts.lines import line_chart

    if form == JSON:
        _print(values, formula, form)
    elif not any(True for _ in values):
        click.echo("warning: there is no data in that time: the picture is empty", err=True)
    else:
        deque(values, maxlen=0)
    svg = line_chart(series.chart(note))
    if path.suffix.lower() == ".svg":
        write_file(path, svg.encode())
        return
    from monitor.charts.raster import FontMissing, render

    try:
        write_file(path, render(svg))
    except FontMissing as error:
        raise Fault(str(error)) from None


def _plain(value: float, kind: str) -> float | bool | str | None:
    if math.isnan(value):
        return None
    if kind == "category":
        from monitor.notify.values import shown

        return shown(value, kind)
    return bool(value) if kind == "condition" else value
