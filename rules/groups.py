"""Groups and their rules: keys read, the group's defaults filled in, expressions checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rules.arguments import unknown_universe
from rules.ast import Universe
from rules.check import check
from rules.definitions import Definition, Names, Sort
from rules.diagnostics import Level
from rules.document import ListNode, MappingNode, Node, ScalarNode
from rules.doubts import doubt_of_until, doubts
from rules.escalation import read_escalation
from rules.fields import FieldReader
from rules.literals import CLOCK_UNITS
from rules.ruleset import AlertRule, Formula, Hours, NoData, OnClose, RecordRule, Severity, Source
from rules.scope import Scope, uses_clock
from rules.symbols import RULE_NAME
from rules.syntax_errors import UNCLOSED

MAX_NAME: Final = 100

Read = Callable[[FieldReader, Node, str], Any]

SETTINGS: Final[Mapping[str, Read]] = {
    "for": FieldReader.duration,
    "keep_firing_for": FieldReader.duration,
    "severity": lambda reader, node, key: reader.choice(node, key, Severity),
    "labels": FieldReader.labels,
    "annotations": FieldReader.annotations,
    "hours": lambda reader, node, key: reader.choice(node, key, Hours),
    "on_close": lambda reader, node, key: reader.choice(node, key, OnClose),
    "no_data": lambda reader, node, key: reader.choice(node, key, NoData),
    "no_data_for": FieldReader.duration,
    "enabled": FieldReader.switch,
    "notify": FieldReader.words,
    "repeat": FieldReader.repeat,
    "escalate": read_escalation,
}
"""Keys of an alert that its group can give for all its rules."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "for": 0,
    "keep_firing_for": 0,
    "severity": Severity.WARNING,
    "labels": {},
    "annotations": {},
    "hours": Hours.REGULAR,
    "on_close": None,
    "no_data": NoData.KEEP,
    "no_data_for": 5 * CLOCK_UNITS["m"],
    "enabled": True,
    "notify": None,
    "repeat": None,
    "escalate": None,
}

ALERT_KEYS: Final = ("alert", "when", "until", "value", "each", *SETTINGS)
RECORD_KEYS: Final = ("record", "value", "labels", "enabled")
GROUP_KEYS: Final = ("name", "rules", *SETTINGS)

_ELSEWHERE: Final = {
    "expr": "the condition of an alert is `when`, the expression of a record is `value`",
    "if": "the condition of an alert is `when`",
    "condition": "the condition of an alert is `when`",
    "interval": "rules are evaluated whenever data arrives",
    "summary": "texts of messages stand under `annotations`",
    "description": "texts of messages stand under `annotations`",
    "receiver": "receivers are named with `notify`",
    "name": "a rule is named by `alert` or `record`",
}
_NO_DEFAULT: Final = dict.fromkeys(("when", "until", "value", "each"), "each rule has its own")


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule whose expressions have not been looked at."""

    sort: Sort
    name: str
    node: MappingNode
    reader: FieldReader
    group: str
    defaults: Mapping[str, Any]

    @property
    def source(self) -> Source:
        """Where the rule stands."""
        document = self.reader.document
        return Source(document.file, document.place(self.node.start)[0])


def read_groups(reader: FieldReader, node: Node, names: Names, rule_names: Names, group_names: Names) -> list[Draft]:
    """The rules of a file. Records take a name among those of expressions, and all rules one among rules."""
    drafts: list[Draft] = []
    for item in reader.items(node, "groups", "[{name: size, rules: [...]}]"):
        group = reader.mapping(item, "groups", "{name: size, rules: [...]}")
        if group is None:
            continue
        reader.known_keys(group, GROUP_KEYS, "a group", _NO_DEFAULT)
        name = _group_name(reader, group, group_names)
        defaults = _settings(reader, group, SETTINGS)
        rules = group.get("rules")
        if rules is None:
            reader.wrong(group, f"the group{f' `{name}`' if name else ''} has no `rules`")
            continue
        for rule in reader.items(rules, "rules", "[{alert: name, when: condition}]"):
            draft = _draft(reader, rule, name, defaults)
            if draft is not None and _take_name(draft, names, rule_names):
                drafts.append(draft)
    return drafts


def _group_name(reader: FieldReader, group: MappingNode, group_names: Names) -> str:
    node = group.get("name")
    if node is None:
        reader.wrong(group, "a group has no `name`")
        return ""
    name = _rule_name(reader, node, "name")
    if name and isinstance(node, ScalarNode):
        group_names.add(Definition(Sort.GROUP, name, node, group, reader))
    return name or ""


def _draft(reader: FieldReader, node: Node, group: str, defaults: Mapping[str, Any]) -> Draft | None:
    rule = reader.mapping(node, "rules", "{alert: name, when: condition}")
    if rule is None:
        return None
    alert, record = rule.get("alert"), rule.get("record")
    if alert is not None and record is not None:
        reader.wrong(rule, "a rule is either an `alert` or a `record`")
        return None
    named = alert if alert is not None else record
    if named is None:
        known = ALERT_KEYS if rule.get("when") is not None else (*ALERT_KEYS, *RECORD_KEYS)
        reader.known_keys(rule, known, "a rule", _ELSEWHERE)
        reader.wrong(rule, "a rule has no name", "it begins with `alert:` or `record:` and the name")
        return None
    sort = Sort.RECORD if alert is None else Sort.ALERT
    keys, what = (RECORD_KEYS, "a record") if sort is Sort.RECORD else (ALERT_KEYS, "an alert")
    reader.known_keys(rule, keys, what, _ELSEWHERE)
    name = _rule_name(reader, named, "alert") if sort is Sort.ALERT else None
    if sort is Sort.RECORD and (scalar := reader.text(named, "record")) is not None:
        name = reader.new_name(scalar, "a record")
    return Draft(sort, name or "", rule, reader, group, defaults)


def _rule_name(reader: FieldReader, node: Node, key: str) -> str | None:
    scalar = reader.text(node, key)
    if scalar is None:
        return None
    if not RULE_NAME.match(scalar.text):
        hint = "it goes into ids and addresses: letters, digits, _ . and -, such as small-caps-lead"
        reader.wrong(scalar, f"`{scalar.text}` cannot be a name", hint)
        return None
    if len(scalar.text) > MAX_NAME:
        reader.wrong(scalar, f"a name of {len(scalar.text)} characters; {MAX_NAME} are the most")
        return None
    return scalar.text


def _take_name(draft: Draft, names: Names, rule_names: Names) -> bool:
    key = draft.node.get("alert" if draft.sort is Sort.ALERT else "record")
    if not draft.name or not isinstance(key, ScalarNode):
        return True
    definition = Definition(draft.sort, draft.name, key, draft.node, draft.reader)
    if not rule_names.add(definition):
        return False
    return draft.sort is Sort.ALERT or names.add(definition)


def _settings(reader: FieldReader, node: MappingNode, known: Mapping[str, Read]) -> dict[str, Any]:
    found = {key.text: known[key.text](reader, value, key.text) for key, value in node.entries if key.text in known}
    return {key: value for key, value in found.items() if value is not None}


# --- rules


def record_rule(draft: Draft, scope: Scope) -> tuple[RecordRule | None, bool]:
    """The record, or None where something is wrong; and whether it is enabled. It is added to the scope."""
    settings = _merged(draft, {key: read for key, read in SETTINGS.items() if key in RECORD_KEYS})
    value = _formula(draft, "value", scope, None, required=True)
    if value is None:
        scope.broken.add(draft.name)
        return None, False
    scope.add_record(draft.name, value.expr)
    return RecordRule(draft.name, value, settings["labels"], draft.group, draft.source), settings["enabled"]


def alert_rule(draft: Draft, scope: Scope) -> tuple[AlertRule | None, bool]:
    """The alert, or None where something is wrong; and whether it is enabled."""
    settings = _merged(draft, SETTINGS)
    each_node = draft.node.get("each")
    each = None if each_node is None else _each(draft.reader, each_node, scope)
    when = _formula(draft, "when", scope, each, required=True, condition=True)
    until = _formula(draft, "until", scope, each, condition=True)
    value = _formula(draft, "value", scope, each)
    if when is not None and until is not None and when.expr == until.expr:
        node = draft.node.get("until")
        draft.reader.wrong(
            node or draft.node, "`until` says the same as `when`", "leave it out, or say what ends the alert"
        )
    elif when is not None and until is not None and (doubt := doubt_of_until(when, until)) is not None:
        node = draft.node.get("until")
        if isinstance(node, ScalarNode):
            draft.reader.wrong_inside(node, doubt.span, doubt.message, doubt.hint, Level.WARNING)
    if draft.node.get("no_data_for") is not None and settings["no_data"] is NoData.KEEP:
        message = "`no_data_for` has no effect, since `no_data` is keep"
        draft.reader.wrong(draft.node.key("no_data_for") or draft.node, message, "add `no_data: alert`", Level.WARNING)
    if when is None:
        return None, False
    on_close = settings["on_close"]
    if on_close is None:
        clock = uses_clock(when.expr) or (until is not None and uses_clock(until.expr))
        on_close = OnClose.RESET if clock else OnClose.FREEZE
    rule = AlertRule(
        name=draft.name,
        when=when,
        until=until,
        value=value,
        each=each,
        for_ns=settings["for"],
        keep_firing_for_ns=settings["keep_firing_for"],
        severity=settings["severity"],
        labels=settings["labels"],
        annotations=settings["annotations"],
        hours=settings["hours"],
        on_close=on_close,
        no_data=settings["no_data"],
        no_data_for_ns=settings["no_data_for"],
        notify=settings["notify"],
        repeat=settings["repeat"],
        group=draft.group,
        source=draft.source,
        escalate=settings["escalate"],
    )
    return rule, settings["enabled"]


def _merged(draft: Draft, known: Mapping[str, Read]) -> dict[str, Any]:
    """Settings of a rule: its own before its group's, names in labels and annotations one by one."""
    own = _settings(draft.reader, draft.node, known)
    merged = {**DEFAULTS, **draft.defaults, **own}
    for key in ("labels", "annotations"):
        merged[key] = {**draft.defaults.get(key, {}), **own.get(key, {})}
    return merged


_ANY: Final = Universe("", ())
"""Stands for a universe that is wrong itself, so that `it` is no second fault."""


def _each(reader: FieldReader, node: Node, scope: Scope) -> Universe | None:
    if isinstance(node, ListNode):
        reader.wrong(node, "`each` takes the name of a universe", "define the list under `universes`")
        return _ANY
    scalar = reader.text(node, "each")
    if scalar is None or scalar.text in scope.broken:
        return _ANY
    found = scope.universe(scalar.text)
    if found is None:
        message, hint = unknown_universe(scalar.text, scope, "`each` needs a universe")
        reader.wrong(scalar, message, hint)
        return _ANY
    return found


def _formula(
    draft: Draft, key: str, scope: Scope, each: Universe | None, *, required: bool = False, condition: bool = False
) -> Formula | None:
    node, reader = draft.node.get(key), draft.reader
    if node is None:
        if required:
            reader.wrong(
                draft.node,
                f"{draft.sort}{f' `{draft.name}`' if draft.name else ''} has no `{key}`".removeprefix(
                    "an "
                ).removeprefix("a "),
            )
        return None
    if isinstance(node, ScalarNode) and node.empty and not node.style:
        reader.wrong(
            draft.node.key(key) or node,
            f"`{key}` is empty",
            "such as `ret(IWM, 14d) - ret(SPY, 14d) > 4%`" if condition else "",
        )
        return None
    scalar = reader.text(node, key)
    if scalar is None:
        return None
    checked = check(scalar.text.rstrip(), scope, it=each, condition=f"`{key}`" if condition else "")
    for problem in checked.problems:
        cut = (
            not scalar.style
            and reader.document.text[scalar.end : scalar.end + 1] == ","
            and problem.message == UNCLOSED
        )
        hint = "between { and } a comma ends the text: put the expression in double quotes" if cut else problem.hint
        reader.wrong_inside(scalar, problem.span, problem.message, hint)
    if checked.formula is not None:
        for doubt in doubts(checked.formula, key):
            reader.wrong_inside(scalar, doubt.span, doubt.message, doubt.hint, Level.WARNING)
    return checked.formula
