"""``rotation preview``: how often a rule would have fired at each of many thresholds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.evaluate import load_rule_files
from monitor.cli.faults import Fault
from monitor.cli.many import ManyValuesCommand
from monitor.cli.moments import read_end, read_start
from monitor.cli.output import JSON, format_option, print_json, print_table, with_progress
from monitor.cli.recorded import data_options, read_recorded, warn_of_refused

if TYPE_CHECKING:
    from monitor.backtest import RuleSummary
    from monitor.calendar import TradingCalendar
    from monitor.preview import Threshold, Variants
    from rules.ruleset import AlertRule

_BAR = 30
"""Characters of the longest bar."""


@click.command(cls=ManyValuesCommand, short_help="How often a rule would have fired at each threshold.")
@click.argument("rule", metavar="RULE")
@click.option("--threshold", "threshold", required=True, metavar="A..B/STEP", help="Such as 200bp..600bp/50bp.")
@click.option(
    "--rules",
    "rules",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH...",
    help="Rule files; otherwise those of rotation.yaml here, or the shipped ones.",
)
@data_options
@click.option(
    "--history", "history", multiple=True, type=click.Path(path_type=Path), metavar="FILE...",
    help="Session bars that only serve as history.",
)  # fmt: skip
@click.option("--from", "start", metavar="TIME", help="First time; what is earlier is history.")
@click.option("--to", "end", metavar="TIME", help="Last time.")
@format_option
def preview(  # noqa: PLR0913 - one a flag
    *,
    rule: str,
    threshold: str,
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
    form: str,
) -> None:
    r"""Run a rule over history at every threshold from A to B, and print how often it would have fired.

    What moves is the number that the rule's `when` compares with; where `until` watches the same, it keeps its
    distance. All thresholds are tried in one pass over the data.

    \b
      rotation preview small-caps-lead-large-caps --threshold 200bp..600bp/50bp --data daily.parquet
    """
    from monitor.calendar import CalendarError, TradingCalendar
    from monitor.preview import Preview, PreviewError, read_sweep, variants

    try:
        sweep = read_sweep(threshold)
        chosen = variants(_rule(rule, rules), sweep)
        trading = TradingCalendar(calendar)
    except (PreviewError, CalendarError) as error:
        raise Fault(str(error)) from None
    first, last = read_start(start, trading), read_end(end, trading)
    recorded = read_recorded(data, history, trading, label=label, bar=bar, actions=actions, dividends=dividends)
    from monitor.backtest import Playback

    run = Preview(chosen, trading, recorded.tempo)
    needs = run.test.engine.requirements
    playback = Playback(recorded.recording(needs.instruments, first, last, needs.series), trading, needs)
    begun, ended = recorded.span()
    rows = run.rows(with_progress(playback.instants(first, last), max(first, begun), min(last, ended), form))
    if form == JSON:
        for at, summary in rows:
            print_json(_record(at, summary, chosen))
    else:
        _print(rows, chosen, trading)
    warn_of_refused(playback)


def _rule(name: str, paths: Sequence[Path]) -> AlertRule:
    """The rule of a name.

    Raises:
        Fault: There is none.
    """
    from rules.diagnostics import did_you_mean

    ruleset = load_rule_files(paths or _usual_rules())
    found = next((r for r in ruleset.alerts if r.name == name), None)
    if found is not None:
        return found
    if any(r.name == name for r in ruleset.records):
        raise Fault(f"`{name}` is a record, and only an alert fires")
    raise Fault(f"no alert is named `{name}`{did_you_mean(name, [r.name for r in ruleset.alerts])}")


def _usual_rules() -> Sequence[Path]:
    """Those of the configuration of this folder, or the shipped ones."""
    from monitor.cli.configuration import find_config, settings_of

    if (config := find_config(None)) is not None and (named := settings_of(config).rules):
        return named
    from importlib import resources

    return [Path(str(resources.files("rules") / "library"))]


def _record(at: Threshold, summary: RuleSummary, chosen: Variants) -> dict[str, object]:
    shift = at.value - chosen.moved.level
    return {
        "rule": chosen.rule.name,
        "threshold": float(at.value),
        "text": at.text,
        "type": str(chosen.moved.watched.type),
        "until": [float(m.level + shift) for m in chosen.cleared],
        "current": not shift,
        "fired": summary.fired,
        "firing_now": summary.open,
        "trading_seconds": summary.total_ns / 1e9,
        "longest_seconds": summary.longest_ns / 1e9,
        "flaps": summary.flaps,
        "weekly": summary.weekly,
    }


def _print(rows: Sequence[tuple[Threshold, RuleSummary]], chosen: Variants, calendar: TradingCalendar) -> None:
    from monitor.notify.values import span

    def lasted(ns: int) -> str:
        """Trading time in its own days, as the backtest's table has it."""
        return span(ns) if ns < calendar.session_ns else f"{ns / calendar.session_ns:.1f} sessions"

    for line in _said(chosen):
        click.echo(line)
    click.echo()
    most = max(summary.fired for _, summary in rows)
    columns = ["threshold", "fired", "firing now", "trading time", "longest", "flaps", "a week"]
    terminal = sys.stdout.isatty()
    lines = []
    for at, s in rows:
        here = " <" if at.value == chosen.moved.level else ""
        lines.append([
            at.text + here, str(s.fired), str(s.open), lasted(s.total_ns), lasted(s.longest_ns), str(s.flaps),
            f"{s.weekly:.2f}", *([_bar(s.fired, most)] if terminal else []),
        ])  # fmt: skip
    right = frozenset(columns[1:])
    print_table([*columns, *([""] if terminal else [])], lines, right)


def _said(chosen: Variants) -> list[str]:
    """What moves, and what goes along."""
    rule = chosen.rule
    lines = [f"{rule.name}: the number of `{chosen.moved.text}` moves (< marks the rule's own)"]
    if rule.each is not None:
        lines[0] += f", {len(rule.each.members)} members counted together"
    for cleared in chosen.cleared:
        distance = abs(chosen.moved.level - cleared.level)
        lines.append(f"`until: {cleared.text}` keeps its distance of {_written(distance, chosen)}")
    if rule.until is not None and not chosen.cleared:
        lines.append(f"`until: {rule.until.text}` stays as it is: it does not watch the same")
    return lines


def _written(value: Decimal, chosen: Variants) -> str:
    from monitor.notify.values import shown

    return shown(float(value), str(chosen.moved.watched.type))


def _bar(fired: int, most: int) -> str:
    mark = "\N{FULL BLOCK}" if "utf" in (sys.stdout.encoding or "").lower() else "#"
    return mark * (round(_BAR * fired / most) or bool(fired)) if most else ""
