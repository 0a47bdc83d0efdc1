"""What is learnt of gaps agrees with a plain model, and its promises about false and missed alarms hold."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.cadence import BURSTS, ENOUGH, FALSE_ALARM, FLOOR_NS, WEIGHED, Cadence

SECOND = 1_000_000_000
SESSION = 23_400 * SECOND


class Plain:
    """One place, in plain numbers."""

    def __init__(self):
        self.heard = self.since = None
        self.known, self.mean, self.variance, self.longest = 0, 0.0, 0.0, 0.0

    def hear(self, at):
        self.heard = at if self.heard is None else max(self.heard, at)
        if self.since is None:
            self.since = at
        elif at - self.since >= SECOND:
            gap, self.since = float(at - self.since), at
            gap = self.patience() / 2 if gap > self.patience() else gap
            self.known += 1
            weight = max(1 / self.known, 1 / WEIGHED)
            off = gap - self.mean
            self.mean += weight * off
            self.variance = (1 - weight) * (self.variance + weight * off * off)
            self.longest = max(self.longest * math.exp(-gap / 2 / SESSION), gap)

    def pause(self, at):
        if self.heard is not None:
            self.heard, self.since = max(self.heard, at), max(self.since, at)

    def patience(self):
        if self.known < ENOUGH:
            return math.inf
        gaps = min(self.known, WEIGHED)
        means = gaps * ((max(SESSION / self.mean, 1) / FALSE_ALARM) ** (1 / gaps) - 1)
        if self.known >= WEIGHED:
            means = 1 + (means - 1) * min(1, 4 * self.variance / self.mean**2)
        return max(FLOOR_NS, means * self.mean, BURSTS * self.longest)


STEPS = st.sampled_from([0, SECOND // 3, SECOND, 2 * SECOND, 40 * SECOND, 700 * SECOND, 9_000 * SECOND])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(STEPS, st.sets(st.integers(0, 30)), st.booleans()), max_size=120))
def test_columns_learn_what_plain_numbers_learn(steps):
    cadence, plain, now = Cadence(SESSION), [Plain() for _ in range(31)], 0
    cadence.cover(31)
    for step, places, pause in steps:
        now += step
        at = np.array(sorted(places), dtype=np.intp)
        if pause:
            cadence.pause(at, now)
        else:
            cadence.hear(at, np.full(len(at), now))
        for place in places:
            plain[place].pause(now) if pause else plain[place].hear(now)
        np.testing.assert_allclose(cadence.mean, [p.mean for p in plain], rtol=1e-9)
        np.testing.assert_allclose(cadence.patience(), [p.patience() for p in plain], rtol=1e-6)
        silent = [p.heard is not None and now - p.heard > p.patience() for p in plain]
        assert cadence.silent(now).tolist() == silent


@settings(deadline=None, max_examples=6)
@given(st.floats(0.05, 2_000.0), st.integers(0, 2**32 - 1))
def test_a_stable_rate_gives_no_alarm_all_session_and_one_in_time_when_it_stops(mean, seed):
    """100 independent instruments, one or two sessions: 200 * 1e-7 is the bound on a false alarm."""
    random = np.random.default_rng(seed)
    size, step = 100, SECOND if mean < 60 else 10 * SECOND
    cadence = Cadence(SESSION)
    cadence.cover(size)
    following = random.exponential(mean, size) * SECOND
    now, alarms = 0, 0
    places = np.arange(size)
    for now in range(step, (2 if mean > 60 else 1) * SESSION, step):
        due = following <= now
        last = following.copy()
        while (again := following <= now).any():
            last[again] = following[again]
            following[again] += random.exponential(mean, int(again.sum())) * SECOND
        cadence.hear(places[due], last[due].astype(np.int64))
        alarms += int(cadence.silent(now).sum())
    assert alarms == 0
    # It stops: known by the patience, which is the floor, or some dozens of usual gaps.
    well_known = cadence.known >= WEIGHED
    longest = max(FLOOR_NS, int(60 * (mean + 1) * SECOND))
    assert well_known.all() or mean > 60
    assert cadence.silent(now + step + longest)[well_known].all()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 3_000))
def test_what_comes_like_clockwork_is_missed_after_three_gaps(seconds):
    cadence = Cadence(SESSION)
    cadence.cover(1)
    place = np.array([0])
    for n in range(100):
        cadence.hear(place, np.array([n * seconds * SECOND]))
    patience = cadence.patience()[0]
    assert patience <= max(FLOOR_NS, BURSTS * seconds * SECOND) * 1.0001
