"""External series: what was known when, live, of the past and after a restart."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import SERIES, Batch
from monitor.calendar import MINUTE, TradingCalendar
from monitor.state import MarketState
from rules.view import Requirements
from tests.unit.monitor.state.conftest import Tape, at

NEEDS = Requirements(("IWM",), sessions=3, clock_ns=30 * MINUTE, series=("pe", "rate"))
CALENDAR = TradingCalendar("XNYS")


def published(*rows: tuple[str, str, float | None]) -> pl.DataFrame:
    columns = {"ts": pl.Int64, "series": pl.String, "value": pl.Float64}
    return pl.DataFrame([(at(when), *rest) for when, *rest in rows], schema=columns, orient="row").cast(SERIES)


def send(tape: Tape, *rows: tuple[str, str, float | None], when: str) -> None:
    tape.state.apply(Batch("test", 0, series=published(*rows)), at(when))


def known(tape: Tape) -> list[float]:
    return [float(value) for value in tape.state.view(("IWM",), NEEDS.series).external()]


def test_a_value_is_known_from_its_publication(new_state):
    tape = Tape(new_state(NEEDS))
    tape.state.import_series(published(("2026-01-22 16:00", "rate", 4.0), ("2026-01-23 10:00", "rate", 4.5)))
    tape.trade("IWM", 10, "2026-01-22 15:59")
    np.testing.assert_equal(known(tape), [np.nan, np.nan])
    tape.advance("2026-01-23 09:59:59")
    np.testing.assert_equal(known(tape), [np.nan, 4.0])
    tape.advance("2026-01-23 10:00")
    np.testing.assert_equal(known(tape), [np.nan, 4.5])
    past = tape.state.view(("IWM",), NEEDS.series).at_close(1)
    np.testing.assert_equal(past.external(), [np.nan, 4.0])


def test_what_arrives_late_is_known_from_its_arrival(new_state):
    tape = Tape(new_state(NEEDS))
    tape.trade("IWM", 10, "2026-01-23 10:00")
    send(tape, ("2026-01-23 09:31", "pe", 20.0), when="2026-01-23 10:05")
    tape.trade("IWM", 10, "2026-01-23 10:10")
    view = tape.state.view(("IWM",), NEEDS.series)
    assert known(tape)[0] == 20
    assert np.isnan(view.at_minute(view.minute() - CALENDAR.minute_at(at("2026-01-23 09:59"))).external()[0])


def test_a_revision_counts_from_its_own_publication_and_an_unknown_one_ends_it(new_state):
    tape = Tape(new_state(NEEDS))
    tape.trade("IWM", 10, "2026-01-23 10:00")
    send(tape, ("2026-01-23 10:01", "pe", 20.0), ("2026-01-23 10:02", "pe", 21.0), when="2026-01-23 10:01")
    assert known(tape)[0] == 20
    send(tape, ("2026-01-23 10:03", "pe", None), when="2026-01-23 10:02")
    assert known(tape)[0] == 21
    tape.advance("2026-01-23 10:03")
    assert np.isnan(known(tape)[0])


def test_series_nobody_asked_for_are_not_kept_and_missing_ones_are_named(new_state):
    tape = Tape(new_state(NEEDS))
    tape.trade("IWM", 10, "2026-01-23 10:00")
    send(tape, ("2026-01-23 10:00", "other", 1.0), ("2026-01-23 10:00", "pe", 1.0), when="2026-01-23 10:01")
    assert tape.state.external.live_rows()["series"].to_list() == ["pe"]
    assert tape.state.external.without_value() == ["rate"]


def test_rows_every_second_for_days_stay_few(new_state):
    tape = Tape(new_state(NEEDS))
    tape.trade("IWM", 10, "2026-01-12 10:00")
    for day in (12, 13, 14, 15, 16, 20, 21):
        for minute in range(30, 50):
            rows = [(f"2026-01-{day} 10:{minute}:{second:02d}", "pe", float(day)) for second in range(0, 60, 10)]
            send(tape, *rows, when=f"2026-01-{day} 10:{minute}:59")
    tape.advance("2026-01-22 10:00")
    view = tape.state.view(("IWM",), NEEDS.series)
    assert tape.state.external.live_rows().height <= NEEDS.sessions + 260
    assert tape.state.external.live_rows().height < 10, "one a session"
    assert [view.at_close(back).external()[0] for back in (1, 2, 3)] == [21, 20, 16]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-600, 600), st.integers(0, 300), st.floats(0, 9)), max_size=15), st.integers(0, 15)
)
def test_a_later_row_changes_nothing_before_and_a_restart_nothing_at_all(rows, cut):
    def lived(count: int) -> MarketState:
        state = MarketState(CALENDAR)
        state.needs(NEEDS)
        now = at("2026-01-23 10:00")
        state.advance(now)
        for told, passes, value in rows[:count]:
            frame = pl.DataFrame({"ts": [now + told * 10**9], "series": ["pe"], "value": [value]}).cast(SERIES)
            now += passes * 10**9
            state.apply(Batch("test", 0, series=frame), now)
        return state

    short, long = lived(min(cut, len(rows))), lived(len(rows))
    end = short.minute_end - MINUTE
    for ns in range(end - 20 * MINUTE, end, MINUTE):
        if CALENDAR.minute_at(ns) >= CALENDAR.minute_at(long.oldest_minute_end()):
            np.testing.assert_equal(long.external.at(["pe"], ns), short.external.at(["pe"], ns))
    other = MarketState(CALENDAR)
    other.needs(NEEDS)
    minutes, sessions = long.closed_bars()
    other.restore(long.checkpoint_frames(), [minutes], [sessions])
    for ns in range(long.now - 5 * MINUTE, long.now + 5 * MINUTE, MINUTE // 2):
        np.testing.assert_equal(other.external.at(["pe"], ns), long.external.at(["pe"], ns))
