"""``rotation test``: unit tests of rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.faults import Exit, Fault, Silent
from monitor.cli.moments import local_text
from monitor.cli.output import JSON, format_option, print_diagnostics, print_json, time_text

if TYPE_CHECKING:
    from monitor.calendar import TradingCalendar
    from monitor.rule_tests import Failure, Outcome, PlannedTest
    from rules.diagnostics import Diagnostic
    from rules.testing import RuleTestFile

_SHOWN = 12
"""Values, and prices, of a failure that are shown."""


@click.command("test", short_help="Unit tests of rules.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TESTFILE...")
@format_option
def test(files: Sequence[Path], form: str) -> Exit:
    r"""Run tests of rules: what the market does, and what the rules should say then.

    A folder stands for the *.test.yaml in it and below it. `rotation schema tests` describes the files.

    \b
      rules: [size.yaml]
      tests:
        - name: a 5 % lead fires after ten minutes
          start: 2026-01-02 09:30 America/New_York
          every: 5m
          history: {IWM: 240x20, SPY: 680x20}
          prices: {IWM: 240 252x4, SPY: 680x5}
          expect: [{at: 20m, alert: small-caps-lead, state: firing, value: 500bp}]
    """
    planned = _planned(_found(files), form)
    failed = 0
    for one in planned:
        outcome = one.run()
        failed += not outcome.passed
        if form == JSON:
            print_json(_record(one.file, outcome))
        else:
            _print(one.file, outcome)
    if form != JSON:
        click.echo(f"{_count(len(planned), 'test')}: {len(planned) - failed} passed, {failed} failed")
    return Exit.NO if failed else Exit.DONE


def _found(paths: Sequence[Path]) -> list[Path]:
    """The test files, each once, in the order given.

    Raises:
        Fault: One does not exist, or a folder has none.
    """
    from rules.load import TEST_SUFFIXES
    from rules.testing import find_test_files

    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise Fault(f"{path}: no such file or folder")
        files = list(find_test_files(path)) if path.is_dir() else [path]
        if not files:
            raise Fault(f"{path}: no {' or '.join(f'*{s}' for s in TEST_SUFFIXES)} in this folder")
        found |= dict.fromkeys(files)
    return list(found)


def _planned(paths: Sequence[Path], form: str) -> list[PlannedTest]:
    """The tests of all files; warnings are printed.

    Raises:
        Silent: Something is wrong with the files; everything that is has been printed.
    """
    from monitor.rule_tests import plan
    from rules.diagnostics import Level
    from rules.testing import load_tests

    diagnostics: dict[Diagnostic, None] = {}
    planned: list[PlannedTest] = []
    calendars: dict[str, TradingCalendar] = {}
    for path in paths:
        loaded = load_tests(path)
        diagnostics |= dict.fromkeys(loaded.diagnostics)
        if loaded.file is not None:
            planned += plan(loaded.file, _calendar(loaded.file, calendars))
            diagnostics |= dict.fromkeys(loaded.file.reader.problems)
    if diagnostics and form == JSON:
        for diagnostic in diagnostics:
            print_json(diagnostic.as_json())
    elif diagnostics:
        print_diagnostics(diagnostics)
    if any(d.severity is Level.ERROR for d in diagnostics):
        raise Silent(Exit.WRONG)
    return planned


def _calendar(file: RuleTestFile, known: dict[str, TradingCalendar]) -> TradingCalendar:
    from monitor.calendar import CalendarError, TradingCalendar

    if file.calendar not in known:
        try:
            known[file.calendar] = TradingCalendar(file.calendar)
        except CalendarError as error:
            raise Fault(f"{file.path}: {error}") from None
    return known[file.calendar]


def _print(file: RuleTestFile, outcome: Outcome) -> None:
    click.echo(f"{'pass' if outcome.passed else 'FAIL'}  {file.path.name}: {outcome.name}")
    last = {failure.subject: failure for failure in outcome.failures}
    for failure in outcome.failures:
        # Of several tables of one subject the last holds the others.
        click.echo("\n" + _explained(file, failure, table=failure is last[failure.subject]))
    if outcome.failures:
        click.echo()


def _explained(file: RuleTestFile, failure: Failure, *, table: bool) -> str:
    """Where it stands, what there was instead, why, and how it came to it."""
    from monitor.notify.values import px, shown
    from rules.diagnostics import Diagnostic, Level

    document = file.reader.document
    message = f"{local_text(failure.at)}: {failure.subject}: expected {failure.expected}; found {failure.found}"
    place = Diagnostic(
        document.file, failure.line, failure.column, Level.ERROR, message, source_line=document.line(failure.line)
    )
    lines = [place.render(), *(f"  {detail}" for detail in failure.details)]
    evidence = failure.evidence or {"expressions": [], "prices": {}}
    values = [
        f"{entry['expr']}{_of(entry.get('member'))} = {shown(entry['value'], entry['type'])}"
        for entry in evidence["expressions"]
    ]
    prices = [f"{symbol} {px(price['price'])}" for symbol, price in evidence["prices"].items()]
    for some, what in ((values, "values"), (prices, "prices")):
        lines += [f"    {line}" for line in some[:_SHOWN]]
        if len(some) > _SHOWN:
            lines.append(f"    and {len(some) - _SHOWN} more {what} (all of them: --format json)")
    if table and failure.timeline:
        width = max(len(tick.state) for tick in failure.timeline)
        lines += [f"  {local_text(t.at)}  {t.state:<{width}}  {t.value:>10}".rstrip() for t in failure.timeline]
    return "\n".join(lines)


def _of(member: str | None) -> str:
    return f" of {member}" if member else ""


def _record(file: RuleTestFile, outcome: Outcome) -> dict[str, Any]:
    return {
        "file": str(file.path),
        "line": outcome.line,
        "test": outcome.name,
        "passed": outcome.passed,
        "steps": outcome.steps,
        "failures": [
            {
                "line": f.line,
                "column": f.column,
                "ts": time_text(f.at),
                "subject": f.subject,
                "expected": f.expected,
                "found": f.found,
                "details": list(f.details),
                "evidence": f.evidence,
                "timeline": [{"ts": time_text(t.at), "state": t.state, "value": t.value} for t in f.timeline],
            }
            for f in outcome.failures
        ],
    }


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
