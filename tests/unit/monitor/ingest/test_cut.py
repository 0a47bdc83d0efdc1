from __future__ import annotations

import pytest

from monitor.ingest import CleanBatch, Cutter, cut
from tests.unit.monitor.ingest.frames import SECOND, at, bars, quotes, trades


def clean(**frames) -> CleanBatch:
    columns = {"quotes": "ts", "trades": "ts", "bars": "end"}
    newest = max(frame[columns[kind]].to_physical().max() for kind, frame in frames.items())
    return CleanBatch(**frames, event_time=newest)


def spots(*seconds: float, price: float = 10.0) -> CleanBatch:
    return clean(trades=trades(*[(s, "IWM", price) for s in seconds]))


def times(piece: CleanBatch) -> list[float]:
    return [(t - at(0)) / SECOND for t in piece.trades["ts"].to_physical().to_list()]


def test_one_cell_is_one_piece_without_a_copy():
    batch = spots(0.1, 0.5, 1.0)
    assert cut([batch]) == [batch]


def test_what_waits_in_one_cell_is_coalesced():
    pieces = cut([spots(0.1), spots(0.2), spots(1.0)])
    assert [times(p) for p in pieces] == [[0.1, 0.2, 1.0]]
    assert pieces[0].event_time == at(1.0)


def test_a_cell_ends_with_its_last_nanosecond():
    pieces = cut([spots(0, 1e-9, 1.0, 1.0 + 1e-9, 3.5)])
    assert [times(p) for p in pieces] == [[0], [1e-9, 1.0], [1.0 + 1e-9], [3.5]]
    assert [p.event_time for p in pieces] == [at(0), at(1), at(1) + 1, at(3.5)]


def test_the_grid_is_a_setting():
    assert [times(p) for p in cut([spots(1, 60, 61)], grid_ns=60 * SECOND)] == [[1], [60, 61]]


@pytest.mark.parametrize("hold_last", [False, True])
def test_a_late_row_stays_in_the_current_cell(hold_last):
    cutter = Cutter(hold_last=hold_last)
    pieces = cutter.cut([spots(0.5, 5.5, 3.0), spots(4.0, 5.6), spots(9.0)])
    assert [times(p) for p in pieces] == [[0.5], [5.5, 3.0, 4.0, 5.6]] + ([] if hold_last else [[9.0]])
    assert pieces[1].event_time == at(5.6)


def test_time_never_goes_back_between_calls():
    cutter = Cutter()
    cutter.cut([spots(10)])
    (late,) = cutter.cut([spots(5)])
    assert late.event_time == at(10)
    assert [p.event_time for p in cutter.cut([spots(6, 12)])] == [at(10), at(12)]


def test_kinds_are_cut_together_by_time():
    batch = clean(
        quotes=quotes((0.5, "IWM", 1, 1), (2.5, "IWM", 1, 1)),
        trades=trades((1.5, "IWM", 1)),
        bars=bars((-60, 1.2, "IWM", 1), (-60, 2.9, "SPY", 1)),
    )
    pieces = cut([batch])
    assert [(p.quotes.height, p.trades.height, p.bars.height) for p in pieces] == [(1, 0, 0), (0, 1, 1), (1, 0, 1)]
    assert [p.event_time for p in pieces] == [at(0.5), at(1.5), at(2.9)]


def test_nothing_is_no_piece():
    assert cut([]) == []
    assert Cutter(hold_last=True).cut([CleanBatch()]) == []


def test_the_newest_instant_waits_for_a_later_one():
    cutter = Cutter(hold_last=True)
    assert cutter.cut([spots(0.5)]) == []
    assert cutter.cut([spots(0.5), spots(0.5)]) == []
    assert cutter.held == 3
    (piece,) = cutter.cut([spots(0.5, 0.7)])
    assert times(piece) == [0.5, 0.5, 0.5, 0.5]
    assert piece.event_time == at(0.5)
    assert [times(p) for p in cutter.flush()] == [[0.7]]
    assert cutter.flush() == []
    assert cutter.held == 0


def test_held_rows_join_the_rest_of_their_cell():
    cutter = Cutter(hold_last=True)
    assert cutter.cut([spots(0.1)]) == []
    (piece,) = cutter.cut([spots(0.2, 0.3)])
    assert times(piece) == [0.1, 0.2]


def test_an_instant_of_several_kinds_is_held_whole():
    cutter = Cutter(hold_last=True)
    cutter.cut([clean(trades=trades((1, "IWM", 1))), clean(bars=bars((-60, 1, "IWM", 1)))])
    cutter.cut([clean(quotes=quotes((1, "IWM", 1, 1)))])
    (piece,) = cutter.cut([spots(2)])
    assert (piece.quotes.height, piece.trades.height, piece.bars.height) == (1, 1, 1)
