"""Halts: an instrument that may not trade has no price, whatever its last one was.

A halt ends with a resumption or a trade. Where neither comes (a message was lost, or only quotes are subscribed to) it
ends as the next session opens: the tapes announce one that goes on anew before that.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from monitor.state.columns import Codes, Columns
from monitor.state.rows import times

HALT = "halt"
"""The code of a status that stops trading; any other lets it go on."""


def take_statuses(columns: Columns, codes: Codes, statuses: pl.DataFrame) -> None:
    """Take in statuses, in the order they came, after the trades they came with."""
    since, at = columns.halted_since, times(statuses["ts"]).tolist()
    for code, ns, meaning in zip(codes.tolist(), at, statuses["code"].to_list(), strict=True):
        if meaning == HALT:
            since[code] = max(since[code], ns)
        elif ns >= since[code]:
            since[code] = 0
    resume(columns)


def resume(columns: Columns) -> None:
    """Who traded after the halt trades again, whether or not a resumption was announced."""
    halted = np.flatnonzero(columns.halted_since)
    if len(halted):
        since = columns.halted_since[halted]
        traded = (columns.trade_ts[halted] > since) | (columns.bar_start[halted] >= since)
        columns.halted_since[halted[traded]] = 0


def end_with_session(columns: Columns, closed: int) -> None:
    """A session has opened: halts announced up to the close before it, `closed` (UTC ns), are over."""
    halted = np.flatnonzero(columns.halted_since)
    if len(halted):
        columns.halted_since[halted[columns.halted_since[halted] <= closed]] = 0
