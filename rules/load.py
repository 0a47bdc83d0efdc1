"""From rule files to a rule set: any number of files and folders, all faults of all of them in one run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from rules.check import check
from rules.definitions import Definition, Names, Sort, resolve
from rules.diagnostics import Diagnostic, Level
from rules.document import Document, DocumentError, MappingNode, Node, ScalarNode, load
from rules.fields import FieldReader
from rules.groups import Draft, alert_rule, read_groups, record_rule
from rules.parse import parse
from rules.ruleset import AlertRule, Formula, RecordRule, RuleSet
from rules.scope import Scope
from rules.syntax import ExpressionError, Name, children

VERSION: Final = "1"
FILE_KEYS: Final = ("version", "aliases", "baskets", "universes", "groups")
SUFFIXES: Final = (".yaml", ".yml")
TEST_SUFFIXES: Final = (".test.yaml", ".test.yml")
"""Files of rule tests: in a folder of rules they are none."""

_DEFINITIONS: Final = {"aliases": Sort.ALIAS, "baskets": Sort.BASKET, "universes": Sort.UNIVERSE}
_ELSEWHERE: Final = {
    "rules": "rules stand in a group: `groups: [{name: size, rules: [...]}]`",
    "tests": "this is a file of tests: run it with `rotation test`",
    **dict.fromkeys(
        ("store", "feeds", "receivers", "route", "web", "history", "calendar"), "that belongs in rotation.yaml"
    ),
}


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The rules, or None if there is any error; and everything there is to say about the files, in their order."""

    ruleset: RuleSet | None
    diagnostics: list[Diagnostic]


class FormulaError(ValueError):
    """An expression that was given by itself is wrong."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__("\n".join(d.render() for d in diagnostics))
        self.diagnostics = diagnostics


def load_rules(paths: Sequence[str | Path]) -> LoadResult:
    """Reads rule files, and the rule files (``*.yaml``, ``*.yml``) that lie directly in folders.

    What is wrong with the files is in the result; nothing is raised for it. A file that is named twice is read once.
    """
    documents: list[Document] = []
    problems: list[Diagnostic] = []
    files = list(_files(paths, problems))
    for file in files:
        _read(file, str(file), documents, problems)
    return _load(map(str, files), documents, problems)


def load_texts(texts: Mapping[str, str]) -> LoadResult:
    """The same for texts that are in no file, by the names that messages call them."""
    documents: list[Document] = []
    problems: list[Diagnostic] = []
    for name, text in texts.items():
        _read(text, name, documents, problems)
    return _load(texts, documents, problems)


def parse_expression(text: str, ruleset: RuleSet) -> Formula:
    """Checks one expression against the names of a rule set, for instance one that a user typed.

    Raises:
        FormulaError: With diagnostics at the line and column of the text.
    """
    checked = check(text.rstrip(), Scope.of(ruleset))
    if checked.formula is None:
        document = Document("<expression>", text, None)
        raise FormulaError(
            [document.diagnostic(p.span.start, p.message, p.hint, end=p.span.end) for p in checked.problems]
        )
    return checked.formula


def _files(paths: Sequence[str | Path], problems: list[Diagnostic]) -> Iterable[Path]:
    seen: set[str] = set()
    for path in map(Path, paths):
        found = [path]
        if path.is_dir():
            try:
                found = sorted(p for p in path.iterdir() if _is_rule_file(p))
            except OSError as error:
                problems.append(Diagnostic(str(path), 0, 0, Level.ERROR, f"cannot be read: {error.strerror}"))
                continue
            found = [p for p in found if p.is_file() or not p.exists()]  # a link that leads nowhere is an error
            if not found:
                problems.append(
                    Diagnostic(str(path), 0, 0, Level.WARNING, "no rule file (*.yaml, *.yml) is in this folder")
                )
        for file in found:
            if (place := os.path.realpath(file)) not in seen:  # unlike `resolve`, it lets a link lead to itself
                seen.add(place)
                yield file


def _is_rule_file(path: Path) -> bool:
    return path.suffix in SUFFIXES and not path.name.startswith(".") and not path.name.endswith(TEST_SUFFIXES)


def _read(source: str | Path, name: str, documents: list[Document], problems: list[Diagnostic]) -> None:
    try:
        documents.append(load(source, name))
    except DocumentError as error:
        problems += error.diagnostics
        if error.document is not None:
            documents.append(error.document)


def _load(files: Iterable[str], documents: Sequence[Document], problems: list[Diagnostic]) -> LoadResult:
    names, rule_names, group_names = Names(), Names(), Names()
    readers = [FieldReader(document) for document in documents]
    drafts = [draft for reader in readers for draft in _read_file(reader, names, rule_names, group_names)]
    scope = resolve(names)
    records = _records([d for d in drafts if d.sort is Sort.RECORD], scope)
    alerts: list[AlertRule] = []
    for draft in drafts:
        if draft.sort is Sort.ALERT:
            rule, enabled = alert_rule(draft, scope)
            if rule is not None and enabled:
                alerts.append(rule)
    order = {file: number for number, file in enumerate(files)}
    problems += [problem for reader in readers for problem in reader.problems]
    problems.sort(key=lambda p: (order.get(p.file, -1), p.line, p.column))
    if any(p.severity is Level.ERROR for p in problems):
        return LoadResult(None, problems)
    ruleset = RuleSet(
        alerts=tuple(alerts),
        records=tuple(records),
        aliases=scope.aliases,
        baskets=scope.baskets,
        universes=scope.universes,
        files=tuple(document.file for document in documents),
    )
    return LoadResult(ruleset, problems)


def _read_file(reader: FieldReader, names: Names, rule_names: Names, group_names: Names) -> list[Draft]:
    """Takes the definitions of a file, and gives its rules."""
    root = reader.document.root
    if root is None or (isinstance(root, ScalarNode) and root.empty):
        reader.wrong(0, "this file defines nothing", level=Level.WARNING)
        return []
    if not isinstance(root, MappingNode):
        reader.wrong(root, "a rule file has to be names with values", f"it has {', '.join(FILE_KEYS)}")
        return []
    reader.known_keys(root, FILE_KEYS, "a rule file", _ELSEWHERE)
    version = root.get("version")
    if version is not None and not (isinstance(version, ScalarNode) and version.text == VERSION):
        reader.wrong(version, f"`version` has to be {VERSION}")
    for key, sort in _DEFINITIONS.items():
        section = root.get(key)
        if section is not None:
            _define(reader, section, key, sort, names)
    groups = root.get("groups")
    return [] if groups is None else read_groups(reader, groups, names, rule_names, group_names)


def _define(reader: FieldReader, section: Node, key: str, sort: Sort, names: Names) -> None:
    example = "{small_caps: IWM}" if sort is Sort.ALIAS else "{mag7: [AAPL, MSFT]}"
    mapping = reader.mapping(section, key, example)
    for name, value in mapping.entries if mapping else ():
        if reader.new_name(name, str(sort)):
            names.add(Definition(sort, name.text, name, value, reader))


def _records(drafts: list[Draft], scope: Scope) -> list[RecordRule]:
    """Records in the order of their files, looked at after those that they use."""
    by_name = {draft.name: draft for draft in drafts if draft.name}
    used = {name: _used(draft) for name, draft in by_name.items()}
    found: dict[str, RecordRule] = {}
    for name in _in_order(by_name, used, scope):
        record, enabled = record_rule(by_name[name], scope)
        if record is not None and enabled:
            found[name] = record
    for draft in drafts:
        if not draft.name:
            record_rule(draft, scope)
    return [found[draft.name] for draft in drafts if draft.name in found]


def _used(draft: Draft) -> dict[str, int]:
    """Names in a record's expression, and where each stands first; none where it is no expression."""
    node = draft.node.get("value")
    if not isinstance(node, ScalarNode):
        return {}
    try:
        tree = parse(node.text.rstrip())
    except ExpressionError:
        return {}
    used: dict[str, int] = {}
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, Name) and not part.quoted:
            used[part.text] = min(part.span.start, used.get(part.text, part.span.start))
        pending.extend(children(part))
    return used


def _in_order(drafts: Mapping[str, Draft], used: Mapping[str, Mapping[str, int]], scope: Scope) -> list[str]:
    """Names of records, each after those it uses; those that use themselves are noted and left out."""
    graph = {name: {n for n in used[name] if n in drafts} for name in drafts}
    while True:
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            cycle: list[str] = error.args[1][::-1]
            first = min(cycle[:-1], key=list(drafts).index)
            start = cycle.index(first)
            cycle = [*cycle[start:-1], *cycle[:start], first]
            draft = drafts[first]
            node = draft.node.get("value")
            if isinstance(node, ScalarNode):
                draft.reader.wrong_inside(
                    node, used[first][cycle[1]], f"`{first}` is defined by itself: {' -> '.join(cycle)}"
                )
            scope.broken.update(cycle)
            graph = {name: uses - set(cycle) for name, uses in graph.items() if name not in cycle}
