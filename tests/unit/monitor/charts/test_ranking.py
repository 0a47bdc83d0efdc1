from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.charts.ranking import Bar, Ranking, ranking
from monitor.charts.values import Unit

SVG = "{http://www.w3.org/2000/svg}"
BARS = [Bar("XLK", -0.0154), Bar("XLE", 0.1271, was=3), Bar("XLF", np.nan), Bar("XLB", 0.0717, was=1)]


def test_bars_stand_in_order_and_the_unknown_last(texts):
    said = texts(ranking(Ranking("Sectors", Unit.BP, BARS)))
    assert [t for t in said if t.startswith("XL")] == ["XLE", "XLB", "XLK", "XLF"]
    assert {"1,271bp", "717bp", "unknown", "\N{MINUS SIGN}154bp"} <= set(said)


def test_bars_are_as_long_as_their_values_and_begin_at_zero():
    root = ET.fromstring(ranking(Ranking("Sectors", Unit.BP, BARS)))
    up = [r for r in root.iter(f"{SVG}rect") if "rc-fill-up" in r.get("class")]
    down = next(r for r in root.iter(f"{SVG}rect") if "rc-fill-down" in r.get("class"))
    ratio = float(up[0].get("width")) / float(up[1].get("width"))
    assert abs(ratio - 0.1271 / 0.0717) < 0.01
    assert {r.get("x") for r in up} == {up[0].get("x")}
    assert abs(float(down.get("x")) + float(down.get("width")) - float(up[0].get("x"))) < 0.2


@given(
    st.lists(st.builds(Bar, st.text(max_size=40), st.one_of(st.just(float("nan")), st.floats(-1e9, 1e9))), max_size=15)
)
def test_any_bars_make_a_picture(bars):
    root = ET.fromstring(ranking(Ranking("Any", Unit.BP, bars)))
    assert all(float(r.get("width")) >= 0 for r in root.iter(f"{SVG}rect"))
