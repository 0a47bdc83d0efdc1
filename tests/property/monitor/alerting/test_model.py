"""Instances, silences, acknowledgements, restarts and a clock that is set: what may never happen to who is told."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from monitor.alerting.acknowledgement import Ack
from monitor.alerting.digests import Digest
from monitor.alerting.inhibition import Inhibition
from monitor.alerting.matchers import parse
from monitor.alerting.policy import Limits
from monitor.alerting.routes import Route
from monitor.alerting.silences import Silences
from tests.property.monitor.alerting.model import Model
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
INHIBITION = Inhibition((parse("alertname=A"),), (parse("alertname=B"),))


class Telling(RuleBasedStateMachine):
    """The machine's clock can be set back; instances move, people speak, the process dies."""

    steps = 0
    """Of all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(ROUTE, exact=False, limits=LIMITS, inhibitions=[INHIBITION])
        self.model = Model(AT)
        self.number = 0
        self.seen = 0

    @rule(name=NAMES)
    def fires(self, name):
        if name not in self.model.open:
            self.number += 1
            self.model.fires(alert(name, number=self.number, at=self.model.now))
            self.desk.take(self.model.open[name], at=self.model.now)

    @rule(name=NAMES)
    def ends(self, name):
        if name in self.model.open:
            self.desk.take(over(self.model.open.pop(name), self.model.now), at=self.model.now)

    @rule(name=NAMES)
    def gets_worse(self, name):
        if name in self.model.open:
            self.model.gets_worse(name)
            self.desk.take(self.model.open[name], at=self.model.now)

    @rule(name=NAMES)
    def flaps(self, name):
        """Four times in eight minutes, which steps of chance seldom come to."""
        for change in (self.fires, self.ends) * 4:
            change(name=name)
            self.the_model_allows_each_message_and_misses_none()
            self.time_passes(seconds=60)
            self.the_model_allows_each_message_and_misses_none()

    @rule(name=NAMES, minutes=st.integers(1, 90))
    def is_silenced(self, name, minutes):
        now, number = self.model.now, str(len(self.model.silences))
        made = silence(f"alertname={name}", id=number, starts_at=now, ends_at=now + minutes * MINUTE)
        self.model.silences.append(made)
        self.speak()

    @rule(name=NAMES)
    def is_acknowledged(self, name):
        if name in self.model.open:
            at = self.model.now + len(self.desk.messages)
            self.model.acks[self.model.open[name].episode] = Ack("me", at)
            self.speak()

    @rule(name=NAMES)
    def is_given_back(self, name):
        if name in self.model.open and self.model.acks.pop(self.model.open[name].episode, None):
            self.speak()

    @rule(name=NAMES)
    def is_unknown(self, name):
        """An unknown is no transition: the alert comes again as it is, and nobody hears of it."""
        if name in self.model.open:
            before = len(self.desk.messages)
            held = any(group.holds for group in self.desk.book.groups.values())
            self.desk.take(self.model.open[name], at=self.model.now)
            assert held or len(self.desk.messages) == before

    @precondition(lambda self: self.model.silences)
    @rule()
    def silences_end(self):
        self.model.silences.clear()
        self.speak()

    def speak(self):
        self.desk.book.hear(Silences(self.model.silences), self.model.acks)
        self.desk.advance(self.model.now)

    @rule(seconds=st.sampled_from([1, 29, 60, 900, 3_600, 80_000]))
    def time_passes(self, seconds):
        self.model.now += seconds * SECOND
        self.model.latest = max(self.model.latest, self.model.now)
        self.desk.book.wake()
        self.desk.advance(self.model.now)

    @rule(minutes=st.integers(1, 200))
    def the_clock_is_set_back(self, minutes):
        before = len(self.desk.messages)
        held_back = any(group.holds for group in self.desk.book.groups.values())
        self.model.set_back(self.model.now - minutes * MINUTE)
        self.desk.advance(self.model.now)
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
        Telling.steps += 1
        told = self.desk.told()
        assert len({(e, kind, n, r) for e, kind, n, r in told}) == len(told)
        for episode, receiver in {(e, r) for e, _, _, r in told}:
            mine = sorted((n, kind) for e, kind, n, r in told if (e, r) == (episode, receiver))
            assert [n for n, _ in mine] == list(range(1, len(mine) + 1))
            assert mine[0][1] == "firing"
            assert [kind for _, kind in mine].count("resolved") == (mine[-1][1] == "resolved")

    @invariant()
    def the_model_allows_each_message_and_misses_none(self):
        for message in self.desk.messages[self.seen :]:
            self.model.hear(message)
        self.seen = len(self.desk.messages)
        assert self.model.missing() == []

    @invariant()
    def suppression_never_alters_what_fires(self):
        fires = {a.name: (a.episode, a.severity, a.starts_at) for a in self.desk.book.alerts()}
        assert fires == {name: (a.episode, a.severity, a.starts_at) for name, a in self.model.open.items()}

    def teardown(self):
        """In the end everything is over: whoever was told so much as once is told that."""
        for name in list(self.model.open):
            self.ends(name)
        self.model.silences.clear()
        self.speak()
        for hours in (1, 2, 3, 4, 100, 101):
            self.desk.advance(self.model.now + hours * HOUR)
        last = {}
        for episode, kind, sequence, receiver in self.desk.told():
            last[episode, receiver] = max(last.get((episode, receiver), (0, "")), (sequence, kind))
        assert {kind for _, kind in last.values()} <= {"resolved"}
        assert self.desk.book.ledger.alerts == {}
        assert self.desk.book.groups == {}


Telling.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTelling = Telling.TestCase


@pytest.mark.soak
def test_a_hundred_thousand_steps():
    before = Telling.steps
    while Telling.steps - before < 100_000:
        run_state_machine_as_test(
            Telling, settings=settings(max_examples=1_000, stateful_step_count=50, deadline=None, database=None)
        )
    print(f"{Telling.steps - before:,} steps")  # noqa: T201 - the figure that a soak is for
