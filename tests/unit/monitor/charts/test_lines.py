from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calendar import TradingCalendar
from monitor.charts.lines import Band, Level, Line, LineChart, Moment, line_chart
from monitor.charts.svg import Size
from monitor.charts.theme import Theme
from monitor.charts.times import TimeAxis
from monitor.charts.values import Unit

GOLDEN = Path(__file__).parents[3] / "golden" / "charts"
SVG = "{http://www.w3.org/2000/svg}"
CALENDAR = TradingCalendar("XNYS")


def sessions(count, last="2026-01-30"):
    end = CALENDAR.ordinal_on_or_before(dt.date.fromisoformat(last)) + 1
    return CALENDAR.closes[end - count : end]


def chart(values, **changes):
    values = np.asarray(values, np.float64)
    axis = TimeAxis(sessions(len(values)), CALENDAR)
    return replace(LineChart("Small caps", Unit.BP, axis, [Line("IWM minus SPY", values)]), **changes)


def lead():
    """Rises from -200bp through 400bp to 800bp, one close unknown, and falls back."""
    values = np.r_[np.linspace(-0.02, 0.08, 26), np.linspace(0.07, 0.01, 10)]
    values[5] = np.nan
    times = sessions(len(values))
    over = np.flatnonzero(values > 0.04)
    return chart(
        values,
        subtitle="excess(IWM, SPY, 14d)",
        levels=[Level(0.04, "fires above 400bp"), Level(0.025, "clears below 250bp", clears=True)],
        bands=[Band(int(times[over[0]]), int(times[over[-1]]))],
        band_text="firing",
        moments=[Moment(int(times[over[0]]), float(values[over[0]]), "14 Jan 2026")],
        note="Data: made up",
    )


@pytest.mark.parametrize("theme", list(Theme))
def test_golden(theme):
    """To accept a change, delete the file, run, and look at what was written."""
    svg = line_chart(lead(), Size(700, 320), theme)
    path = GOLDEN / f"lead-{theme}.svg"
    if not path.exists():
        path.write_text(svg, "utf-8")
        pytest.fail(f"{path.name} was not there and has been written: look at it, and commit it")
    assert svg == path.read_text("utf-8")


@given(st.text(), st.text(), st.text())
def test_any_name_is_text_and_nothing_else(title, name, label):
    plain = line_chart(chart([0.01, 0.02, 0.03, 0.02], levels=[Level(0.02, "level")]))
    known = chart([0.01, 0.02, 0.03, 0.02], title=title, subtitle=name, note=label, levels=[Level(0.02, label)])
    root = ET.fromstring(line_chart(replace(known, lines=[Line(name, known.lines[0].values)])))
    assert {e.tag for e in root.iter()} <= {e.tag for e in ET.fromstring(plain).iter()}
    assert not any("href" in key or key.startswith("on") for e in root.iter() for key in e.attrib)


def test_markup_in_a_name_is_shown_as_it_is(texts):
    assert "<script>alert(1)</script> & 'B'" in texts(
        line_chart(chart([1, 2], title="<script>alert(1)</script> & 'B'"))
    )


def test_a_screen_reader_is_told(texts):
    root = ET.fromstring(line_chart(lead()))
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "Small caps"
    said = root.findtext(f"{SVG}desc")
    assert "highest 800bp" in said
    assert "fires above 400bp" in said
    assert "firing: 1 times" in said


def drawn(svg, role="line"):
    """The points of a line's pieces."""
    path = next(p for p in ET.fromstring(svg).iter(f"{SVG}path") if f"rc-line-{role}" in p.get("class"))
    return [piece.split(" ") for piece in path.get("d").split("M")[1:]]


def test_a_line_has_a_gap_where_the_value_is_unknown():
    values = np.arange(10.0)
    values[4] = np.nan
    assert [len(piece) for piece in drawn(line_chart(chart(values)))] == [4, 5]


def test_two_years_without_data_are_not_joined():
    times = np.r_[sessions(5, "2022-12-30"), sessions(5, "2025-01-10")]
    made = LineChart("x", Unit.BP, TimeAxis(times, CALENDAR), [Line("x", np.arange(10.0))])
    assert [len(piece) for piece in drawn(line_chart(made))] == [5, 5]


def test_the_crossing_is_marked_where_the_line_is():
    made = lead()
    svg = line_chart(made)
    circle = next(c for c in ET.fromstring(svg).iter(f"{SVG}circle") if "rc-fill-limit" in c.get("class"))
    assert f"{circle.get('cx')},{circle.get('cy')}" in [point for piece in drawn(svg) for point in piece]


def test_a_legend_only_where_it_is_needed(texts):
    one = chart([0.01, 0.02])
    assert "IWM minus SPY" not in texts(line_chart(one))
    two = replace(one, lines=[*one.lines, Line("QQQ", np.array([0.0, 0.01]))])
    assert {"IWM minus SPY", "QQQ"} <= set(texts(line_chart(two)))


def test_an_episode_of_one_close_is_seen():
    times = sessions(500)
    made = chart(np.zeros(500), bands=[Band(int(times[250]), int(times[250]))], band_text="firing")
    band = next(p for p in ET.fromstring(line_chart(made)).iter(f"{SVG}path") if p.get("class") == "rc-fill-band")
    left, right = float(band.get("d").split(",")[0][1:]), float(band.get("d").split("H")[1].split("v")[0])
    assert right - left >= 1.4


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [0.0], [1.0, 1.0], [1e300, -1e300], [1e-300, 2e-300]])
def test_odd_series_make_a_picture(values):
    ET.fromstring(line_chart(chart(values, levels=[Level(float("nan"), "unknown")])))


def test_a_page_brings_its_own_colours():
    assert "<style>" not in line_chart(chart([1, 2]), theme=Theme.PAGE)
    assert "#" not in line_chart(chart([1, 2]), theme=Theme.PAGE)


def test_five_hundred_points_take_a_few_milliseconds():
    made = chart(np.sin(np.arange(500) / 20))
    line_chart(made)
    started = time.perf_counter()
    for _ in range(10):
        line_chart(made)
    assert (time.perf_counter() - started) / 10 < 0.03
