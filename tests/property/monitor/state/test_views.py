"""What views say, against the tape itself, and against what was said at the time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import TIME, TRADES, Batch
from monitor.calendar import MINUTE, TradingCalendar
from monitor.state import MarketState
from rules.ast import Clock, Sessions, Since, Word
from rules.view import Requirements, View

SECOND = 1_000_000_000
CALENDAR = TradingCalendar("XNYS")
SYMBOLS = ("A", "B", "C")
START = int(dt.datetime(2025, 11, 26, 14, 20, tzinfo=dt.UTC).timestamp()) * SECOND
"""Ten minutes before the open of a Wednesday; Thursday is a holiday, Friday a half day, a weekend follows."""
STALE = 4 * MINUTE


@dataclass(frozen=True)
class Row:
    """A trade of 2 shares."""

    ts: int
    symbol: str
    price: float


@st.composite
def tapes(draw: st.DrawFn) -> list[Row]:
    """Trades in order of time."""
    gaps = st.one_of(
        st.integers(0, 3 * SECOND),
        st.sampled_from([0, SECOND, MINUTE, 5 * MINUTE]),
        st.integers(0, 3 * MINUTE),
        st.sampled_from([45 * MINUTE, 7 * 3600 * SECOND, 26 * 3600 * SECOND]),
    )
    steps = draw(st.lists(st.tuples(gaps, st.sampled_from(SYMBOLS), st.integers(1, 50)), min_size=1, max_size=30))
    now, rows = START, []
    for gap, symbol, price in steps:
        now += gap
        rows.append(Row(now, symbol, float(price)))
    return rows


def apply(state: MarketState, rows: list[Row]) -> None:
    columns = {
        "ts": [r.ts for r in rows],
        "symbol": [r.symbol for r in rows],
        "price": [r.price for r in rows],
        "size": [2.0] * len(rows),
        "id": [None] * len(rows),
    }
    state.apply(Batch("test", 0, trades=pl.DataFrame(columns).with_columns(pl.col("ts").cast(TIME)).cast(TRADES)), 0)


def last_price(tape: list[Row], upto: int, after: int = 0) -> list[float]:
    """Of each symbol, the last price in ``(after, upto]``."""
    seen = {row.symbol: row.price for row in tape if after < row.ts <= upto}
    return [seen.get(symbol, np.nan) for symbol in SYMBOLS]


def first_regular(tape: list[Row], session: int, upto: int) -> list[float]:
    opened, closed = CALENDAR.open_ns(session), CALENDAR.close_ns(session)
    seen = {row.symbol: row.price for row in reversed(tape) if opened <= row.ts <= min(closed, upto)}
    return [seen.get(symbol, np.nan) for symbol in SYMBOLS]


def expect(view: View, tape: list[Row], windows: list[int]) -> None:
    """A view says what the tape up to its time says, but for the age of prices."""
    now, session = view.now, CALENDAR.session_at(view.now)
    assert view.session == session
    assert view.minute() == CALENDAR.minute_at(now)
    for back in (1, 2, 3):
        closed = session - back
        expected = last_price(tape, CALENDAR.close_ns(closed), CALENDAR.close_ns(closed - 1))
        np.testing.assert_equal(view.base(Sessions(back)), expected)
        np.testing.assert_equal(view.at_close(back).prices(), expected)
        np.testing.assert_equal(view.base(Since(CALENDAR.date(closed))), expected)
        np.testing.assert_equal(
            view.at_close(back).base(Word.OPEN), first_regular(tape, closed, CALENDAR.close_ns(closed))
        )
    np.testing.assert_equal(view.base(Word.OPEN), first_regular(tape, session, now))
    for window in windows:
        np.testing.assert_equal(view.base(Clock(window)), last_price(tape, now - window))


@given(
    tape=tapes(),
    moment=st.integers(0, 8 * 3600),
    windows=st.lists(st.integers(1, 600 - 1).map(lambda s: s * SECOND), max_size=4),
)
@settings(max_examples=80, deadline=None)
def test_a_live_view_is_exact_to_the_second(tape, moment, windows):
    state = MarketState(CALENDAR, stale_after_ns=STALE, sessions=5)
    state.needs(Requirements(SYMBOLS, clock_ns=30 * MINUTE, shortest_clock_ns=SECOND))
    now = -(-tape[0].ts // SECOND) * SECOND + moment * SECOND
    seen = [row for row in tape if row.ts <= now]
    apply(state, seen)
    state.advance(now)
    view = state.view(SYMBOLS)
    expect(view, seen, windows)
    times = [max((r.ts for r in seen if r.symbol == symbol), default=0) for symbol in SYMBOLS]
    fresh = [bool(t) and (now - t) // 10**6 <= STALE // 10**6 for t in times]
    np.testing.assert_equal(view.prices(), np.where(fresh, last_price(seen, now), np.nan))
    np.testing.assert_equal(view.ages(), [now - t if t else np.nan for t in times])
    assert view.price_times().tolist() == times


@given(tape=tapes(), restored=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_view_of_the_past_says_what_was_said_then(tape, restored):
    state = MarketState(CALENDAR, stale_after_ns=STALE, sessions=5)
    state.needs(Requirements(SYMBOLS, clock_ns=60 * MINUTE))
    said: dict[int, list[float]] = {}
    for row in tape:
        # A minute's end belongs to the minute: what is said there stands once the next row is later.
        if state.minute_end and state.minute_end < row.ts:
            state.advance(state.minute_end)
            said[state.now] = state.view(SYMBOLS).prices().tolist()
        apply(state, [row])
    if restored:
        other = MarketState(CALENDAR, stale_after_ns=STALE, sessions=5)
        other.needs(Requirements(SYMBOLS, clock_ns=60 * MINUTE))
        bars = state.closed_bars()
        other.restore(state.checkpoint_frames(), [bars[0]], [bars[1]])
        state = other
    view = state.view(SYMBOLS)
    assert view.closed_minutes() <= 62
    for back in range(1, view.closed_minutes() + 1):
        past = view.at_minute(back)
        assert past.minute() == view.minute() - back
        if past.now in said:
            np.testing.assert_equal(past.prices(), said[past.now])
        reach = (view.closed_minutes() - back) * MINUTE
        expect(past, tape, [w for w in (MINUTE, 5 * MINUTE) if w <= reach])


@given(tape=tapes())
@settings(max_examples=60, deadline=None)
def test_bars_are_those_of_the_tape(tape):
    state = MarketState(CALENDAR)
    apply(state, tape)
    state.advance(tape[-1].ts + 200 * 3600 * SECOND)
    minutes, sessions = state.closed_bars()
    for row in minutes.with_columns(pl.col("ts").dt.epoch("ns")).iter_rows(named=True):
        own = [r for r in tape if r.symbol == row["symbol"] and row["ts"] < r.ts <= row["ts"] + MINUTE]
        prices = [r.price for r in own]
        assert (row["open"], row["high"], row["low"]) == (prices[0], max(prices), min(prices))
        assert (row["close"], row["volume"]) == (prices[-1], 2 * len(own))
        assert row["age_ms"] == (row["ts"] + MINUTE - own[-1].ts) // 10**6
    assert minutes["volume"].sum() == 2 * len(tape)
    for row in sessions.iter_rows(named=True):
        session = CALENDAR.ordinal_on_or_before(row["ts"])
        own = [r for r in tape if r.symbol == row["symbol"] and CALENDAR.session_at(r.ts) == session]
        prices = [r.price for r in own if r.ts >= CALENDAR.open_ns(session)]
        assert row["close"] == own[-1].price
        regular = (prices[0], max(prices), min(prices)) if prices else (None, None, None)
        assert (row["open"], row["high"], row["low"]) == regular
        assert row["volume"] == 2 * len(own)
