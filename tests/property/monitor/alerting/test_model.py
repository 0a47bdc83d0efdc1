"""Instances, silences, acknowledgements, restarts and a clock that is set: what may never happen to who is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from monitor.alerting.acknowledgement import Ack
from monitor.alerting.alert import Alert
from monitor.alerting.digests import Digest
from monitor.alerting.inhibition import Inhibition
from monitor.alerting.matchers import parse
from monitor.alerting.policy import Limits
from monitor.alerting.routes import Route
from monitor.alerting.silences import Silence, Silences
from tests.unit.monitor.alerting.samples import AT, HOUR, MINUTE, SECOND, Desk, alert, over, silence

NAMES = st.sampled_from("ABC")
ROUTE = Route(
    receivers=("desk",),
    routes=(
        Route(
            receivers=("desk",),
            go_on=True,
            repeat=("15m", "1h", "next_open"),
            mute=("closed",),
            escalate=((15 * MINUTE, ("boss",)), (HOUR, ("chief", "boss"))),
        ),
        Route(receivers=("mail",), go_on=True, group_by=("alertname",), group_wait=30 * SECOND, group_interval=MINUTE),
        Route(receivers=("calm",), go_on=True, repeat=("10m",)),
        Route(receivers=("daily",), go_on=True, group_by=("severity",), group_wait=SECOND, group_interval=20 * MINUTE),
        Route(receivers=("quarterly",)),
    ),
)
LIMITS = {
    "calm": Limits(max_per_minute=2, flap_more_than=3, flap_within=HOUR),
    "daily": Limits(digest=Digest(None), tell_acks=False),
    "quarterly": Limits(digest=Digest(15 * MINUTE, (parse("severity=critical"),))),
}
SILENT = {"daily", "quarterly"}
"""Receivers that are not told who has acknowledged what."""
INHIBITION = Inhibition((parse("alertname=A"),), (parse("alertname=B"),))
REPEATED = {"desk", "calm", "boss", "chief"}
WAITS = {"boss": 15 * MINUTE, "chief": HOUR}


class Telling(RuleBasedStateMachine):
    """The machine's clock can be set back; instances move, people speak, the process dies."""

    def __init__(self) -> None:
        super().__init__()
        self.now = AT
        self.desk = Desk(ROUTE, exact=False, limits=LIMITS, inhibitions=[INHIBITION])
        self.open: dict[str, Alert] = {}
        self.number = 0
        self.silences: list[Silence] = []
        self.acks: dict[str, Ack] = {}
        self.seen = 0
        self.latest = AT
        self.first: dict[str, int] = {}
        self.knows: dict[tuple[str, str], tuple[str, str]] = {}

    @rule(name=NAMES)
    def fires(self, name):
        if name not in self.open:
            self.number += 1
            self.open[name] = alert(name, number=self.number, at=self.now)
            self.desk.take(self.open[name], at=self.now)

    @rule(name=NAMES)
    def ends(self, name):
        if name in self.open:
            self.desk.take(over(self.open.pop(name), self.now), at=self.now)

    @rule(name=NAMES)
    def gets_worse(self, name):
        if name in self.open:
            labels = {**self.open[name].labels, "severity": "critical"}
            self.open[name] = replace(self.open[name], labels=labels)
            self.desk.take(self.open[name], at=self.now)

    @rule(name=NAMES, minutes=st.integers(1, 90))
    def is_silenced(self, name, minutes):
        ends = self.now + minutes * MINUTE
        made = silence(f"alertname={name}", id=str(len(self.silences)), starts_at=self.now, ends_at=ends)
        self.silences.append(made)
        self.speak()

    @rule(name=NAMES)
    def is_acknowledged(self, name):
        if name in self.open:
            self.acks[self.open[name].episode] = Ack("me", self.now + len(self.desk.messages))
            self.speak()

    @rule(name=NAMES)
    def is_given_back(self, name):
        if name in self.open and self.acks.pop(self.open[name].episode, None):
            self.speak()

    @rule(name=NAMES)
    def is_unknown(self, name):
        """An unknown is no transition: the alert comes again as it is, and nobody hears of it."""
        if name in self.open:
            before = len(self.desk.messages)
            held = any(group.holds for group in self.desk.book.groups.values())
            self.desk.take(self.open[name], at=self.now)
            assert held or len(self.desk.messages) == before

    @precondition(lambda self: self.silences)
    @rule()
    def silences_end(self):
        self.silences.clear()
        self.speak()

    def speak(self):
        self.desk.book.hear(Silences(self.silences), self.acks)
        self.desk.advance(self.now)

    @rule(seconds=st.sampled_from([1, 29, 60, 900, 3_600, 80_000]))
    def time_passes(self, seconds):
        self.now += seconds * SECOND
        self.latest = max(self.latest, self.now)
        self.desk.book.wake()
        self.desk.advance(self.now)

    @rule(minutes=st.integers(1, 200))
    def the_clock_is_set_back(self, minutes):
        before = len(self.desk.messages)
        held_back = any(group.holds for group in self.desk.book.groups.values())
        self.now -= minutes * MINUTE
        self.desk.advance(self.now)
        assert held_back or len(self.desk.messages) == before

    @rule()
    def dies_and_starts_again(self):
        before, told = dict(self.desk.stored), len(self.desk.messages)
        self.desk.restart()
        self.speak()
        assert len(self.desk.messages) == told
        changed = {k for k in before.keys() | self.desk.stored.keys() if before.get(k) != self.desk.stored.get(k)}
        # A group that an alert of another severity by now was in before is one nobody is in after a start.
        left = {k for k in changed if k.startswith("group:daily/") and k not in self.desk.stored}
        assert changed - left <= {"clock"}, {k: (before.get(k), self.desk.stored.get(k)) for k in changed}

    @invariant()
    def each_telling_is_told_once_and_in_order(self):
        told = self.desk.told()
        assert len({(e, kind, n, r) for e, kind, n, r in told}) == len(told)
        for episode, receiver in {(e, r) for e, _, _, r in told}:
            mine = sorted((n, kind) for e, kind, n, r in told if (e, r) == (episode, receiver))
            assert [n for n, _ in mine] == list(range(1, len(mine) + 1))
            assert mine[0][1] == "firing"
            assert [kind for _, kind in mine].count("resolved") == (mine[-1][1] == "resolved")

    @invariant()
    def each_message_is_one_that_a_model_allows(self):
        """What may be told, from nothing but what was told before: the book's stages are not asked."""
        opened = {a.episode: n for n, a in self.open.items()}
        for message in self.desk.messages[self.seen :]:
            for notice in message.notices:
                who, episode = message.receiver, notice.episode
                kind, severity = self.knows.get((episode, who), ("", ""))
                if notice.kind == "note":
                    assert kind == "firing"
                    assert who not in SILENT
                    continue
                if notice.kind == "firing":
                    worse = kind == "firing" and severity == "warning" and notice.severity == "critical"
                    over = episode not in opened
                    assert kind in {"", "firing"}
                    assert worse or over or episode not in self.acks
                    assert kind == "" or worse or who in REPEATED, (
                        who,
                        kind,
                        severity,
                        notice.severity,
                        self.desk.told(),
                    )
                    assert who not in WAITS or self.first[episode] <= max(self.now, self.latest) - WAITS[who], (
                        self.first[episode],
                        self.now,
                        self.latest,
                        who,
                    )
                    if not kind:  # a clock that was set back may give a later telling an earlier time
                        self.first[episode] = min(self.first.get(episode, self.now), self.now)
                else:
                    assert kind == "firing"
                    assert episode not in opened
                self.knows[episode, who] = (str(notice.kind), notice.severity)
        self.seen = len(self.desk.messages)

    @invariant()
    def suppression_never_alters_what_fires(self):
        assert {a.name: a.episode for a in self.desk.book.alerts()} == {n: a.episode for n, a in self.open.items()}

    def teardown(self):
        """In the end everything is over: whoever was told so much as once is told that."""
        for name in list(self.open):
            self.ends(name)
        self.silences.clear()
        self.speak()
        for hours in (1, 2, 3, 4, 100, 101):
            self.desk.advance(self.now + hours * HOUR)
        last = {}
        for episode, kind, sequence, receiver in self.desk.told():
            last[episode, receiver] = max(last.get((episode, receiver), (0, "")), (sequence, kind))
        assert {kind for _, kind in last.values()} <= {"resolved"}
        assert self.desk.book.ledger.alerts == {}
        assert self.desk.book.groups == {}


class Lasting(Telling):
    """The same for 100,000 steps."""


Telling.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
Lasting.TestCase.settings = settings(max_examples=2_500, stateful_step_count=40, deadline=None)
TestTelling = Telling.TestCase
TestLasting = pytest.mark.soak(Lasting.TestCase)
