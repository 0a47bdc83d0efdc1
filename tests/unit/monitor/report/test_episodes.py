"""Leads against a plain loop, and what an episode's figures are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.report.episodes import AHEAD, all_leads


def lead_of(closes, start, *, rises):
    """The definition, word for word."""
    ahead = closes[start : start + AHEAD + 1]
    known = [(i, v) for i, v in enumerate(ahead) if not math.isnan(v)]
    if len(ahead) <= AHEAD or math.isnan(ahead[0]) or len(known) < 0.8 * (AHEAD + 1):
        return -1
    best = (max if rises else min)(v for _, v in known)
    return next(i for i, v in known if v == best)


@given(st.integers(0, 2**32 - 1), st.integers(0, 200), st.floats(0, 0.3), st.booleans())
def test_leads_are_what_their_definition_says(seed, count, holes, rises):
    random = np.random.default_rng(seed)
    closes = np.where(random.random(count) < holes, np.nan, random.integers(-20, 20, count).astype(float))
    assert all_leads(closes, rises=rises).tolist() == [lead_of(closes.tolist(), i, rises=rises) for i in range(count)]


def test_a_peak_seven_sessions_later_is_a_lead_of_seven():
    closes = np.zeros(80)
    closes[17] = 1.0
    assert all_leads(closes, rises=True)[10] == 7
    assert all_leads(closes, rises=True)[17] == 0
    assert all_leads(-closes, rises=False)[10] == 7


def test_an_episode_whose_future_is_not_recorded_has_no_lead():
    assert all_leads(np.zeros(AHEAD), rises=True).tolist() == [-1.0] * AHEAD
    assert all_leads(np.zeros(AHEAD + 1), rises=True).tolist() == [0.0, *[-1.0] * AHEAD]


@pytest.mark.parametrize("rises", [True, False])
def test_a_walk_without_memory_has_about_half_the_time_ahead(rises):
    """What *any day* is held against: the extreme of a random walk is as often late as early."""
    random = np.random.default_rng(7)
    medians = [np.median(r[r >= 0]) for r in (all_leads(np.cumsum(random.normal(size=3000)), rises=rises),)]
    assert 20 <= medians[0] <= 40
