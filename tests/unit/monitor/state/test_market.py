from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from monitor.calendar import ALWAYS, MINUTE, CalendarError, TradingCalendar
from monitor.state import QUOTES, MarketState, PriceSource
from rules.ast import Clock, Sessions, Since, Word
from rules.view import Requirements, View
from tests.unit.monitor.state.conftest import SECOND, Tape, at

NAN = np.nan


def price(tape: Tape, *symbols: str) -> list[float]:
    return [float(p) for p in tape.state.view(symbols).prices()]


def minute_bars(tape: Tape) -> list[tuple[object, ...]]:
    """Closed bars as (symbol, end in New York, open, high, low, close, volume)."""
    end = pl.col("ts").dt.offset_by("1m").dt.convert_time_zone("America/New_York").dt.strftime("%H:%M")
    return tape.state.closed_bars()[0].select("symbol", end, "open", "high", "low", "close", "volume").sort("ts").rows()


# --- what is the price ------------------------------------------------------------------------------------------------


def test_the_price_is_the_last_trade_or_the_mid_of_an_instrument_without_trades(tape):
    tape.quote("IWM", 10, 12, "2026-01-23 10:00")
    tape.quote("EURUSD", 1.0, 1.2, "2026-01-23 10:00")
    assert price(tape, "IWM", "EURUSD", "SPY") == pytest.approx([11, 1.1, NAN], nan_ok=True)
    tape.trade("IWM", 10.5, "2026-01-23 10:00:01")
    tape.quote("IWM", 20, 22, "2026-01-23 10:00:02")
    assert price(tape, "IWM") == [10.5]


@pytest.mark.parametrize(("source", "expected"), [("auto", 10.0), ("last", 10.0), ("mid", 21.0)])
def test_a_setting_forces_trades_or_mids(new_state, source, expected):
    tape = Tape(new_state(price=PriceSource(source)))
    tape.trade("IWM", 10, "2026-01-23 10:00")
    tape.quote("IWM", 20, 22, "2026-01-23 10:00:02")
    assert price(tape, "IWM") == [expected]


def test_last_does_not_take_quotes_even_where_nothing_traded(new_state):
    tape = Tape(new_state(price=PriceSource.LAST))
    tape.quote("IWM", 20, 22, "2026-01-23 10:00:02")
    assert price(tape, "IWM") == pytest.approx([NAN], nan_ok=True)


def test_an_unknown_price_source_is_refused(nyse):
    with pytest.raises(ValueError, match="midd"):
        MarketState(nyse, price=PriceSource("midd"))


def test_a_price_goes_stale_and_its_age_goes_on(new_state):
    tape = Tape(new_state(stale_after_ns=5 * MINUTE))
    tape.trade("IWM", 10, "2026-01-23 10:00")
    tape.advance("2026-01-23 10:05:00")
    assert price(tape, "IWM") == [10]
    tape.advance("2026-01-23 10:05:00.001")
    view = tape.state.view(("IWM", "SPY"))
    assert view.prices() == pytest.approx([NAN, NAN], nan_ok=True)
    assert view.ages() == pytest.approx([300.001 * SECOND, NAN], nan_ok=True)
    assert view.price_times().tolist() == [at("2026-01-23 10:00"), 0]


def test_yesterdays_price_is_unknown_at_the_open_until_the_first_print(tape):
    tape.trade("IWM", 10, "2026-01-22 15:59")
    tape.advance("2026-01-23 09:30:01")
    assert price(tape, "IWM") == pytest.approx([NAN], nan_ok=True)
    assert tape.state.view(("IWM",)).base(Sessions(1)).tolist() == [10]
    tape.trade("IWM", 11, "2026-01-23 09:30:02")
    assert price(tape, "IWM") == [11]


def test_time_does_not_go_back(tape):
    tape.advance("2026-01-23 10:00")
    tape.advance("2026-01-23 09:00")
    assert tape.state.now == at("2026-01-23 10:00")
    assert tape.state.view(()).session == tape.state.session


def test_a_time_outside_the_calendar_is_refused(tape):
    with pytest.raises(CalendarError):
        tape.state.advance(at("2050-02-01 10:00"))


# --- rows out of order ------------------------------------------------------------------------------------------------


def test_an_older_row_never_sets_the_price_back_but_counts_into_high_low_and_volume(tape):
    tape.trades(("IWM", 10, "2026-01-23 10:00:10", 1), ("IWM", 10.2, "2026-01-23 10:00:20", 1))
    tape.trades(("IWM", 12, "2026-01-23 10:00:15", 5), ("IWM", 8, "2026-01-23 10:00:12", 1))
    assert price(tape, "IWM") == [10.2]
    tape.advance("2026-01-23 10:01:01")
    assert minute_bars(tape) == [("IWM", "10:01", 10, 12, 8, 10.2, 8)]


def test_rows_out_of_order_in_one_batch_leave_the_newest(tape):
    tape.trades(
        ("IWM", 10, "2026-01-23 10:00:30", 1),
        ("SPY", 600, "2026-01-23 10:00:31", 1),
        ("IWM", 9, "2026-01-23 10:00:10", 1),
        ("SPY", 601, "2026-01-23 10:00:31", 1),
    )
    assert price(tape, "IWM", "SPY") == [10, 601]


def test_a_row_of_a_closed_minute_counts_into_the_open_one(tape):
    tape.trade("SPY", 600, "2026-01-23 10:01:01")
    tape.trade("IWM", 10, "2026-01-23 10:00:59")
    assert price(tape, "IWM") == [10]
    tape.advance("2026-01-23 10:02:01")
    assert minute_bars(tape) == [("SPY", "10:02", 600, 600, 600, 600, 1), ("IWM", "10:02", 10, 10, 10, 10, 1)]


def test_a_late_row_that_sets_no_price_makes_no_bar_and_its_volume_is_not_lost(tape):
    tape.trade("IWM", 10, "2026-01-23 10:00:50")
    tape.trade("SPY", 600, "2026-01-23 10:01:01")
    tape.trade("IWM", 99, "2026-01-23 10:00:40", size=7)
    tape.trade("IWM", 11, "2026-01-23 10:02:10", size=1)
    tape.advance("2026-01-23 10:03:01")
    assert [row for row in minute_bars(tape) if row[0] == "IWM"] == [
        ("IWM", "10:01", 10, 10, 10, 10, 1),
        ("IWM", "10:03", 11, 11, 11, 11, 8),
    ]
    tape.advance("2026-01-23 16:01")
    session = tape.state.closed_bars()[1].filter(pl.col("symbol") == "IWM")
    assert session.select("open", "high", "low", "close", "volume").row(0) == (10, 99, 10, 11, 9)


def test_a_row_of_a_closed_session_changes_no_stored_close(tape):
    tape.trade("IWM", 10, "2026-01-22 15:59:50")
    tape.trade("SPY", 600, "2026-01-22 16:00:01")
    tape.trade("IWM", 11, "2026-01-22 15:59:59")
    view = tape.state.view(("IWM",))
    assert view.base(Sessions(1)).tolist() == [10]
    assert view.prices().tolist() == [11]
    assert np.isnan(view.base(Word.OPEN)).all()


# --- bars -------------------------------------------------------------------------------------------------------------


def test_a_bar_sets_the_price_at_its_end(tape):
    tape.bar("IWM", (10, 12, 9, 11, 500), "2026-01-23 09:30", minutes=5)
    view = tape.state.view(("IWM",))
    assert (view.now, view.prices().tolist()) == (at("2026-01-23 09:35"), [11])
    assert view.base(Word.OPEN).tolist() == [10]
    tape.advance("2026-01-23 09:35:01")
    assert minute_bars(tape) == [("IWM", "09:35", 10, 12, 9, 11, 500)]


def test_a_bar_before_the_open_is_no_regular_trading(tape):
    tape.bar("IWM", (10, 12, 9, 11, 500), "2026-01-23 09:25", minutes=5)
    assert np.isnan(tape.state.view(("IWM",)).base(Word.OPEN)).all()
    tape.bar("IWM", (20, 22, 19, 21, 100), "2026-01-23 09:30", minutes=5)
    tape.advance("2026-01-23 16:01")
    assert tape.state.closed_bars()[1].row(0)[2:] == (20, 22, 19, 21, 600), "but its volume counts"


def test_a_bar_made_of_trades_that_were_seen_is_not_counted_again(tape):
    tape.trade("IWM", 10, "2026-01-23 10:00:00", size=3)
    tape.trade("IWM", 12, "2026-01-23 10:00:30", size=4)
    tape.bar("IWM", (10, 12, 10, 12, 7), "2026-01-23 10:00")
    tape.advance("2026-01-23 16:01")
    assert tape.state.closed_bars()[1].row(0)[2:] == (10, 12, 10, 12, 7)


def test_session_bars_are_bars_that_end_at_the_close(tape):
    for date, close in (("2026-01-21", 10.0), ("2026-01-22", 11.0), ("2026-01-23", 12.0)):
        tape.bar("IWM", (9.5, 13, 9, close, 1e6), f"{date} 09:30", minutes=390)
    view = tape.state.view(("IWM",))
    assert view.prices().tolist() == [12]
    assert [view.base(Sessions(n)).tolist() for n in (1, 2)] == [[11], [10]]
    assert view.closed_sessions() == 2


def test_a_bar_of_closes_only_has_no_open_high_or_low(tape):
    tape.bar("IWM", (None, None, None, 10, None), "2026-01-22 09:30", minutes=390)
    tape.advance("2026-01-23 09:31")
    assert tape.state.closed_bars()[1].row(0)[2:] == (None, None, None, 10, None), "no volume is not none traded"
    assert np.isnan(tape.state.view(("IWM",)).at_close(1).base(Word.OPEN)).all()


def test_prices_that_are_no_positive_numbers_are_not_taken(tape):
    tape.trades(("IWM", 10, "2026-01-23 10:00", 1), ("IWM", NAN, "2026-01-23 10:00:01", 1))
    tape.trades(("IWM", 0, "2026-01-23 10:00:02", 1), ("IWM", -3, "2026-01-23 10:00:03", 1))
    assert price(tape, "IWM") == [10]


# --- windows ----------------------------------------------------------------------------------------------------------


def test_words_and_dates_start_at_the_right_close(tape):
    days = {"2025-12-31": 1.0, "2026-01-02": 2.0, "2026-01-15": 3.0, "2026-01-16": 4.0, "2026-01-20": 5.0}
    for date, close in days.items():
        tape.trade("IWM", close, f"{date} 15:00")
    tape.trade("IWM", 7, "2026-01-21 09:31")
    view = tape.state.view(("IWM",))
    assert view.base(Word.YTD).tolist() == view.base(Word.MTD).tolist() == view.base(Word.QTD).tolist() == [1]
    assert view.base(Word.WTD).tolist() == [4]
    assert view.base(Since(dt.date(2026, 1, 19))).tolist() == [4]
    assert np.isnan(view.base(Sessions(4))).all(), "it did not trade on the 14th"
    assert np.isnan(view.base(Since(dt.date(2026, 1, 21)))).all(), "that session has not closed"
    assert np.isnan(view.base(Since(dt.date(2020, 1, 1)))).all(), "that session is not stored"
    assert view.base(Word.OPEN).tolist() == [7]


def test_a_base_that_starts_at_a_close_is_made_once_a_session(tape):
    tape.trade("IWM", 10, "2026-01-22 15:00")
    tape.trade("IWM", 11, "2026-01-23 10:00")
    base = tape.state.view(("IWM",)).base(Sessions(1))
    tape.trade("IWM", 12, "2026-01-23 11:00")
    assert tape.state.view(("IWM",)).base(Sessions(1)) is base
    with pytest.raises(ValueError, match="read-only"):
        base[0] = 1
    tape.trade("IWM", 13, "2026-01-26 11:00")
    assert tape.state.view(("IWM",)).base(Sessions(1)).tolist() == [12]


def test_a_clock_window_may_start_within_the_open_minute(tape):
    tape.trade("IWM", 10, "2026-01-23 10:00:50")
    tape.trade("IWM", 11, "2026-01-23 10:01:10")
    tape.advance("2026-01-23 10:01:30")
    view = tape.state.view(("IWM",))
    assert [view.base(Clock(s * SECOND)).tolist() for s in (5, 20, 21, 40)] == [[11], [11], [10], [10]]


def test_a_clock_window_over_a_night_starts_at_the_last_price_before(tape):
    tape.trade("IWM", 10, "2026-01-22 15:59")
    tape.trade("IWM", 11, "2026-01-22 18:30")
    tape.trade("IWM", 12, "2026-01-23 09:31")
    tape.advance("2026-01-23 09:40")
    assert tape.state.view(("IWM",)).base(Clock(30 * MINUTE)).tolist() == [11]


def test_seconds_are_kept_for_ten_minutes(new_state):
    state = new_state(Requirements(("IWM",), clock_ns=60 * MINUTE, shortest_clock_ns=30 * SECOND))
    tape = Tape(state)
    for second in range(1300):
        tape.trade("IWM", 100 + second, f"2026-01-23 10:{second // 60:02d}:{second % 60:02d}")
    view = state.view(("IWM",))
    assert [view.base(Clock(w * SECOND)).tolist() for w in (1, 30, 599)] == [[1398], [1369], [800]]
    assert state.seconds is not None
    assert len(state.seconds) <= 603


# --- history and requirements -----------------------------------------------------------------------------------------


def history(**closes: dict[str, float]) -> pl.DataFrame:
    rows = [(dt.date.fromisoformat(d), s, c) for s, days in closes.items() for d, c in days.items()]
    return pl.DataFrame(rows, schema={"ts": pl.Date, "symbol": pl.String, "close": pl.Float64}, orient="row")


def test_history_can_come_before_or_after_events(tape):
    tape.state.import_sessions(history(IWM={"2026-01-20": 1.0, "2026-01-21": 2.0}))
    tape.trade("IWM", 4, "2026-01-23 10:00")
    view = tape.state.view(("IWM",))
    assert view.base(Sessions(2)).tolist() == [2]
    revision = view.history_revision
    tape.state.import_sessions(history(IWM={"2026-01-21": 2.5, "2026-01-22": 3.0}))
    view = tape.state.view(("IWM",))
    assert [view.base(Sessions(n)).tolist() for n in (1, 2, 3)] == [[3], [2.5], [1]]
    assert view.history_revision > revision
    assert view.first().tolist() == [1]
    assert view.at_close(3).first() == pytest.approx([NAN], nan_ok=True)
    assert view.closed_sessions() == 3


def test_history_of_the_future_is_not_seen_before_its_close_and_then_stands(tape):
    tape.state.import_sessions(history(IWM={"2026-01-22": 2.0, "2026-01-23": 3.0, "2026-01-26": 4.0}))
    tape.trade("IWM", 2.2, "2026-01-23 10:00")
    view = tape.state.view(("IWM",))
    assert view.base(Sessions(1)).tolist() == [2]
    assert np.isnan(view.base(Since(dt.date(2026, 1, 26)))).all()
    assert np.isnan(view.at_close(-1).prices()).all()
    tape.trade("IWM", 5, "2026-01-27 10:00")
    view = tape.state.view(("IWM",))
    assert [view.base(Sessions(n)).tolist() for n in (1, 2)] == [[4], [3]]


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (history(IWM={"2026-01-22": 2.0, "2026-01-24": 3.0}), r"row 2 \(IWM, 2026-01-24\): 2026-01-24 is no session"),
        (history(IWM={"2026-01-22": -2.0}), r"row 1 \(IWM, 2026-01-22\): its close is not a positive number"),
        (history(IWM={"2026-01-22": NAN}), "its close is not a positive number"),
        (history(IWM={"2026-01-22": 1.0}).with_columns(close=None), "must be Float64"),
        (history(IWM={"2026-01-22": 1.0}).with_columns(pl.lit(None, pl.String).alias("symbol")), "it has no symbol"),
        (history(IWM={"2026-01-22": 1.0}).with_columns(pl.lit(None, pl.Date).alias("ts")), "it has no date"),
        (history(IWM={"2026-01-22": 1.0}).drop("ts"), "column 'ts' must be Date"),
    ],
)
def test_history_that_cannot_be_right_is_refused_by_row(tape, frame, error):
    with pytest.raises(ValueError, match=error):
        tape.state.import_sessions(frame)
    assert tape.state.view(("IWM",)).closed_sessions() == 0
    assert tape.state.history_revision == 0


def test_needs_enlarge_what_is_kept_without_losing_any(nyse):
    state = MarketState(nyse, sessions=2)
    tape = Tape(state)
    for day in (12, 13, 14, 15, 16):
        tape.trade("IWM", float(day), f"2026-01-{day} 15:00")
    tape.advance("2026-01-20 09:30")
    kept = state.view(("IWM",)).closed_sessions()
    assert kept == 3
    state.needs(Requirements(("IWM", "SPY"), sessions=4, since=dt.date(2026, 1, 5), clock_ns=MINUTE))
    for day in (20, 21, 22, 23):
        tape.trade("IWM", float(day), f"2026-01-{day} 15:00")
    tape.advance("2026-01-26 09:30")
    view = state.view(("SPY", "IWM"))
    assert view.closed_sessions() == kept + 4
    assert view.base(Sessions(7))[1] == 14


def test_memory_is_bounded_by_instruments_and_windows_not_by_time(nyse):
    state = MarketState(nyse, sessions=5, record_bars=False)
    state.needs(Requirements(("A", "B"), clock_ns=30 * MINUTE, shortest_clock_ns=30 * SECOND))
    tape, sizes = Tape(state), []
    for day in range(60):
        date = nyse.date(6000 + day)
        for minute in range(0, 60, 7):
            tape.trade("A", 10, f"{date} 10:{minute:02d}")
        sizes.append(state.nbytes)
    assert sizes[-1] == sizes[20]


def test_columns_grow_with_instruments_and_keep_what_they_hold(new_state):
    tape = Tape(new_state(Requirements((), clock_ns=60 * MINUTE, shortest_clock_ns=SECOND)))
    tape.trade("S0", 1, "2026-01-22 15:00")
    for number in range(1, 300):
        second = number % 60
        tape.trade(f"S{number}", 1.0 + number, f"2026-01-23 10:{number // 60:02d}:{second:02d}")
    view = tape.state.view(tuple(f"S{n}" for n in range(300)))
    assert view.base(Sessions(1))[0] == 1
    assert view.prices()[1:].tolist() == [1.0 + n for n in range(1, 300)]
    assert view.at_minute(1).prices()[100] == 101
    assert view.base(Clock(100 * SECOND))[199] == 200


def test_skipped_sessions_are_sessions_without_a_trade(tape):
    tape.trade("IWM", 10, "2025-12-23 15:00")
    tape.trade("IWM", 11, "2025-12-29 10:00")
    view = tape.state.view(("IWM",))
    assert view.closed_sessions() == 3
    assert [view.at_close(n).prices()[0] for n in (1, 2, 3)] == pytest.approx([NAN, NAN, 10], nan_ok=True)
    assert view.at_close(2).now == at("2025-12-24 13:00")


def test_the_calendar_that_never_closes():
    tape = Tape(MarketState(TradingCalendar(ALWAYS)))
    tape.trade("BTC/USD", 100, "2026-01-24 12:00")
    tape.trade("BTC/USD", 110, "2026-01-25 12:00")
    view = tape.state.view(("BTC/USD",))
    assert view.base(Sessions(1)).tolist() == [100]
    assert view.base(Word.OPEN).tolist() == [110]


def test_the_last_quotes_as_a_frame(tape):
    tape.quote("IWM", 10, 12, "2026-01-23 10:00")
    tape.trade("SPY", 600, "2026-01-23 10:00:01", size=3)
    frame = tape.state.quotes_frame()
    assert frame.schema == QUOTES
    assert frame["symbol"].to_list() == ["SPY", "IWM"] or frame["symbol"].to_list() == ["IWM", "SPY"]
    iwm = frame.row(by_predicate=pl.col("symbol") == "IWM", named=True)
    spy = frame.row(by_predicate=pl.col("symbol") == "SPY", named=True)
    assert (iwm["bid"], iwm["ask_size"], iwm["price"], iwm["trade_ts"], iwm["trade_price"]) == (10, 2, 11, None, None)
    assert (spy["trade_price"], spy["trade_size"], spy["quote_ts"], spy["bid"]) == (600, 3, None, None)
    assert frame["price_ts"].dt.epoch("ns").to_list() == [at("2026-01-23 10:00"), at("2026-01-23 10:00:01")]


def test_bars_are_not_kept_where_nobody_collects_them(new_state):
    with pytest.raises(RuntimeError, match="record_bars=False"):
        new_state(record_bars=False).closed_bars()


def test_views_keep_the_contract_of_the_engine(tape):
    tape.trade("IWM", 10, "2026-01-23 10:00")
    view: View = tape.state.view(("IWM",))
    past: View = view.at_close(1)
    earlier: View = view.at_minute(1)
    for each in (view, past, earlier, past.at_minute(1), earlier.at_close(1)):
        assert len(each.prices()) == len(each.ages()) == len(each.price_times()) == 1
        assert each.closed_minutes() >= 0
        assert len(each.base(Clock(MINUTE))) == len(each.base(Word.OPEN)) == 1
