from __future__ import annotations

import pytest

from rules.load import load_texts
from rules.ruleset import EscalationStep

MINUTE = 60_000_000_000
TEXT = """\
groups:
  - name: g
    escalate: [{after: 15m, to: desk-mail}]
    rules:
      - {alert: as-the-group, when: 'ret(IWM, 1d) > 1%'}
      - alert: own
        when: ret(IWM, 1d) > 2%
        escalate:
          - {after: 5m, to: desk-mail}
          - {after: 2h, to: [boss, desk-mail]}
      - {alert: nobody, when: 'ret(IWM, 1d) > 3%', escalate: []}
  - name: h
    rules: [{alert: route, when: 'ret(IWM, 1d) > 4%'}]
"""


def test_a_rule_escalates_as_it_says_or_as_its_group_or_as_the_route():
    loaded = load_texts({"a.yaml": TEXT})
    assert loaded.ruleset is not None, loaded.diagnostics
    found = {rule.name: rule.escalate for rule in loaded.ruleset.alerts}
    assert found == {
        "as-the-group": (EscalationStep(15 * MINUTE, ("desk-mail",)),),
        "own": (EscalationStep(5 * MINUTE, ("desk-mail",)), EscalationStep(120 * MINUTE, ("boss", "desk-mail"))),
        "nobody": (),
        "route": None,
    }
    own = next(rule for rule in loaded.ruleset.alerts if rule.name == "own").escalate
    assert own is not None
    assert [step.places for step in own] == [((9, 29),), ((10, 30), (10, 36))]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("15m", "1:76: error: `escalate` has to be a list"),
        ("[15m]", "1:77: error: `escalate` has to be names with values"),
        ("[{to: a}]", "1:77: error: a step of `escalate` has no `after`"),
        ("[{after: 15m}]", "1:77: error: a step of `escalate` has no `to`"),
        ("[{after: 15, to: a}]", "1:85: error: `after` cannot be `15`"),
        ("[{after: 0, to: a}]", "1:85: error: `after` cannot be `0`"),
        ("[{after: 15m, to: }]", "1:94: error: `to` is empty"),
        ("[{after: 15m, too: a}]", "1:90: error: unknown key `too`: did you mean `to`?"),
        ("[{after: 1h, to: a}, {after: 60m, to: b}]", "1:105: error: `after` of 60m is not later than the step"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(steps, said):
    text = f"groups: [{{name: g, rules: [{{alert: a, when: 'ret(IWM, 1d) > 1%', escalate: {steps}}}]}}]"
    loaded = load_texts({"a.yaml": text})
    assert loaded.ruleset is None
    lines = [d.render().splitlines()[0] for d in loaded.diagnostics]
    assert any(line.startswith(f"a.yaml:{said}") for line in lines), lines
