from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.charts.places import Place, spread_out
from monitor.charts.rotation_map import RotationMap, Trail, quadrant, rotation_map
from monitor.charts.svg import width_of

GOLDEN = Path(__file__).parents[3] / "golden" / "charts"
SVG = "{http://www.w3.org/2000/svg}"
SECTORS = ["XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY"]


def trails(names=SECTORS, samples=6, spread=1.5):
    turn = np.linspace(0, 1.2, samples)
    return [
        Trail(
            name,
            100 + spread * np.cos(i - turn) * (1 + i / 9),
            100 + spread * np.sin(i - turn) * (1 + i / 9),
        )
        for i, name in enumerate(names)
    ]


def test_golden():
    svg = rotation_map(RotationMap("Sectors", trails(), "Against SPY, 50 sessions"))
    path = GOLDEN / "rotation-map.svg"
    if not path.exists():
        path.write_text(svg, "utf-8")
        pytest.fail(f"{path.name} was not there and has been written: look at it, and commit it")
    assert svg == path.read_text("utf-8")


@pytest.mark.parametrize(
    ("ratio", "momentum", "name"),
    [(101, 101, "leading"), (100, 100, "leading"), (101, 99, "weakening"), (99, 99, "lagging"), (99, 100, "improving")],
)
def test_quadrants_are_those_of_the_rule_language(ratio, momentum, name):
    assert quadrant(ratio, momentum) == name


def names_of(svg):
    found = []
    for text in ET.fromstring(svg).iter(f"{SVG}text"):
        if "rc-halo" in text.get("class", ""):
            width, x, y = width_of(text.text), float(text.get("x")), float(text.get("y"))
            found.append(Place(x - width / 2, y - 11, x + width / 2, y + 3))
    return found


@pytest.mark.parametrize("spread", [1.5, 0.05])
def test_names_do_not_overlap_even_where_members_do(spread):
    crowded = [*trails(spread=spread)[:-1], Trail("FAR", np.array([103.0]), np.array([103.0]))]
    places = names_of(rotation_map(RotationMap("Sectors", crowded)))
    assert len(places) == len(SECTORS)
    assert not any(a.shared(b) > 1 for a, b in combinations(places, 2))


def test_a_member_whose_place_is_unknown_is_named(texts):
    made = [*trails(), Trail("XNEW", np.array([100.0, np.nan]), np.array([100.0, 100.0]))]
    assert "Unknown: XNEW" in texts(rotation_map(RotationMap("Sectors", made)))


def test_no_members_make_a_picture(texts):
    assert "Leading" in texts(rotation_map(RotationMap("Sectors", [])))


@given(st.lists(st.floats(0, 100), max_size=6))
def test_labels_beside_each_other_keep_apart_and_in_order(wanted):
    placed = spread_out(wanted, 15, 0, 100)
    ordered = sorted(placed)
    assert all(b - a >= 15 - 1e-9 for a, b in pairwise(ordered))
    assert [p for _, p in sorted(zip(wanted, placed, strict=True))] == ordered
    assert not placed or max(placed) <= 100 + 1e-9
