from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from connectors.timestamps import SECOND, UNREADABLE, rfc3339, rfc3339_column

NANOSECONDS = st.integers(
    int(datetime(1678, 1, 1, tzinfo=UTC).timestamp()) * SECOND,
    int(datetime(2262, 1, 1, tzinfo=UTC).timestamp()) * SECOND - 1,
)


def written(ns: int, digits: int, minutes_east: int | None) -> str:
    """`ns` with at least so many digits after the point, trailing zeros trimmed down to that, at an offset or as Z."""
    seconds, rest = divmod(ns, SECOND)
    offset = "Z"
    if minutes_east is not None:
        seconds += minutes_east * 60
        offset = f"{'+' if minutes_east >= 0 else '-'}{abs(minutes_east) // 60:02d}:{abs(minutes_east) % 60:02d}"
    whole = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{rest:09d}".rstrip("0").ljust(digits, "0")
    return f"{whole}{'.' if fraction else ''}{fraction}{offset}"


@given(st.lists(st.tuples(NANOSECONDS, st.integers(0, 12), st.none() | st.integers(-1439, 1439))))
def test_every_time_survives_writing_and_reading(times):
    # An offset may carry the local year over the edge, where a time is refused.
    texts = [written(*time) for time in times]
    kept = [(ns, text) for (ns, _, _), text in zip(times, texts, strict=True) if "1678" <= text[:4] <= "2261"]
    assert rfc3339_column([text for _, text in kept]).tolist() == [ns for ns, _ in kept]


@given(st.lists(st.text(max_size=32) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.Z+-]{0,21}", fullmatch=True)))
def test_a_column_reads_as_its_values_one_by_one(texts):
    assert rfc3339_column(texts).tolist() == [rfc3339(text) for text in texts]


@given(NANOSECONDS, st.integers(0, 29), st.characters())
def test_a_changed_character_never_raises(ns, at, character):
    text = written(ns, 9, None)
    changed = text[:at] + character + text[at + 1 :]
    (column,) = rfc3339_column([changed]).tolist()
    assert column == rfc3339(changed)
    assert column == UNREADABLE or -(2**63) < column < 2**63
