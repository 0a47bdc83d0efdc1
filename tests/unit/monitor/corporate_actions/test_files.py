"""Files of corporate actions: what cannot be is named with its file, row and symbol, and decides nothing."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from monitor.calendar import TradingCalendar
from monitor.corporate_actions import ActionError, read_actions
from monitor.corporate_actions.book import ActionBook
from monitor.data_health import Trouble
from monitor.ingest import Cutter, TruthFilter
from monitor.pipeline import Pipeline
from monitor.state import MarketState
from rules.engine import Engine
from rules.load import load_texts
from tests.unit.monitor.state.conftest import Tape

HEAD = "ts,symbol,kind,ratio,amount,new\n"
RULES = "version: 1\ngroups:\n  - name: g\n    rules:\n      - alert: a\n        when: ret(KO, 1d) < -1%\n"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2024-06-10,NVDA,split,0:1,,", "row 2: `0:1` is no ratio"),
        ("2024-06-10,NVDA,split,-10,,", "row 2: `-10` is no ratio"),
        ("2024-06-10,NVDA,split,nan,,", "row 2: `nan` is no ratio"),
        ("2024-06-10,NVDA,split,inf:1,,", "row 2: `inf:1` is no ratio"),
        ("2024-06-10,NVDA,split,1e300:1,,", "row 2: `1e300:1` is no ratio"),
        ("2024-06-10,NVDA,split,10:0,,", "row 2: `10:0` is no ratio"),
        ("2024-06-10,NVDA,split,,,", "row 2: a split needs ratio"),
        ("2024-06-10,NVDA,dividend,,0,", "row 2: the amount `0` is no positive number"),
        ("2024-06-10,NVDA,dividend,,nan,", "row 2: the amount `nan` is no positive number"),
        ("2024-06-10,NVDA,dividend,,-1,", "row 2: the amount `-1` is no positive number"),
        ("2024-06-10,,split,10:1,,", "row 2: it has no symbol"),
        ("10.6.2024,NVDA,split,10:1,,", "row 2: ts is `10.6.2024`: write the ex-date"),
    ],
)
def test_a_row_that_cannot_be_is_named(tmp_path, row, said):
    path = tmp_path / "actions.csv"
    path.write_text(f"{HEAD}2024-06-10,AAPL,split,4:1,,\n{row}\n")
    with pytest.raises(ActionError) as error:
        read_actions(path)
    assert str(error.value).startswith(f"{path}: {said}")


def test_numbers_of_parquet_are_read_as_strictly(tmp_path):
    path = tmp_path / "actions.parquet"
    rows = {"ts": [dt.date(2024, 6, 10)], "symbol": ["NVDA"], "kind": ["split"], "ratio": [float("nan")]}
    pl.DataFrame(rows).write_parquet(path)
    with pytest.raises(ActionError, match="row 1: `nan` is no ratio"):
        read_actions(path)


def test_a_dividend_of_more_than_the_price_is_a_problem_of_the_page_until_the_file_is_right(tmp_path):
    path = tmp_path / "actions.csv"
    path.write_text(f"{HEAD}2026-01-23,KO,dividend,,700,\n")
    book = ActionBook([path], dividends=True)
    calendar = TradingCalendar("XNYS")
    state = MarketState(calendar)
    engine = Engine(load_texts({"r.yaml": RULES}).ruleset, calendar, max_gap_ns=900 * 10**9)
    state.needs(engine.requirements)
    state.actions.know(book.actions)
    pipeline = Pipeline(state, engine, TruthFilter(), Cutter(), ZoneInfo("UTC"), follows_wall=True)
    tape = Tape(state)
    tape.trade("KO", 70.0, "2026-01-22 15:59:00")
    tape.trade("KO", 70.1, "2026-01-23 10:00:00")
    reason = (
        f"{path}: row 1: KO cannot have paid a dividend of 700 on 2026-01-23, its close before was 70: "
        "it is not applied. Write what a share of that day got, in the currency of its prices, or remove it"
    )
    assert pipeline.troubles(state.now) == [Trouble("corporate-actions-invalid", "symbol", "KO", reason)]
    path.write_text(f"{HEAD}2026-01-23,KO,dividend,,0.70,\n")
    assert book.reread()
    pipeline.adopt_actions(book.actions, state.now)
    assert pipeline.troubles(state.now) == []
    assert list(state.actions.applied.values()) == [pytest.approx(0.99)]
