from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.alerting.matchers import parse
from monitor.alerting.silences import RETENTION, Silence, SilenceError, Silences, SilenceState, UnknownSilence
from tests.unit.monitor.alerting.samples import AT, HOUR, MINUTE, silence


def kept(silences: Silences, changes: dict[str, Silence]) -> Silences:
    return Silences([*{**silences.by_id, **changes}.values()])


def added(made: Silence, wall: int = AT) -> tuple[Silences, Silence]:
    changes = Silences().change(made, wall)
    (new,) = changes.values()
    return kept(Silences(), changes), new


def test_a_silence_is_pending_then_active_then_expired():
    made = silence("a=b", starts_at=AT + MINUTE)
    assert [made.state(t) for t in (AT, AT + MINUTE, AT + HOUR)] == [
        SilenceState.PENDING,
        SilenceState.ACTIVE,
        SilenceState.EXPIRED,
    ]
    assert Silence.decode(made.encode()) == made


def test_one_that_starts_in_the_past_starts_now():
    _, new = added(silence("a=b", starts_at=AT - HOUR))
    assert new.starts_at == AT
    assert new.id


def test_a_longer_end_keeps_the_silence_and_other_matchers_make_a_new_one():
    silences, new = added(silence("a=b"))
    longer = replace(new, ends_at=AT + 2 * HOUR)
    assert list(silences.change(longer, AT + MINUTE)) == [new.id]
    changes = silences.change(replace(new, matchers=(parse("a=c"),)), AT + MINUTE)
    old, other = changes.values()
    assert (old.id, old.state(AT + MINUTE)) == (new.id, SilenceState.EXPIRED)
    assert other.id != new.id
    assert other.state(AT + MINUTE) is SilenceState.ACTIVE


def test_an_expired_one_comes_back_as_a_new_one():
    silences, new = added(silence("a=b"))
    silences = kept(silences, silences.expire(new.id, AT + MINUTE))
    assert silences.expire(new.id, AT + 2 * MINUTE) == {}
    assert new.id not in silences.change(replace(new, ends_at=AT + 3 * HOUR), AT + 2 * MINUTE)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (silence(), "at least one matcher"),
        (silence("a=~.*"), "all is silenced"),
        (silence("a=b", ends_at=AT - 1), "before it starts"),
        (silence("a=b", starts_at=AT - HOUR, ends_at=AT), "in the past"),
        (silence("a=b", comment="x" * 5_000), "comment of 5000"),
    ],
)
def test_what_cannot_be_a_silence_says_why(wrong, says):
    with pytest.raises(SilenceError, match=says):
        Silences().change(wrong, AT)


def test_an_unknown_one_is_said_to_be():
    with pytest.raises(UnknownSilence):
        Silences().change(silence("a=b", id="nobody"), AT)


def test_the_next_change_and_what_can_be_forgotten():
    silences, new = added(silence("a=b", starts_at=AT + MINUTE))
    assert [silences.next_change(t) for t in (AT, AT + MINUTE, AT + HOUR)] == [AT + MINUTE, AT + HOUR, None]
    assert silences.forgotten(AT + HOUR + RETENTION) == [new.id]
