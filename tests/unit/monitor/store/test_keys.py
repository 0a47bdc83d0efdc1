from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.store.base import JournalId
from monitor.store.keys import ENTRIES_PER_COMMIT, Keys, stream_ids

positions = st.builds(JournalId, st.integers(1, 2**45), st.integers(0, 10**12))


def test_names_are_the_promised_ones():
    keys = Keys()
    assert [keys.leader, keys.journal, keys.checkpoint] == [
        "rotation:leader",
        "rotation:journal:{0}",
        "rotation:checkpoint:{0}",
    ]
    assert [keys.instances, keys.transitions, keys.outbox, keys.dead, keys.notified] == [
        "rotation:instances",
        "rotation:transitions",
        "rotation:outbox",
        "rotation:dead",
        "rotation:notified",
    ]
    assert keys.quote("BTC/USD") == "rotation:quote:BTC/USD"
    assert keys.bars("1m", "2026-01-23") == "rotation:bars:1m:{0}:2026-01-23"
    assert Keys("test:", 3).journal == "test:journal:{3}"


def test_no_two_keys_are_the_same():
    keys = Keys()
    names = [getattr(keys, name) for name in vars(Keys) if isinstance(getattr(Keys, name), property)]
    assert len(set(names)) == len(names) > 9


@given(st.lists(st.tuples(positions, st.integers(0, 5)), max_size=10))
def test_ids_rise_with_the_journal(commits: list[tuple[JournalId, int]]):
    commits.sort(key=lambda c: (c[0].ms, c[0].sequence))
    distinct = {str(position): (position, count) for position, count in commits}
    ids = [JournalId.parse(i) for position, count in distinct.values() for i in stream_ids(position, count)]
    order = [(i.ms, i.sequence) for i in ids]
    assert order == sorted(set(order))
    assert all(i.sequence < 2**64 for i in ids)


def test_too_many_entries_are_refused():
    assert stream_ids(JournalId(1, 0), 2) == ["1-1", "1-2"]
    with pytest.raises(ValueError, match="1-0 has 1000000 entries"):
        stream_ids(JournalId(1, 0), ENTRIES_PER_COMMIT)
