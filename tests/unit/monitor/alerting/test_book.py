from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.alerting.acknowledgement import Ack
from monitor.alerting.decision import Reason, Stage
from monitor.alerting.inhibition import Inhibition
from monitor.alerting.matchers import parse
from monitor.alerting.mute_times import MuteTimes
from monitor.alerting.policy import Limits
from monitor.alerting.routes import Route
from monitor.alerting.silences import Silences
from monitor.notify.message import Notification
from tests.unit.monitor.alerting.samples import (
    AT,
    HOUR,
    MINUTE,
    SECOND,
    Desk,
    alert,
    calendar,
    over,
    policy,
    silence,
)

LEAD = "lead@2026-01-23.1"
THEME = Route(receivers=("desk",), group_by=("theme",), group_wait=2 * SECOND, group_interval=MINUTE)


def test_without_groups_each_alert_is_told_at_once_and_its_end_too():
    desk = Desk()
    desk.take(alert())
    desk.take(over(alert(), AT + MINUTE))
    assert desk.told() == [(LEAD, "firing", 1, "desk"), (LEAD, "resolved", 2, "desk")]
    assert [m.key for m in desk.messages] == [f"{LEAD}:firing:1:desk", f"{LEAD}:resolved:2:desk"]
    assert desk.book.alerts() == []
    assert set(desk.stored) == {"clock"}


def test_nothing_is_told_before_an_evaluation_and_nothing_is_lost_by_that():
    desk = Desk()
    desk.restart()
    desk.book._situation.evaluated = False
    desk.take(alert())
    assert desk.messages == []
    assert desk.verdicts[-1].last.reason is Reason.NOT_EVALUATED
    desk.book.evaluated()
    desk.take(over(alert(), AT + MINUTE))
    assert [kind for _, kind, _, _ in desk.told()] == ["firing", "resolved"]


def test_a_group_waits_then_tells_all_in_one_message_then_keeps_its_interval():
    desk = Desk(THEME)
    first, second = (alert(member=m, labels={"theme": "size"}) for m in "AB")
    desk.take(first)
    desk.take(replace(second, at=AT + SECOND))
    assert desk.messages == []
    desk.advance(AT + 10 * SECOND)
    (message,) = desk.messages
    assert [n.member for n in message.alerts] == ["A", "B"]
    assert message.group_labels == {"theme": "size"}
    assert message.summary == "2 firing: theme=size"
    desk.take(alert(member="C", labels={"theme": "size"}, at=AT + 20 * SECOND))
    desk.take(over(first, AT + 30 * SECOND))
    desk.advance(AT + 61 * SECOND)
    assert len(desk.messages) == 1
    desk.advance(AT + 62 * SECOND)
    assert [(n.member, str(n.kind)) for n in desk.messages[1].alerts] == [("C", "firing"), ("A", "resolved")]


def test_who_never_heard_that_it_fires_does_not_hear_that_it_is_over():
    desk = Desk(THEME)
    desk.take(alert())
    desk.take(over(alert(), AT + SECOND))
    desk.advance(AT + HOUR)
    assert desk.messages == []
    assert set(desk.stored) == {"clock"}


def test_ten_thousand_alerts_at_once_are_one_message_of_twenty_in_full():
    desk = Desk(THEME)
    desk.take(*(alert(member=f"M{n:05}", labels={"theme": "size"}) for n in range(10_000)))
    desk.advance(AT + 2 * SECOND)
    (message,) = desk.messages
    assert len(message.alerts) == len({n.key("desk") for n in message.alerts}) == 10_000
    assert sum(bool(n.summary) for n in message.alerts) == 20
    assert Notification.decode(message.encode()) == message


def test_repeats_come_after_their_intervals_the_last_one_for_ever():
    desk = Desk(Route(receivers=("desk",), repeat=("15m", "1h", "next_open")))
    desk.take(alert())
    times = []
    for minute in range(1, 6_000):
        before = len(desk.messages)
        desk.advance(AT + minute * MINUTE)
        times += [minute] * (len(desk.messages) - before)
    monday = (calendar().open_after(AT) - AT) // MINUTE + 1  # looked at once a minute
    assert times == [15, 75, monday, monday + 1440]
    assert [sequence for _, _, sequence, _ in desk.told()] == [1, 2, 3, 4, 5]


def test_a_rules_own_repeat_and_receivers_override_the_route():
    desk = Desk(Route(receivers=("desk",), repeat=("1h",)))
    desk.take(alert(repeat=("10m",), notify=("mail", "hook")))
    desk.advance(AT + 10 * MINUTE)
    assert [r for _, _, _, r in desk.told()] == ["hook", "mail", "hook", "mail"]


def test_a_rise_in_severity_is_told_a_fall_is_not():
    desk = Desk()
    desk.take(alert())
    for severity in ("critical", "info", "warning"):
        desk.take(alert(labels={"severity": severity}), at=AT + MINUTE)
    assert [(kind, sequence) for _, kind, sequence, _ in desk.told()] == [("firing", 1), ("firing", 2)]
    assert desk.messages[-1].severity == "critical"


def test_a_silenced_alert_is_told_when_the_silence_ends_if_it_still_fires():
    desk = Desk()
    made = silence("alert=lead", id="s1")
    desk.book.hear(Silences([made]), {})
    desk.take(alert())
    assert desk.verdicts[-1].last.reason is Reason.SILENCED
    assert desk.verdicts[-1].last.detail == "s1"
    assert desk.messages == []
    desk.book.wake()
    desk.advance(AT + HOUR)
    assert desk.told() == [(LEAD, "firing", 1, "desk")]


def test_who_was_told_is_told_that_it_is_over_silenced_muted_and_acknowledged_or_not():
    muted = Route(receivers=("desk",), mute=("closed",))
    desk = Desk(muted)
    desk.take(alert())
    desk.book.hear(Silences([silence("alertname=lead", id="s", ends_at=AT + 100 * HOUR)]), {LEAD: Ack("me", AT)})
    desk.take(over(alert(), AT + 12 * HOUR))
    assert [kind for _, kind, _, _ in desk.told()] == ["firing", "note", "resolved"]


def test_an_acknowledged_alert_is_not_repeated_unless_it_gets_worse():
    desk = Desk(Route(receivers=("desk",), repeat=("10m",)))
    desk.take(alert())
    desk.book.hear(Silences(), {LEAD: Ack("me", AT)})
    desk.advance(AT + HOUR)
    assert [kind for _, kind, _, _ in desk.told()] == ["firing", "note"]
    assert desk.verdicts[-1].last.stage is Stage.ACKNOWLEDGEMENT
    desk.take(alert(labels={"severity": "critical"}), at=AT + HOUR)
    assert [kind for _, kind, _, _ in desk.told()] == ["firing", "note", "firing"]


def test_a_muted_alert_is_told_when_the_market_opens():
    desk = Desk(Route(receivers=("desk",), mute=("closed", "extended")))
    desk.take(alert(at=AT + 12 * HOUR))
    assert desk.messages == []
    opens = calendar().open_after(AT)
    desk.advance(opens - 1)
    assert desk.messages == []
    desk.advance(opens)
    assert len(desk.messages) == 1


def test_an_inhibited_alert_is_told_when_the_other_is_over():
    rule = Inhibition((parse("alert=feed-down"),), (parse('severity=~".*"'),), ("feed",))
    desk = Desk(inhibitions=[rule])
    down = alert("feed-down", labels={"feed": "iex"})
    desk.take(down, alert(labels={"feed": "iex"}), alert("other", labels={"feed": "cb"}))
    assert {episode.partition("@")[0] for episode, *_ in desk.told()} == {"feed-down", "other"}
    desk.take(over(down, AT + MINUTE))
    assert desk.told()[2:] == [("feed-down@2026-01-23.1", "resolved", 2, "desk"), (LEAD, "firing", 1, "desk")]


def test_what_is_over_the_limit_comes_in_one_message():
    desk = Desk(limits={"desk": Limits(max_per_minute=2)})
    for n in range(10):
        desk.take(alert(member=f"M{n}", at=AT + n * SECOND))
    assert len(desk.messages) == 2
    assert desk.verdicts[-1].last.reason is Reason.OVER_LIMIT
    desk.advance(AT + MINUTE)
    assert [len(m.notices) for m in desk.messages] == [1, 1, 8]
    assert desk.messages[-1].group_key == "digest/desk"


def test_an_instance_that_flaps_is_told_in_a_digest():
    desk = Desk(limits={"desk": Limits(flap_more_than=2, flap_within=HOUR)})
    for n in range(9):
        fired = alert(number=n + 1, at=AT + n * MINUTE)
        desk.take(fired)
        desk.take(over(fired, AT + n * MINUTE + SECOND))
    assert len(desk.messages) == 4
    desk.advance(AT + 2 * MINUTE + HOUR)
    digest = desk.messages[-1]
    assert [(n.episode[-1], str(n.kind)) for n in digest.alerts] == [("9", "firing"), ("9", "resolved")]
    assert all(n.summary.startswith("flapped 7 times") for n in digest.alerts)
    assert desk.book.ledger.alerts == {}


def test_a_clock_set_back_repeats_nothing_and_holds_nothing_up():
    desk = Desk(THEME, exact=False)
    desk.take(alert())
    desk.advance(AT + 3 * SECOND)
    desk.advance(AT - HOUR)
    assert len(desk.messages) == 1
    desk.take(alert("other"), at=AT - HOUR)
    desk.advance(AT - HOUR + MINUTE)
    assert [episode for episode, *_ in desk.told()] == [LEAD, "other@2026-01-23.1"]


@pytest.mark.parametrize("restart", [False, True])
def test_repeats_and_escalations_count_anew_from_where_a_clock_that_was_ahead_is_set_right(restart):
    steps = ((30 * MINUTE, ("boss",)),)
    desk = Desk(Route(receivers=("desk",), repeat=("10m", "1h"), escalate=steps), exact=False)
    desk.take(alert(at=AT + 24 * HOUR))
    if restart:
        desk.restart()
    desk.advance(AT)
    desk.advance(AT + 9 * MINUTE)
    assert desk.told() == [(LEAD, "firing", 1, "desk")]
    desk.advance(AT + 10 * MINUTE)
    desk.advance(AT + 30 * MINUTE)
    assert desk.told()[1:] == [(LEAD, "firing", 2, "desk"), (LEAD, "firing", 1, "boss")]


def test_a_digest_of_flapping_does_not_wait_for_a_time_that_was_never_right():
    desk = Desk(limits={"desk": Limits(flap_more_than=1)}, exact=False)
    for n in (1, 2):
        desk.take(fired := alert(number=n, at=AT + 24 * HOUR + n * MINUTE))
        desk.take(over(fired, AT + 24 * HOUR + n * MINUTE + SECOND))
    assert len(desk.messages) == 2
    desk.advance(AT)
    desk.advance(AT + HOUR)
    assert [(n.episode[-1], str(n.kind)) for n in desk.messages[-1].alerts] == [("2", "firing"), ("2", "resolved")]


def test_a_restart_keeps_waits_and_repeats():
    desk = Desk(replace(THEME, repeat=("10m",)))
    desk.take(alert())
    desk.restart()
    desk.advance(AT + 2 * SECOND)
    assert len(desk.messages) == 1
    desk.restart()
    desk.advance(AT + 10 * MINUTE)
    assert len(desk.messages) == 1
    desk.advance(AT + 10 * MINUTE + 2 * SECOND)
    assert [sequence for _, _, sequence, _ in desk.told()] == [1, 2]


def test_a_receiver_that_is_taken_out_of_the_configuration_is_told_nothing_more_and_the_routes_lead_its_alerts():
    both = Route(receivers=("desk", "gone"), repeat=("10m",))
    desk = Desk(both, receivers=frozenset({"desk", "gone"}), limits={"gone": Limits(flap_more_than=9)})
    desk.take(alert(), alert("own", notify=("gone",)), alert("late", escalate=((HOUR, ("gone", "desk")),)))
    desk.take(over(alert("own", notify=("gone",)), AT + SECOND))
    desk.take(alert("own", number=2, at=AT + MINUTE, notify=("gone",)))
    desk.policy = policy(replace(both, receivers=("desk",)), receivers=frozenset({"desk"}))
    desk.restart()
    desk.messages.clear()
    desk.advance(AT + 10 * MINUTE)
    assert sorted(desk.told()) == [
        ("late@2026-01-23.1", "firing", 2, "desk"),
        (LEAD, "firing", 2, "desk"),
        ("own@2026-01-23.2", "firing", 1, "desk"),
    ]
    desk.take(*(over(a, AT + 12 * MINUTE) for a in (alert(), alert("late"), alert("own", number=2))))
    assert {receiver for *_, receiver in desk.told()} == {"desk"}
    assert set(desk.stored) == {"clock"}


def test_explain_shows_every_stage_of_every_receiver():
    desk = Desk(Route(receivers=("desk", "mail")))
    desk.take(alert())
    (first, second) = desk.book.explain("lead", AT + 1, AT + 1)
    assert (first.receiver, second.receiver) == ("desk", "mail")
    assert first.last.reason is Reason.ALREADY_TOLD
    assert [d.stage for d in first.decisions][:2] == [Stage.START_UP, Stage.INHIBITION]
    assert [d.stage for d in desk.verdicts[0].decisions] == list(Stage)


@pytest.mark.parametrize("name", ["regular", "extended", "closed"])
def test_the_market_is_in_one_state_at_a_time(name):
    times = MuteTimes(calendar(), {})
    hours = {"regular": AT, "extended": AT + 9 * HOUR, "closed": AT + 20 * HOUR}
    assert times.holding(["regular", "extended", "closed"], hours[name]) == [name]
