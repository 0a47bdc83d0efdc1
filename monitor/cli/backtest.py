"""``rotation backtest``: what rules would have said over history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.evaluate import load_rule_files
from monitor.cli.faults import Fault
from monitor.cli.many import ManyValuesCommand
from monitor.cli.moments import local_text, read_end, read_start
from monitor.cli.output import JSON, format_option, print_json, print_table, time_text, with_progress
from monitor.cli.recorded import data_options, read_recorded, warn_of_refused

if TYPE_CHECKING:
    from monitor.backtest import Backtest
    from monitor.calendar import TradingCalendar
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
@format_option
def backtest(  # noqa: PLR0913 - one a flag
    *,
    rules: Sequence[Path],
    data: Sequence[Path],
    history: Sequence[Path],
    calendar: str,
    label: str,
    bar: str | None,
    start: str | None,
    end: str | None,
    form: str,
) -> None:
    """Run the daemon's engine over history and print every transition of every alert.

    Daily files beside files of intraday bars are their history up to --from; from then on the last bar of a session
    makes its close, as in the daemon. The table ends with how often each rule fired.
    """
    ruleset = load_rule_files(rules)

    from monitor.backtest import Backtest, Playback
    from monitor.calendar import CalendarError, TradingCalendar

    try:
        trading = TradingCalendar(calendar)
    except CalendarError as error:
        raise Fault(str(error)) from None
    first, last = read_start(start, trading), read_end(end, trading)
    recorded = read_recorded(data, history, trading, label=label, bar=bar)
    test = Backtest(ruleset, trading, recorded.tempo)
    needs = test.engine.requirements
    playback = Playback(recorded.recording(needs.instruments, first, last), trading, needs)
    begun, ended = recorded.span()
    views = with_progress(playback.instants(first, last), max(first, begun), min(last, ended), form)
    transitions = test.transitions(views)
    if form == JSON:
        for transition in transitions:
            print_json(_record(transition))
    else:
        _print_tables(test, list(transitions), trading)
    warn_of_refused(playback.rejects)


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


def _print_tables(test: Backtest, transitions: Sequence[Transition], calendar: TradingCalendar) -> None:
    from monitor.backtest import summarise
    from monitor.notify.values import shown, span

    columns = ("time", "alert", "member", "from", "to", "value", "episode")
    rows = [
        (local_text(t.at), t.alert, t.member, str(t.old), str(t.new), shown(t.value, t.value_type), t.episode)
        for t in transitions
    ]
    print_table(columns, rows, frozenset({"value"}))
    click.echo()

    def lasted(ns: int) -> str:
        """Trading time in its own days: 6 h 30 min of New York are one session."""
        return span(ns) if ns < calendar.session_ns else f"{ns / calendar.session_ns:.1f} sessions"

    summary = ("rule", "fired", "firing now", "trading time", "longest", "flaps", "a week")
    lines = [
        (s.alert, str(s.fired), str(s.open), lasted(s.total_ns), lasted(s.longest_ns), str(s.flaps), f"{s.weekly:.2f}")
        for s in summarise(test, transitions, calendar)
    ]
    print_table(summary, lines, frozenset(summary[1:]))
