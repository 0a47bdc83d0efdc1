"""The model finds what is wrong: each of these changes of a stage makes its test fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from monitor.alerting import (
    acknowledgement,
    book,
    deduplication,
    escalation,
    flapping,
    gathering,
    rate_limit,
    stages,
    telling,
)
from monitor.alerting.decision import Reason, Stage, passes
from monitor.alerting.gathering import Groups
from monitor.alerting.groups import Group
from monitor.alerting.inhibition import Inhibitor
from monitor.alerting.ledger import Ledger
from tests.property.monitor.alerting.test_model import Telling

pytestmark = pytest.mark.soak

Patch = pytest.MonkeyPatch
MUTATIONS: dict[str, Callable[[Patch], None]] = {}


def mutation(change: Callable[[Patch], None]) -> Callable[[Patch], None]:
    MUTATIONS[change.__name__] = change
    return change


def always(patch: Patch, module: object, name: str, stage: Stage, reason: Reason) -> None:
    """A stage that lets everything pass."""
    patch.setattr(module, name, lambda *_: passes(stage, reason))


def without(steps: Sequence[object], *gone: object) -> tuple[object, ...]:
    return tuple(each for each in steps if each not in gone)


@mutation
def deduplication_off(patch: Patch) -> None:
    before = deduplication.decide
    new = passes(Stage.DEDUPLICATION, Reason.NEW)
    # Once at a time, or it would tell the same for ever.
    patch.setattr(
        deduplication,
        "decide",
        lambda alert, told, at: new if alert.open and (told is None or told.at < at) else before(alert, told, at),
    )


@mutation
def resolved_is_silenced(patch: Patch) -> None:
    patch.setattr(stages, "_OVER", (stages._silences, *stages._OVER))


@mutation
def resolved_is_muted(patch: Patch) -> None:
    patch.setattr(stages, "_OVER", (stages._mute_times, *stages._OVER))


@mutation
def resolved_is_held_by_an_acknowledgement(patch: Patch) -> None:
    patch.setattr(stages, "_OVER", (stages._acknowledgement, *stages._OVER))


@mutation
def resolved_is_told_to_who_never_heard(patch: Patch) -> None:
    before = deduplication.decide
    over = passes(Stage.DEDUPLICATION, Reason.RESOLVED)
    patch.setattr(
        deduplication,
        "decide",
        lambda alert, told, at: over if not alert.open and told is None else before(alert, told, at),
    )


@mutation
def silences_ignored(patch: Patch) -> None:
    patch.setattr(stages, "_FIRING", without(stages._FIRING, stages._silences))


@mutation
def mute_times_ignored(patch: Patch) -> None:
    patch.setattr(stages, "_FIRING", without(stages._FIRING, stages._mute_times))


@mutation
def inhibition_ignored(patch: Patch) -> None:
    patch.setattr(stages, "_FIRING", without(stages._FIRING, stages._inhibition))


@mutation
def inhibition_ends_what_it_inhibits(patch: Patch) -> None:
    before = stages._inhibition

    def inhibition(alert, group, situation):
        decision = before(alert, group, situation)
        if not decision.passed:
            situation.ledger.keep(replace(alert, ends_at=situation.at))
        return decision

    patch.setattr(stages, "_FIRING", tuple(inhibition if each is before else each for each in stages._FIRING))


@mutation
def inhibition_outlives_its_source(patch: Patch) -> None:
    patch.setattr(Inhibitor, "ended", lambda *_: False)


@mutation
def acknowledgement_ignored(patch: Patch) -> None:
    always(patch, acknowledgement, "decide", Stage.ACKNOWLEDGEMENT, Reason.NOT_ACKNOWLEDGED)


@mutation
def acknowledgement_holds_back_what_got_worse(patch: Patch) -> None:
    before = acknowledgement.decide
    patch.setattr(acknowledgement, "decide", lambda alert, acks, _told: before(alert, acks, None))


@mutation
def a_rise_in_severity_is_no_news(patch: Patch) -> None:
    patch.setattr(deduplication, "rank", lambda _severity: 0)


@mutation
def repeats_off_by_one(patch: Patch) -> None:
    before = telling.next_due
    patch.setattr(telling, "next_due", lambda schedule, n, since, cal: before(schedule, n + 1, since, cal))


@mutation
def repeats_never_move_on(patch: Patch) -> None:
    before = telling.next_due
    patch.setattr(telling, "next_due", lambda schedule, _n, since, cal: before(schedule, 0, since, cal))


@mutation
def repeats_stop(patch: Patch) -> None:
    patch.setattr(telling, "next_due", lambda *_: None)


@mutation
def escalation_at_once(patch: Patch) -> None:
    always(patch, escalation, "decide", Stage.ESCALATION, Reason.ESCALATED)


@mutation
def escalation_never(patch: Patch) -> None:
    before = escalation.decide
    patch.setattr(escalation, "decide", lambda after, told, at: before(after, told if not after else {}, at))


@mutation
def group_wait_ignored(patch: Patch) -> None:
    patch.setattr(Group, "ready_at", property(lambda _group: 0))


@mutation
def group_told_only_once(patch: Patch) -> None:
    patch.setattr(Groups, "told", lambda groups, group, _at: groups._touched.pop(group.id, None))
    patch.setattr(gathering.Groups, "touch", lambda groups, group: groups._touched.setdefault(group.id))
    before = Group.ready_at.fget
    patch.setattr(Group, "ready_at", property(lambda g: 2**62 if g.times.flushed_at else before(g)))

    def told(groups, group, at):
        group.times = replace(group.times, flushed_at=at)

    patch.setattr(Groups, "told", told)


@mutation
def rate_limit_off(patch: Patch) -> None:
    patch.setattr(rate_limit, "free_at", lambda *_: None)


@mutation
def flapping_off(patch: Patch) -> None:
    always(patch, flapping, "decide", Stage.FLAPPING, Reason.STEADY)


@mutation
def digest_off(patch: Patch) -> None:
    patch.setattr(stages, "_FIRING", without(stages._FIRING, stages._digest))


@mutation
def a_restart_forgets_who_was_told(patch: Patch) -> None:
    before = Ledger.load
    patch.setattr(
        Ledger,
        "load",
        lambda ledger, fields: before(ledger, {n: d for n, d in fields.items() if not n.startswith("told:")}),
    )


@mutation
def a_restart_forgets_what_fires(patch: Patch) -> None:
    before = Ledger.load
    patch.setattr(
        Ledger,
        "load",
        lambda ledger, fields: before(ledger, {n: d for n, d in fields.items() if not n.startswith("alert:")}),
    )


@mutation
def a_clock_set_back_is_not_noticed(patch: Patch) -> None:
    patch.setattr(book.AlertBook, "_set_back", lambda *_: None)


@mutation
def the_sequence_stands_still(patch: Patch) -> None:
    before = Ledger.tell
    patch.setattr(
        Ledger,
        "tell",
        lambda ledger, episode, receiver, told: before(ledger, episode, receiver, replace(told, sequence=0)),
    )


@mutation
def an_end_is_forgotten(patch: Patch) -> None:
    patch.setattr(book.AlertBook, "_end", lambda desk, known, over: desk.ledger.keep(replace(over, ends_at=over.at)))


def explore() -> None:
    """What the test of every day does, as it is without the time to make a small example of what it finds."""
    run_state_machine_as_test(
        Telling,
        settings=settings(
            max_examples=1_000,
            stateful_step_count=40,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            print_blob=False,
        ),
    )


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_model_catches(name, monkeypatch):
    MUTATIONS[name](monkeypatch)
    with pytest.raises((AssertionError, KeyError, BaseExceptionGroup)):
        explore()
