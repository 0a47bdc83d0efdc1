"""Data files: Parquet or CSV of bars, quotes, trades or external series, tidy, recognised by their columns.

============ ============================================================= ==========================================
kind         columns                                                       rows
============ ============================================================= ==========================================
bars         ``ts, symbol, close[, open, high, low, volume]``              prices above 0; one row a ts and symbol
quotes       ``ts, symbol, bid, ask[, bid_size, ask_size]``                prices not negative; crossed ones are data
trades       ``ts, symbol, price, size``                                   prices not negative
series       ``ts, series, value[, published]``                            finite values; a row a series, ts, published
============ ============================================================= ==========================================

``ts`` is a date (the row is a session, known at its close) or a time: with a zone, or UTC. Nothing is dropped: the
first row that cannot be read stops the reading, by file and row number (1 is the first row of data).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

import polars as pl

from connectors.batch import BARS, QUOTES, TIME, TRADES
from monitor.calendar import TradingCalendar
from monitor.series_files import publications

Label = Literal["start", "end"]

PARQUET: Final = frozenset({".parquet", ".pq"})


class Kind(StrEnum):
    """What a file holds."""

    BARS = "bars"
    QUOTES = "quotes"
    TRADES = "trades"
    SERIES = "series"


class DataFileError(Exception):
    """A data file cannot be read: one line with the file, the row where it is a row's fault, and what is wrong."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file's content, every row, in the file's order.

    `frame` has the schema of :mod:`connectors.batch` for quotes, trades and bars of a length. With `sessions`, ``ts``
    is a Date and there is no ``end``: ``ts, symbol, open, high, low, close, volume``. Series are ``ts, series, value``
    and, where the file has it, ``published``, all Dates or times; :func:`published` says when they were known. Where
    bars lack a column, open is the close, high and low the higher and the lower of the two, volume null. `bar_ns`: the
    length of the bars, None where they are sessions. `notes`: how
    the file was understood, where a user might not expect it, a line each.
    """

    path: Path
    kind: Kind
    frame: pl.DataFrame
    sessions: bool = False
    bar_ns: int | None = None
    notes: tuple[str, ...] = ()


_NEEDED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.SERIES: ("ts", "series", "value"),
    Kind.BARS: ("ts", "symbol", "close"),
    Kind.QUOTES: ("ts", "symbol", "bid", "ask"),
    Kind.TRADES: ("ts", "symbol", "price", "size"),
}
"""In the order in which they are tried."""

_OPTIONAL: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.SERIES: ("published",),
    Kind.BARS: ("open", "high", "low", "volume"),
    Kind.QUOTES: ("bid_size", "ask_size"),
    Kind.TRADES: (),
}
_MOMENTS: Final = ("ts", "published")
_AMOUNTS: Final = frozenset({"volume", "bid_size", "ask_size", "size"})
"""Numbers that may be missing in a row."""

_SESSION_BARS: Final = ["ts", *(c for c in BARS if c not in {"ts", "end"})]


def read(path: Path | str, label: Label = "start", bar_ns: int | None = None) -> DataFile:
    """The content of a file.

    Args:
        path: a Parquet file (``.parquet``, ``.pq``), or CSV with a header.
        label: whether a bar's ``ts`` is its start or its end. Sessions are known at their close either way.
        bar_ns: the length of the bars, nanoseconds; without it, the smallest step between two bars of an instrument.

    Raises:
        DataFileError: the file, or a row of it, cannot be read.
    """
    path = Path(path)
    return of_table(path, load_table(path), label, bar_ns)


def of_table(path: Path, raw: pl.DataFrame, label: Label = "start", bar_ns: int | None = None) -> DataFile:
    """The same of a table that was read already: texts, as in CSV, or typed columns. `path` names it in messages.

    Raises:
        DataFileError: a row of it cannot be read.
    """
    kind = _kind(path, raw.columns)
    wanted = [c for c in (*_NEEDED[kind], *_OPTIONAL[kind]) if c in raw.columns]
    notes = []
    if ignored := [c for c in raw.columns if c not in wanted]:
        notes.append(f"{path.name}: not read: {', '.join(ignored)}")
    raw = raw.select(wanted)
    if not raw.height:
        raise DataFileError(f"{path}: no rows")
    times, taken = _times_or_dates(path, kind, raw["ts"])
    dated = times.dtype == pl.Date
    notes += taken
    if dated and kind in {Kind.QUOTES, Kind.TRADES}:
        raise DataFileError(f"{path}: ts is a date: {kind} need a time")
    frame = raw.select(times.alias("ts"), *(_typed(raw[c]) for c in wanted if c not in _MOMENTS))
    if "published" in wanted:
        published, taken = _times_or_dates(path, kind, raw["published"])
        frame, notes = frame.with_columns(published=published), notes + taken
    _refuse_bad_rows(path, kind, raw, frame)
    if kind is Kind.SERIES:
        return DataFile(path, kind, frame, sessions=dated, notes=tuple(notes))
    if kind is not Kind.BARS:
        return DataFile(path, kind, _complete(frame, QUOTES if kind is Kind.QUOTES else TRADES), notes=tuple(notes))
    frame = _with_range(frame)
    if dated:
        return DataFile(path, kind, frame.select(_SESSION_BARS), sessions=True, notes=tuple(notes))
    length = bar_ns or _smallest_step(path, frame)
    start, end = (0, length) if label == "start" else (-length, 0)
    frame = frame.with_columns(ts=_moved(start), end=_moved(end)).select(BARS.names())
    return DataFile(path, kind, frame, bar_ns=length, notes=tuple(notes))


def published(file: DataFile, calendar: TradingCalendar) -> pl.DataFrame:
    """The values of a file of series as they became known: see :mod:`monitor.series_files`.

    Raises:
        DataFileError: a date is after the calendar's end.
    """
    try:
        return publications(file.frame, calendar)
    except ValueError as error:
        raise DataFileError(f"{file.path}: {error}") from error


def load_table(path: Path) -> pl.DataFrame:
    """The file as it is; every column of CSV as text, so that what cannot be read can be shown."""
    try:
        if path.suffix.lower() in PARQUET:
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema=False)
    except OSError as error:
        # The reader's own words name the path once more, and not always what is wrong with it.
        reason = error.strerror or (_one_line(error) if path.exists() else os.strerror(errno.ENOENT))
        raise DataFileError(f"{path}: {reason}") from error
    except pl.exceptions.NoDataError:
        raise DataFileError(f"{path}: no rows") from None
    except pl.exceptions.PolarsError as error:
        form = "Parquet" if path.suffix.lower() in PARQUET else "CSV"
        raise DataFileError(f"{path}: not readable as {form}: {_one_line(error)}") from error


def _kind(path: Path, columns: list[str]) -> Kind:
    for kind, needed in _NEEDED.items():
        if set(needed) <= set(columns):
            return kind
    forms = "; ".join(f"{', '.join(needed)} ({kind})" for kind, needed in _NEEDED.items())
    raise DataFileError(f"{path}: columns {', '.join(columns)} are none of: {forms}")


def _times_or_dates(path: Path, kind: Kind, raw: pl.Series) -> tuple[pl.Series, list[str]]:
    """A column of times, or of dates; and what there is to say of it."""
    times = _times(path, raw)
    if times.dtype == pl.Date or kind not in {Kind.BARS, Kind.SERIES} or not _only_midnights(raw, times):
        return times, []
    what = "every time" if raw.name == "ts" else f"every {raw.name}"
    return times.dt.date(), [f"{path.name}: {what} is midnight, without a zone: taken as dates"]


def _times(path: Path, raw: pl.Series) -> pl.Series:
    """Dates, or UTC nanoseconds; null where a text is neither."""
    if raw.dtype == pl.Date:
        return raw
    if isinstance(raw.dtype, pl.Datetime):
        return (raw.dt.convert_time_zone("UTC") if raw.dtype.time_zone else raw.dt.replace_time_zone("UTC")).cast(
            TIME, strict=False
        )
    if raw.dtype != pl.String:
        raise DataFileError(f"{path}: {raw.name} is {raw.dtype}: a date, a time, or a text of one is needed")
    text = raw.str.strip_chars()
    first = text.drop_nulls().head(1)
    if len(first) and first.str.contains(_DATE).all():
        return text.str.to_date("%Y-%m-%d", strict=False)
    parts = text.str.replace(r"^(\d{4}-\d{2}-\d{2}) ", "${1}T").str.replace(r"[Zz]$", "+00:00")
    parts = parts.str.replace(r"T(\d{2}:\d{2})([+-]|$)", "T${1}:00${2}")  # no seconds
    parts = parts.str.replace(r"(T.*[+-]\d{2})$", "${1}:00").str.replace(r"(T[\d:.,]*)$", "${1}+00:00")
    times = parts.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="ns", strict=False).cast(TIME)
    # Nanoseconds of other years would come round into another century.
    countable = parts.str.slice(0, 4).cast(pl.Int32, strict=False).is_between(*_YEARS)
    return times.to_frame().select(pl.when(countable).then(pl.col(times.name)))[times.name]


_YEARS: Final = (1678, 2261)
"""Whole years of 64-bit nanoseconds."""
_DATE: Final = r"^\d{4}-\d{2}-\d{2}$"
_ZONE: Final = r"([Zz]|[+-]\d{2}(:?\d{2})?)$"


_DAY_NS: Final = 86_400_000_000_000


def _only_midnights(raw: pl.Series, times: pl.Series) -> bool:
    """Whether these are dates as pandas writes them: midnights without a zone."""
    if isinstance(raw.dtype, pl.Datetime):
        zoned = raw.dtype.time_zone is not None
    else:
        zoned = bool(raw.str.strip_chars().str.contains(_ZONE).any())
    return not zoned and bool((times.drop_nulls().cast(pl.Int64) % _DAY_NS == 0).all())


def _typed(raw: pl.Series) -> pl.Series:
    """A column in its type; null where the text is no number."""
    if raw.name in {"symbol", "series"}:
        return raw.cast(pl.String)
    return (raw.str.strip_chars() if raw.dtype == pl.String else raw).cast(pl.Float64, strict=False)


def _refuse_bad_rows(path: Path, kind: Kind, raw: pl.DataFrame, frame: pl.DataFrame) -> None:
    """Raise for the first row that cannot be what it says."""
    faults: list[tuple[str, str, pl.Series]] = []
    for name in frame.columns:
        column = frame[name]
        if name in _MOMENTS:
            faults.append((name, "is no date or time", column.is_null()))
        elif name in {"symbol", "series"}:
            faults.append((name, "is empty", (column == "").fill_null(value=True)))
        else:
            faults.append((name, "is no number", _no_number(raw[name], column, needed=name not in _AMOUNTS)))
            if kind is Kind.BARS and name not in _AMOUNTS:
                faults.append((name, "is not above 0", (column <= 0).fill_null(value=False)))
            elif kind is not Kind.SERIES:
                faults.append((name, "is negative", (column < 0).fill_null(value=False)))
    if kind in {Kind.BARS, Kind.SERIES}:
        key = [c for c in (frame.columns[1], *_MOMENTS) if c in frame.columns]
        again = ~frame.select(pl.struct(key).is_first_distinct()).to_series()
        faults.append(("ts", f"stands in an earlier row with the same {frame.columns[1]}", again))
    bad = pl.select(pl.any_horizontal([mask for _, _, mask in faults])).to_series()
    if not bad.any():
        return
    row = int(bad.arg_max() or 0)
    name, what, _ = next(fault for fault in faults if fault[2][row])
    more = f" (and {bad.sum() - 1} more rows)" if bad.sum() > 1 else ""
    value = raw[name][row]
    text = "is missing" if value is None else f"{value!r} {what}" if isinstance(value, str) else f"{value} {what}"
    raise DataFileError(f"{path}: row {row + 1}: {name} {text}{more}")


def _no_number(raw: pl.Series, column: pl.Series, *, needed: bool) -> pl.Series:
    """Where a finite number is needed and there is none. An amount may be missing, not misspelt."""
    if needed:
        return ~column.is_finite().fill_null(value=False)
    return (column.is_null() & raw.is_not_null()) | column.is_infinite().fill_null(value=False)


def _complete(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The frame with the columns of `schema`; what the file does not have is null."""
    missing = [pl.lit(None, dtype=dtype).alias(c) for c, dtype in schema.items() if c not in frame.columns]
    return frame.with_columns(missing).select(schema.names())


def _with_range(frame: pl.DataFrame) -> pl.DataFrame:
    """Bars with every column."""
    if "open" not in frame.columns:
        frame = frame.with_columns(open="close")
    highest, lowest = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    missing = {"high": highest, "low": lowest, "volume": pl.lit(None, dtype=pl.Float64)}
    return frame.with_columns(**{c: e for c, e in missing.items() if c not in frame.columns})


def _smallest_step(path: Path, frame: pl.DataFrame) -> int:
    """The smallest distance between two bars of an instrument, nanoseconds."""
    steps = frame.sort("symbol", "ts").select(
        pl.col("ts").diff().dt.total_nanoseconds().filter(pl.col("symbol") == pl.col("symbol").shift())
    )
    smallest = steps.to_series().min()
    if not isinstance(smallest, int):
        raise DataFileError(f"{path}: no instrument has two bars, so their length is not known: say it with --bar")
    return smallest


def _moved(by: int) -> pl.Expr:
    return pl.col("ts") + pl.duration(nanoseconds=by, time_unit="ns")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split("\n", 1)[0].split())
