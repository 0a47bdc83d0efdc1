from __future__ import annotations

import numpy as np
import pytest

from monitor.pictures.past import instance, past
from monitor.pipeline import Pipeline
from tests.integration.web.desk import CALENDAR, MINUTE, ny
from tests.unit.monitor.pictures.market import NAMES, OPEN, RULES, Market


def seen(market, alert, member="", at=None):
    told = next(n for n in reversed(market.told) if (n.alert, n.member) == (alert, member))
    about = market.about(alert, member)
    return told, about, past(market.pipeline, about, told.at if at is None else at, told.value)


async def test_of_a_window_of_sessions_the_closes_then_the_minutes_of_its_day(market):
    told, about, found = seen(market, "lead")
    closes = int(found.closes.sum())
    assert closes == 28
    assert found.closes[:closes].all()
    assert np.array_equal(found.times[:closes], [CALENDAR.close_ns(s) for s in range(*_sessions(told.at, closes))])
    assert np.array_equal(found.times[closes:-1], OPEN + MINUTE * np.arange(1, market.minute))
    assert np.isfinite(found.values).all()
    assert (found.times[-1], found.values[-1]) == (told.at, told.value)
    assert set(found.fires) == {0.04}
    assert set(found.clears) == {0.03}
    assert about.rotation is None


def _sessions(at, count):
    session = CALENDAR.session_at(at)
    return session - count, session


async def test_a_close_is_what_the_rule_would_have_seen_at_it(market):
    _, _, found = seen(market, "lead")
    column = {name: market.closes[:, NAMES.index(name)] for name in ("IWM", "AAPL", "MSFT", "NVDA")}
    change = {name: prices[14:] / prices[:-14] - 1 for name, prices in column.items()}
    expected = change["IWM"] - (change["AAPL"] + change["MSFT"] + change["NVDA"]) / 3
    assert found.values[:28] == pytest.approx(expected[-28:], abs=1e-12)


async def test_what_came_after_the_alert_is_not_shown(market):
    at = market.told[-1].at
    before = seen(market, "lead")[2]
    await market.morning(minutes=20)
    after = seen(market, "lead", at=at)[2]
    assert np.array_equal(before.times, after.times)
    assert np.allclose(before.values, after.values, atol=1e-12)


async def test_a_clock_window_is_shown_by_the_minute(market):
    told, _, found = seen(market, "fast")
    minutes = found.times[~found.closes]
    assert set(np.diff(minutes[:-1])) == {MINUTE}
    assert minutes[-1] == told.at
    assert minutes[-1] - minutes[0] <= 180 * MINUTE
    known = found.values[~found.closes]
    assert np.isnan(known[:29]).all()  # nothing was stored half an hour before
    assert np.isfinite(known[31:]).all()


async def test_a_universe_has_its_map_against_what_its_rule_compares_with(market):
    await market.morning(lambda told: told.alert == "fall")
    _, about, found = seen(market, "fall", "XLK")
    assert (about.rotation.universe, about.rotation.against, about.rotation.window) == ("sectors", "SPY", 10)
    assert [trail.name for trail in found.trails] == list(about.rotation.members)
    assert {len(trail.ratio) for trail in found.trails} == {about.rotation.samples}
    relative = 100 * market.closes[:, NAMES.index("XLK")] / market.closes[:, NAMES.index("SPY")]
    last = relative[-10:]  # the newest close but not yet today
    strength = 100 + (last[-1] - last.mean()) / last.std(ddof=1)
    trail = next(trail for trail in found.trails if trail.name == "XLK")
    assert trail.ratio[-2] == pytest.approx(strength, abs=1e-9)
    assert np.isfinite([trail.ratio[-1], trail.momentum[-1]]).all()


@pytest.mark.parametrize(
    ("when", "against", "window"),
    [
        ("share(sectors, ret(it, 1d) > 0) < 20%", "the average of sectors", 10),
        ("share(sectors, ret(it, 60d) > ret(SPY, 60d)) < 20%", "SPY", 20),
        ("count(sectors, rs_ratio(it, IWM, 12d) > 100) > 3", "IWM", 12),
    ],
)
async def test_what_a_map_is_drawn_against(tmp_path, when, against, window):
    market = Market(tmp_path, RULES.replace("ret(IWM, 30m) > 60bp", when))
    about = market.about("fast", "")
    market.compute.close()
    assert (about.rotation.against, about.rotation.window) == (against, window)


async def test_before_the_open_there_are_closes_and_the_price_of_the_moment(tmp_path):
    market = Market(tmp_path, RULES.replace("ret(IWM, 30m) > 60bp", "ret(IWM, 1d) > 1%").replace("for: 10m", ""))
    at = ny("2026-01-23 08:00")
    about = market.about("fast", "")
    assert not len(past(market.pipeline, about, at, 0.5).times)  # nothing was ever seen
    await market.store.acquire("me")
    await market.trades(at, IWM=float(market.closes[-1, 0]) * 1.02)
    await market.compute.run(Pipeline.flush, at)
    found = past(market.pipeline, about, at, 0.5)
    market.compute.close()
    assert found.closes.sum() == 20
    assert np.isfinite(found.values[found.closes]).all()
    assert (found.times[-1], found.values[-1]) == (at, 0.5)


async def test_a_rule_that_is_gone_has_no_picture(market):
    assert instance(market.pipeline, "gone", "") is None
    found = instance(market.pipeline, "fall", "XLK")
    assert found is not None
    assert found[1].symbol == "XLK"
