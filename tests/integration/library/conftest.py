"""The shipped rules over recorded history, once for all tests."""

from __future__ import annotations

import pytest

from tests.tables.fired import firings
from tests.tables.history import CLOSES, History, library


@pytest.fixture(scope="session")
def ruleset():
    return library()


@pytest.fixture(scope="session")
def history(shared_data):
    return History(shared_data, CLOSES)


@pytest.fixture(scope="session")
def transitions(history, ruleset):
    return history.transitions(ruleset)


@pytest.fixture(scope="session")
def fired(transitions):
    """Sessions and members, by rule."""
    return firings(transitions)
