"""Halts and corrections: what the state says of an instrument that may not trade, or whose print was none."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from connectors.batch import CORRECTIONS, STATUSES, TIME, TRADES, Batch
from monitor.state import MarketState
from rules.ast import Clock, Sessions, Word
from rules.view import Requirements
from tests.unit.monitor.state.conftest import Tape, at


@pytest.fixture
def tape(nyse) -> Tape:
    return Tape(MarketState(nyse, clock_ns=30 * 60 * 10**9))


def price(tape: Tape) -> float:
    return float(tape.state.view(("IWM",)).prices()[0])


def status(tape: Tape, code: str, when: str) -> None:
    row = pl.DataFrame([(at(when), "IWM", code, "")], schema=["ts", "symbol", "code", "reason"], orient="row")
    tape.state.apply(Batch("t", 0, statuses=row.with_columns(pl.col("ts").cast(TIME)).cast(STATUSES)), at(when))


def correct(tape: Tape, old: float, new: float | None, when: str) -> None:
    kind = "correction" if new else "cancel"
    row = pl.DataFrame(
        [(at(when), "IWM", kind, None, old, 1.0, None, new, None)], schema=CORRECTIONS.names(), orient="row"
    )
    tape.state.apply(Batch("t", 0, corrections=row.with_columns(pl.col("ts").cast(TIME)).cast(CORRECTIONS)), at(when))


def test_halted_is_unknown_until_it_trades_again(tape):
    tape.trade("IWM", 250.0, "2026-01-23 10:00:00")
    status(tape, "halt", "2026-01-23 10:00:30")
    assert np.isnan(price(tape))
    tape.quote("IWM", 249, 251, "2026-01-23 10:01:00")
    tape.trade("IWM", 250.5, "2026-01-23 10:00:20")
    assert np.isnan(price(tape))
    assert np.isnan(tape.state.view(("IWM",)).bids()[0])
    tape.trade("IWM", 240.0, "2026-01-23 10:05:00")
    assert price(tape) == 240.0


def test_a_resumption_ends_a_halt(tape):
    tape.trade("IWM", 250.0, "2026-01-23 10:00:00")
    status(tape, "halt", "2026-01-23 10:00:30")
    status(tape, "resume", "2026-01-23 10:00:20")
    assert np.isnan(price(tape))
    status(tape, "resume", "2026-01-23 10:05:30")
    assert price(tape) == 250.0


def test_a_halt_outlives_a_restart(tape, nyse):
    tape.trade("IWM", 250.0, "2026-01-23 10:00:00")
    status(tape, "halt", "2026-01-23 10:00:30")
    again = MarketState(nyse)
    again.restore(tape.state.checkpoint_frames(), [tape.state.closed_bars()[0]], [])
    assert np.isnan(again.view(("IWM",)).prices()[0])


def quote(tape: Tape, when: str) -> None:
    tape.quote("IWM", 250.0, 250.1, when)


def test_a_halt_that_nobody_ends_is_over_as_the_next_session_opens(tape):
    quote(tape, "2026-01-23 10:00:00")
    status(tape, "halt", "2026-01-23 10:01:00")
    for when in ("2026-01-23 15:59:00", "2026-01-26 09:29:00", "2026-01-26 09:30:00"):
        quote(tape, when)
        assert np.isnan(price(tape)), when
    quote(tape, "2026-01-26 09:30:01")
    assert price(tape) == 250.05


def test_a_halt_announced_anew_before_the_open_goes_on_for_that_session(tape):
    status(tape, "halt", "2026-01-23 10:01:00")
    status(tape, "halt", "2026-01-26 07:00:00")
    for when in ("2026-01-26 09:30:01", "2026-01-26 15:59:00", "2026-01-27 09:29:00"):
        quote(tape, when)
        assert np.isnan(price(tape)), when
    quote(tape, "2026-01-27 09:31:00")
    assert price(tape) == 250.05


def test_the_price_of_before_a_halt_is_none_after_it(tape):
    tape.trade("IWM", 249.0, "2026-01-23 10:00:00")
    status(tape, "halt", "2026-01-23 10:01:00")
    tape.advance("2026-01-26 10:00:00")
    assert np.isnan(price(tape))
    assert tape.state.columns.halted_since[0] == 0


def test_a_corrected_print_that_set_the_price_is_corrected_everywhere(tape):
    tape.trade("IWM", 250.0, "2026-01-22 15:59:30")
    tape.trade("IWM", 299.0, "2026-01-22 16:00:00")
    tape.trade("IWM", 251.0, "2026-01-23 09:31:10")
    view = tape.state.view(("IWM",))
    assert view.base(Sessions(1))[0] == 299.0
    revision = tape.state.history_revision
    correct(tape, 299.0, 250.2, "2026-01-22 16:00:00")
    view = tape.state.view(("IWM",))
    assert view.base(Sessions(1))[0] == 250.2
    assert tape.state.history_revision == revision + 1
    assert price(tape) == 251.0


def test_a_cancelled_print_leaves_the_price_before_it(tape):
    tape.trade("IWM", 250.0, "2026-01-23 10:00:00")
    tape.trade("IWM", 299.0, "2026-01-23 10:01:30")
    tape.advance("2026-01-23 10:03:00")
    correct(tape, 299.0, None, "2026-01-23 10:01:30")
    assert price(tape) == 250.0
    assert tape.state.view(("IWM",)).base(Clock(60 * 10**9))[0] == 250.0


def test_a_correction_of_another_print_changes_nothing(tape):
    tape.trade("IWM", 250.0, "2026-01-23 10:00:00")
    before = tape.state.checkpoint_frames()["instruments"]
    correct(tape, 249.0, 260.0, "2026-01-23 10:00:00")
    assert price(tape) == 250.0
    assert tape.state.history_revision == 0
    assert tape.state.checkpoint_frames()["instruments"].equals(before, null_equal=True)
    assert tape.state.calendar.date(tape.state.session) == dt.date(2026, 1, 23)


def test_a_trade_without_a_price_is_volume_alone(nyse):
    state = MarketState(nyse)
    state.needs(Requirements(instruments=("SPY",), volume_sessions=1))
    first = at("2026-01-05 10:00:05")
    rows = [(first, "SPY", 690.0, 100.0, 1), (first + 10**9, "SPY", None, 7.0, 2)]
    trades = pl.DataFrame(rows, schema={**TRADES, "ts": pl.Int64}, orient="row").cast(TRADES)
    state.apply(Batch("t", 0, trades=trades), first + 10**9)
    view = state.view(("SPY",))
    assert (view.prices()[0], view.price_times()[0]) == (690.0, first)
    assert view.volume(Word.OPEN)[0] == 107.0


def take_back(tape: Tape, number: int | None, price: float, size: float, when: str, at_: str, new=(None, None)) -> None:
    """A correction as it leaves the filter: `when` is the time of the print where it has a number."""
    kind = "correction" if new[0] else "cancel"
    row = pl.DataFrame(
        [(at(when), "IWM", kind, number, price, size, None, *new)], schema=CORRECTIONS.names(), orient="row"
    )
    tape.state.apply(Batch("t", 0, corrections=row.with_columns(pl.col("ts").cast(TIME)).cast(CORRECTIONS)), at(at_))


def test_of_two_prints_at_one_price_only_the_one_that_was_taken_back_goes(tape):
    tape.trade("IWM", 249.0, "2026-01-23 09:59:30")
    tape.trade("IWM", 250.0, "2026-01-23 10:01:10")
    tape.trade("IWM", 250.0, "2026-01-23 10:01:40")
    take_back(tape, 1, 250.0, 1.0, "2026-01-23 10:01:10", "2026-01-23 10:03:00")
    assert price(tape) == 250.0
    take_back(tape, 2, 250.0, 1.0, "2026-01-23 10:01:40", "2026-01-23 10:04:00")
    assert price(tape) == 249.0


def test_a_print_known_by_its_id_is_found_however_late(tape):
    tape.trade("IWM", 249.0, "2026-01-23 10:00:00")
    tape.trade("IWM", 250.0, "2026-01-23 10:01:10")
    take_back(tape, 1, 250.0, 1.0, "2026-01-23 10:01:10", "2026-01-23 10:25:00", (251.0, 1.0))
    assert tape.state.quotes_frame()["price"].to_list() == [251.0]
    minutes = tape.state.minutes
    assert {minutes.row(row)[0][0] for row in range(minutes.last_at(at("2026-01-23 10:02:00")), minutes.stop)} == {
        251.0
    }


def test_volume_follows_what_is_taken_back_in_the_open_minute_a_closed_one_and_the_session_before(nyse):
    state = MarketState(nyse)
    state.needs(Requirements(("IWM",), volume_sessions=1, volume_clock_ns=30 * 60 * 10**9, clock_ns=30 * 60 * 10**9))
    tape = Tape(state)
    for price_, when, size in (
        (249.0, "2026-01-22 10:00:10", 70.0),
        (250.0, "2026-01-23 09:40:10", 100.0),
        (250.0, "2026-01-23 10:01:10", 30.0),
        (250.0, "2026-01-23 10:10:10", 7.0),
    ):
        tape.trade("IWM", price_, when, size)
    tape.advance("2026-01-23 10:10:20")

    def volumes():
        view = tape.state.view(("IWM",))
        session = tape.state.sessions.volumes_of(tape.state.session - 1, tape.state.session - 1, np.array([0]))
        return view.volume(Word.OPEN)[0], view.volume(Clock(15 * 60 * 10**9))[0], session[0, 0]

    assert volumes() == (137.0, 37.0, 70.0)
    take_back(tape, 1, np.nan, 30.0, "2026-01-23 10:01:10", "2026-01-23 10:10:30")
    assert volumes() == (107.0, 7.0, 70.0)
    take_back(tape, 2, 250.0, 7.0, "2026-01-23 10:10:10", "2026-01-23 10:10:40", (250.0, 5.0))
    assert volumes() == (105.0, 5.0, 70.0)
    take_back(tape, 3, 249.0, 70.0, "2026-01-22 10:00:10", "2026-01-23 10:10:50", (249.0, 60.0))
    assert volumes() == (105.0, 5.0, 60.0)
    take_back(tape, None, 250.0, 5.0, "2026-01-23 10:10:10", "2026-01-23 10:10:55")
    assert volumes() == (105.0, 5.0, 60.0)


def open_bar(tape: Tape, span: str) -> tuple[float, ...]:
    return tuple(float(getattr(tape.state.columns, f"{span}_{name}")[0]) for name in ("open", "high", "low"))


@pytest.mark.parametrize("span", ["minute", "session"])
def test_the_open_bar_is_without_what_was_taken_back(tape, span):
    tape.trade("IWM", 250.0, "2026-01-23 10:00:10")
    tape.trade("IWM", 299.0, "2026-01-23 10:00:20")
    tape.trade("IWM", 248.0, "2026-01-23 10:00:30")
    tape.trade("IWM", 251.0, "2026-01-23 10:00:40")
    assert open_bar(tape, span) == (250.0, 299.0, 248.0)
    take_back(tape, 1, 299.0, 1.0, "2026-01-23 10:00:20", "2026-01-23 10:00:41")
    assert open_bar(tape, span) == (250.0, 251.0, 248.0)
    take_back(tape, 2, 248.0, 1.0, "2026-01-23 10:00:30", "2026-01-23 10:00:42", (249.0, 1.0))
    assert open_bar(tape, span) == (250.0, 251.0, 249.0)
    take_back(tape, 3, 250.0, 1.0, "2026-01-23 10:00:10", "2026-01-23 10:00:43", (250.5, 1.0))
    assert open_bar(tape, span) == (250.5, 251.0, 249.0)


def test_the_next_print_opens_where_the_first_was_none(tape):
    tape.trade("IWM", 299.0, "2026-01-23 09:30:10")
    take_back(tape, 1, 299.0, 1.0, "2026-01-23 09:30:10", "2026-01-23 09:30:12")
    assert np.isnan(open_bar(tape, "session")[0])
    tape.trade("IWM", 250.0, "2026-01-23 09:30:14")
    assert open_bar(tape, "session") == (250.0, 250.0, 250.0)


@pytest.mark.parametrize(("new", "bar"), [((251.0, 1.0), (251.0, 251.0, 251.0, 251.0)), ((None, None), (249.0,) * 4)])
def test_a_closed_minute_is_stored_without_what_was_taken_back_and_restored_so(tape, nyse, new, bar):
    tape.trade("IWM", 249.0, "2026-01-23 10:00:10")
    tape.trade("IWM", 299.0, "2026-01-23 10:01:10")
    tape.advance("2026-01-23 10:03:00")
    take_back(tape, 1, 299.0, 1.0, "2026-01-23 10:01:10", "2026-01-23 10:03:10", new)
    frames, minutes = tape.state.checkpoint_frames(), tape.state.closed_bars()[0]
    assert minutes.select("open", "high", "low", "close").row(1) == bar
    again = MarketState(nyse, clock_ns=30 * 60 * 10**9)
    again.restore(frames, [minutes], [])
    for state in (tape.state, again):
        assert state.view(("IWM",)).base(Clock(60 * 10**9))[0] == bar[3]
