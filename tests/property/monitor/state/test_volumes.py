"""Volumes as views say them: against the tape itself, against what was said at the time, and after a restart."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import TIME, TRADES, Batch
from monitor.calendar import MINUTE, TradingCalendar
from monitor.state import MarketState
from rules.ast import Clock, Sessions, Since, Word
from rules.view import Requirements, View

SECOND = 1_000_000_000
CALENDAR = TradingCalendar("XNYS")
SYMBOLS = ("A", "B")
START = int(dt.datetime(2025, 11, 24, 14, 20, tzinfo=dt.UTC).timestamp()) * SECOND
"""Ten minutes before the open of a Monday; Thursday is a holiday, Friday a half day."""
NEEDS = Requirements(
    SYMBOLS, 5, clock_ns=20 * MINUTE, volume_sessions=4, volume_clock_ns=60 * MINUTE, profile_sessions=2
)
CLOCKS = (MINUTE, 10 * MINUTE, 60 * MINUTE)

Row = tuple[int, str, float]
"""When, what, how many."""


@st.composite
def tapes(draw: st.DrawFn) -> list[Row]:
    gaps = st.one_of(
        st.integers(0, 3 * MINUTE),
        st.sampled_from([MINUTE, 20 * MINUTE, 2 * 3600 * SECOND, 7 * 3600 * SECOND, 22 * 3600 * SECOND]),
    )
    rows, now = [], START
    for gap, symbol, size in draw(
        st.lists(st.tuples(gaps, st.sampled_from(SYMBOLS), st.integers(1, 900)), min_size=1, max_size=30)
    ):
        now += gap
        rows.append((now, symbol, size / 7))
    return rows


def state_of(needs: Requirements = NEEDS) -> MarketState:
    state = MarketState(CALENDAR, sessions=5)
    state.needs(needs)
    return state


def apply(state: MarketState, rows: list[Row]) -> None:
    columns = {
        "ts": [ts for ts, _, _ in rows],
        "symbol": [symbol for _, symbol, _ in rows],
        "price": [10.0] * len(rows),
        "size": [size for _, _, size in rows],
        "id": [None] * len(rows),
    }
    state.apply(Batch("test", 0, trades=pl.DataFrame(columns).with_columns(pl.col("ts").cast(TIME)).cast(TRADES)), 0)


def traded(tape: list[Row], symbol: str, after: int, upto: int) -> float:
    return sum(size for ts, s, size in tape if s == symbol and after < ts <= upto)


def of_sessions(tape: list[Row], symbol: str, first: int, session: int, now: int) -> float:
    """Unknown below 80 % of the sessions; one without a trade is not known, but for the one in progress.

    Unknown as well before there were so many.
    """
    if first < CALENDAR.session_at(tape[0][0]):
        return np.nan
    ever = any(s == symbol and ts <= now for ts, s, _ in tape)
    past = [traded(tape, symbol, CALENDAR.close_ns(s - 1), CALENDAR.close_ns(s)) for s in range(first, session)]
    known = sum(volume > 0 for volume in past) + ever
    if known < 0.8 * (session - first + 1):
        return np.nan
    return sum(past) + traded(tape, symbol, CALENDAR.close_ns(session - 1), now)


def of_clock(tape: list[Row], symbol: str, length: int, now: int) -> float:
    """Whole minutes, the one in progress included."""
    end = -(-now // MINUTE) * MINUTE
    first = next((ts for ts, s, _ in tape if s == symbol and ts <= now), None)
    if first is None or end - length < (-(-tape[0][0] // MINUTE) - 1) * MINUTE:
        return np.nan
    since = max(end - length, (-(-first // MINUTE) - 1) * MINUTE)
    return traded(tape, symbol, end - length, now) if end - since >= 0.8 * length else np.nan


def relative(tape: list[Row], symbol: str, count: int, now: int) -> float:
    session = CALENDAR.session_at(now)
    opened = CALENDAR.open_ns(session)
    seen = any(s == symbol and ts <= now for ts, s, _ in tape)
    if now <= opened or not seen or session - count < CALENDAR.session_at(tape[0][0]):
        return np.nan
    past = []
    for s in range(session - count, session):
        began, ended, before = CALENDAR.open_ns(s), CALENDAR.close_ns(s), CALENDAR.close_ns(s - 1)
        whole = traded(tape, symbol, before, ended)
        first = next((-(-ts // MINUTE) - 1) * MINUTE for ts, name, _ in tape if name == symbol)
        if not whole or (now != CALENDAR.close_ns(session) and first > began + (ended - began) // 5):
            continue
        if now == CALENDAR.close_ns(session):
            past.append(whole)
            continue
        minutes, rest = divmod(now - opened, MINUTE)
        here, later = (traded(tape, symbol, before, min(began + (minutes + n) * MINUTE, ended)) for n in (0, 1))
        past.append(here + (later - here) * rest / MINUTE)
    if len(past) < 0.8 * count or not sum(past):
        return np.nan
    return traded(tape, symbol, CALENDAR.close_ns(session - 1), now) / (sum(past) / len(past))


def expect(view: View, tape: list[Row]) -> None:
    now, session = view.now, view.session
    monday = CALENDAR.ordinal_on_or_before(CALENDAR.date(session) - dt.timedelta(CALENDAR.date(session).weekday()))
    monday += CALENDAR.date(monday).weekday() != 0
    windows = {
        Sessions(1): session,
        Sessions(3): session - 2,
        Since(CALENDAR.date(session - 2)): session - 1,
        Word.OPEN: session,
        Word.WTD: max(monday, session - CALENDAR.date(session).weekday()),
    }
    for window, first in windows.items():
        expected = [of_sessions(tape, s, first, session, now) for s in SYMBOLS]
        np.testing.assert_allclose(view.volume(window), expected, rtol=1e-9, err_msg=str(window))
    expected = [relative(tape, s, 2, now) for s in SYMBOLS]
    np.testing.assert_allclose(view.relative_volume(2), expected, rtol=1e-9)


def said(view: View) -> list[list[float]]:
    windows = (Sessions(1), Sessions(3), Word.OPEN, *(Clock(ns) for ns in CLOCKS))
    return [*(view.volume(w).tolist() for w in windows), view.relative_volume(2).tolist()]


@given(tape=tapes(), moment=st.integers(0, 26 * 3600))
@settings(max_examples=50, deadline=None)
def test_a_live_view_says_what_the_tape_says(tape, moment):
    state = state_of()
    now = tape[0][0] + moment * SECOND
    seen = [row for row in tape if row[0] <= now]
    apply(state, seen)
    state.advance(now)
    view = state.view(SYMBOLS)
    expect(view, seen)
    for length in CLOCKS:
        expected = [of_clock(seen, s, length, now) for s in SYMBOLS]
        np.testing.assert_allclose(view.volume(Clock(length)), expected, rtol=1e-9, atol=1e-9)


@given(tape=tapes(), restored=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_view_of_the_past_says_what_was_said_then_bit_for_bit(tape, restored):
    state, then = state_of(), {}

    def look(ns: int) -> None:
        state.advance(ns)
        then[state.now] = said(state.view(SYMBOLS))

    for row in tape:
        close = CALENDAR.close_ns(CALENDAR.session_at(state.now)) if state.now else row[0]
        for ns in sorted({state.minute_end, close}):
            if state.now and state.now <= ns < row[0]:
                look(ns)
        apply(state, [row])
    if restored:
        other, bars = state_of(), state.closed_bars()
        other.restore(state.checkpoint_frames(), [bars[0]], [bars[1]])
        np.testing.assert_equal(said(other.view(SYMBOLS)), said(state.view(SYMBOLS)))
        state = other
    view = state.view(SYMBOLS)
    for back in range(1, min(view.closed_minutes(), 20) + 1):
        past = view.at_minute(back)
        if past.now in then:
            np.testing.assert_equal(said(past), then[past.now])
    for back in range(1, min(view.closed_sessions(), 2) + 1):
        closed = view.at_close(back)
        for at, symbol in enumerate(SYMBOLS if closed.now in then else ()):
            if traded(tape, symbol, CALENDAR.close_ns(closed.session - 1), closed.now):  # or there is no bar of it
                whole = (*range(3), -1)
                assert [said(closed)[i][at] for i in whole] == pytest.approx(
                    [then[closed.now][i][at] for i in whole], rel=0, abs=0, nan_ok=True
                )


@given(tape=tapes(), cut=st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_what_comes_later_changes_nothing_before(tape, cut):
    short, long = state_of(), state_of()
    apply(short, tape[: cut + 1])
    apply(long, tape)
    here, there = short.view(SYMBOLS), long.view(SYMBOLS)
    behind = there.session - here.session
    for back in (1, 2):
        if here.closed_sessions() >= back and there.closed_sessions() >= back + behind:
            np.testing.assert_equal(said(here.at_close(back))[:3], said(there.at_close(back + behind))[:3])
