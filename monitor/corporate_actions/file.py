"""Corporate actions in files and in the store.

A file is CSV or Parquet: ``ts`` (the ex-date), ``symbol``, ``kind`` (split, dividend or symbol) and, by kind, ``ratio``
(10:1, or the number of new shares for an old one), ``amount`` (a share) or ``new`` (the new symbol).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from monitor.corporate_actions.action import Action, ActionError, Kind, kind_of, parse_ratio

ACTIONS: Final = pl.Schema(
    {
        "ts": pl.Date(),
        "symbol": pl.String(),
        "kind": pl.String(),
        "ratio": pl.Float64(),
        "amount": pl.Float64(),
        "new": pl.String(),
    }
)
"""How actions are stored."""

_NEEDED: Final = ("ts", "symbol", "kind")
_BY_KIND: Final = {Kind.SPLIT: "ratio", Kind.DIVIDEND: "amount", Kind.SYMBOL: "new"}


def read_actions(path: Path) -> list[Action]:
    """The actions of a file, by date.

    Raises:
        ActionError: the file or a row of it cannot be read; one line with the file, the row (1 is the first of data)
        and what to write.
    """
    try:
        frame = pl.read_parquet(path) if path.suffix in {".parquet", ".pq"} else pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ActionError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    if missing := [name for name in _NEEDED if name not in frame.columns]:
        raise ActionError(f"{path}: no column {', '.join(missing)}: needed are ts,symbol,kind and ratio, amount or new")
    actions = []
    for number, row in enumerate(frame.iter_rows(named=True), start=1):
        try:
            actions.append(replace(_action(row), source=f"{path}: row {number}"))
        except ActionError as error:
            raise ActionError(f"{path}: row {number}: {error}") from error
    return sorted(actions)


def actions_frame(actions: Iterable[Action]) -> pl.DataFrame:
    """Actions as they are stored (:data:`ACTIONS`)."""
    rows = [(a.date, a.symbol, str(a.kind), a.ratio, a.amount, a.new) for a in sorted(set(actions))]
    return pl.DataFrame(rows, schema=ACTIONS, orient="row")


def actions_of_frame(frame: pl.DataFrame) -> list[Action]:
    """The actions of a stored frame."""
    return [Action(date, symbol, Kind(kind), *rest) for date, symbol, kind, *rest in frame.iter_rows()]


def _action(row: dict[str, Any]) -> Action:
    symbol, kind = str(row["symbol"] or "").strip(), kind_of(str(row["kind"] or "").strip())
    if not symbol:
        raise ActionError("it has no symbol")
    column = _BY_KIND[kind]
    value = row.get(column)
    if value is None or not str(value).strip():
        raise ActionError(f"a {kind} needs {column}")
    date, text = _date(row["ts"]), str(value).strip()
    if kind is Kind.SPLIT:
        return Action(date, symbol, kind, ratio=parse_ratio(text))
    if kind is Kind.SYMBOL:
        return Action(date, symbol, kind, new=text)
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount < float("inf"):
        raise ActionError(f"the amount `{text}` is no positive number")
    return Action(date, symbol, kind, amount=amount)


def _date(value: object) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value).strip())
    except ValueError:
        raise ActionError(f"ts is `{value}`: write the ex-date as 2024-06-10") from None
