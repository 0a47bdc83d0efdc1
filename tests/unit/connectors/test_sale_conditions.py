"""What conditions make of a print, and how much of it is remembered."""

import pytest

from connectors.sale_conditions import Verdict, Verdicts, verdict, verdict_of_codes


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (None, Verdict.PRICE),
        ((), Verdict.PRICE),
        (("@", "F"), Verdict.PRICE),
        (("@", "I"), Verdict.VOLUME),
        (("@", "I", "M"), Verdict.NOTHING),
        (("B",), Verdict.BY_TAPE),
        (("B", "I"), Verdict.VOLUME),
        (("AB", ""), Verdict.PRICE),
    ],
)
def test_letters(conditions, expected):
    verdicts = Verdicts[str](verdict)
    assert [verdicts[conditions], verdicts[conditions]] == [expected, expected]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [(None, Verdict.PRICE), ((14, 41), Verdict.PRICE), ((14, 37), Verdict.VOLUME), ((37, 15), Verdict.NOTHING)],
)
def test_numbers(codes, expected):
    assert Verdicts[int](verdict_of_codes)[codes] == expected


def test_memory_has_a_bound_whatever_the_vendor_sends():
    verdicts = Verdicts[str](verdict)
    for number in range(3_000):
        assert verdicts[f"x{number}", "I"] == Verdict.VOLUME
    assert 0 < len(verdicts) <= 1_000
    before = len(verdicts)
    assert verdicts[("I" * 1_000,)] == Verdict.PRICE
    assert verdicts[("I",) * 100] == Verdict.VOLUME
    assert len(verdicts) == before
