"""``rotation check``: is the configuration right, are the rules, without starting anything."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.configuration import DEFAULT
from monitor.cli.faults import Exit, Fault
from monitor.cli.many import ManyValuesCommand
from monitor.cli.output import JSON, format_option, print_diagnostics, print_json

if TYPE_CHECKING:
    from monitor.settings import ReceiverSettings
    from rules.diagnostics import Diagnostic
    from rules.ruleset import RuleSet


@dataclass(slots=True)
class _Findings:
    """What is wrong, each once: several configurations may share rule files."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def add(self, found: Iterable[Diagnostic]) -> None:
        self.diagnostics += [d for d in found if d not in self.diagnostics]


@click.command(cls=ManyValuesCommand, short_help="Check configuration and rules without starting.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE...",
    help="History that the rules will have: says which need more, and when that is there.",
)
@format_option
def check(paths: Sequence[Path], data: Sequence[Path], form: str) -> Exit:
    """Check configurations and rule files (or folders of them); rotation.yaml of this folder if none is named.

    A configuration brings its rules and its history files along. Everything that is wrong is said at
    once, with file, line and column.
    """
    if not paths and not DEFAULT.is_file():
        raise Fault(f"{DEFAULT}: no such file: name the configuration or rule files to check")
    configs, rules = _sorted_out(paths or [DEFAULT])
    findings = _Findings()
    for config in configs:
        _check_config(config, data, findings)
    if rules and (ruleset := _check_rules(rules, findings)) is not None:
        _check_history(ruleset, data, "XNYS", findings)
    return _say(findings, form)


def _say(findings: _Findings, form: str) -> Exit:
    errors = sum(d.severity == "error" for d in findings.diagnostics)
    if form == JSON:
        for diagnostic in findings.diagnostics:
            print_json(diagnostic.as_json())
    elif findings.diagnostics:
        print_diagnostics(findings.diagnostics)
    if not errors and form != JSON:
        for line in findings.said:
            click.echo(line)
    return Exit.NO if errors else Exit.DONE


def _sorted_out(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Configurations and rule files, in the order given.

    Raises:
        Fault: A path does not exist, or a folder has nothing to check.
    """
    import monitor.settings  # noqa: F401 - with polars
    from rules.load import SUFFIXES

    # polars, when it is imported, has the system go on with a read that Ctrl-C broke: a pipe nobody writes to holds us.
    signal.siginterrupt(signal.SIGINT, True)  # noqa: FBT003 - positional only
    configs: list[Path] = []
    rules: list[Path] = []
    for path in paths:
        if not path.exists():
            raise Fault(f"{path}: no such file or folder")
        files = [path]
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES and p.is_file())
            if not files:
                raise Fault(f"{path}: no *.yaml or *.yml in this folder")
        for file in files:
            (configs if _is_config(file) else rules).append(file)
    return configs, rules


def _is_config(file: Path) -> bool:
    from monitor.settings import is_config
    from rules.document import DocumentError, MappingNode, load

    try:
        root = load(file).root
    except DocumentError as error:
        root = error.document.root if error.document else None
        if root is None:
            return file.name == DEFAULT.name
    if not isinstance(root, MappingNode):
        return file.name == DEFAULT.name
    return is_config(key.text for key, _ in root.entries)


def _check_config(config: Path, data: Sequence[Path], findings: _Findings) -> None:
    from monitor.rule_files import unknown_receivers
    from monitor.settings import load_settings
    from rules.diagnostics import Diagnostic, Level

    loaded = load_settings(config, os.environ)
    findings.add(loaded.diagnostics)
    if (settings := loaded.settings) is None:
        return
    feeds, receivers = _count(len(settings.feeds), "feed"), _count(len(settings.receivers), "receiver")
    findings.said.append(f"{config}: ok, {feeds}, {receivers}")
    from monitor.notify.receivers import validate

    for name, receiver in settings.receivers.items():
        for url in receiver.urls:
            if wrong := validate(url.get_secret_value()):
                findings.add([Diagnostic(str(config), 0, 0, Level.ERROR, f"receiver `{name}`: {wrong}")])
    findings.add(Diagnostic(str(config), 0, 0, Level.WARNING, said) for said in _unpictured(settings.receivers))
    if settings.rules:
        ruleset = _check_rules(settings.rules, findings)
        named = unknown_receivers(ruleset.alerts if ruleset else (), settings.receivers)
        for rule, line, column, what, name in named:
            message = f"`{rule.name}` {what} `{name}`, and {config} has no such receiver"
            findings.add([Diagnostic(rule.source.file, line, column, Level.ERROR, message)])
        if ruleset is not None:
            files = [*settings.history_files, *data]
            _check_history(ruleset, files, settings.calendar, findings)


def _unpictured(receivers: Mapping[str, ReceiverSettings]) -> Iterator[str]:
    """Why messages that are to have a picture will go without."""
    from monitor.charts.raster import FontMissing, check_text
    from monitor.notify.receivers import takes_pictures, validate

    pictured = {name: receiver for name, receiver in receivers.items() if receiver.picture}
    for name, receiver in pictured.items():
        urls = [url.get_secret_value() for url in receiver.urls]
        if not any(takes_pictures(url) or validate(url) for url in urls):
            yield (
                f"receiver `{name}`: none of its addresses takes a picture, its messages go without; "
                "mails and Slack's bots (slack://xoxb-...) do, Slack's incoming webhooks do not"
            )
    if pictured:
        try:
            check_text()
        except (FontMissing, ImportError, ValueError) as error:
            yield f"pictures cannot be drawn, messages go without: {error}"


def _check_rules(paths: Sequence[Path], findings: _Findings) -> RuleSet | None:
    from rules.load import load_rules

    loaded = load_rules(paths)
    findings.add(loaded.diagnostics)
    if loaded.ruleset is not None:
        alerts, records = _count(len(loaded.ruleset.alerts), "alert"), _count(len(loaded.ruleset.records), "record")
        findings.said.append(f"rules: ok, {alerts} and {records} in {_count(len(loaded.ruleset.files), 'file')}")
    return loaded.ruleset


def _check_history(ruleset: RuleSet, files: Sequence[Path], calendar: str, findings: _Findings) -> None:
    if not files:
        return
    from monitor.calendar import CalendarError, TradingCalendar
    from monitor.cli.warming import cold_rules
    from monitor.data_files import DataFileError

    try:
        findings.add(cold_rules(ruleset, files, TradingCalendar(calendar)))
    except (DataFileError, CalendarError) as error:
        raise Fault(str(error)) from error


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
