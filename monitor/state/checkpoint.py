"""The state as frames and back: what is open goes into the checkpoint, what is closed comes back from bars.

A checkpoint belongs with the bars closed up to the same moment: together they are the state, exactly. Restored from
them, it goes on as the one that never stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.batch import SERIES
from monitor.calendar import MINUTE
from monitor.state.bars import session_history
from monitor.state.columns import Codes, Columns, Floats, Ints
from monitor.state.rebase import APPLIED
from monitor.state.ring import Ages, PriceRing, older
from monitor.state.rows import times
from monitor.state.symbols import SymbolIndex
from monitor.state.volumes import Bars, MinuteVolumes

if TYPE_CHECKING:
    from monitor.state.market import MarketState

VERSION: Final = 1

_DTYPES: Final = {np.dtype(np.int64): pl.Int64(), np.dtype(np.float64): pl.Float64(), np.dtype(np.bool_): pl.Boolean()}
_COLUMNS: Final = Columns()

_ADDED: Final = ("bar_start", "bar_volume", "halted_since", "session_mended")
"""Columns of instruments that the first checkpoints did not have."""

_CELLS: Final = pl.Schema({"end": pl.Int64(), "symbol": pl.String(), "price": pl.Float64(), "age_ms": pl.UInt32()})

CHECKPOINT: Final[Mapping[str, pl.Schema]] = {
    "state": pl.Schema(
        {
            "version": pl.Int64(),
            "now": pl.Int64(),
            "session": pl.Int64(),
            "open_end": pl.Int64(),
            "minute_end": pl.Int64(),
            "second_touched": pl.Boolean(),
            "history_revision": pl.Int64(),
            "first_session": pl.Int64(),
            "stop_session": pl.Int64(),
        }
    ),
    "instruments": pl.Schema(
        {"symbol": pl.String(), **{name: _DTYPES[getattr(_COLUMNS, name).dtype] for name in Columns.names()}}
    ),
    "minutes": _CELLS,
    "seconds": _CELLS,
    "volumes": pl.Schema({"symbol": pl.String(), "since": pl.Int64(), "begin": pl.Int64()}),
    "series": SERIES,
    "actions": APPLIED,
}
"""Frames of a checkpoint. `state` is one row. `minutes` is the oldest stored minute, `seconds` what changed in every
stored second; a row without a symbol only says that there was such a step. `volumes`: when each instrument whose
volumes by the minute are kept first had one, and from when on the minutes are complete. `series`: what came of external
series with the data. `actions`: corporate actions that the prices are adjusted for. Times are UTC nanoseconds. A
checkpoint of an earlier version may lack columns of `instruments` and `volumes`, and the last three."""

MINUTE_COLUMNS: Final = ("ts", "symbol", "close", "age_ms")
SESSION_COLUMNS: Final = ("ts", "symbol", "open", "close")
"""The columns of bars that a restore reads."""

QUOTES: Final = pl.Schema(
    {
        "symbol": pl.String(),
        "quote_ts": pl.Datetime("ns", "UTC"),
        "bid": pl.Float64(),
        "ask": pl.Float64(),
        "bid_size": pl.Float64(),
        "ask_size": pl.Float64(),
        "trade_ts": pl.Datetime("ns", "UTC"),
        "trade_price": pl.Float64(),
        "trade_size": pl.Float64(),
        "price_ts": pl.Datetime("ns", "UTC"),
        "price": pl.Float64(),
    }
)
"""Last quote, trade and price of each instrument; null where there is none."""


class RestoreError(ValueError):
    """The checkpoint or the bars cannot be made into a state."""


def quotes_frame(index: SymbolIndex, columns: Columns, codes: Codes | None = None) -> pl.DataFrame:
    """Last quote, trade and price (:data:`QUOTES`) of the instruments `codes`, or of every one."""
    frame = _instruments(index, columns, (name for name in QUOTES if name != "symbol"), codes)
    moments = [name for name, dtype in QUOTES.items() if isinstance(dtype, pl.Datetime)]
    numbers = [name for name, dtype in QUOTES.items() if dtype == pl.Float64]
    known = pl.col(moments).replace(0, None)
    return frame.with_columns(known, pl.col(numbers).fill_nan(None)).cast(QUOTES)


def checkpoint_frames(state: MarketState) -> dict[str, pl.DataFrame]:
    """What is open in the state, by the names of :data:`CHECKPOINT`."""
    row = {
        "version": VERSION,
        "now": state.now,
        "session": state.session,
        "open_end": state.open_end,
        "minute_end": state.minute_end,
        "second_touched": state.intake.touched,
        "history_revision": state.history_revision,
        "first_session": state.sessions.first,
        "stop_session": state.sessions.stop,
    }
    symbols = pl.Series(state.index.symbols(), dtype=pl.String())
    return {
        "state": pl.DataFrame([row], schema=CHECKPOINT["state"]),
        "instruments": _instruments(state.index, state.columns, Columns.names()),
        "minutes": _cells(state.minutes, min(1, len(state.minutes)), symbols),
        "seconds": _cells(state.seconds, len(state.seconds), symbols) if state.seconds else pl.DataFrame(schema=_CELLS),
        "volumes": _first_volumes(state.volumes, symbols),
        "series": state.external.live_rows(),
        "actions": state.actions.frame(),
    }


def restore(
    state: MarketState,
    frames: Mapping[str, pl.DataFrame],
    minute_bars: Iterable[pl.DataFrame],
    session_bars: Iterable[pl.DataFrame],
) -> None:
    """Make a new state what it was at the checkpoint.

    Args:
        state: without events so far; `needs` may have been called, and should, so that what is needed is kept.
        frames: of `checkpoint_frames`; empty where there is no checkpoint, then only session bars are read.
        minute_bars: frames with at least :data:`MINUTE_COLUMNS`, in order of time.
        session_bars: frames with at least :data:`SESSION_COLUMNS`; of equal dates the last counts.

    Raises:
        RestoreError: the state is in use, the checkpoint is of another version or lacks a frame, or minutes are out of
        order. ValueError: a session bar cannot be right.
    """
    if state.now or len(state.sessions):
        raise RestoreError("a state that has seen events cannot be restored: make a new one")
    frames = _completed(frames)
    row = _check(frames)
    state.session = row.get("session", -1)
    if row:
        state.actions.applied = dict(frames["actions"].rows())
    for frame in session_bars:
        if frame.height:
            state.include_sessions(session_history(frame, state.calendar))
    if not row:
        return
    if row["stop_session"]:
        state.sessions.include(row["first_session"], row["stop_session"] - 1)
    instruments = frames["instruments"]
    codes = state.codes(instruments["symbol"])
    for name in Columns.names():
        getattr(state.columns, name)[codes] = instruments[name].to_numpy()
    state.now, state.open_end, state.minute_end = row["now"], row["open_end"], row["minute_end"]
    state.intake.touched = bool(row["second_touched"])
    if state.minute_end:
        state.intake.minute_start = state.minute_end - MINUTE
        state.intake.session_open = state.calendar.open_ns(state.session)
    state.history_revision = row["history_revision"]
    if state.minute_end:
        _restore_minutes(state, frames["minutes"], frames["volumes"], minute_bars)
    if state.seconds is not None:
        _restore_seconds(state, state.seconds, frames["seconds"])
    state.external.take(frames["series"], 0)
    state.actions.apply_due(state.now)


def _completed(frames: Mapping[str, pl.DataFrame]) -> Mapping[str, pl.DataFrame]:
    """A checkpoint of an earlier version with what it lacks: nothing known."""
    if "instruments" not in frames:
        return frames
    own = frames["instruments"]
    defaults = pl.DataFrame({name: getattr(_COLUMNS, name)[:1] for name in Columns.names()})
    lacking = [pl.lit(defaults[name][0], defaults.schema[name]).alias(name) for name in _ADDED]
    lacking = [expression for expression in lacking if expression.meta.output_name() not in own.columns]
    whole = own.with_columns(lacking).select(CHECKPOINT["instruments"].names()) if lacking else own
    completed = {name: pl.DataFrame(schema=CHECKPOINT[name]) for name in ("volumes", "series", "actions")}
    completed |= {**frames, "instruments": whole}
    if "begin" not in completed["volumes"].columns:
        completed["volumes"] = completed["volumes"].with_columns(begin=pl.lit(0, pl.Int64()))
    return completed


def _check(frames: Mapping[str, pl.DataFrame]) -> dict[str, int]:
    """The checkpoint's state row; empty where there is no checkpoint."""
    if not frames:
        return {}
    if missing := CHECKPOINT.keys() - frames.keys():
        raise RestoreError(f"the checkpoint lacks {', '.join(sorted(missing))}")
    for name, schema in CHECKPOINT.items():
        if name == "state" and (version := frames[name]["version"][0]) != VERSION:
            raise RestoreError(f"the checkpoint is of version {version}, this program reads version {VERSION}")
        if frames[name].schema != schema:
            raise RestoreError(f"the checkpoint's frame {name!r} has the columns {dict(frames[name].schema)}")
    return frames["state"].row(0, named=True)


def _instruments(
    index: SymbolIndex, columns: Columns, names: Iterable[str], codes: Codes | None = None
) -> pl.DataFrame:
    symbols = index.symbols()
    if codes is None:
        codes = np.arange(len(symbols))
    else:
        symbols = [symbols[code] for code in codes.tolist()]
    values = {name: getattr(columns, name)[codes] for name in names}
    return pl.DataFrame({"symbol": pl.Series(symbols, dtype=pl.String()), **values})


def _cells(ring: PriceRing, rows: int, symbols: pl.Series) -> pl.DataFrame:
    """The oldest `rows` of a ring: what is known in the first, then what is not just the row before carried forward."""
    width = len(symbols)
    before, ages_before, end_before = np.full(width, np.nan), np.zeros(width, dtype=np.uint32), 0
    ends, codes, prices, ages = [], [], [], []
    for row in range(ring.first, ring.first + rows):
        end, (now, age) = ring.end(row), ring.row(row)
        now, age = now[:width], age[:width]
        changed = np.flatnonzero(~np.isnan(now) & ((now != before) | (age != older(ages_before, end - end_before))))
        # A row in which nothing differs is marked by a cell without a symbol.
        ends.append(np.full(max(1, len(changed)), end))
        codes.append(changed if len(changed) else np.array([width]))
        prices.append(now[changed] if len(changed) else np.array([np.nan]))
        ages.append(age[changed] if len(changed) else np.zeros(1, dtype=np.uint32))
        before, ages_before, end_before = now, age, end
    if not ends:
        return pl.DataFrame(schema=_CELLS)
    columns = {"end": np.concatenate(ends), "price": np.concatenate(prices), "age_ms": np.concatenate(ages)}
    named = symbols.extend_constant(None, 1).gather(np.concatenate(codes))
    return pl.DataFrame({"symbol": named, **columns}).select(_CELLS.names()).cast(_CELLS)


def _by_end(cells: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    for key, part in cells.group_by("end", maintain_order=True):
        yield int(str(key[0])), part.drop_nulls()


def _restore_seconds(state: MarketState, ring: PriceRing, cells: pl.DataFrame) -> None:
    for end, part in _by_end(cells):
        ring.extend(np.array([end]))
        _put_row(state, ring, part)
    ring.fill()


def _put_row(state: MarketState, ring: PriceRing, cells: pl.DataFrame) -> None:
    """Set cells of the newest row."""
    codes = state.codes(cells["symbol"])
    prices, ages = ring.row(ring.stop - 1)
    prices[codes] = cells["price"].to_numpy()
    ages[codes] = cells["age_ms"].to_numpy()


def _first_volumes(volumes: MinuteVolumes | None, symbols: pl.Series) -> pl.DataFrame:
    if volumes is None:
        return pl.DataFrame(schema=CHECKPOINT["volumes"])
    return pl.DataFrame({"symbol": symbols.gather(volumes.codes), "since": volumes.since}).with_columns(
        begin=pl.lit(volumes.begin, pl.Int64())
    )


def _volumes_of(state: MarketState, frame: pl.DataFrame, bars: _MinuteBars) -> Bars:
    """Volumes of the closed minutes."""
    closed = bars.ends < state.minute_end
    _, factors = state.actions.level_times(bars.ends, bars.codes)
    return bars.ends[closed], bars.codes[closed], (frame["volume"].to_numpy() * factors)[closed]


def _restore_minutes(
    state: MarketState, floor: pl.DataFrame, first_volumes: pl.DataFrame, frames: Iterable[pl.DataFrame]
) -> None:
    """Rows from the oldest one, `floor`, and the bars after it; and from older bars, where they are needed by now."""
    ring = state.minutes
    ring.reserve(state.kept_minutes + 2)
    kept_from = state.oldest_minute_end()
    floor_end = int(floor["end"][0]) if floor.height else 0
    if 0 < floor_end <= kept_from:
        after = floor_end
    else:
        # More is needed than there was: look back to the start of that session, for prices to carry forward.
        after = state.calendar.close_ns(max(0, state.calendar.session_at(kept_from) - 1))
    placed = not floor_end
    volumes: list[Bars] = []
    for frame in frames:
        bars = _MinuteBars.of(state, frame)
        if state.volumes is not None:
            volumes.append(_volumes_of(state, frame, bars))
        bars = bars.pick((bars.ends > after) & (bars.ends < state.minute_end))
        if not placed and (bars.ends > floor_end).any():
            _put_bars(state, bars.pick(bars.ends < floor_end))
            _put_floor(state, floor_end, floor)
            placed = True
        _put_bars(state, bars.pick(bars.ends != floor_end) if floor_end > after else bars)
    if not placed:
        _put_floor(state, floor_end, floor)
    _extend_to(state, np.array([], dtype=np.int64), state.minute_end - 1)
    ring.fill()
    ring.expire(kept_from)
    if state.volumes is not None:
        since = dict(first_volumes.select("symbol", "since").rows())
        symbols = state.index.symbols()
        known = [since.get(symbols[code], 0) for code in state.volumes.codes.tolist()]
        begin = int(first_volumes["begin"][0]) if first_volumes.height else 0
        oldest = state.oldest_volume_close(state.minute_end)
        state.volumes.restore(volumes, np.array(known, dtype=np.int64), begin, oldest)


@dataclass(frozen=True, slots=True)
class _MinuteBars:
    """Columns of minute bars; `ends` in UTC nanoseconds."""

    ends: Ints
    codes: Codes
    closes: Floats
    ages: Ages

    @staticmethod
    def of(state: MarketState, frame: pl.DataFrame) -> _MinuteBars:
        ends, codes = times(frame["ts"]) + MINUTE, state.codes(frame["symbol"])
        prices, _ = state.actions.level_times(ends, codes)
        return _MinuteBars(ends, codes, frame["close"].to_numpy() * prices, frame["age_ms"].to_numpy())

    def pick(self, where: npt.NDArray[np.bool_]) -> _MinuteBars:
        if where.all():
            return self
        return _MinuteBars(self.ends[where], self.codes[where], self.closes[where], self.ages[where])


def _put_floor(state: MarketState, end: int, cells: pl.DataFrame) -> None:
    _extend_to(state, np.array([end]), end)
    _put_row(state, state.minutes, cells.drop_nulls())


def _put_bars(state: MarketState, bars: _MinuteBars) -> None:
    """Set the bars' cells in rows of their own minutes."""
    if not len(bars.ends):
        return
    ring = state.minutes
    start = int(bars.ends.min())
    minutes = (bars.ends - start) // MINUTE
    present = np.zeros(int(minutes.max()) + 1, dtype=np.bool_)
    present[minutes] = True
    ends = start + np.flatnonzero(present) * MINUTE
    _extend_to(state, ends, int(ends[-1]))
    slots = np.zeros(len(present), dtype=np.intp)
    try:
        slots[present] = ring.slots_of(ends)
    except ValueError as error:
        raise RestoreError(f"minute bars: {error}") from error
    cells = slots[minutes] * state.columns.width + bars.codes
    ring.prices.reshape(-1)[cells] = bars.closes
    ring.ages.reshape(-1)[cells] = bars.ages


def _extend_to(state: MarketState, ends: Ints, upto: int) -> None:
    """Add rows for `ends` and for the grid minutes after the newest row, up to a time."""
    ring = state.minutes
    if not len(ring):
        ring.extend(ends[:1])
    if len(ring):
        newest = ring.end(ring.stop - 1)
        grid = state.calendar.minute_ends(
            state.calendar.minute_at(newest + 1), state.calendar.minute_at(max(upto, newest) + 1)
        )
        ring.extend(np.union1d(ends[ends > newest], grid))
