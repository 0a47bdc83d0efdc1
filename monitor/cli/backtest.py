"""``rotation backtest``: what rules would have said over history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from monitor.cli.evaluate import load_rule_files
from monitor.cli.faults import Fault
from monitor.cli.many import ManyValuesCommand
from monitor.cli.moments import local_text, read_end, read_start
from monitor.cli.output import JSON, format_option, print_json, print_table, time_text, with_progress
from monitor.cli.recorded import data_options, read_recorded, warn_of_refused
from monitor.cli.written_files import check_writable, write_file

if TYPE_CHECKING:
    from monitor.backtest import Backtest
    from monitor.calendar import TradingCalendar
    from monitor.report.backtest_page import Heading
    from monitor.report.episodes import RuleRecord
    from monitor.report.watched import Watched
    from rules.transition import Transition


@click.command(cls=ManyValuesCommand, short_help="What rules would have said over history.")
@click.option(
    "--rules",
    "rules",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    metavar="PATH...",
    help="Rule files.",
)
@data_options
@click.option(
    "--history", "history", multiple=True, type=click.Path(path_type=Path), metavar="FILE...",
    help="Session bars that only serve as history.",
)  # fmt: skip
@click.option("--from", "start", metavar="TIME", help="First time; what is earlier is history.")
@click.option("--to", "end", metavar="TIME", help="Last time.")
@click.option(
    "--report", "report", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html",
    help="Write a page of every rule's chart and episodes.",
)  # fmt: skip
@format_option
def backtest(  # noqa: PLR0913 - one a flag
    *,
    rules: Sequence[Path],
    data: Sequence[Path],
    actions: Sequence[Path],
    dividends: str,
    history: Sequence[Path],
    calendar: str,
    label: str,
    bar: str | None,
    start: str | None,
    end: str | None,
    report: Path | None,
    form: str,
) -> None:
    """Run the daemon's engine over history and print every transition of every alert.

    Daily files beside files of intraday bars are their history up to --from; from then on the last bar of a session
    makes its close, as in the daemon. The table ends with how often each rule fired, and how early: the median number
    of sessions from its firing to the furthest close of what it watches in the next 60, beside the same for any day.
    """
    if report is not None:
        check_writable(report, "--report", (".html", ".htm"))
    ruleset = load_rule_files(rules)

    from monitor.backtest import Backtest, Playback
    from monitor.calendar import CalendarError, TradingCalendar
    from monitor.report.episodes import records
    from monitor.report.watched import Watched

    try:
        trading = TradingCalendar(calendar)
    except CalendarError as error:
        raise Fault(str(error)) from None
    first, last = read_start(start, trading), read_end(end, trading)
    recorded = read_recorded(data, history, trading, label=label, bar=bar, actions=actions, dividends=dividends)
    test = Backtest(ruleset, trading, recorded.tempo)
    needs = test.engine.requirements
    playback = Playback(recorded.recording(needs.instruments, first, last), trading, needs)
    begun, ended = recorded.span()
    views = with_progress(playback.instants(first, last), max(first, begun), min(last, ended), form)
    watched = Watched(test.engine, trading) if report or form != JSON else None
    transitions = []
    for transition in test.transitions(views, evidence=form == JSON):
        if form == JSON:
            print_json(_record(transition))
        if watched is not None:
            transitions.append(transition)
    if watched is not None:
        results = records(test, transitions, watched, trading)
        if form != JSON:
            _print_tables(transitions, results, trading)
        if report is not None:
            run = _heading(rules, [*data, *history], test)
            _write(report, run, results, watched, trading)
    warn_of_refused(playback)


def _heading(rules: Sequence[Path], data: Sequence[Path], test: Backtest) -> Heading:
    """What was run, with the command as it was typed."""
    import shlex
    from importlib.metadata import version

    from monitor.report.backtest_page import Heading

    context = click.get_current_context()
    words = []
    for option in context.command.params:
        if option.name and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            value = context.params[option.name]
            words += [option.opts[0], *map(str, value if option.multiple else [value])]
    return Heading(
        rules=[path.name for path in rules],
        data=[path.name for path in data],
        command=shlex.join(["rotation", "backtest", *words]),
        first=test.first,
        last=test.last,
        version=version("rotation-monitor"),
    )


def _write(
    path: Path, heading: Heading, results: Sequence[RuleRecord], watched: Watched, calendar: TradingCalendar
) -> None:
    from monitor.report.backtest_page import page

    write_file(path, page(heading, results, watched, calendar).encode())


def _record(transition: Transition) -> dict[str, Any]:
    from monitor.notify.compose import plain_evidence

    return {
        "ts": time_text(transition.at),
        "alert": transition.alert,
        "member": transition.member,
        "from": str(transition.old),
        "to": str(transition.new),
        "episode": transition.episode,
        "value": transition.value,
        "evidence": plain_evidence(transition.evidence),
        "labels": dict(transition.labels),
        "severity": str(transition.severity),
        "reason": str(transition.reason),
        "value_type": transition.value_type,
        "flaps": transition.flaps,
    }


def _print_tables(transitions: Sequence[Transition], results: Sequence[RuleRecord], calendar: TradingCalendar) -> None:
    from monitor.notify.values import shown
    from monitor.report.backtest_page import summary_row

    columns = ("time", "alert", "member", "from", "to", "value", "episode")
    rows = [
        (local_text(t.at), t.alert, t.member, str(t.old), str(t.new), shown(t.value, t.value_type), t.episode)
        for t in transitions
    ]
    print_table(columns, rows, frozenset({"value"}))
    click.echo()
    summary = (
        "rule", "fired", "firing now", "trading time", "longest", "flaps", "a week", "median lead", "any day",
    )  # fmt: skip
    print_table(summary, [summary_row(r, calendar) for r in results], frozenset(summary[1:]))
