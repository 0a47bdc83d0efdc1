"""Closed bars: what the state hands to the store, and what history it takes from there or from files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from monitor.calendar import MINUTE, TradingCalendar
from monitor.state.columns import Codes, Columns, Floats, Ints
from monitor.state.mended import Bar, Revision, revisions_frame
from monitor.state.ring import Ages, ages_at
from monitor.state.symbols import SymbolIndex

_PRICES: Final = ("open", "high", "low", "close", "volume")

MINUTE_BARS: Final = pl.Schema(
    {
        "ts": pl.Datetime("ns", "UTC"),
        "symbol": pl.Categorical(),
        **dict.fromkeys(_PRICES, pl.Float64()),
        "age_ms": pl.UInt32(),
    }
)
"""One row for each instrument and minute ``(ts, ts + 1 min]`` in which its price was set; `age_ms` is how long before
the minute's end that last was."""

SESSION_BARS: Final = pl.Schema({"ts": pl.Date(), "symbol": pl.Categorical(), **dict.fromkeys(_PRICES, pl.Float64())})
"""One row for each instrument and session it traded in: the close is its last price at or before the session's, the
volume that of the whole session (since the close before), the rest of regular trading. Null where there was none; a
volume also where only quotes, or bars without volumes, were seen."""


@dataclass(frozen=True, slots=True)
class _Closed:
    """The bars that closed at one moment: `key` is a minute's start (ns) or a session's date (days since 1970)."""

    key: int
    codes: Codes
    prices: tuple[Floats, Floats, Floats, Floats, Floats]
    ages: Ages


class BarLog:
    """Closed bars that nobody has collected yet."""

    def __init__(self, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self._minutes: list[_Closed] = []
        self._sessions: list[_Closed] = []
        self._revisions: list[Revision] = []

    def add_minute(self, end: int, columns: Columns, codes: Codes) -> None:
        """The open minute's bars of the instruments `codes`."""
        c = columns
        prices = _copy(codes, c.minute_open, c.minute_high, c.minute_low, c.price, c.minute_volume)
        self._minutes.append(_Closed(end - MINUTE, codes, prices, ages_at(end, c.price_ts[codes])))

    def add_session(self, session: int, columns: Columns, codes: Codes) -> None:
        """The open session's bars of the instruments `codes`."""
        c = columns
        prices = _copy(codes, c.session_open, c.session_high, c.session_low, c.price, c.session_volume)
        day = int(self._calendar.dates[session].astype(np.int64))
        self._sessions.append(_Closed(day, codes, prices, np.zeros(len(codes), np.uint32)))
        opens_at, closes_at = self._calendar.open_ns(session), self._calendar.close_ns(session)
        for code in codes[c.session_mended[codes]].tolist():
            self._revisions.append(Revision("1d", day, code, opens_at=opens_at, closes_at=closes_at))

    def revise(self, revision: Revision) -> None:
        """A closed bar is to be another: at once where nobody has collected it, otherwise where it is stored."""
        for part in self._minutes if revision.resolution == "1m" else self._sessions:
            at = int(np.searchsorted(part.codes, revision.code)) if part.key == revision.key else len(part.codes)
            if at == len(part.codes) or part.codes[at] != revision.code:
                continue
            bar = Bar._make([*(float(column[at]) for column in part.prices), int(part.ages[at])])
            if not revision.opens_at:
                *mended, age = revision.mend(bar)
                for column, value in zip(part.prices, mended, strict=True):
                    column[at] = value
                part.ages[at] = age
            elif revision.about(bar):
                # It waits with its bar for the minutes that are stored.
                self._revisions.append(revision._replace(wrong=float("nan")))
            return
        self._revisions.append(revision)

    def take_revisions(self, index: SymbolIndex) -> pl.DataFrame:
        """What is to be changed in bars collected before (:data:`monitor.state.mended.REVISIONS`), since last asked."""
        revisions, self._revisions = self._revisions, []
        return revisions_frame(revisions, index)

    def take(self, index: SymbolIndex) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Minute bars and session bars since the last call, in order of time."""
        symbols = pl.Series(index.symbols(), dtype=pl.Categorical())
        minutes = _frame(self._minutes, symbols, MINUTE_BARS)
        # Without a close, since its only print was none, a session has no bar.
        sessions = _frame(self._sessions, symbols, SESSION_BARS).filter(pl.col("close").is_not_null())
        self._minutes, self._sessions = [], []
        return minutes, sessions


def _copy(
    codes: Codes, open_: Floats, high: Floats, low: Floats, close: Floats, volume: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    volumes = volume[codes]
    volumes[np.signbit(volumes)] = np.nan
    return open_[codes], high[codes], low[codes], close[codes], volumes


def _frame(closed: list[_Closed], symbols: pl.Series, schema: pl.Schema) -> pl.DataFrame:
    if not closed:
        return pl.DataFrame(schema=schema)
    lengths = [len(part.codes) for part in closed]
    keys = pl.Series(np.repeat([part.key for part in closed], lengths))
    columns: dict[str, pl.Series] = {
        "ts": keys.cast(pl.Int32) if schema["ts"] == pl.Date else keys,
        "symbol": symbols.gather(np.concatenate([part.codes for part in closed])),
    }
    for at, name in enumerate(_PRICES):
        values = np.concatenate([part.prices[at] for part in closed])
        columns[name] = pl.Series(np.where(np.isfinite(values), values, np.nan)).fill_nan(None)
    if "age_ms" in schema:
        columns["age_ms"] = pl.Series(np.concatenate([part.ages for part in closed]))
    return pl.DataFrame(columns).cast(schema)


@dataclass(frozen=True, slots=True)
class SessionHistory:
    """Checked history: one row an instrument and session."""

    sessions: Ints
    symbols: pl.Series
    closes: Floats
    opens: Floats
    volumes: Floats


def session_history(frame: pl.DataFrame, calendar: TradingCalendar) -> SessionHistory:
    """Session bars as arrays.

    Raises:
        ValueError: names the first row (counted from 1) that has no symbol, whose date is no session of the calendar,
        or
            whose close is not a positive number.
    """
    for name, dtypes in (("ts", (pl.Date,)), ("symbol", (pl.String, pl.Categorical)), ("close", (pl.Float64,))):
        if frame.schema.get(name) not in dtypes:
            expected = " or ".join(str(dtype) for dtype in dtypes)
            raise ValueError(f"session bars: column {name!r} must be {expected}, and is {frame.schema.get(name)}")
    if frame["ts"].null_count():
        _refuse(frame, frame["ts"].is_null().arg_max(), "it has no date")
    if frame["symbol"].null_count():
        _refuse(frame, frame["symbol"].is_null().arg_max(), "it has no symbol")
    dates = frame["ts"].to_numpy().astype("datetime64[D]")
    sessions = np.searchsorted(calendar.dates, dates)
    known = calendar.dates[np.minimum(sessions, len(calendar) - 1)] == dates
    if not known.all():
        row = int(np.argmin(known))
        _refuse(
            frame, row, f"{dates[row]} is no session of {calendar.name} ({calendar.dates[0]} to {calendar.dates[-1]})"
        )
    closes = frame["close"].to_numpy()
    good = np.isfinite(closes) & (closes > 0)
    if not good.all():
        _refuse(frame, int(np.argmin(good)), "its close is not a positive number")
    opens, volumes = (
        frame[name].cast(pl.Float64).to_numpy() if name in frame.columns else np.full(len(closes), np.nan)
        for name in ("open", "volume")
    )
    return SessionHistory(
        sessions.astype(np.int64),
        frame["symbol"],
        closes,
        np.where(opens > 0, opens, np.nan),
        np.where(volumes >= 0, volumes, np.nan),
    )


def _refuse(frame: pl.DataFrame, row: int | None, why: str) -> None:
    at = row or 0
    raise ValueError(
        f"session bars, row {at + 1} ({frame['symbol'][at]}, {frame['ts'][at]}): {why}; nothing was imported"
    )
