"""Random tapes: gaps, weekends, half days, late rows, cut into batches anywhere, stopped and restored anywhere."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import BARS, QUOTES, TIME, TRADES, Batch
from monitor.calendar import MINUTE, TradingCalendar
from monitor.state import MarketState
from monitor.state.columns import Columns
from monitor.state.ring import PriceRing
from rules.view import Requirements

SECOND = 1_000_000_000
CALENDAR = TradingCalendar("XNYS")
SYMBOLS = ("A", "B", "C")
NEEDS = Requirements(SYMBOLS, sessions=3, clock_ns=45 * MINUTE, shortest_clock_ns=30 * SECOND)
START = int(dt.datetime(2025, 11, 26, 14, 20, tzinfo=dt.UTC).timestamp()) * SECOND
"""Ten minutes before the open of a Wednesday; Thursday is a holiday, Friday a half day, a weekend follows."""


@dataclass(frozen=True)
class Row:
    """A print; one that is older than those before it is late."""

    ts: int
    symbol: str
    price: float


@st.composite
def tapes(draw: st.DrawFn) -> list[Row]:
    gaps = st.one_of(
        st.just(0),
        st.integers(0, 3 * SECOND),
        st.sampled_from([0, SECOND, MINUTE, 5 * MINUTE]),
        st.integers(0, 3 * MINUTE),
        st.sampled_from([2 * 3600 * SECOND, 7 * 3600 * SECOND, 26 * 3600 * SECOND]),
    )
    late = st.one_of(st.just(0), st.integers(0, 4 * SECOND), st.sampled_from([1, SECOND]), st.integers(0, 3 * MINUTE))
    steps = draw(st.lists(st.tuples(gaps, late, st.sampled_from(SYMBOLS), st.integers(1, 50)), min_size=1, max_size=40))
    now, rows = START, []
    for gap, behind, symbol, price in steps:
        now += gap
        rows.append(Row(now - behind, symbol, float(price)))
    return rows


def batch(kind: str, rows: list[Row]) -> Batch:
    """The rows as trades of 3 shares, as quotes, or as bars of a minute."""
    ts, symbol, price = [r.ts for r in rows], [r.symbol for r in rows], [r.price for r in rows]
    if kind == "trades":
        size = [3.0] * len(rows)
        columns = {"ts": ts, "symbol": symbol, "price": price, "size": size, "id": range(len(rows))}
        return Batch("test", 0, trades=pl.DataFrame(columns).with_columns(pl.col("ts").cast(TIME)).cast(TRADES))
    if kind == "quotes":
        frame = pl.DataFrame({"ts": ts, "symbol": symbol, "bid": price, "ask": price})
        frame = frame.with_columns(pl.col("ts").cast(TIME), bid_size=pl.lit(1.0), ask_size=pl.lit(2.0))
        return Batch("test", 0, quotes=frame.cast(QUOTES))
    frame = pl.DataFrame({"ts": [t - MINUTE for t in ts], "end": ts, "symbol": symbol, "open": price})
    frame = frame.with_columns(
        pl.col("ts", "end").cast(TIME),
        high=pl.col("open") + 2,
        low=pl.col("open") / 2,
        close=pl.col("open") + 1,
        volume=pl.lit(5.0),
    )
    return Batch("test", 0, bars=frame.cast(BARS))


def new_state() -> MarketState:
    state = MarketState(CALENDAR, sessions=3, stale_after_ns=2 * MINUTE)
    state.needs(NEEDS)
    return state


def run(state: MarketState, kind: str, rows: list[Row], cuts: list[int]) -> None:
    """Apply the rows, cut into batches at the given places."""
    edges = [0, *sorted({c for c in cuts if 0 < c < len(rows)}), len(rows)]
    for start, stop in itertools.pairwise(edges):
        if stop > start:
            state.apply(batch(kind, rows[start:stop]), 0)


def ring(values: PriceRing, width: int) -> dict[str, object]:
    rows = [values.row(r) for r in range(values.first, values.stop)]
    return {
        "ends": values.ends().tolist(),
        "prices": [prices[:width].tolist() for prices, _ in rows],
        "ages": [ages[:width].tolist() for _, ages in rows],
    }


def everything(state: MarketState) -> dict[str, object]:
    """All that a state holds, but for bars that wait to be collected."""
    width = len(state.index)
    assert state.seconds is not None
    return {
        "symbols": state.index.symbols(),
        **{name: getattr(state.columns, name)[:width].tolist() for name in Columns.names()},
        "minutes": ring(state.minutes, width),
        "seconds": ring(state.seconds, width),
        "sessions": (state.sessions.first, state.sessions.stop),
        "closes": [state.sessions.close(s)[:width].tolist() for s in range(state.sessions.first, state.sessions.stop)],
        "opens": [state.sessions.open(s)[:width].tolist() for s in range(state.sessions.first, state.sessions.stop)],
        "now": (state.now, state.session, state.open_end, state.minute_end, state.intake.touched),
    }


def assert_same(left: dict[str, object], right: dict[str, object]) -> None:
    """Equal, NaN to NaN, naming what is not."""
    for name, value in left.items():
        np.testing.assert_equal(value, right[name], err_msg=name)


kinds = pytest.mark.parametrize("kind", ["trades", "quotes", "bars"])
cuts = st.lists(st.integers(1, 39), max_size=8)


@kinds
@given(tape=tapes(), cuts=cuts)
@settings(max_examples=40, deadline=None)
def test_it_does_not_matter_how_a_tape_is_cut_into_batches(kind, tape, cuts):
    whole, pieces = new_state(), new_state()
    run(whole, kind, tape, [])
    run(pieces, kind, tape, cuts)
    assert_same(everything(pieces), everything(whole))
    for left, right in zip(pieces.closed_bars(), whole.closed_bars(), strict=True):
        assert left.equals(right)


@kinds
@given(tape=tapes(), stop=st.integers(0, 39), cuts=cuts, collected=cuts, idle=st.integers(0, 90 * MINUTE))
@settings(max_examples=40, deadline=None)
def test_a_restored_state_equals_one_that_never_stopped(kind, tape, stop, cuts, collected, idle):
    lived, stopped = new_state(), new_state()
    stop = min(stop, len(tape))
    run(lived, kind, tape[:stop], cuts)
    # Bars are collected at any time; a checkpoint stands on all that were collected up to it.
    collections = []
    edges = [0, *sorted({c for c in collected if 0 < c < stop}), stop]
    for start, end in itertools.pairwise(edges):
        run(stopped, kind, tape[start:end], [])
        collections.append(stopped.closed_bars())
    if stopped.now:
        stopped.advance(stopped.now + idle)
        lived.advance(lived.now + idle)
        collections.append(stopped.closed_bars())
    minutes, sessions = zip(*collections, strict=True)
    restored = new_state()
    restored.restore(stopped.checkpoint_frames(), minutes, sessions)
    assert_same(everything(restored), everything(lived))
    lived.closed_bars()
    run(lived, kind, tape[stop:], cuts)
    run(restored, kind, tape[stop:], cuts)
    assert_same(everything(restored), everything(lived))
    for left, right in zip(restored.closed_bars(), lived.closed_bars(), strict=True):
        assert left.equals(right)
