from __future__ import annotations

import json
from dataclasses import replace

from apprise.common import NotifyFormat
from apprise.conversion import convert_between

from monitor.notify.compose import message
from monitor.notify.message import Kind
from monitor.notify.render import payload, render, title
from rules.transition import Evidence, State
from tests.unit.monitor.notify.samples import AT, compose, notification, transition

FIRING = """\
small-caps-turn fired: excess(IWM, SPY, 1d) = -104bp (< -100bp)

State: firing
Alert: small-caps-turn
Severity: warning
Episode: small-caps-turn-2026-01-23-1
Reason: held long enough
Labels: desk=equities, theme=size
At: 2026-01-23 10:07:30 EST (2026-01-23T15:07:30Z)
Started: 2026-01-23 09:57:30 EST (2026-01-23T14:57:30Z)
Value: -104bp
Threshold: excess(IWM, SPY, 1d) < -100bp
Distance: 4bp from the threshold

Evidence:
  excess(IWM, SPY, 1d) < -100bp = true
  excess(IWM, SPY, 1d) = -104bp

Prices:
  IWM 266.125 at 2026-01-23 10:07:29 EST (2026-01-23T15:07:29Z)
  SPY 689.20 at 2026-01-23 10:07:30 EST (2026-01-23T15:07:30Z)

key: small-caps-turn-2026-01-23-1:firing:1:desk
"""


def told(**changes):
    return compose(transition(**changes), ["desk"])[0]


def test_a_firing_message_shows_everything_behind_it():
    message = render(told())
    assert message.title == "[FIRING] small-caps-turn fired: excess(IWM, SPY, 1d) = -104bp (< -100bp)"
    assert message.text == FIRING


def test_a_resolved_message_says_how_long_it_lasted_and_about_whom():
    message = render(told(new=State.RESOLVED, member="XLE", annotations={"runbook": "Call\nthe desk"}))
    assert message.title.startswith("[RESOLVED] small-caps-turn[XLE] resolved after 10m")
    lines = message.text.splitlines()
    assert {"State: resolved", "Member: XLE", "Duration: 10m"} <= set(lines)
    assert lines[lines.index("Runbook:") + 1 :][:2] == ["  Call", "  the desk"]
    assert "key: small-caps-turn-2026-01-23-1:resolved:2:desk" in lines


def test_addresses_can_be_followed():
    url = "https://monitor.example.com/ack?token=a.b-c&x=1"
    shown = render(
        replace(notification(annotations={"runbook": 'see http://wiki/x_(y)?<b>, or "https://a.b".'}), ack_url=url)
    )
    said = "https://monitor.example.com/ack?token=a.b-c&amp;x=1"
    assert f'Acknowledge: <a href="{said}">{said}</a>' in shown.html
    assert 'see <a href="http://wiki/x_(y">http://wiki/x_(y</a>)?&lt;b&gt;' in shown.html
    assert '<a href="https://a.b">https://a.b</a>&quot;.' in shown.html
    again = convert_between(NotifyFormat.HTML, NotifyFormat.TEXT, shown.html)
    assert f"Acknowledge: {url}" in again.splitlines()
    assert f"Acknowledge: {url}" in shown.text.splitlines()


def test_the_html_gives_the_same_lines_back_when_a_mail_service_turns_it_into_text():
    message = render(told(labels={"theme": "<b>&"}))
    again = convert_between(NotifyFormat.HTML, NotifyFormat.TEXT, message.html)
    wanted = [line.strip() for line in message.text.splitlines() if line.strip()]
    assert [line.strip() for line in again.splitlines() if line.strip()] == wanted
    assert "&lt;b&gt;&amp;" in message.html


def test_the_title_names_the_rule_where_the_summary_does_not():
    assert title(told(annotations={"summary": "Small caps turn"})) == "[FIRING] small-caps-turn: Small caps turn"
    assert len(title(told(annotations={"summary": "x" * 299}))) <= 200


def test_what_a_label_says_cannot_forge_a_line():
    message = render(told(labels={"x": "a\nkey: forged\nState: resolved"}, member="M\nState: resolved"))
    assert [line for line in message.text.splitlines() if line.startswith(("State:", "key:"))] == [
        "State: firing",
        "key: small-caps-turn-2026-01-23-1:firing:1:desk",
    ]


def test_hundreds_of_expressions_are_cut_short():
    evidence = Evidence(
        expressions=tuple({"expr": f"e{i}", "value": float(i), "type": "score"} for i in range(100)),
        prices={f"S{i:03}": {"price": None, "ts": 0} for i in range(41)},
    )
    lines = render(told(evidence=evidence)).text.splitlines()
    assert "  and 60 more" in lines
    assert "  and 1 more" in lines
    assert "  S000 unknown" in lines


def test_unknown_values_and_missing_evidence_leave_their_lines_out():
    text = render(told(evidence=Evidence(), value=None)).text
    assert not {"Value:", "Threshold:", "Evidence:", "Prices:", "unknown"} & set(text.replace("\n", " ").split())


def test_programs_get_fields():
    fields = payload(told(new=State.RESOLVED))
    assert json.loads(json.dumps(fields)) == fields
    assert fields["at"] == "2026-01-23T15:07:30Z"
    assert fields["duration_seconds"] == 600.0
    assert fields["value_text"] == "-104bp"
    assert fields["evidence"]["prices"]["SPY"] == {"price": 689.2, "ts": AT}
    assert (fields["state"], fields["sequence"], fields["episode"]) == ("resolved", 2, "small-caps-turn-2026-01-23-1")


def test_a_group_is_a_list_of_twenty_in_full_and_the_number_of_the_rest():
    alerts = [replace(transition(member=f"M{n:02}", episode=f"e{n}"), severity="warning") for n in range(30)]
    notices = [compose(each, ["desk"])[0].notices[0] for each in alerts]
    over = replace(notices[0], episode="e-over", kind=Kind.RESOLVED, sequence=2, member="OVER")
    told = message("desk", [over, *notices], group_key="g", group_labels={"theme": "size"})
    shown = render(told)
    assert shown.title == "[FIRING] 30 firing, 1 resolved: theme=size"
    for body in (shown.text, shown.html):
        assert body.count("Episode: e") == 20
        assert "and 10 more" in body
        assert body.index("Firing:") < body.index("Resolved:")
        assert f"key: {told.key}" in body
    fields = payload(told)
    assert [a["key"] for a in fields["alerts"]] == [n.key("desk") for n in told.alerts]
    assert len(fields["alerts"]) == 31
