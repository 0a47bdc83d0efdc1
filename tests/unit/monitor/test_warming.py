from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from monitor.calendar import TradingCalendar
from monitor.state import MarketState
from monitor.warming import cold_rules, cold_summary
from rules.load import load_texts
from rules.view import Requirements
from tests.unit.monitor.state.conftest import Tape

RULES = """\
groups:
  - name: g
    rules:
      - {record: short, value: "ret(IWM, 2d)"}
      - {alert: long, when: "ret(IWM, 9d) > 0 and ret(SPY, 1d) > 0"}
"""


@pytest.fixture
def tape():
    state = MarketState(TradingCalendar("XNYS"))
    state.needs(Requirements(("IWM", "SPY"), sessions=9))
    return Tape(state)


def closes(**days: list[int]) -> pl.DataFrame:
    rows = [(dt.date(2026, 1, day), symbol, 100.0) for symbol, of in days.items() for day in of]
    return pl.DataFrame(rows, schema={"ts": pl.Date, "symbol": pl.String, "close": pl.Float64}, orient="row")


def test_before_there_is_data_nothing_is_said(tape):
    assert cold_rules(load_texts({"a.yaml": RULES}).ruleset, tape.state) == []


def test_what_is_stored_is_too_short_for_one_rule(tape):
    tape.state.import_sessions(closes(IWM=[20, 21, 22], SPY=[21, 22]))
    tape.trade("IWM", 101, "2026-01-23 10:00")
    (cold,) = cold_rules(load_texts({"a.yaml": RULES}).ruleset, tape.state)
    assert (cold.rule.name, cold.symbol, cold.needed, cold.stored) == ("long", "IWM", 9, 3)
    # nine sessions after Tuesday the 20th
    assert cold_summary([cold], tape.state) == {"count": 1, "rules": ["long"], "warm_from": "2026-02-02"}


def test_what_is_stored_is_enough(tape):
    tape.state.import_sessions(closes(IWM=[9, 12, 13, 14, 15, 16, 20, 21, 22], SPY=[22]))
    tape.trade("IWM", 101, "2026-01-23 10:00")
    assert cold_rules(load_texts({"a.yaml": RULES}).ruleset, tape.state) == []
