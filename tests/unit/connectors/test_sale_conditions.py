"""What conditions make of a print, and how much of it is remembered."""

import pytest

from connectors.sale_conditions import (
    FINNHUB_NOTHING,
    FINNHUB_VOLUME,
    Verdict,
    Verdicts,
    verdict,
    verdict_of_codes,
    verdict_of_finnhub,
)


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


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (None, Verdict.PRICE),
        (("1", "24"), Verdict.PRICE),
        (("1", "8", "24", "12"), Verdict.VOLUME),
        (("12", "16"), Verdict.NOTHING),
        (("42", ""), Verdict.PRICE),
    ],
)
def test_numbers_of_finnhub(codes, expected):
    assert Verdicts[str](verdict_of_finnhub)[codes] == expected


# The letters of the tapes for what the vendor's sheet calls its numbers, 1 to 39; "-" where there is none.
LETTERS = "@AW-CDEFGH-IKKLMNOOQPRSTUV-XYZ145566789"


def test_finnhubs_numbers_say_what_the_letters_say():
    both = {str(code): letter for code, letter in enumerate(LETTERS, 1) if letter != "-"}
    assert {code: verdict_of_finnhub([code]) for code in both} == {code: verdict([both[code]]) for code in both}
    assert (FINNHUB_VOLUME | FINNHUB_NOTHING) - set(both) == {"11", "27"}


def test_memory_has_a_bound_whatever_the_vendor_sends():
    verdicts = Verdicts[str](verdict)
    for number in range(3_000):
        assert verdicts[f"x{number}", "I"] == Verdict.VOLUME
    assert 0 < len(verdicts) <= 1_000
    before = len(verdicts)
    assert verdicts[("I" * 1_000,)] == Verdict.PRICE
    assert verdicts[("I",) * 100] == Verdict.VOLUME
    assert len(verdicts) == before
