from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest

from monitor.calendar import MINUTE
from monitor.state import CHECKPOINT, MINUTE_BARS, MINUTE_COLUMNS, SESSION_BARS, SESSION_COLUMNS, RestoreError
from rules.ast import Clock, Sessions
from rules.view import Requirements
from tests.unit.monitor.state.conftest import SECOND, Tape

NEEDS = Requirements(("IWM", "SPY"), sessions=5, clock_ns=30 * MINUTE, shortest_clock_ns=30 * SECOND)


@pytest.fixture
def lived(new_state):
    tape = Tape(new_state(NEEDS))
    for minute in range(50):
        tape.trade("IWM", 100 + minute, f"2026-01-22 15:{minute:02d}:20")
    tape.trade("SPY", 600, "2026-01-22 15:10:01")
    for minute in range(40):
        tape.trade("IWM", 200 + minute, f"2026-01-23 10:{minute:02d}:20")
    return tape.state


def through_ipc(frame, columns=None):
    """As the store returns it."""
    data = io.BytesIO()
    frame.write_ipc(data, compression="zstd")
    return pl.read_ipc(io.BytesIO(data.getvalue()), columns=columns)


def test_frames_and_bars_have_their_declared_schemas(lived, new_state):
    for state in (lived, new_state()):
        assert {name: frame.schema for name, frame in state.checkpoint_frames().items()} == dict(CHECKPOINT)
        minutes, sessions = state.closed_bars()
        assert (minutes.schema, sessions.schema) == (MINUTE_BARS, SESSION_BARS)


def test_bars_are_handed_out_once(lived):
    minutes, sessions = lived.closed_bars()
    assert (minutes.height, sessions.height) == (50 + 1 + 39, 2)
    assert minutes["ts"].is_sorted()
    assert [frame.height for frame in lived.closed_bars()] == [0, 0]


def test_a_checkpoint_survives_the_store(lived, new_state):
    minutes, sessions = lived.closed_bars()
    frames = {name: through_ipc(frame) for name, frame in lived.checkpoint_frames().items()}
    chunks = [through_ipc(part, list(MINUTE_COLUMNS)) for part in (minutes[:30], minutes[30:30], minutes[30:])]
    restored = new_state(NEEDS)
    restored.restore(frames, iter(chunks), iter([through_ipc(sessions, list(SESSION_COLUMNS))]))
    left, right = restored.view(NEEDS.instruments), lived.view(NEEDS.instruments)
    for window in (Sessions(1), Clock(30 * SECOND), Clock(9 * MINUTE), Clock(30 * MINUTE)):
        np.testing.assert_array_equal(left.base(window), right.base(window))
    np.testing.assert_array_equal(left.prices(), right.prices())
    assert left.closed_minutes() == right.closed_minutes() == 32


def test_a_restart_reads_back_what_new_rules_need(lived, new_state):
    minutes, sessions = lived.closed_bars()
    restored = new_state(NEEDS)
    restored.needs(Requirements(("IWM",), clock_ns=70 * MINUTE))
    restored.restore(lived.checkpoint_frames(), [minutes], [sessions])
    view = restored.view(("IWM", "SPY"))
    assert view.closed_minutes() == 72
    assert [view.at_minute(back).prices()[0] for back in (1, 39)] == [238, 200]
    assert np.isnan(view.at_minute(40).prices()[0]), "10:00: the last price is of yesterday, and stale"
    assert view.base(Clock(60 * MINUTE)).tolist() == [149, 600]


def test_history_alone_can_be_restored(lived, new_state):
    _, sessions = lived.closed_bars()
    restored = new_state(NEEDS)
    restored.restore({}, [], [sessions])
    tape = Tape(restored)
    tape.trade("IWM", 300, "2026-01-23 10:00")
    assert restored.view(("IWM", "SPY")).base(Sessions(1)).tolist() == [149, 600]


def test_a_checkpoint_of_an_earlier_version_lacks_nothing_that_matters(lived, new_state):
    minutes, sessions = lived.closed_bars()
    frames = lived.checkpoint_frames()
    old = {name: frame for name, frame in frames.items() if name not in ("series", "actions")}
    old["volumes"] = frames["volumes"].drop("begin")
    old["instruments"] = frames["instruments"].drop("bar_start", "bar_volume", "halted_since")
    restored = new_state(NEEDS)
    restored.restore(old, [minutes], [sessions])
    assert restored.view(("IWM", "SPY")).base(Sessions(1)).tolist() == [149, 600]
    assert restored.checkpoint_frames()["state"].equals(frames["state"])


def test_what_cannot_be_restored_says_why(lived, new_state):
    minutes, sessions = lived.closed_bars()
    frames = lived.checkpoint_frames()
    with pytest.raises(RestoreError, match="make a new one"):
        lived.restore(frames, [], [])
    with pytest.raises(RestoreError, match="lacks instruments"):
        new_state(NEEDS).restore({k: v for k, v in frames.items() if k != "instruments"}, [], [])
    old = frames | {"state": frames["state"].with_columns(version=pl.lit(99, pl.Int64))}
    with pytest.raises(RestoreError, match="of version 99, this program reads version 1"):
        new_state(NEEDS).restore(old, [], [])
    with pytest.raises(RestoreError, match="frame 'instruments' has the columns"):
        new_state(NEEDS).restore(frames | {"instruments": frames["instruments"].drop("bid")}, [], [])
    shifted = minutes[60:70].with_columns(pl.col("ts").dt.offset_by("-1s"))
    with pytest.raises(RestoreError, match="order of time"):
        new_state(NEEDS).restore(frames, [minutes[-5:], shifted], [sessions])
