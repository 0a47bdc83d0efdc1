"""When the values of a file of external series became known.

A value is known from ``published`` where the file has that column, otherwise from ``ts``. A date means the close of its
session, or of the next one where it is none. What describes a month and came out weeks later needs ``published``, or it
would be known before it was.

Of one series, what was published last counts; of several values published together, the one of the latest ``ts``. A
revision replaces its value from its own publication on, and is passed over where a later ``ts`` was out by then: it is
no news of the present.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from connectors.batch import SERIES, TIME
from monitor.calendar import TradingCalendar


def publications(frame: pl.DataFrame, calendar: TradingCalendar) -> pl.DataFrame:
    """Values as they became known, in order of time: :data:`connectors.batch.SERIES`.

    `frame`: ``ts, series, value`` and perhaps ``published``; times or dates.

    Raises:
        ValueError: a date is after the calendar's end; names the row, counted from 1.
    """
    told = frame["published" if "published" in frame.columns else "ts"]
    rows = frame.select("series", "value", observed="ts", ts=_known_from(told, calendar)).sort("ts", "observed")
    news = rows.filter(pl.col("observed") == pl.col("observed").cum_max().over("series"))
    return news.unique(["ts", "series"], keep="last", maintain_order=True).select(SERIES.names()).cast(SERIES)


def _known_from(told: pl.Series, calendar: TradingCalendar) -> pl.Series:
    if told.dtype != pl.Date:
        return told
    sessions = np.searchsorted(calendar.dates, told.to_numpy().astype("datetime64[D]"))
    if (sessions >= len(calendar)).any():
        row = int(np.argmax(sessions >= len(calendar)))
        last = calendar.dates[-1]
        raise ValueError(f"row {row + 1}: {told.name} {told[row]} is after the end of calendar {calendar.name}, {last}")
    return pl.Series(told.name, calendar.closes[sessions]).cast(TIME)
