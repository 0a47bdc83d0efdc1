"""Whatever a rule file holds: an answer or errors in words, in bounded time and memory, and never anything else."""

from __future__ import annotations

import os
import random
import sys
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from typing import Final

import pytest

from rules.check import check
from rules.diagnostics import Level
from rules.doubts import doubts
from rules.load import FormulaError, load_texts, parse_expression
from rules.plan import Compiler
from rules.ruleset import RuleSet
from rules.scope import Scope
from tests.property.rules.expressions import HEADER, expression, rule_file

MILLISECONDS: Final = 50
MEGABYTES: Final = 50
SESSION_NS: Final = 390 * 60 * 10**9
CHUNK: Final = 5_000
MILLION: Final = int(os.environ.get("FUZZ_CASES", "1_000_000"))
FILES: Final = 0.1
"""The share of cases that are whole files; one takes as long as thirty expressions."""


@cache
def ruleset() -> RuleSet:
    """The names that grown expressions use."""
    loaded = load_texts({"header.yaml": HEADER})
    assert loaded.ruleset is not None
    return loaded.ruleset


def look_at_expression(text: str) -> None:
    """Checks an expression as a rule of a universe has it and as somebody types it, and plans how it is calculated."""
    names = ruleset()
    checked = check(text.rstrip(), Scope.of(names), it=names.universes["sectors"])
    assert (checked.formula is None) == bool(checked.problems)
    for problem in checked.problems:
        assert 0 <= problem.span.start <= len(text)
        assert problem.message
    if checked.formula is not None:
        for doubt in doubts(checked.formula, "when"):
            assert 0 <= doubt.span.start < len(text)
            assert doubt.message
        compiler = Compiler(SESSION_NS)
        for member in names.universes["sectors"].members:
            compiler.slot(checked.formula.expr, member)
        assert compiler.plan().size > 0
    try:
        parse_expression(text, names)
    except FormulaError as error:
        assert all(d.render() for d in error.diagnostics)  # noqa: PT017


def look_at_file(text: str) -> None:
    """Loads a rule file."""
    result = load_texts({"fuzz.yaml": text})
    assert (result.ruleset is None) == any(d.severity is Level.ERROR for d in result.diagnostics)
    for diagnostic in result.diagnostics:
        assert diagnostic.message
        assert diagnostic.render()
        assert "\x1b" not in diagnostic.render()


def one(seed: int) -> None:
    """One case by its number, in time; a case that was interrupted by other work is looked at again."""
    dice = random.Random(seed)  # a case is repeated by its number
    is_file = dice.random() < FILES
    text, look = (rule_file(dice), look_at_file) if is_file else (expression(dice), look_at_expression)
    spent = float("inf")
    try:
        for _ in range(4):
            started = time.process_time()
            look(text)
            spent = min(spent, (time.process_time() - started) * 1e3)
            if spent < MILLISECONDS:
                break
    except Exception as error:
        error.add_note(f"case {seed}: {text!r}")
        raise
    assert spent < MILLISECONDS, f"case {seed} takes {spent:.0f} ms: {text!r}"
    if seed % 1_000 == 0:
        tracemalloc.start()
        look(text)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        assert peak < MEGABYTES, f"case {seed} takes {peak:.0f} MB: {text!r}"


def many(first: int, count: int) -> int:
    """So many cases from one number on."""
    for seed in range(first, first + count):
        one(seed)
    return count


def test_hundreds_of_grown_and_damaged_texts() -> None:
    assert many(0, 400) == 400


@pytest.mark.soak
def test_a_million_grown_and_damaged_texts(capsys: pytest.CaptureFixture[str]) -> None:
    """In as many processes as there are cores; FUZZ_CASES sets another number, FUZZ_FIRST other cases."""
    first = int(os.environ.get("FUZZ_FIRST", "1_000"))
    done = 0
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        chunks = [
            pool.submit(many, at, min(CHUNK, first + MILLION - at)) for at in range(first, first + MILLION, CHUNK)
        ]
        for chunk in as_completed(chunks):
            done += chunk.result()
            with capsys.disabled():
                sys.stdout.write(f"\rfuzz: {done:,} of {MILLION:,} texts")
                sys.stdout.flush()
    assert done == MILLION
