from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from monitor.notify.message import Kind, Notification
from rules.transition import Evidence, Reason, State
from tests.unit.monitor.notify.samples import AT, EVIDENCE, compose, transition


def one(**changes) -> Notification:
    [told] = compose(transition(**changes), ["desk"])
    return told


def test_one_message_a_receiver_in_their_order():
    told = compose(transition(), ["desk", "mail"])
    assert [n.receiver for n in told] == ["desk", "mail"]
    assert {n.sequence for n in told} == {1}
    assert told[0].key == "small-caps-turn-2026-01-23-1:firing:1:desk"
    assert compose(transition(), []) == []


def test_resolved_is_the_second_message_of_its_episode():
    told = one(old=State.FIRING, new=State.RESOLVED)
    assert (told.kind, told.sequence) == (Kind.RESOLVED, 2)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (State.INACTIVE, State.FIRING, Kind.FIRING),
        (State.PENDING, State.FIRING, Kind.FIRING),
        (State.RECOVERING, State.FIRING, None),
        (State.INACTIVE, State.PENDING, None),
        (State.PENDING, State.INACTIVE, None),
        (State.FIRING, State.RECOVERING, None),
        (State.RECOVERING, State.RESOLVED, Kind.RESOLVED),
        (State.FIRING, State.RESOLVED, Kind.RESOLVED),
    ],
)
def test_which_transitions_are_told(old, new, kind):
    assert [n.kind for n in compose(transition(old=old, new=new), ["desk"])] == ([kind] if kind else [])


def test_nothing_is_told_of_what_never_fired():
    assert compose(transition(new=State.RESOLVED, episode=""), ["desk"]) == []


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        ({}, "small-caps-turn fired: excess(IWM, SPY, 1d) = -104bp (< -100bp)"),
        ({"member": "XLE"}, "small-caps-turn[XLE] fired: excess(IWM, SPY, 1d) = -104bp (< -100bp)"),
        (
            {"new": State.RESOLVED, "evidence": Evidence(threshold={**(EVIDENCE.threshold or {}), "value": -0.005})},
            "small-caps-turn resolved after 10m: excess(IWM, SPY, 1d) = -50bp (not < -100bp)",
        ),
        (
            {"new": State.RESOLVED, "reason": Reason.RULE_CHANGED},
            "small-caps-turn resolved after 10m: rule changed",
        ),
        ({"reason": Reason.NO_DATA}, "small-caps-turn fired: no data"),
        (
            {
                "evidence": Evidence(expressions=({"expr": "streak(c)", "value": 10.0, "type": "count"},)),
                "value": 10.0,
                "value_type": "count",
            },
            "small-caps-turn fired: streak(c) = 10",
        ),
        ({"evidence": Evidence(), "value": None}, "small-caps-turn fired: held long enough"),
        ({"evidence": Evidence(), "value": 3.449, "value_type": "score"}, "small-caps-turn fired: value 3.45"),
        ({"annotations": {"summary": "  "}}, "small-caps-turn fired: excess(IWM, SPY, 1d) = -104bp (< -100bp)"),
    ],
)
def test_the_default_sentence(changes, summary):
    assert one(**changes).summary == summary


def test_annotations_are_rendered_with_the_decision():
    told = one(
        annotations={"summary": "By {{ value | bp }}\n at {{ at | local('%H:%M') }}", "runbook": "see {{ alert }}"}
    )
    assert told.summary == "By -104bp at 10:07"
    assert told.annotations == {"runbook": "see small-caps-turn"}


def test_a_template_that_fails_is_counted_and_the_alert_is_told_all_the_same():
    errors: list[tuple[str, str]] = []
    [told] = compose(
        transition(annotations={"summary": "{{ labels.nope }}", "runbook": "{{ 1 / 0 }}"}),
        ["desk"],
        on_error=lambda *what: errors.append(what),
    )
    assert told.summary.startswith(
        "small-caps-turn fired: excess(IWM, SPY, 1d) = -104bp (< -100bp) (annotation summary of "
    )
    assert "rule small-caps-turn: 'dict object' has no attribute 'nope'" in told.summary
    assert "division by zero" in told.annotations["runbook"]
    assert [name for name, _ in errors] == ["small-caps-turn"] * 2


def test_the_summary_is_bounded_and_one_line():
    told = one(annotations={"summary": "{{ labels.long }}"}, labels={"long": "word\n" * 500})
    assert len(told.summary) <= 300
    assert "\n" not in told.summary


def test_a_message_survives_the_outbox_whatever_the_numbers_are():
    evidence = Evidence(
        expressions=({"expr": "e", "value": np.float64("nan"), "type": "score"},),
        prices={"IWM": {"price": np.float64(250.5), "ts": np.int64(AT)}},
        threshold={"expr": "e", "value": math.inf, "op": ">", "level": 1, "distance": None, "type": "score"},
    )
    told = one(evidence=evidence, value=math.nan)
    assert told.value is None
    assert told.evidence["expressions"][0]["value"] is None
    assert told.evidence["prices"] == {"IWM": {"price": 250.5, "ts": AT}}
    assert told.evidence["threshold"]["value"] is None
    assert Notification.decode(told.encode()) == told
    assert b"NaN" not in msgspec.json.encode(told.evidence)
