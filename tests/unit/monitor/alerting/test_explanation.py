from __future__ import annotations

import pytest

from monitor.alerting.explanation import UnknownInputs, UnknownRule, evaluate, explain
from rules.load import FormulaError
from tests.integration.web.desk import Desk, closes, ny

RULES = """\
version: 1
universes:
  both: [IWM, SPY]
groups:
  - name: size
    rules:
      - record: size_lead
        value: excess(IWM, SPY, 1d)
      - alert: lead
        when: size_lead > 100bp and price(QQQ) > 400
        for: 1h
      - alert: either
        when: price(IWM) > 300 or not price(SPY) > 500
      - alert: long
        when: ret(IWM, 60d) > 5%
      - alert: each-up
        each: both
        when: ret(it, 1d) > 1%
"""


@pytest.fixture
async def pipeline(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    desk = Desk(tmp_path / "rules.yaml", closes("2026-01-22", 30, {"IWM": 250.0, "SPY": 600.0}))
    await desk.store.acquire("me")
    await desk.trades(ny("2026-01-23 10:00"), IWM=254.0, SPY=600.0)
    yield desk.pipeline
    desk.compute.close()


def test_of_an_and_the_part_that_is_missing_and_the_input_that_is_unknown(pipeline):
    told = explain(pipeline, "lead")
    (instance,) = told["instances"]
    lead, price = instance["tree"]["parts"]
    assert (lead["value"], lead["missing"], price["value"], price["missing"]) == (1.0, False, None, True)
    assert lead["distance_text"] == "60bp"
    assert lead["parts"][0]["expr"] == "size_lead"
    assert lead["parts"][0]["parts"][0]["expr"] == "excess(IWM, SPY, 1d)"
    assert instance["unknown"] == ["QQQ: no data"]
    assert instance["state"] == "inactive"


def test_of_an_or_how_far_each_part_is_and_which_way(pipeline):
    (instance,) = explain(pipeline, "either")["instances"]
    above, negated = instance["tree"]["parts"]
    assert (above["distance_text"], above["move"], above["missing"]) == ("46.00", "up", True)
    (inner,) = negated["parts"]
    assert (inner["distance_text"], inner["move"], inner["missing"]) == ("100.00", "down", True)


def test_a_window_longer_than_the_history_says_when_it_is_warm(pipeline):
    (instance,) = explain(pipeline, "long")["instances"]
    assert instance["unknown"] == ["IWM: warming up until 2026-03-09, 30 of 60 sessions are stored"]


async def test_pending_says_how_much_of_its_time_is_left(pipeline, tmp_path):
    desk = Desk(tmp_path / "rules.yaml", closes("2026-01-22", 30, {"IWM": 250.0, "SPY": 600.0, "QQQ": 500.0}))
    await desk.store.acquire("me")
    for minute in (0, 10):
        await desk.trades(ny(f"2026-01-23 10:{minute:02}"), IWM=254.0, SPY=600.0, QQQ=500.0)
    (instance,) = explain(desk.pipeline, "lead")["instances"]
    assert (instance["state"], instance["remaining_seconds"], instance["of_seconds"]) == ("pending", 3_000.0, 3_600.0)
    desk.compute.close()


async def test_a_price_that_is_stale_says_since_when(pipeline, tmp_path):
    desk = Desk(tmp_path / "rules.yaml", closes("2026-01-22", 30, {"IWM": 250.0, "SPY": 600.0}))
    await desk.store.acquire("me")
    await desk.trades(ny("2026-01-23 10:00"), IWM=254.0, SPY=600.0)
    await desk.trades(ny("2026-01-23 11:00"), SPY=600.0)
    (instance,) = explain(desk.pipeline, "either")["instances"]
    assert instance["unknown"] == ["IWM: stale since 2026-01-23T15:00:00Z"]
    desk.compute.close()


def test_each_member_has_its_own_answer_and_those_that_fire_come_first(pipeline):
    told = explain(pipeline, "each-up")
    assert [(i["member"], i["state"]) for i in told["instances"]] == [("IWM", "firing"), ("SPY", "inactive")]
    assert told["instances"][1]["tree"]["distance_text"] == "100bp"


def test_an_expression_that_no_rule_has_is_evaluated_without_touching_the_state(pipeline):
    before = pipeline.state.index.symbols()
    told = evaluate(pipeline, "ret(IWM, 1d) * 2")
    assert (told["value"], told["text"], told["at"]) == (pytest.approx(0.032), "320bp", "2026-01-23T15:00:00Z")
    with pytest.raises(UnknownInputs, match="no data of NVDA"):
        evaluate(pipeline, "price(NVDA)")
    with pytest.raises(FormulaError):
        evaluate(pipeline, "price(")
    assert pipeline.state.index.symbols() == before


def test_a_rule_that_is_not_there_is_said_so(pipeline):
    with pytest.raises(UnknownRule, match="no alert rule `x`"):
        explain(pipeline, "x")
