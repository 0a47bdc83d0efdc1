from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.integration.web.desk import Desk, closes, serving

RULES = """\
version: 1
universes:
  both: [IWM, 'BTC/USD']
groups:
  - name: size
    labels: {theme: size}
    rules:
      - record: size_lead
        value: excess(IWM, SPY, 1d)
      - alert: small-caps-lead
        when: size_lead > 100bp
        until: size_lead < 50bp
        severity: critical
        annotations:
          summary: "Small caps lead by {{ value | bp }}"
      - alert: up-a-lot
        each: both
        when: ret(it, 1d) > 5%
        for: 1h
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Small caps at 250, large caps at 600, since long ago."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    return Desk(rules, closes("2026-01-22", 30, {"IWM": 250.0, "SPY": 600.0, "BTC/USD": 90_000.0}))


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the desk's API on a real socket."""
    async with serving(desk) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        yield client
