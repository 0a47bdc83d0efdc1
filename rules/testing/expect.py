"""What a test expects of an alert, a record or an expression, or that nothing fires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rules.ast import Type
from rules.check import check
from rules.diagnostics import did_you_mean, listed
from rules.document import ListNode, MappingNode, Node, ScalarNode
from rules.evidence import deciding, name
from rules.fields import FieldReader
from rules.ruleset import AlertRule, Formula, RuleSet
from rules.scope import Scope
from rules.testing.cases import RESOLVED, AlertExpected, Expectation, FiringExpected, FormulaExpected
from rules.testing.times import read_at
from rules.testing.values import read_expected
from rules.transition import State

STATES: Final = ("inactive", "pending", "firing", "recovering", RESOLVED)
ALERT_KEYS: Final = ("at", "alert", "member", "state", "value", "labels", "summary", "annotations")
RECORD_KEYS: Final = ("at", "record", "value")
EVAL_KEYS: Final = ("at", "eval", "value")
FIRING_KEYS: Final = ("at", "firing")
_EXAMPLE: Final = "{at: 20m, alert: small-caps-lead, state: firing}"
_OTHER: Final = {
    "eval_time": "the time is `at`, since the test's start",
    "alertname": "the alert is named by `alert`",
    "exp_alerts": "each alert is an expectation of its own; `firing: [...]` names all that fire",
    "exp_labels": "write `labels`",
    "exp_annotations": "write `annotations`",
    "expr": "an expression is `eval`",
}
Expected = AlertExpected | FormulaExpected | FiringExpected


class ExpectReader:
    """Reads expectations. `ruleset`: None where the rules are wrong, and names cannot be looked up."""

    def __init__(self, reader: FieldReader, ruleset: RuleSet | None) -> None:
        self._reader = reader
        self._ruleset = ruleset
        self._scope = None if ruleset is None else Scope.of(ruleset)
        self._alerts = {rule.name: rule for rule in ruleset.alerts} if ruleset else {}
        self._records = {rule.name: rule for rule in ruleset.records} if ruleset else {}

    def read(self, node: Node) -> Expectation | None:
        """One expectation."""
        mapping = self._reader.mapping(node, "expect", _EXAMPLE)
        if mapping is None:
            return None
        kinds = [key for key in ("alert", "record", "eval", "firing") if mapping.get(key) is not None]
        if len(kinds) != 1:
            self._reader.known_keys(mapping, (*ALERT_KEYS, "record", "eval", "firing"), "an expectation", _OTHER)
            self._reader.wrong(
                mapping,
                "an expectation is about one thing" if kinds else "what is expected?",
                "it has one of `alert`, `record`, `eval` and `firing`",
            )
            return None
        what = self._what(kinds[0], mapping)
        at_node = mapping.get("at")
        if at_node is None:
            self._reader.wrong(mapping, "an expectation has no `at`", f"such as {_EXAMPLE}")
            return None
        at = read_at(self._reader, at_node)
        if what is None or at is None:
            return None
        text = at_node.text if isinstance(at_node, ScalarNode) else ""
        return Expectation(at, what, mapping.start, at_node.start, text.strip())

    def _what(self, kind: str, node: MappingNode) -> Expected | None:
        match kind:
            case "alert":
                return self._alert(node)
            case "record":
                return self._record(node)
            case "eval":
                return self._eval(node)
            case _:
                return self._firing(node)

    # --- alerts

    def _alert(self, node: MappingNode) -> AlertExpected | None:
        reader = self._reader
        reader.known_keys(node, ALERT_KEYS, "an expectation of an alert", _OTHER)
        rule = self._rule(node.get("alert"))
        state_node = node.get("state")
        state = "" if state_node is None else self._state(state_node)
        if not any(node.get(key) is not None for key in ALERT_KEYS[3:]):
            reader.wrong(node, "an expectation has no `state`", f"it is {listed(STATES)}")
            return None
        member = self._member(node, rule, state)
        value = None
        if (value_node := node.get("value")) is not None:
            value = read_expected(reader, value_node, None if rule is None else _type(rule))
        labels_node = node.get("labels")
        labels = {} if labels_node is None else self._texts(labels_node, "labels")
        annotations = self._annotations(node, rule)
        if rule is None or state is None or member is None:
            return None
        return AlertExpected(rule, member, state, value, labels, annotations)

    def _rule(self, node: Node | None) -> AlertRule | None:
        scalar = None if node is None else self._reader.text(node, "alert", "the name of an alert")
        if scalar is None or self._ruleset is None:
            return None
        if (rule := self._alerts.get(scalar.text)) is None:
            found = did_you_mean(scalar.text, self._alerts)
            hint = "it is a record: write `record`" if scalar.text in self._records else ""
            self._reader.wrong(scalar, f"no alert is named `{scalar.text}`{found}", hint)
        return rule

    def _state(self, node: Node) -> str | None:
        scalar = self._reader.text(node, "state", f"it is {listed(STATES)}")
        if scalar is None:
            return None
        if scalar.text not in STATES:
            found = did_you_mean(scalar.text, STATES)
            self._reader.wrong(scalar, f"`state` cannot be `{scalar.text}`{found}", f"it is {listed(STATES)}")
            return None
        return scalar.text

    def _member(self, node: MappingNode, rule: AlertRule | None, state: str | None) -> str | None:
        """The member's name, empty for none and for all; None where it is wrong."""
        member_node = node.get("member")
        scalar = None if member_node is None else self._reader.text(member_node, "member", "such as XLE")
        if rule is None or (member_node is not None and scalar is None):
            return ""
        if rule.each is None:
            if scalar is None:
                return ""
            self._reader.wrong(scalar, f"`{rule.name}` has no `each`, and so no members")
            return None
        members = [name(m) for m in rule.each.members]
        if scalar is None:
            if state == State.INACTIVE and not any(node.get(key) is not None for key in ALERT_KEYS[4:]):
                return ""
            hint = f"such as `member: {members[0]}`; only `state: inactive` can be said of all at once"
            self._reader.wrong(node, f"`{rule.name}` has an instance a member: which?", hint)
            return None
        text = scalar.text
        if not scalar.style and self._scope is not None and (alias := self._scope.aliases.get(text)) is not None:
            text = alias.symbol
        if text in members:
            return text
        found = did_you_mean(text, members)
        hint = "" if found else f"it has {listed(members[:12], 'and') if len(members) <= 12 else len(members)}"  # noqa: PLR2004
        self._reader.wrong(scalar, f"`{text}` is no member of `{rule.each.name}`{found}", hint)
        return None

    def _annotations(self, node: MappingNode, rule: AlertRule | None) -> dict[str, str]:
        annotations_node, summary_node = node.get("annotations"), node.get("summary")
        found = {} if annotations_node is None else self._texts(annotations_node, "annotations")
        if summary_node is not None and (scalar := self._reader.text(summary_node, "summary")) is not None:
            found["summary"] = scalar.text
        for key in found if rule is not None else ():
            if key != "summary" and key not in rule.annotations:  # type: ignore[union-attr]
                suggestion = did_you_mean(key, rule.annotations)  # type: ignore[union-attr]
                place = annotations_node if annotations_node is not None else node
                self._reader.wrong(place, f"`{rule.name}` has no annotation `{key}`{suggestion}")  # type: ignore[union-attr]
        return found

    def _texts(self, node: Node, key: str) -> dict[str, str]:
        mapping = self._reader.mapping(node, key, "{desk: equities}")
        entries = mapping.entries if mapping else ()
        return {
            key.text: scalar.text
            for key, value in entries
            if (scalar := self._reader.text(value, key.text)) is not None
        }

    # --- values, and all that fires

    def _record(self, node: MappingNode) -> FormulaExpected | None:
        self._reader.known_keys(node, RECORD_KEYS, "an expectation of a record", _OTHER)
        scalar = self._reader.text(node.get("record"), "record")  # type: ignore[arg-type]
        if scalar is None:
            return None
        rule = self._records.get(scalar.text)
        if rule is None and self._ruleset is not None:
            found = did_you_mean(scalar.text, self._records)
            hint = "it is an alert: write `alert`" if scalar.text in self._alerts else ""
            self._reader.wrong(scalar, f"no record is named `{scalar.text}`{found}", hint)
        return self._formula(node, scalar.text, None if rule is None else rule.value)

    def _eval(self, node: MappingNode) -> FormulaExpected | None:
        self._reader.known_keys(node, EVAL_KEYS, "an expectation of an expression", _OTHER)
        scalar = self._reader.text(node.get("eval"), "eval", "an expression such as ret(IWM, 1d)")  # type: ignore[arg-type]
        if scalar is None:
            return None
        if self._scope is None:
            return self._formula(node, "", None)
        checked = check(scalar.text.rstrip(), self._scope)
        for problem in checked.problems:
            self._reader.wrong_inside(scalar, problem.span.start, problem.message, problem.hint)
        return self._formula(node, "", checked.formula)

    def _formula(self, node: MappingNode, record: str, formula: Formula | None) -> FormulaExpected | None:
        value_node = node.get("value")
        if value_node is None:
            self._reader.wrong(node, "an expectation has no `value`", "such as 500bp, 5%, 2.5, true or unknown")
            return None
        if formula is None:
            return None
        value = read_expected(self._reader, value_node, formula.expr.type)
        return None if value is None else FormulaExpected(record, formula, value)

    def _firing(self, node: MappingNode) -> FiringExpected | None:
        self._reader.known_keys(node, FIRING_KEYS, "an expectation of all that fires", _OTHER)
        listed_node = node.get("firing")
        if not isinstance(listed_node, ListNode):
            hint = "such as [small-caps-lead, 'sector-takes-the-lead:XLE'], or [] for none"
            self._reader.wrong(listed_node or node, "`firing` has to be a list", hint)
            return None
        names = [self._instance(item) for item in listed_node.items]
        if self._ruleset is None or any(found is None for found in names):
            return None
        return FiringExpected(frozenset(found for found in names if found is not None))

    def _instance(self, node: Node) -> tuple[str, str] | None:
        scalar = self._reader.text(node, "firing", "an alert, or alert:member")
        if scalar is None or self._ruleset is None:
            return None
        alert, _, member = scalar.text.partition(":")
        rule = self._alerts.get(alert)
        if rule is None:
            self._reader.wrong(scalar, f"no alert is named `{alert}`{did_you_mean(alert, self._alerts)}")
            return None
        members = [name(m) for m in rule.each.members] if rule.each else [""]
        if member in members:
            return alert, member
        found = did_you_mean(member, members) if member else ""
        hint = f"write {alert}:{members[0]}" if rule.each else f"write {alert}: it has no `each`"
        self._reader.wrong(scalar, f"`{scalar.text}` names no instance{found}", hint)
        return None


def _type(rule: AlertRule) -> Type:
    """The type of what an alert is about, as :meth:`rules.evidence.Witness.value` says it."""
    if rule.value is not None:
        return rule.value.expr.type
    found = deciding(rule.when.expr)
    return rule.when.expr.type if found is None else found[0].type


def expected_texts(texts: Mapping[str, str]) -> Mapping[str, str]:
    """Texts as they are compared: runs of blanks are one."""
    return {key: " ".join(text.split()) for key, text in texts.items()}
