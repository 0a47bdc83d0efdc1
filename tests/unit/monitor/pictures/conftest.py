"""A morning on which rules fired."""

from __future__ import annotations

import pytest

from tests.unit.monitor.pictures.market import Market


@pytest.fixture
async def market(tmp_path):
    """At the moment small caps have led for ten minutes."""
    market = Market(tmp_path)
    await market.morning(lambda told: told.alert == "lead")
    yield market
    market.compute.close()
