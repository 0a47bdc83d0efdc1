"""Files of rule tests: found, read with the rules they name, and everything that is wrong with them at once.

.. code-block:: yaml

    rules: [size.yaml]           # files and folders, seen from this file; several
    calendar: XNYS               # unless it is this one
    tests:
      - name: a 5 % lead fires after ten minutes and clears below 300bp
        start: 2026-01-02 09:30 America/New_York   # a zone's name, an offset, or UTC; a date with `every: 1d`
        every: 5m                                  # clock time; 1d: one step a session, at its close
        history: {IWM: 240x20, SPY: 680x20}        # earlier closes, the last of them the session's before the start
        prices: {IWM: 240 252x4 246x3, SPY: 680x8} # one value a step, see rules/testing/values.py
        only: true                                 # an alert that fires and stands in no expectation is a failure
        expect:
          - {at: 20m, alert: small-caps-lead, state: firing, value: 500bp}
          - {at: 25m, alert: small-caps-lead, state: resolved}
          - {at: 20m, record: size_lead, value: 500bp}
          - {at: 20m, eval: "ret(IWM, 1d)", value: 5%}
          - {at: 0, firing: []}

Besides there are ``quotes`` (``{IWM: {bid: 239.9x8, ask: 240.1x8}}``), ``volumes`` (traded in each step),
``volume_history`` (of earlier sessions) and ``series`` (external series, known from their step on; ``history`` takes
their earlier values, each known at its session's close). A name is a symbol, an alias, or a basket or universe, which
stands for those of its members that are not named themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rules.diagnostics import Diagnostic, Level
from rules.document import DocumentError, ListNode, MappingNode, Node, ScalarNode, load
from rules.fields import FieldReader
from rules.load import TEST_SUFFIXES, load_rules
from rules.plan import Compiler
from rules.ruleset import RuleSet
from rules.scope import Scope
from rules.testing.cases import Expectation, FormulaExpected, RuleTest, RuleTestFile
from rules.testing.expect import ExpectReader
from rules.testing.inputs import INPUT_KEYS, InputReader
from rules.testing.times import read_every, read_start
from rules.view import Requirements

FILE_KEYS: Final = ("version", "rules", "calendar", "tests")
TEST_KEYS: Final = ("name", "start", "every", *INPUT_KEYS, "only", "expect")
_ELSEWHERE: Final = {
    "groups": "rules stand in files of their own, which `rules` names",
    "rule_files": "write `rules`",
    "evaluation_interval": "each test has its own `every`",
    "interval": "write `every`",
    "input_series": "write `prices`, `quotes`, `volumes` or `series`",
    "values": "write `prices`",
    "alert_rule_test": "write `expect`",
    "promql_expr_test": "write `expect` with {at, eval, value}",
}
_TEST: Final = "[{name: it fires, start: 2026-01-02, every: 1d, prices: {...}, expect: [...]}]"


@dataclass(frozen=True, slots=True)
class LoadedTests:
    """The tests, or None where anything is wrong; and everything there is to say about the file and its rules."""

    file: RuleTestFile | None
    diagnostics: list[Diagnostic]


def find_test_files(folder: Path) -> Iterator[Path]:
    """Test files in a folder and those below it, in the order of their names."""
    yield from sorted(p for suffix in TEST_SUFFIXES for p in folder.rglob(f"*{suffix}") if p.is_file())


def load_tests(path: Path) -> LoadedTests:
    """Reads a file of tests, and its rules. What is wrong is in the result; nothing is raised for it."""
    try:
        document = load(path)
    except DocumentError as error:
        return LoadedTests(None, error.diagnostics)
    reader = FieldReader(document)
    root = document.root
    if not isinstance(root, MappingNode):
        reader.wrong(root or 0, "a test file has to be names with values", f"it has {', '.join(FILE_KEYS)}")
        return LoadedTests(None, reader.problems)
    reader.known_keys(root, FILE_KEYS, "a test file", _ELSEWHERE)
    ruleset, of_rules = _rules(reader, root, path)
    calendar = _calendar(reader, root)
    tests = _Tests(reader, ruleset).read(root)
    problems = [*of_rules, *sorted(reader.problems, key=lambda p: (p.line, p.column))]
    if ruleset is None or any(p.severity is Level.ERROR for p in problems):
        return LoadedTests(None, problems)
    return LoadedTests(RuleTestFile(path, calendar, ruleset, tuple(tests), reader), problems)


def _rules(reader: FieldReader, root: MappingNode, path: Path) -> tuple[RuleSet | None, list[Diagnostic]]:
    node = root.get("rules")
    if node is None:
        reader.wrong(root, "a test file has no `rules`", "name the rule files, seen from this file: rules: [size.yaml]")
        return None, []
    given = node.items if isinstance(node, ListNode) and node.items else (node,)
    paths: list[Path] = []
    for item in given:
        scalar = reader.text(item, "rules", "the path of a rule file, or a folder of them")
        if scalar is None:
            continue
        file = path.parent / scalar.text
        if not file.exists():
            reader.wrong(scalar, f"`{scalar.text}`: no such file or folder", f"seen from here it is {file}")
            continue
        paths.append(file)
    if len(paths) < len(given):
        return None, []
    loaded = load_rules(paths)
    return loaded.ruleset, loaded.diagnostics


def _calendar(reader: FieldReader, root: MappingNode) -> str:
    node = root.get("calendar")
    scalar = None if node is None else reader.text(node, "calendar", "XNYS, or another exchange")
    return "XNYS" if scalar is None else scalar.text.strip()


class _Tests:
    """Reads the tests of a file. `ruleset` is None where the rules are wrong."""

    def __init__(self, reader: FieldReader, ruleset: RuleSet | None) -> None:
        self._reader, self._ruleset = reader, ruleset
        self._expect = ExpectReader(reader, ruleset)

    def read(self, root: MappingNode) -> list[RuleTest]:
        node = root.get("tests")
        if node is None:
            self._reader.wrong(root, "a test file has no `tests`", f"such as {_TEST}")
            return []
        drafts = [
            (mapping, self._expectations(mapping))
            for item in self._reader.items(node, "tests", _TEST)
            if (mapping := self._reader.mapping(item, "tests", _TEST)) is not None
        ]
        needs = self._needs([e for _, expectations in drafts for e in expectations])
        inputs = InputReader(self._reader, Scope.of(self._ruleset) if self._ruleset else None, needs)
        seen: dict[str, int] = {}
        tests = [self._test(mapping, expectations, inputs, seen) for mapping, expectations in drafts]
        return [test for test in tests if test is not None]

    def _needs(self, expectations: Sequence[Expectation]) -> Requirements | None:
        """What the rules and the expectations look at."""
        if self._ruleset is None:
            return None
        compiler = Compiler(1)
        for alert in self._ruleset.alerts:
            for formula in filter(None, (alert.when, alert.until, alert.value)):
                for member in alert.each.members if alert.each else (None,):
                    compiler.slot(formula.expr, member)
        for record in self._ruleset.records:
            compiler.slot(record.value.expr)
        for expectation in expectations:
            if isinstance(expectation.what, FormulaExpected):
                compiler.slot(expectation.what.formula.expr)
        return compiler.plan().requirements

    def _expectations(self, node: MappingNode) -> list[Expectation]:
        self._reader.known_keys(node, TEST_KEYS, "a test", _ELSEWHERE)
        expect = node.get("expect")
        if expect is None:
            self._reader.wrong(node, "a test has no `expect`", "such as [{at: 20m, alert: a-name, state: firing}]")
            return []
        items = self._reader.items(expect, "expect", "[{at: 20m, alert: a-name, state: firing}]")
        return [found for item in items if (found := self._expect.read(item)) is not None]

    def _test(
        self, node: MappingNode, expect: Sequence[Expectation], inputs: InputReader, seen: dict[str, int]
    ) -> RuleTest | None:
        reader = self._reader
        name = self._name(node, seen)
        start_node, every_node, only_node = (node.get(key) for key in ("start", "every", "only"))
        start = every = None
        if start_node is None:
            reader.wrong(node, "a test has no `start`", "such as start: 2026-01-02 09:30 America/New_York")
        else:
            start = read_start(reader, start_node)
        if every_node is None:
            reader.wrong(node, "a test has no `every`", "how far apart steps are: 5m, or 1d for session closes")
        else:
            every = read_every(reader, every_node)
        only = bool(only_node is not None and reader.switch(only_node, "only"))
        given = inputs.read(node)
        if start is None or every is None or start_node is None or every_node is None:
            return None
        places = {"test": node.start, "start": start_node.start, "every": every_node.start}
        if (history := node.get("history")) is not None:
            places["history"] = history.start
        return RuleTest(name, start, every, given, tuple(expect), only, places)

    def _name(self, node: MappingNode, seen: dict[str, int]) -> str:
        name_node: Node | None = node.get("name")
        scalar = None if name_node is None else self._reader.text(name_node, "name", "a sentence: what should happen")
        if not isinstance(scalar, ScalarNode):
            if name_node is None:
                self._reader.wrong(node, "a test has no `name`", "a sentence: what should happen")
            return ""
        name = " ".join(scalar.text.split())
        if name in seen:
            self._reader.wrong(scalar, f"a test of this name stands on line {seen[name]}")
        seen.setdefault(name, self._reader.document.place(scalar.start)[0])
        return name
