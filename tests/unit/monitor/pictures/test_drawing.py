from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from monitor.charts.theme import DARK, LIGHT, Theme
from monitor.notify.message import Kind
from monitor.pictures.drawing import NothingKnown, drawing
from monitor.pictures.past import past
from tests.integration.web.desk import CALENDAR, MINUTE

TEXT = "{http://www.w3.org/2000/svg}text"


def drawn(market, alert, member="", theme=Theme.LIGHT, **changes):
    told = next(n for n in reversed(market.told) if (n.alert, n.member) == (alert, member))
    about = market.about(alert, member)
    seen = past(market.pipeline, about, told.at, told.value)
    return drawing(replace(told, **changes), about, seen, CALENDAR, theme)


def texts(svg):
    return ["".join(t.itertext()) for t in ET.fromstring(svg).iter(TEXT)]


async def test_it_says_what_the_alert_says(market):
    found = drawn(market, "lead")
    said = texts(found.svg)
    told = market.told[-1]
    assert told.summary in said
    assert "ret(IWM, 14d) - ret(mag3, 14d)" in said
    assert {"fires above 400bp", "clears below 300bp"} <= set(said)
    assert "Time in New York. lead, warning" in said
    assert found.words.startswith(told.summary)
    assert "fires above 400bp" in found.words


async def test_the_crossing_is_marked_with_its_time_and_the_firing_with_its_own(market):
    told = market.told[-1]
    [mark] = [text for text in texts(drawn(market, "lead").svg) if text.startswith("crossed ")]
    fired = np.datetime64(told.at, "ns") - np.timedelta64(5, "h")
    crossed = fired - np.timedelta64(10, "m")
    # The last minute that ended before the trade of the crossing, or the one after it.
    assert mark in {
        f"crossed 23 Jan 2026, {str(crossed + np.timedelta64(m, 'm'))[11:16]}, fired {str(fired)[11:16]}"
        for m in (0, 1)
    }
    assert "beyond the threshold" in texts(drawn(market, "lead").svg)


async def test_the_hours_of_the_day_have_room_beside_the_closes(market):
    said = texts(drawn(market, "lead").svg)
    assert {"10:00", "15 Dec", "5 Jan", "23 Jan"} <= set(said)


async def test_a_resolved_one_shows_how_long_it_fired(market):
    told = market.told[-1]
    said = texts(drawn(market, "lead", kind=Kind.RESOLVED, started_at=told.at - 30 * MINUTE).svg)
    assert "firing" in said
    assert any(text.startswith("fired 23 Jan 2026, ") for text in said)


async def test_a_member_stands_out_on_its_map_and_its_line_is_above(market):
    await market.morning(lambda told: told.alert == "fall")
    found = drawn(market, "fall", "XLK")
    said = texts(found.svg)
    assert "XLK: ret(it, 1d) - ret(SPY, 1d)" in said
    assert "fires below \N{MINUS SIGN}150bp" in said
    assert "sectors against SPY over 10 sessions" in said
    names = [t for t in ET.fromstring(found.svg).iter(TEXT) if t.text in ("XLK", "XLB")]
    assert {t.text: t.get("fill-opacity") for t in names} == {"XLK": None, "XLB": "0.5"}


async def test_of_a_category_the_map_alone_is_drawn(market):
    told = next(n for n in market.told if n.alert == "quad")
    root = ET.fromstring(drawn(market, "quad", told.member).svg)
    assert (root.get("width"), root.get("height")) == ("675", "420")
    assert told.summary.split(":")[0] in " ".join(texts(drawn(market, "quad", told.member).svg))


@pytest.mark.parametrize(("theme", "colours"), [(Theme.LIGHT, LIGHT), (Theme.DARK, DARK)])
async def test_it_is_light_or_dark(market, theme, colours):
    assert f".rc-fill-ground{{fill:{colours['ground']}}}" in drawn(market, "lead", theme=theme).svg.replace(
        ".rc text.rc-fill-ground", ""
    ).replace(",{", "{")


async def test_words_are_no_longer_than_services_take(market):
    assert len(drawn(market, "lead", summary="x" * 5_000).words) <= 900


async def test_with_nothing_to_show_there_is_no_picture(market):
    told = market.told[-1]
    about = market.about("lead", "")
    seen = past(market.pipeline, about, told.at, told.value)
    with pytest.raises(NothingKnown, match="too little of the past of lead is stored"):
        drawing(told, about, replace(seen, values=np.full_like(seen.values, np.nan)), CALENDAR, Theme.LIGHT)
