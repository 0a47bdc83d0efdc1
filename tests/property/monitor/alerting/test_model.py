"""Instances, silences, acknowledgements, restarts and a clock that is set: what may never happen to who is told."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from monitor.alerting.acknowledgement import Ack
from monitor.alerting.alert import Alert
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
        Route(receivers=("desk",), go_on=True, repeat=("15m", "1h", "next_open"), mute=("closed",)),
        Route(receivers=("mail",), go_on=True, group_by=("alertname",), group_wait=30 * SECOND, group_interval=MINUTE),
        Route(receivers=("calm",), repeat=("10m",)),
    ),
)
LIMITS = {"calm": Limits(max_per_minute=2, flap_more_than=3, flap_within=HOUR)}
INHIBITION = Inhibition((parse("alertname=A"),), (parse("alertname=B"),))


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
            self.acks[self.open[name].episode] = Ack("me", self.now)
            self.speak()

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
        assert {k: v for k, v in self.desk.stored.items() if k != "clock"} == {
            k: v for k, v in before.items() if k != "clock"
        }

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
    def suppression_never_alters_what_fires(self):
        assert {a.name: a.episode for a in self.desk.book.alerts()} == {n: a.episode for n, a in self.open.items()}

    def teardown(self):
        """In the end everything is over: whoever was told so much as once is told that."""
        for name in list(self.open):
            self.ends(name)
        self.silences.clear()
        self.speak()
        for hours in range(1, 5):
            self.desk.advance(self.now + hours * HOUR)
        last = {}
        for episode, kind, sequence, receiver in self.desk.told():
            last[episode, receiver] = max(last.get((episode, receiver), (0, "")), (sequence, kind))
        assert {kind for _, kind in last.values()} <= {"resolved"}
        assert self.desk.book.ledger.alerts == {}
        assert self.desk.book.groups == {}


Telling.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTelling = Telling.TestCase
