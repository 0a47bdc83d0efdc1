"""Rule files made to do harm: refused in words, at once, and for next to no memory."""

from __future__ import annotations

import time
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest

from rules.diagnostics import Level
from rules.load import load_rules, load_texts

SPARE = 4
"""How much longer than the promised 50 ms it may take on a busy machine; what goes wrong here takes seconds."""
LETTERS = "abcdefghij"
BOMB = f"a: &a [{', '.join('x' * 10)}]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in pairwise(LETTERS)
)


def rule(expression: str) -> str:
    return f'groups: [{{name: g, rules: [{{alert: a, when: "{expression}"}}]}}]'


HOSTILE = {
    "parentheses": rule("(" * 10_000 + "1" + ")" * 10_000),
    "parentheses within the length": rule("(" * 1_900 + "1" + ")" * 1_900),
    "minuses": rule("-" * 3_900 + "1"),
    "nots": rule("not " * 900 + "ret(IWM, 1d) > 0"),
    "a long sum": rule("+".join("1" * 1_900)),
    "calls": rule("mean(" * 600 + "1" + ", 5d)" * 600),
    "loops in loops": rule("share(sectors, " * 60 + "ret(it, 1d) > 0" + ") > 0" * 60),
    "many faults": rule(" and ".join(["ret(iwm, 1d) > 4"] * 180)),
    "lists in lists": "[" * 10_000 + "]" * 10_000,
    "mappings in mappings": "{a: " * 10_000,
    "aliases that multiply": BOMB,
    "aliases of a list": "universes:\n  a: &a [" + ", ".join(f"X{i}" for i in range(1_000)) + "]\n"
    + "".join(f"  b{i}: *a\n" for i in range(490)),
    "a merge": "x: &a {y: *a}\n<<: *a",
    "a null byte": "version: 1\n\0",
    "a number of many digits": rule(f"ret(IWM, {'9' * 3_000}d) > 1%"),
    "a weight of many digits": f"baskets: {{a: {{weights: {{X: {'9' * 400}, Y: 1}}}}}}",
    "a large exponent": rule("ret(IWM, 1d) > 1e999999999"),
    "keys that stand twice": "version: 1\n" * 5_000,
    "unknown keys": "".join(f"version{i}: 1\n" for i in range(2_000)),
    "a tag": "version: !!python/object/apply:os.system [id]",
    "a half of a pair": "version: \ud800",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_refused_in_words_and_in_time(text: str) -> None:
    load_texts({"warm.yaml": rule("ret(IWM, 1d) > 0")})
    spent = []
    for _ in range(3):
        started = time.process_time()
        load_texts({"hostile.yaml": text})
        spent.append(time.process_time() - started)
    tracemalloc.start()
    result = load_texts({"hostile.yaml": text})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.ruleset is None
    errors = [d for d in result.diagnostics if d.severity is Level.ERROR]
    assert errors
    assert all(d.render() for d in errors)
    assert len(errors) <= 101
    assert min(spent) < 0.050 * SPARE
    assert peak < 50e6


def test_ten_megabytes_are_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_bytes(b"version: 1 # " + b"x" * 10_000_000)
    tracemalloc.start()
    result = load_rules([file])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.ruleset is None
    assert "larger than 1 MB" in result.diagnostics[0].message
    assert peak < 5e6


def test_many_errors_on_one_long_line_share_it() -> None:
    text = "{" + ", ".join(f"k{i}: {'x' * 900}" for i in range(1_000)) + "}"
    tracemalloc.start()
    result = load_texts({"a.yaml": text})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(result.diagnostics) == 101
    assert "more than 100 errors" in result.diagnostics[-1].message
    assert peak < 20e6


@pytest.mark.parametrize(
    ("word", "character"),
    [
        ("\N{GREEK CAPITAL LETTER IOTA}WM", "GREEK CAPITAL LETTER IOTA"),
        ("I\N{CYRILLIC CAPITAL LETTER EM}M", "CYRILLIC CAPITAL LETTER EM"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER I}WM", "FULLWIDTH LATIN CAPITAL LETTER I"),
        ("IW\N{GREEK CAPITAL LETTER MU}", "GREEK CAPITAL LETTER MU"),
        ("IWM\N{ZERO WIDTH SPACE}", "ZERO WIDTH SPACE"),
    ],
)
def test_a_letter_that_only_looks_like_one_is_named(word: str, character: str) -> None:
    result = load_texts({"a.yaml": rule(f"ret({word}, 1d) > 0")})
    (problem,) = result.diagnostics
    assert character in problem.message
    assert "looks like" in problem.hint
