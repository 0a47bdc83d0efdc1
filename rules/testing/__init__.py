"""Unit tests of rules in their own language: what a test file says. The program runs it: that takes a market."""

from rules.testing.cases import (
    AlertExpected,
    Day,
    Expectation,
    FiringExpected,
    FormulaExpected,
    Inputs,
    Instant,
    Quotes,
    RuleTest,
    RuleTestFile,
    ValueExpected,
    When,
)
from rules.testing.file import LoadedTests, find_test_files, load_tests

__all__ = [
    "AlertExpected",
    "Day",
    "Expectation",
    "FiringExpected",
    "FormulaExpected",
    "Inputs",
    "Instant",
    "LoadedTests",
    "Quotes",
    "RuleTest",
    "RuleTestFile",
    "ValueExpected",
    "When",
    "find_test_files",
    "load_tests",
]
