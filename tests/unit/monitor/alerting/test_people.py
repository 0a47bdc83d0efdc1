"""Escalation, digests and acknowledgements as receivers see them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.alerting.acknowledgement import Ack
from monitor.alerting.alert import Source
from monitor.alerting.decision import Reason, Stage
from monitor.alerting.digests import Digest
from monitor.alerting.matchers import parse
from monitor.alerting.policy import Limits
from monitor.alerting.routes import Route
from monitor.alerting.silences import Silences
from tests.unit.monitor.alerting.samples import AT, HOUR, MINUTE, SECOND, Desk, alert, calendar, over, silence

LEAD = "lead@2026-01-23.1"
CHAIN = Route(receivers=("desk",), escalate=((15 * MINUTE, ("mail",)), (HOUR, ("boss", "mail"))))
QUARTER = {"desk": Limits(digest=Digest(15 * MINUTE, (parse("severity=critical"),)))}


def kinds(desk: Desk) -> list[tuple[str, str]]:
    return [(receiver, kind) for _, kind, _, receiver in desk.told()]


def test_who_is_not_answered_is_followed_by_the_next_and_all_hear_the_end():
    desk = Desk(CHAIN)
    desk.take(alert())
    desk.advance(AT + 15 * MINUTE - 1)
    assert kinds(desk) == [("desk", "firing")]
    desk.advance(AT + 15 * MINUTE)
    assert kinds(desk)[1:] == [("mail", "firing")]
    desk.advance(AT + 2 * HOUR)
    assert kinds(desk)[2:] == [("boss", "firing")]
    desk.take(over(alert(), AT + 3 * HOUR))
    assert sorted(kinds(desk)[3:]) == [("boss", "resolved"), ("desk", "resolved"), ("mail", "resolved")]
    assert desk.stored.keys() == {"clock"}


@pytest.mark.parametrize("restart", [False, True])
def test_an_acknowledgement_stops_the_chain_and_giving_it_back_lets_it_go_on(restart):
    desk = Desk(CHAIN)
    desk.take(alert())
    desk.advance(AT + 5 * MINUTE)
    if restart:
        desk.restart()
    desk.book.hear(Silences(), {LEAD: Ack("ann", AT + 5 * MINUTE, "on it")})
    desk.advance(AT + 2 * HOUR)
    assert kinds(desk) == [("desk", "firing"), ("desk", "note")]
    assert desk.messages[-1].summary == "acknowledged by ann: on it"
    desk.book.hear(Silences(), {})
    desk.advance(AT + 2 * HOUR)
    assert sorted(kinds(desk)[2:]) == [("boss", "firing"), ("desk", "note"), ("mail", "firing")]


def test_the_end_stops_the_chain():
    desk = Desk(CHAIN)
    desk.take(alert())
    desk.take(over(alert(), AT + MINUTE))
    desk.advance(AT + 5 * HOUR)
    assert kinds(desk) == [("desk", "firing"), ("desk", "resolved")]


def test_while_nobody_is_told_nobody_is_escalated_to():
    desk = Desk(CHAIN)
    desk.book.hear(Silences([silence("alertname=lead", id="s", ends_at=AT + HOUR)]), {})
    desk.take(alert())
    desk.advance(AT + HOUR - 1)
    assert desk.messages == []
    desk.book.wake()
    desk.advance(AT + HOUR)
    desk.advance(AT + HOUR + 14 * MINUTE)
    assert kinds(desk) == [("desk", "firing")]
    desk.advance(AT + HOUR + 15 * MINUTE)
    assert kinds(desk)[1:] == [("mail", "firing")]


def test_why_says_when_the_next_is_told():
    desk = Desk(CHAIN)
    desk.take(alert())
    (_, mail, _) = desk.book.explain("lead", AT + MINUTE, AT + MINUTE)
    assert (mail.receiver, mail.last.stage, mail.last.until) == ("mail", Stage.ESCALATION, AT + 15 * MINUTE)


def test_a_chain_of_the_rule_takes_the_place_of_the_routes():
    desk = Desk(CHAIN)
    desk.take(alert(escalate=((MINUTE, ("boss",)),)))
    desk.advance(AT + HOUR)
    assert kinds(desk) == [("desk", "firing"), ("boss", "firing")]


@pytest.mark.parametrize(("failing", "told"), [("", ["desk", "mail", "boss"]), ("mail", ["desk", "boss"])])
def test_a_problem_of_the_monitor_goes_up_the_chain_past_the_receiver_it_is_about(failing, told):
    desk = Desk(CHAIN)
    desk.take(replace(alert("feed-down", labels={"receiver": failing} if failing else {}), source=Source.HEALTH))
    desk.advance(AT + 2 * HOUR)
    assert kinds(desk) == [(receiver, "firing") for receiver in told]


@pytest.mark.parametrize("restart", [None, 5, 20])
def test_a_digest_tells_all_news_in_one_message_also_of_what_is_over(restart):
    desk = Desk(limits=QUARTER)
    short, long = alert("short"), alert("long")
    desk.take(short, long)
    desk.take(over(short, AT + MINUTE))
    if restart is not None:
        desk.restart()
        desk.advance(AT + restart * MINUTE)
    desk.advance(AT + 15 * MINUTE)
    (message,) = desk.messages
    assert sorted((n.alert, str(n.kind)) for n in message.alerts) == [
        ("long", "firing"),
        ("short", "firing"),
        ("short", "resolved"),
    ]
    desk.take(over(long, AT + 30 * MINUTE))
    assert len(desk.messages) == 1
    desk.advance(AT + 45 * MINUTE)
    assert [(n.alert, str(n.kind)) for n in desk.messages[1].notices] == [("long", "resolved")]
    assert desk.stored.keys() == {"clock"}


def test_what_is_told_apart_does_not_wait_and_does_not_take_the_digest_along():
    desk = Desk(limits=QUARTER)
    desk.take(alert("calm"))
    desk.take(alert("urgent", labels={"severity": "critical"}), at=AT + SECOND)
    assert [m.alert for m in desk.messages] == ["urgent"]
    assert desk.verdicts[0].last.reason is Reason.GATHERED
    desk.advance(AT + HOUR)
    assert [m.alert for m in desk.messages] == ["urgent", "calm"]


def test_a_digest_at_the_close_waits_for_it():
    desk = Desk(limits={"desk": Limits(digest=Digest(None))})
    desk.take(alert())
    close = calendar().close_ns(calendar().session_at(AT))
    desk.advance(close - 1)
    assert desk.messages == []
    desk.advance(close)
    assert len(desk.messages) == 1


def test_groups_of_a_digest_lose_nothing_to_their_interval():
    route = Route(receivers=("desk",), group_by=("theme",), group_wait=SECOND, group_interval=20 * MINUTE)
    desk = Desk(route, limits=QUARTER)
    desk.take(alert("short"))
    desk.advance(AT + SECOND)
    desk.take(alert("urgent", labels={"severity": "critical"}), at=AT + 2 * SECOND)
    desk.take(over(alert("short"), AT + MINUTE))
    desk.advance(AT + 2 * HOUR)
    told = {(e, kind) for e, kind, _, _ in desk.told()}
    assert {("short@2026-01-23.1", "firing"), ("short@2026-01-23.1", "resolved")} <= told
    assert "digest:desk" not in desk.stored


def test_a_note_is_sent_once_however_often_it_is_heard_and_not_where_it_is_not_wanted():
    route = Route(receivers=("desk", "mail"))
    desk = Desk(route, limits={"mail": Limits(tell_acks=False)})
    desk.take(alert())
    acks = {LEAD: Ack("ann", AT + SECOND)}
    for _ in range(3):
        desk.book.hear(Silences(), acks)
        desk.advance(AT + MINUTE)
        desk.restart()
    assert kinds(desk) == [("desk", "firing"), ("mail", "firing"), ("desk", "note")]
    worse = replace(alert(), labels={**alert().labels, "severity": "critical"})
    desk.take(worse, at=AT + HOUR)
    desk.book.hear(Silences(), acks)
    desk.advance(AT + HOUR)
    assert kinds(desk)[3:] == [("desk", "firing"), ("mail", "firing")]
