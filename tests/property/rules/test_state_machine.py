"""The engine against a model of the instance state machine, written from the contract in the plainest way."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine import Engine
from rules.ruleset import AlertRule, NoData, OnClose, RuleSet
from tests.unit.rules.market import CALENDAR, HOUR, MAX_GAP, MINUTE, rule, view


@dataclass
class Model:
    """One instance; `timer` is what has been counted, `counting` whether the last evaluation counted too."""

    rule: AlertRule
    state: str = "inactive"
    timer: int = 0
    unknown: int = 0
    counting: bool = False
    blind: bool = False
    last: int = 0
    seen: list[tuple[int, str, str]] = field(default_factory=list)

    def move(self, new: str, at: int) -> None:
        self.seen.append((at, self.state, new))
        self.state = "inactive" if new == "resolved" else new
        self.timer, self.counting = 0, False

    def step(self, now: int, verdict: str) -> None:
        passed = 0
        if self.last:
            close = CALENDAR.close_after(self.last, "regular")
            passed = CALENDAR.trading_time(self.last, now, "regular")
            passed = 0 if passed > MAX_GAP else passed
            if close < now:
                self.close(close)
        self.last = now
        self.timer += passed if self.counting else 0
        self.unknown += passed if self.blind else 0
        if CALENDAR.is_open(now, "regular"):
            self.judge(now, verdict)

    def close(self, at: int) -> None:
        policy = self.rule.on_close
        if policy is OnClose.RESET and self.state == "pending":
            self.move("inactive", at)
        elif policy is OnClose.RESET and self.state == "recovering":
            self.timer, self.counting = 0, False
        elif policy is OnClose.RESOLVE and self.state != "inactive":
            self.move("inactive" if self.state == "pending" else "resolved", at)

    def judge(self, now: int, v: str) -> None:  # noqa: C901, PLR0912 - the contract's table, row by row
        if v == "H" and self.rule.until is None:
            v = "F"
        if self.rule.no_data is not NoData.KEEP:
            self.unknown, self.blind = (self.unknown, True) if v == "U" else (0, False)
            if v == "U" and self.unknown >= self.rule.no_data_for_ns:
                if self.rule.no_data is NoData.ALERT and self.state in ("inactive", "pending"):
                    self.move("firing", now)
                elif self.rule.no_data is NoData.RESOLVE and self.state != "inactive":
                    self.move("inactive" if self.state == "pending" else "resolved", now)
                return
        match self.state, v:
            case (("pending" | "recovering"), "U"):
                self.counting = False
            case "inactive", "T":
                self.move("pending" if self.rule.for_ns else "firing", now)
                self.counting = self.state == "pending"
            case "pending", "T":
                self.counting = True
                if self.timer >= self.rule.for_ns:
                    self.move("firing", now)
            case "pending", _:
                self.move("inactive", now)
            case "firing", "F":
                self.move("recovering" if self.rule.keep_firing_for_ns else "resolved", now)
                self.counting = self.state == "recovering"
            case "recovering", "F":
                self.counting = True
                if self.timer >= self.rule.keep_firing_for_ns:
                    self.move("resolved", now)
            case "recovering", _:
                self.move("firing", now)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 5, 5, 5, 20, 120, 600, 1440]).map(lambda m: m * MINUTE),
        st.sampled_from("TTTHFFU"),
    ),
    min_size=1,
    max_size=40,
)
RULES = st.builds(
    rule,
    st.sampled_from([0, 10 * MINUTE, HOUR]),
    st.sampled_from([0, 10 * MINUTE]),
    until=st.booleans(),
    on_close=st.sampled_from(OnClose),
    no_data=st.sampled_from(NoData),
    no_data_for=st.sampled_from([0, 15 * MINUTE]),
)


def run(engine: Engine, steps, start):
    seen, now = [], start
    for wait, verdict in steps:
        now += wait
        seen += [(t.at, str(t.old), str(t.new)) for t in engine.evaluate(view(now, verdict)).transitions]
    return seen, now


@settings(max_examples=400, deadline=None)
@given(RULES, STEPS)
def test_engine_moves_as_the_contract_says(made, steps):
    engine, model = Engine(RuleSet((made,)), CALENDAR, max_gap_ns=MAX_GAP), Model(made)
    start = now = CALENDAR.at(5, 9.5)
    seen, _ = run(engine, steps, start)
    for wait, verdict in steps:
        now += wait
        model.step(now, verdict)
    assert seen == model.seen


@settings(max_examples=300, deadline=None)
@given(RULES, STEPS, st.data())
def test_a_restart_changes_nothing(made, steps, data):
    """Stored records and the time of the last evaluation are all a new process needs."""
    start = CALENDAR.at(5, 9.5)
    straight = Engine(RuleSet((made,)), CALENDAR, max_gap_ns=MAX_GAP)
    expected, _ = run(straight, steps, start)
    cut = data.draw(st.integers(0, len(steps)))
    stored, seen, now = {}, [], start
    engine = Engine(RuleSet((made,)), CALENDAR, max_gap_ns=MAX_GAP)
    for part in (steps[:cut], steps[cut:]):
        for wait, verdict in part:
            now += wait
            evaluation = engine.evaluate(view(now, verdict))
            stored.update(evaluation.records)
            seen += [(t.at, str(t.old), str(t.new)) for t in evaluation.transitions]
        engine = Engine(RuleSet((made,)), CALENDAR, max_gap_ns=MAX_GAP)
        adopted = engine.restore([r for r in stored.values() if r], now if part else 0)
        assert not adopted.transitions
    assert seen == expected


@settings(max_examples=200, deadline=None)
@given(RULES, STEPS)
def test_invariants(made, steps):
    """Nothing fires twice in an episode; what fired is resolved under the same episode; unknown alone moves nothing."""
    engine = Engine(RuleSet((made,)), CALENDAR, max_gap_ns=MAX_GAP)
    now, open_episode, episodes = CALENDAR.at(5, 9.5), None, set()
    for wait, verdict in steps:
        now += wait
        for t in engine.evaluate(view(now, verdict)).transitions:
            if verdict == "U" and made.no_data is NoData.KEEP:
                assert str(t.reason) == "market closed"
            if str(t.new) == "firing" and str(t.old) != "recovering":
                assert open_episode is None
                assert t.episode not in episodes
                open_episode = t.episode
                episodes.add(t.episode)
            elif str(t.new) == "resolved":
                assert t.episode == open_episode
                open_episode = None
